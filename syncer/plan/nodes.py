"""Plans for virtual Nodes: there when a pod of this cluster runs on the host's node, gone when none does."""

from __future__ import annotations

from syncer.names import MANAGED_BY, Object
from syncer.plan.actions import Action, Create, Delete, Side
from syncer.plan.generic import SAME, merge_difference, patch_of

NODES = "nodes"
_TIMELESS = ("lastHeartbeatTime", "lastTransitionTime")


def plan(*, virtual: Object | None, wanted: Object | None, cluster: str, mirrored: bool, now: str) -> list[Action]:
    """Actions for one Node. `wanted` is how it should be, None = it should not be; `now` is RFC 3339 time.

    A stand-in's labels, taints and schedulability are the tenant's to change; a mirror's labels and spec follow the host.
    """
    if wanted is None:
        return _removal(virtual, cluster)
    if virtual is None:
        return [Create(side=Side.VIRTUAL, resource=NODES, body=_stamped(wanted, None, now))]
    if "deletionTimestamp" in virtual["metadata"]:
        return []
    actions: list[Action] = []
    have = virtual.get("status") or {}
    status = _stamped(wanted, have, now)["status"]
    difference = merge_difference({name: have.get(name) for name in status}, status)
    if difference is not SAME:
        actions.append(patch_of(Side.VIRTUAL, NODES, virtual, {"status": difference}, subresource="status"))
    body = _description(virtual, wanted, mirrored=mirrored)
    if body:
        actions.append(patch_of(Side.VIRTUAL, NODES, virtual, body))
    return actions


def _description(virtual: Object, wanted: Object, *, mirrored: bool) -> Object:
    labels = virtual["metadata"].get("labels") or {}
    missing = {key: value for key, value in wanted["metadata"]["labels"].items() if labels.get(key) != value}
    body: Object = {"metadata": {"labels": missing}} if missing else {}
    if mirrored:
        spec = virtual.get("spec") or {}
        fields = ("taints", "unschedulable", "providerID")
        change = {name: wanted["spec"].get(name) for name in fields if spec.get(name) != wanted["spec"].get(name)}
        if change:
            body["spec"] = change
    return body


def _removal(virtual: Object | None, cluster: str) -> list[Action]:
    if virtual is None:
        return []
    metadata = virtual["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY) != cluster or "deletionTimestamp" in metadata:
        return []
    return [Delete(side=Side.VIRTUAL, resource=NODES, namespace="", name=metadata["name"], uid=metadata["uid"])]


def _stamped(wanted: Object, have: Object | None, now: str) -> Object:
    """`wanted` with times in its conditions: the old ones where nothing changed, so that an equal status compares equal."""
    before = {item["type"]: item for item in (have or {}).get("conditions") or ()}
    conditions = []
    for item in wanted["status"].get("conditions") or ():
        old = before.get(item["type"])
        plain = {name: value for name, value in item.items() if name not in _TIMELESS}
        if old is not None and plain == {name: value for name, value in old.items() if name not in _TIMELESS}:
            conditions.append(old)
        else:
            changed = old is None or old.get("status") != item["status"]
            since = now if changed else (old or {}).get("lastTransitionTime") or now
            conditions.append({**plain, "lastHeartbeatTime": now, "lastTransitionTime": since})
    return {**wanted, "status": {**wanted["status"], "conditions": conditions}}
