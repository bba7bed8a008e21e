"""Plans for StorageClasses: the host's are shown, so that a scheduler of the virtual cluster knows which claims wait for their pod."""

from __future__ import annotations

from syncer.names import MANAGED_BY, UID, Object
from syncer.plan.actions import Action, Create, Delete, Side
from syncer.plan.generic import SAME, merge_difference, patch_of
from syncer.rules.table import Rule

_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def plan(rule: Rule, *, virtual: Object | None, host: Object | None, cluster: str) -> list[Action]:
    """Actions for one class. One that the tenant has made under the same name is left alone."""
    if virtual is None:
        return [] if host is None else [Create(side=Side.VIRTUAL, resource=rule.key, body=_shown(rule, host, cluster))]
    metadata = virtual["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY) != cluster or "deletionTimestamp" in metadata:
        return []
    mark = (metadata.get("annotations") or {}).get(UID)
    if host is None or mark != host["metadata"]["uid"]:
        # Most fields of a class never change: another one of its name takes its place.
        return [Delete(side=Side.VIRTUAL, resource=rule.key, namespace="", name=metadata["name"], uid=metadata["uid"])]
    wanted = _shown(rule, host, cluster)
    body = {
        name: difference
        for name in rule.host_owns
        if (difference := merge_difference(virtual.get(name), wanted.get(name))) is not SAME
    }
    default, was = (obj["metadata"]["annotations"].get(_DEFAULT) for obj in (wanted, virtual))
    if default != was:
        body["metadata"] = {"annotations": {_DEFAULT: default}}
    return [patch_of(Side.VIRTUAL, rule.key, virtual, body)] if body else []


def _shown(rule: Rule, host: Object, cluster: str) -> Object:
    metadata = host["metadata"]
    annotations = {UID: metadata["uid"]}
    if _DEFAULT in (metadata.get("annotations") or {}):
        annotations[_DEFAULT] = metadata["annotations"][_DEFAULT]
    shown: Object = {"name": metadata["name"], "labels": {MANAGED_BY: cluster}, "annotations": annotations}
    fields = {name: host[name] for name in rule.host_owns if name in host}
    return {"apiVersion": rule.api_version, "kind": rule.kind, "metadata": shown, **fields}
