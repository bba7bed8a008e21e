"""Plans for EndpointSlices: only those of the tenant's Services without a selector go to the host."""

from __future__ import annotations

from syncer.names import Key, Object
from syncer.plan.actions import Action, Create, Side
from syncer.plan.generic import follow, is_for_another, removal
from syncer.rules import endpointslices, services
from syncer.rules.context import Context
from syncer.rules.table import Rule


def plan(rule: Rule, key: Key, *, virtual: Object | None, host: Object | None, context: Context) -> list[Action]:
    """Actions for one EndpointSlice."""
    if virtual is None or not _wanted(key, virtual, context):
        return removal(rule, host)
    wanted = endpointslices.to_host(rule, key, virtual, context)
    if host is None:
        gone = "deletionTimestamp" in virtual["metadata"]
        return [] if gone else [Create(side=Side.HOST, resource=rule.key, body=wanted)]
    if is_for_another(virtual, host):
        return removal(rule, host)
    return follow(rule, wanted, host)


def _wanted(key: Key, virtual: Object, context: Context) -> bool:
    service = endpointslices.service_of(virtual)
    if not service or (key.namespace, service) == services.KUBERNETES:
        return False
    return context.world.has_own_endpoints(key.namespace, service)
