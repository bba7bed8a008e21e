"""Everything that a host namespace holds, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.e2e.tenancy import Kubectl, Release

_PASSING = {"Event", "PodMetrics"}
_OF_EVERY_NAMESPACE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_MARK = "sublet.dev/managed-by"
_KEEPER = "endpointslice.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One object by kind and name."""

    kind: str
    name: str

    @classmethod
    def of(cls, obj: dict[str, Any]) -> Item:
        """The identity of an object as `kubectl get` gives it."""
        return cls(obj["kind"], obj["metadata"]["name"])


def everything(kubectl: Kubectl, namespace: str) -> dict[Item, dict[str, Any]]:
    """All objects of all kinds in a namespace, but for events."""
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    wanted = ",".join(kind for kind in kinds if kind.partition(".")[0] != "events")
    found = kubectl.items(wanted, "--namespace", namespace)
    return {Item.of(obj): obj for obj in found if obj["kind"] not in _PASSING}


def of_tenant(objects: dict[Item, dict[str, Any]], release: Release) -> dict[Item, dict[str, Any]]:
    """Those that carry the release's mark, and what the host's controllers made for them (EndpointSlices, Endpoints)."""
    marked = {
        item: obj for item, obj in objects.items() if obj["metadata"].get("labels", {}).get(_MARK) == release.name
    }
    return marked | _descendants(objects, marked.values())


def of_release(objects: dict[Item, dict[str, Any]], release: Release) -> dict[Item, dict[str, Any]]:
    """The chart's objects, what the host's controllers made for them, and the Secrets that a release has by its documentation."""
    name = release.name
    secrets = {f"vc-{name}", f"{name}-certs"}
    roots = {
        item: obj
        for item, obj in objects.items()
        if _MARK not in obj["metadata"].get("labels", {})
        and (
            obj["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == name
            or (item.kind == "Secret" and (item.name in secrets or item.name.startswith(f"sh.helm.release.v1.{name}.")))
        )
    }
    children = _descendants(objects, (obj for item, obj in roots.items() if not item.name.startswith("vc-owner-")))
    return roots | children


def of_every_namespace(item: Item) -> bool:
    """Whether Kubernetes itself puts such an object into each namespace."""
    return (item.kind, item.name) in _OF_EVERY_NAMESPACE


def of_endpoint_controllers(objects: dict[Item, dict[str, Any]]) -> set[Item]:
    """Endpoints, and those EndpointSlices that the host's own controllers keep; both copy the labels of their Service."""
    return {
        item
        for item, obj in objects.items()
        if item.kind == "Endpoints" or obj["metadata"].get("labels", {}).get(_KEEPER, "").endswith(".k8s.io")
    }


def _descendants(objects: dict[Item, dict[str, Any]], parents: Iterable[dict[str, Any]]) -> dict[Item, dict[str, Any]]:
    parents = list(parents)
    owners = {parent["metadata"]["uid"] for parent in parents}
    # The host's Endpoints have no owner: they bear their Service's name.
    services = {parent["metadata"]["name"] for parent in parents if parent["kind"] == "Service"}
    found = {
        item: obj
        for item, obj in objects.items()
        if _MARK not in obj["metadata"].get("labels", {})
        and (
            any(owner["uid"] in owners for owner in obj["metadata"].get("ownerReferences", ()))
            or (item.kind == "Endpoints" and item.name in services)
        )
    }
    return found | _descendants(objects, found.values()) if found else found
