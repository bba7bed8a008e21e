"""(rule, virtual object, host object) -> actions. Pure: a plan is a value that can be printed, compared and tested."""

from __future__ import annotations

from syncer.names import Key, Object
from syncer.plan import claims, endpointslices, generic, pods, services, storageclasses
from syncer.plan.actions import Action
from syncer.rules.context import Context
from syncer.rules.table import Rule, Table
from syncer.values import InvalidValue

HANDLERS = {
    "toHost": ("", "pods", "services", "endpointslices", "persistentvolumeclaims"),
    "fromHost": ("events", "nodes", "persistentvolumes", "storageclasses"),
}
"""What a row of each direction may name as its handler; empty = the row says it all."""


def check(table: Table) -> None:
    """Raises InvalidValue for a row whose handler does not exist, and when a kind is off that all others rest on."""
    for rule in table.values():
        known = HANDLERS.get(rule.direction, ())
        if rule.handler not in known:
            problem = f"handler {rule.handler!r} is unknown for direction {rule.direction}"
            raise InvalidValue(f"rules ({rule.key})", problem, f"use one of {', '.join(filter(None, known)) or 'none'}")
    for kind in ("pods", "services"):
        if kind not in table:
            raise InvalidValue(f"sync.toHost.{kind}.enabled", f"a cluster without {kind} cannot work", "set it to true")


def plan(
    rule: Rule,
    key: Key,
    *,
    virtual: Object | None,
    host: Object | None,
    context: Context,
    gone: Object | None = None,
    volume: Object | None = None,
) -> list[Action]:
    """Actions for one object of a row that has plans of its own kind.

    `gone` is the last state of a host object that has just disappeared (pods), `volume` the virtual stand-in volume (claims).
    """
    match rule.handler:
        case "pods":
            return pods.plan(rule, key, virtual=virtual, host=host, gone=gone, context=context)
        case "services":
            return services.plan(rule, key, virtual=virtual, host=host, context=context)
        case "endpointslices":
            return endpointslices.plan(rule, key, virtual=virtual, host=host, context=context)
        case "persistentvolumeclaims":
            return claims.plan(rule, key, virtual=virtual, host=host, volume=volume, context=context)
        case "storageclasses":
            return storageclasses.plan(rule, virtual=virtual, host=host, cluster=context.cluster)
        case _:
            return generic.plan(rule, key, virtual=virtual, host=host, context=context)
