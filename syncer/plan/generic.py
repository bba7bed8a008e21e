"""Plans for kinds whose row says it all."""

from __future__ import annotations

from collections.abc import Iterable

from syncer.names import UID, Key, Object
from syncer.plan.actions import Action, Create, Delete, First, Patch, Side
from syncer.rules import generic
from syncer.rules.context import Context
from syncer.rules.metadata import metadata_patch
from syncer.rules.table import Rule


def plan(rule: Rule, key: Key, *, virtual: Object | None, host: Object | None, context: Context) -> list[Action]:
    """Actions that bring the two sides together. The tenant's object decides whether the host's exists."""
    if virtual is None:
        return removal(rule, host)
    if rule.selection == "used" and not context.world.used(key):
        return removal(rule, host)
    if host is None:
        # An object on its way out is not brought back to life.
        if "deletionTimestamp" in virtual["metadata"]:
            return []
        return creation(rule, key, virtual, generic.to_host(rule, key, virtual, context), context)
    if is_for_another(virtual, host):
        return removal(rule, host)
    wanted = generic.to_host(rule, key, virtual, context)
    return [*follow(rule, wanted, host), *give_back(rule, virtual, host)]


def creation(rule: Rule, key: Key, virtual: Object, body: Object, context: Context) -> list[Action]:
    """Creates the host object, after what it refers to."""
    create = Create(side=Side.HOST, resource=rule.key, body=body)
    missing = missing_on_host(generic.carried(rule, key, virtual), context)
    return [First(keys=missing), create] if missing else [create]


def missing_on_host(keys: Iterable[Key], context: Context) -> tuple[Key, ...]:
    """Those of `keys` that exist in the virtual cluster and not yet on the host."""
    world = context.world
    return tuple(sorted(key for key in set(keys) if world.exists(key) and not world.on_host(key)))


def removal(rule: Rule, host: Object | None) -> list[Action]:
    """Deletes the host object unless it is gone or going."""
    if host is None or "deletionTimestamp" in host["metadata"]:
        return []
    return [delete_host(rule.key, host)]


def delete_host(resource: str, host: Object, *, grace: int | None = None) -> Delete:
    """The DELETE of exactly this host object."""
    metadata = host["metadata"]
    return Delete(
        side=Side.HOST,
        resource=resource,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        grace=grace,
    )


def is_for_another(virtual: Object, host: Object) -> bool:
    """Whether the host object stands for an earlier virtual object of the same name."""
    mark = (host["metadata"].get("annotations") or {}).get(UID)
    return mark is not None and mark != virtual["metadata"]["uid"]


def follow(rule: Rule, wanted: Object, host: Object) -> list[Action]:
    """Patches the host object where the tenant's fields or our marks differ from `wanted`."""
    body: Object = {}
    changes = metadata_patch(wanted["metadata"], host["metadata"])
    if changes:
        body["metadata"] = changes
    for name in rule.tenant_owns:
        difference = merge_difference(host.get(name), wanted.get(name))
        if difference is not SAME:
            body[name] = difference
    return [patch_of(Side.HOST, rule.key, host, body)] if body else []


def give_back(rule: Rule, virtual: Object, host: Object) -> list[Action]:
    """Copies the fields that the host owns into the virtual object."""
    actions: list[Action] = []
    plain: Object = {}
    for name in rule.host_owns:
        difference = merge_difference(virtual.get(name), host.get(name))
        if difference is SAME:
            continue
        if name == "status":
            actions.append(patch_of(Side.VIRTUAL, rule.key, virtual, {"status": difference}, subresource="status"))
        else:
            plain[name] = difference
    if plain:
        actions.append(patch_of(Side.VIRTUAL, rule.key, virtual, plain))
    return actions


def patch_of(side: Side, resource: str, target: Object, body: Object, *, subresource: str | None = None) -> Patch:
    """A merge patch for exactly this object."""
    metadata = target["metadata"]
    return Patch(
        side=side,
        resource=resource,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        body=body,
        subresource=subresource,
    )


class _Same:
    def __repr__(self) -> str:
        return "SAME"


SAME = _Same()
"""What merge_difference returns when nothing is to be changed."""


def merge_difference(have: object, want: object) -> object:
    """The JSON merge patch (RFC 7396) that turns `have` into `want`, or SAME.

    Keys that the other side holds beyond `want` are removed, except where `want` has no such map at all and `have` is empty.
    """
    if have == want or (not have and not want and (have is None or want is None)):
        return SAME
    if not isinstance(have, dict) or not isinstance(want, dict):
        return want
    difference: Object = {name: None for name in have if name not in want}
    for name, value in want.items():
        if name not in have:
            difference[name] = value
            continue
        change = merge_difference(have[name], value)
        if change is not SAME:
            difference[name] = change
    return difference or SAME
