"""Plans for PersistentVolumeClaims and their stand-in volumes."""

from __future__ import annotations

from syncer.names import MANAGED_BY, Key, Object
from syncer.plan.actions import Action, Attempt, Create, Delete, Later, Side, Warn
from syncer.plan.generic import SAME, is_for_another, merge_difference, patch_of, removal
from syncer.rules import claims
from syncer.rules.context import Context
from syncer.rules.metadata import metadata_patch
from syncer.rules.table import Rule

VOLUMES = "persistentvolumes"
_BOUND_MARKS = ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")
_PATIENCE = 1.0
_LOST = "the host cluster has lost the volume of this claim; a new one without its data takes its place"


def plan(
    rule: Rule, key: Key, *, virtual: Object | None, host: Object | None, volume: Object | None, context: Context
) -> list[Action]:
    """Actions for one claim. `volume` is the virtual stand-in that the host's volume name leads to, if there is one."""
    if virtual is None:
        return removal(rule, host)
    if host is None:
        if "deletionTimestamp" in virtual["metadata"]:
            return []
        create = Create(side=Side.HOST, resource=rule.key, body=claims.to_host(rule, key, virtual, context))
        if not _is_bound(virtual):
            return [create]
        # Its volume went with the host's claim. A volume without the data is what the tenant's pods can start with.
        return [create, Warn(key=key, reason="VolumeLost", message=_LOST)]
    if is_for_another(virtual, host):
        return removal(rule, host)
    if claims.is_turned_down(virtual, host):
        # Another node is the scheduler's to choose. The host forgets the old one first, or it would be taken for turned down again.
        refused = patch_of(Side.VIRTUAL, rule.key, virtual, {"metadata": {"annotations": {claims.SELECTED_NODE: None}}})
        return [*_follow(rule, key, claims.without_node(virtual), host, context), refused]
    return [
        *_follow(rule, key, virtual, host, context),
        *_bind(virtual, host, volume, context),
        *_report(rule, virtual, host),
    ]


def _follow(rule: Rule, key: Key, virtual: Object, host: Object, context: Context) -> list[Action]:
    body: Object = {}
    wanted = claims.to_host(rule, key, virtual, context)
    changes = metadata_patch(wanted["metadata"], host["metadata"])
    if changes:
        body["metadata"] = changes
    asked, have = wanted["spec"]["resources"].get("requests"), host["spec"]["resources"].get("requests")
    if merge_difference(have, asked) is not SAME:
        body["spec"] = {"resources": {"requests": asked}}
    if not body:
        return []
    refusal = Warn(key=key, reason="SyncError", message="the host cluster refused the new size of this claim")
    return [Attempt(action=patch_of(Side.HOST, rule.key, host, body), otherwise=(refusal,), forbidden=True)]


def _bind(virtual: Object, host: Object, volume: Object | None, context: Context) -> list[Action]:
    name = claims.volume_name(virtual, host)
    if not name or (host.get("status") or {}).get("phase") != "Bound":
        return []
    actions: list[Action] = []
    real = context.world.host_volume(host["spec"]["volumeName"])
    if real is None and context.settings.schedules:
        return [Later(seconds=_PATIENCE)]  # the watch of volumes is behind that of claims
    wanted = claims.volume(virtual, host, context.cluster, real=real)
    if volume is None:
        actions.append(Create(side=Side.VIRTUAL, resource=VOLUMES, body=wanted))
    elif (volume["metadata"].get("labels") or {}).get(MANAGED_BY) != context.cluster:
        return []  # a volume of the tenant's own, which they have named in the claim
    elif change := _change(volume["spec"], wanted["spec"]):
        actions.append(patch_of(Side.VIRTUAL, VOLUMES, volume, {"spec": change}))
    if volume is not None and (volume.get("status") or {}).get("phase") != "Bound":
        actions.append(patch_of(Side.VIRTUAL, VOLUMES, volume, {"status": {"phase": "Bound"}}, subresource="status"))
    if not virtual["spec"].get("volumeName"):
        body: Object = {
            "metadata": {"annotations": dict.fromkeys(_BOUND_MARKS, "yes")},
            "spec": {"volumeName": name},
        }
        if not virtual["spec"].get("storageClassName") and host["spec"].get("storageClassName"):
            body["spec"]["storageClassName"] = host["spec"]["storageClassName"]
        actions.append(patch_of(Side.VIRTUAL, "persistentvolumeclaims", virtual, body))
    return actions


def _change(have: Object, wanted: Object) -> Object:
    """What a stand-in volume lacks. Where it can be reached is said once: Kubernetes holds on to that."""
    change: Object = {} if have.get("capacity") == wanted["capacity"] else {"capacity": wanted["capacity"]}
    if "nodeAffinity" in wanted and not have.get("nodeAffinity"):
        change["nodeAffinity"] = wanted["nodeAffinity"]
    return change


def _report(rule: Rule, virtual: Object, host: Object) -> list[Action]:
    difference = merge_difference(virtual.get("status"), host.get("status"))
    if difference is SAME:
        return []
    return [patch_of(Side.VIRTUAL, rule.key, virtual, {"status": difference}, subresource="status")]


def _is_bound(virtual: Object) -> bool:
    """Whether the claim has been bound before: a tenant may name a volume in a claim that was never bound."""
    return bool(virtual["spec"].get("volumeName")) and _BOUND_MARKS[0] in (virtual["metadata"].get("annotations") or {})


def plan_volume(volume: Object, *, claim: Object | None, cluster: str) -> list[Action]:
    """Actions for a stand-in volume: it goes when its claim has gone."""
    metadata = volume["metadata"]
    if (metadata.get("labels") or {}).get(MANAGED_BY) != cluster:
        return []
    reference = volume["spec"].get("claimRef") or {}
    if claim is not None and claim["metadata"]["uid"] == reference.get("uid"):
        return []
    actions: list[Action] = []
    if (volume.get("status") or {}).get("phase") == "Bound":
        # Kubernetes protects a bound volume from deletion.
        actions.append(patch_of(Side.VIRTUAL, VOLUMES, volume, {"status": {"phase": "Released"}}, subresource="status"))
    if "deletionTimestamp" not in metadata:
        delete = Delete(side=Side.VIRTUAL, resource=VOLUMES, namespace="", name=metadata["name"], uid=metadata["uid"])
        actions.append(delete)
    return actions
