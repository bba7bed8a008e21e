"""The owner object: a small ConfigMap of the release that owns everything made at run time.

When it goes, the release is being removed, and Kubernetes' garbage collector removes what it owned. Writing to the host from then on
would only stand in the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from syncer.kube.client import Client
from syncer.kube.errors import NotFound
from syncer.kube.resource import Resource
from syncer.kube.watch import reflect
from syncer.names import Object
from syncer.values import Cluster, InvalidValue


async def find(host: Client, cluster: Cluster) -> Object:
    """The ownerReference for host objects. Raises InvalidValue when the owner is not there."""
    reference = cluster.owner
    try:
        found = await host.get(_resource(cluster), cluster.namespace, reference["name"])
    except NotFound:
        raise InvalidValue(
            "cluster.owner",
            f"{reference['kind']} {reference['name']} is not in the host namespace",
            "install the release again: the chart creates it",
        ) from None
    return {**reference, "uid": found["metadata"]["uid"]}


async def watch(host: Client, cluster: Cluster, uid: str, gone: Callable[[], None]) -> NoReturn:
    """Calls `gone` when the owner with this uid is deleted. Raises OwnerReplaced when there is another of its name."""
    selector = f"metadata.name={cluster.owner['name']}"
    await reflect(host, _resource(cluster), _Sink(uid, gone), namespace=cluster.namespace, field_selector=selector)


def _resource(cluster: Cluster) -> Resource:
    kind = cluster.owner["kind"]
    group, _, version = cluster.owner["apiVersion"].rpartition("/")
    return Resource(group, version, f"{kind.lower()}s", kind, namespaced=True)


class OwnerReplaced(Exception):
    """The release was removed and installed again around us: everything must start from the new owner."""


class _Sink:
    """Sink of the watch on the owner object."""

    def __init__(self, uid: str, gone: Callable[[], None]) -> None:
        self._uid = uid
        self._gone = gone
        self._seen = False

    def begin(self) -> None:
        """A list starts."""
        self._seen = False

    def put(self, obj: Object) -> None:
        """The owner is there."""
        self.changed(obj)

    def end(self) -> None:
        """The list is complete."""
        if not self._seen:
            self._gone()

    def changed(self, obj: Object) -> None:
        """A change is of no interest, a deletion that waits for finalizers is."""
        self._seen = True
        metadata = obj["metadata"]
        if metadata["uid"] != self._uid:
            raise OwnerReplaced(f"{obj['kind']} {metadata['name']} was deleted and made again")
        if "deletionTimestamp" in metadata:
            self._gone()

    def deleted(self, obj: Object) -> None:
        """The release is being removed."""
        self._gone()

    def bookmark(self, resource_version: str) -> None:
        """Nothing to remember."""
