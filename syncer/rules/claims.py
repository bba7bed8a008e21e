"""PersistentVolumeClaims, and the stand-in PersistentVolumes that show the tenant where a claim is bound."""

from __future__ import annotations

from syncer.names import COPIED, MANAGED_BY, Key, Object
from syncer.rules.context import Context
from syncer.rules.generic import skeleton
from syncer.rules.table import Rule

_CLAIM = "PersistentVolumeClaim"
_PV_DRIVER = "sublet.dev/host"


SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Annotation by which a scheduler asks for a volume on a node. A provisioner that cannot make one there takes it away again."""
_HOSTS_OWN = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/storage-provisioner")
"""Annotations by which volume controllers speak to each other; a claim that says to be bound before it is counts as lost."""


def to_host(rule: Rule, key: Key, virtual: Object, context: Context) -> Object:
    """The host claim: the tenant's, but for the volume, which the host chooses."""
    annotations = virtual["metadata"].get("annotations") or {}
    # Which node a volume is for is said by whoever schedules.
    told = (SELECTED_NODE,) if context.settings.schedules else ()
    kept = {name: value for name, value in annotations.items() if name in told or not name.startswith(_HOSTS_OWN)}
    virtual = {**virtual, "metadata": {**virtual["metadata"], "annotations": kept}}
    spec = {name: value for name, value in virtual["spec"].items() if name != "volumeName"}
    for name in ("dataSource", "dataSourceRef"):
        source = spec.get(name)
        if source and source.get("kind") == _CLAIM:
            translated = context.host_name(source["name"], source.get("namespace") or key.namespace)
            spec[name] = {
                **{field: value for field, value in source.items() if field != "namespace"},
                "name": translated,
            }
    return {**skeleton(rule, key, virtual, context), "spec": spec}


def is_turned_down(virtual: Object, host: Object) -> bool:
    """Whether the host has taken away the node that the virtual cluster's scheduler has chosen for the claim's volume."""
    theirs = host["metadata"].get("annotations") or {}
    _, _, copied = theirs.get(COPIED, "").partition("|")
    chosen = SELECTED_NODE in (virtual["metadata"].get("annotations") or {})
    return chosen and SELECTED_NODE in copied.split() and SELECTED_NODE not in theirs


def without_node(virtual: Object) -> Object:
    """The claim as it was before a node was chosen for its volume."""
    metadata = virtual["metadata"]
    kept = {name: value for name, value in metadata["annotations"].items() if name != SELECTED_NODE}
    return {**virtual, "metadata": {**metadata, "annotations": kept}}


def volume_name(virtual: Object, host: Object) -> str:
    """Name of the stand-in volume, empty while there is none: the host's, but a claim never parts with the name it has once had."""
    bound = host["spec"].get("volumeName") or ""
    return str(virtual["spec"].get("volumeName") or bound) if bound else ""


def volume(virtual: Object, host: Object, cluster: str, *, real: Object | None = None) -> Object:
    """The stand-in PersistentVolume for a claim that the host has bound: no real back end.

    `real` is the host's volume, if it is followed: where it can be reached is for the virtual cluster's scheduler to know.
    """
    claim = virtual["metadata"]
    status = host.get("status") or {}
    spec: Object = {
        "accessModes": status.get("accessModes") or host["spec"].get("accessModes") or ["ReadWriteOnce"],
        "capacity": status.get("capacity") or host["spec"]["resources"]["requests"],
        "claimRef": {
            "apiVersion": "v1",
            "kind": _CLAIM,
            "namespace": claim["namespace"],
            "name": claim["name"],
            "uid": claim["uid"],
        },
        "persistentVolumeReclaimPolicy": "Delete",
        "flexVolume": {"driver": _PV_DRIVER},
        "volumeMode": host["spec"].get("volumeMode") or "Filesystem",
    }
    if host["spec"].get("storageClassName"):
        spec["storageClassName"] = host["spec"]["storageClassName"]
    if real is not None and real["spec"].get("nodeAffinity"):
        spec["nodeAffinity"] = real["spec"]["nodeAffinity"]
    metadata = {"name": volume_name(virtual, host), "labels": {MANAGED_BY: cluster}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
