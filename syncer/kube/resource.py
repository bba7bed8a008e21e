"""Where objects of one kind live in the Kubernetes API: from (group, version, plural) to URL paths."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

_SAFE = ":@!$&'()*+,;="  # what RFC 3986 allows in a path segment besides letters, digits and -._~


@dataclass(frozen=True, slots=True)
class Resource:
    """One served kind, such as `Resource("apps", "v1", "deployments", "Deployment", namespaced=True)`.

    `group` is empty for the core group.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def key(self) -> str:
        """The name rules, logs and metrics use: `pods`, `ingresses.networking.k8s.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects: `v1`, `networking.k8s.io/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of a collection (no `name`), an object or its subresource.

        Without a namespace, the collection of a namespaced kind is that of all namespaces. Raises ValueError where the
        path would silently address something else: an empty name, for example, would turn the deletion of an object
        into the deletion of its whole collection.
        """
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.key} are not namespaced, yet a namespace was given: {namespace!r}")
        if namespace is None and name is not None and self.namespaced:
            raise ValueError(f"{self.key} {name!r} needs a namespace")
        if subresource is not None and name is None:
            raise ValueError(f"subresource {subresource!r} of {self.key} needs a name")
        path = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if namespace is not None:
            path += f"/namespaces/{_segment(namespace)}"
        path += f"/{self.plural}"
        if name is not None:
            path += f"/{_segment(name)}"
        if subresource is not None:
            path += f"/{subresource}"
        return path


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} cannot be a segment of a path")
    return quote(text, safe=_SAFE)
