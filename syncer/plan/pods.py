"""The life of a pod: made on the host, bound and reported back, deleted on both sides.

The host decides where a pod runs and whether it lives; the tenant decides what it is and when it goes. See DESIGN, "How a pod lives".
With a scheduler of its own the virtual cluster decides where, and the host hears of a pod when that has been decided.
"""

from __future__ import annotations

from syncer.names import TOKEN, Key, Object
from syncer.plan.actions import (
    Action,
    Attempt,
    Bind,
    Create,
    Delete,
    First,
    Later,
    Patch,
    Side,
    Together,
    Warn,
)
from syncer.plan.generic import SAME, delete_host, is_for_another, merge_difference, missing_on_host, patch_of
from syncer.rules import pods
from syncer.rules.context import Context
from syncer.rules.table import Rule

FORCED = 0
"""Grace in seconds for host pods whose virtual pod is gone: its tenant has ended it by force, and does not wait for a kubelet either."""
_RECHECK = 15.0


def plan(
    rule: Rule, key: Key, *, virtual: Object | None, host: Object | None, gone: Object | None, context: Context
) -> list[Action]:
    """Actions for one pod. `gone` is the last state of a host pod that has just disappeared."""
    if virtual is None:
        return [] if host is None else _end(host, FORCED)
    if host is None:
        return _without_host(rule, key, virtual, gone, context)
    if is_for_another(virtual, host):
        return _end(host, FORCED)
    return _with_host(rule, key, virtual, host, context)


def _without_host(rule: Rule, key: Key, virtual: Object, gone: Object | None, context: Context) -> list[Action]:
    metadata = virtual["metadata"]
    if "deletionTimestamp" in metadata or was_placed(virtual, schedules=context.settings.schedules):
        # Either the host has finished a deletion, or somebody on the host removed the pod: then its controller must replace it.
        actions: list[Action] = []
        if gone is not None and metadata.get("finalizers"):
            actions += _report(rule, virtual, gone, context)
        # A grace of zero means that the end was asked for before. With finalizers it waits for those; without any, the server was
        # cut off between taking the request and removing the pod, and has to be asked again.
        if metadata.get("deletionGracePeriodSeconds") != 0 or not metadata.get("finalizers"):
            actions.append(_delete_virtual(rule, virtual, grace=0))
        return actions
    if is_finished(virtual) or (context.settings.schedules and not virtual["spec"].get("nodeName")):
        return []
    reason = pods.waiting_for(virtual, context)
    if reason is not None:
        return [Warn(key=key, reason="SyncWaiting", message=reason), Later(seconds=_RECHECK)]
    actions = []
    missing = missing_on_host(pods.carried(virtual), context)
    if missing:
        actions.append(First(keys=missing))
    create = Create(side=Side.HOST, resource=rule.key, body=pods.to_host(key, virtual, context))
    # The kubelet needs the token Secret some time after it has seen the pod: no reason to wait for one before the other.
    tokens = _tokens(key, virtual, context)
    return [*actions, Together(actions=(create, *tokens)) if tokens else create]


def _with_host(rule: Rule, key: Key, virtual: Object, host: Object, context: Context) -> list[Action]:
    actions: list[Action] = []
    virtual_end, host_end = _grace(virtual), _grace(host)
    if virtual_end is not None:
        if host_end is None or virtual_end < host_end:
            actions += _end(host, virtual_end)
    elif host_end is not None:
        actions.append(_delete_virtual(rule, virtual, grace=host_end))
    node, host_node = virtual["spec"].get("nodeName"), host["spec"].get("nodeName")
    if host_node and node and node != host_node:
        return [*actions, _delete_virtual(rule, virtual, grace=0)] if virtual_end != 0 else actions
    if host_node and not node and virtual_end is None and host_end is None:
        actions.append(Bind(key=key, uid=virtual["metadata"]["uid"], node=host_node))
    actions += _report(rule, virtual, host, context)
    if virtual_end is None and host_end is None and not is_finished(host):
        actions += _tokens(key, virtual, context)
        actions += _follow(rule, key, virtual, host, context)
    return actions


def _tokens(key: Key, virtual: Object, context: Context) -> list[Action]:
    """Has the pod's token Secret written when it needs one and has none."""
    token_key = Key(TOKEN, key.namespace, key.name)
    missing = bool(pods.tokens(virtual)) and not context.world.on_host(token_key)
    return [First(keys=(token_key,))] if missing else []


def _report(rule: Rule, virtual: Object, host: Object, context: Context) -> list[Action]:
    status = host.get("status") or {}
    # Until the kubelet speaks, the Binding itself says all there is to say, unless the host's scheduler has something against it.
    bound = host["spec"].get("nodeName") or (virtual["spec"].get("nodeName") and not status.get("conditions"))
    if bound and not status.get("startTime") and not is_finished(host):
        return []
    difference = merge_difference(virtual.get("status"), pods.status(host, virtual, context))
    if difference is SAME:
        return []
    body: Object = {"status": difference}
    if virtual["spec"].get("readinessGates"):
        # The tenant writes conditions of their own into the same list, which a merge patch replaces as a whole.
        body["metadata"] = {"resourceVersion": virtual["metadata"]["resourceVersion"]}
    return [patch_of(Side.VIRTUAL, rule.key, virtual, body, subresource="status")]


def _follow(rule: Rule, key: Key, virtual: Object, host: Object, context: Context) -> list[Action]:
    actions: list[Action] = []
    metadata = host["metadata"]
    for patch in pods.patches(key, virtual, host, context):
        action = Patch(
            side=Side.HOST,
            resource=rule.key,
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            body=patch.body,
            subresource=patch.subresource,
            strategic=patch.content_type == "strategic",
        )
        refusal = Warn(key=key, reason="SyncError", message="the host cluster refused the change to this pod")
        actions.append(Attempt(action=action, otherwise=(refusal,), forbidden=True))
    return actions


def _end(host: Object, grace: int) -> list[Action]:
    going = _grace(host)
    return [] if going is not None and going <= grace else [delete_host("pods", host, grace=grace)]


def _delete_virtual(rule: Rule, virtual: Object, *, grace: int) -> Delete:
    metadata = virtual["metadata"]
    return Delete(
        side=Side.VIRTUAL,
        resource=rule.key,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        grace=grace,
    )


def _grace(pod: Object) -> int | None:
    """Grace period in seconds of a deletion under way, None when there is none."""
    metadata = pod["metadata"]
    return int(metadata.get("deletionGracePeriodSeconds") or 0) if "deletionTimestamp" in metadata else None


def was_placed(virtual: Object, *, schedules: bool) -> bool:
    """Whether the host has once had the pod.

    A nodeName alone does not say so: a tenant may have preset it. Binding sets the PodScheduled condition; that is we who bind,
    unless the virtual cluster schedules its pods itself. Then only a kubelet's word tells.
    """
    if not virtual["spec"].get("nodeName"):
        return False
    status = virtual.get("status") or {}
    if schedules:
        return bool(status.get("startTime"))
    return bool(status.get("startTime")) or any(
        condition["type"] == "PodScheduled" and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )


def is_finished(pod: Object) -> bool:
    """Whether all containers have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
