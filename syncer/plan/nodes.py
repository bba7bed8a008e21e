"""Plans for virtual Nodes: there when a pod of this cluster runs on the host's node, gone when none does."""

from __future__ import annotations

from syncer.names import HOST_NODE, MANAGED_BY, Object
from syncer.plan.actions import Action, Create, Delete, Side
from syncer.plan.generic import SAME, merge_difference, patch_of
from syncer.rules.nodes import Told
from syncer.rules.pods.resources import is_extended

NODES = "nodes"
_RESOURCES = ("capacity", "allocatable")
_TIMELESS = ("lastHeartbeatTime", "lastTransitionTime")


def plan(*, virtual: Object | None, wanted: Object | None, cluster: str, mirrored: bool, now: str) -> list[Action]:
    """Actions for one Node. `wanted` is how it should be, None = it should not be; `now` is RFC 3339 time.

    Labels, taints, schedulability and extended resources that the tenant adds stay. A mirror follows its host node in what the host
    changes: a taint or cordon that the tenant has lifted comes back when the host sets it anew.
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
    if mirrored:
        status |= {name: _with_tenants_resources(have.get(name), status.get(name)) for name in _RESOURCES}
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
    if not mirrored:
        return {"metadata": {"labels": missing}} if missing else {}
    told, now = Told.of(virtual), Told.of(wanted)
    body: Object = {}
    changes = missing | {key: None for key in told.labels if key in labels and key not in now.labels}
    if changes:
        body["metadata"] = {"labels": changes}
    spec = _spec(virtual.get("spec") or {}, wanted["spec"], told, now)
    if spec:
        body["spec"] = spec
    if told != now:
        # With the version: the list of taints is replaced as a whole, and the tenant may be changing it too.
        body["metadata"] = body.get("metadata", {}) | {
            "annotations": {HOST_NODE: wanted["metadata"]["annotations"][HOST_NODE]},
            "resourceVersion": virtual["metadata"]["resourceVersion"],
        }
    return body


def _spec(have: Object, wanted: Object, told: Told, now: Told) -> Object:
    """What the host has changed since the mirror was last told, laid over what the tenant has made of it."""
    new = [taint for taint in now.taints if taint not in told.taints]
    over = {_kind(taint) for taint in (*new, *(taint for taint in told.taints if taint not in now.taints))}
    taints = [taint for taint in have.get("taints") or () if _kind(taint) not in over] + new
    wish: Object = {"taints": taints or None, "providerID": wanted.get("providerID")}
    if told.unschedulable != now.unschedulable:
        wish["unschedulable"] = now.unschedulable or None
    return {name: value for name, value in wish.items() if (have.get(name) or None) != value}


def _kind(taint: Object) -> tuple[str, str]:
    return taint.get("key") or "", taint.get("effect") or ""


def _with_tenants_resources(have: Object | None, wanted: Object | None) -> Object:
    own = {name: amount for name, amount in (have or {}).items() if is_extended(name)}
    return own | (wanted or {})


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
