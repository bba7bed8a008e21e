"""PersistentVolumeClaims, and the stand-in PersistentVolumes that show the tenant where a claim is bound."""

from __future__ import annotations

from syncer.names import MANAGED_BY, Key, Object
from syncer.rules.context import Context
from syncer.rules.generic import skeleton
from syncer.rules.table import Rule

_CLAIM = "PersistentVolumeClaim"
_PV_DRIVER = "sublet.dev/host"


_HOSTS_OWN = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/storage-provisioner")
"""Annotations by which volume controllers speak to each other; a claim that says to be bound before it is counts as lost."""


def to_host(rule: Rule, key: Key, virtual: Object, context: Context) -> Object:
    """The host claim: the tenant's, but for the volume, which the host chooses."""
    annotations = virtual["metadata"].get("annotations") or {}
    kept = {name: value for name, value in annotations.items() if not name.startswith(_HOSTS_OWN)}
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


def volume_name(virtual: Object, host: Object) -> str:
    """Name of the stand-in volume, empty while there is none: the host's, but a claim never parts with the name it has once had."""
    bound = host["spec"].get("volumeName") or ""
    return str(virtual["spec"].get("volumeName") or bound) if bound else ""


def volume(virtual: Object, host: Object, cluster: str) -> Object:
    """The stand-in PersistentVolume for a claim that the host has bound: no real back end."""
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
    metadata = {"name": volume_name(virtual, host), "labels": {MANAGED_BY: cluster}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
