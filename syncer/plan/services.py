"""Plans for Services.

Normally the admission webhook has made the host Service before the virtual one exists, and nothing is left but to follow changes.
When it was bypassed, the host is asked for the virtual Service's address; if it cannot have that one, the virtual Service is made
again with the host's.
"""

from __future__ import annotations

from syncer.names import Key, Object
from syncer.plan.actions import Action, Attempt, Create, Delete, Side
from syncer.plan.generic import SAME, give_back, merge_difference, patch_of, removal
from syncer.rules import services
from syncer.rules.context import Context
from syncer.rules.metadata import metadata_patch
from syncer.rules.table import Rule

_SERVER_SET = ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "deletionTimestamp")


def plan(rule: Rule, key: Key, *, virtual: Object | None, host: Object | None, context: Context) -> list[Action]:
    """Actions for one Service."""
    if (key.namespace, key.name) == services.KUBERNETES:
        return []
    if virtual is None:
        return removal(rule, host)
    if host is None:
        return [] if "deletionTimestamp" in virtual["metadata"] else _creation(rule, key, virtual, context)
    wanted = services.to_host(rule, key, virtual, context)
    if _moved(virtual, host):
        return _made_again(rule, virtual, host)
    return [*_follow(rule, virtual, wanted, host), *give_back(rule, virtual, host)]


def _creation(rule: Rule, key: Key, virtual: Object, context: Context) -> list[Action]:
    body = services.to_host(rule, key, virtual, context)
    exact = services.with_address(body, virtual)
    if exact == body:
        return [Create(side=Side.HOST, resource=rule.key, body=body)]
    fallback = Create(side=Side.HOST, resource=rule.key, body=services.without_node_ports(body))
    return [Attempt(action=Create(side=Side.HOST, resource=rule.key, body=exact), otherwise=(fallback,))]


def _moved(virtual: Object, host: Object) -> bool:
    here, there = virtual["spec"].get("clusterIP"), host["spec"].get("clusterIP")
    both = services.has_address(virtual) and services.has_address(host)
    return both and bool(here) and bool(there) and here != there


def _made_again(rule: Rule, virtual: Object, host: Object) -> list[Action]:
    """An address cannot be changed: the virtual Service is deleted and created with the host's."""
    metadata = {name: value for name, value in virtual["metadata"].items() if name not in _SERVER_SET}
    spec = {
        **{name: value for name, value in virtual["spec"].items() if name not in ("clusterIP", "clusterIPs")},
        **services.allocations(host),
        "ports": services.ports_as_on_host(virtual, host),
    }
    body = {"apiVersion": rule.api_version, "kind": rule.kind, "metadata": metadata, "spec": spec}
    old = virtual["metadata"]
    return [
        Delete(
            side=Side.VIRTUAL, resource=rule.key, namespace=old["namespace"], name=old["name"], uid=old["uid"], grace=0
        ),
        Create(side=Side.VIRTUAL, resource=rule.key, body=body),
    ]


def _follow(rule: Rule, virtual: Object, wanted: Object, host: Object) -> list[Action]:
    spec = {**wanted["spec"]}
    have = {name: value for name, value in host["spec"].items() if name in spec}
    if services.has_address(virtual) != services.has_address(host):
        # ExternalName <-> cluster IP: the type changes, and with it whether there is an address at all.
        spec["clusterIP"] = virtual["spec"].get("clusterIP")
        have["clusterIP"] = host["spec"].get("clusterIP")
    for name in ("selector", "externalName"):
        if name in host["spec"] and name not in spec:
            spec[name], have[name] = None, host["spec"][name]
    difference = merge_difference(have, spec)
    changes = metadata_patch(wanted["metadata"], host["metadata"])
    actions: list[Action] = []
    if difference is not SAME:
        body: Object = {"spec": difference}
        if changes:
            body["metadata"] = changes
        exact = patch_of(Side.HOST, rule.key, host, body)
        # The host may have given a node port to somebody else: then it chooses, and the virtual Service follows.
        ports = services.without_node_ports(wanted)["spec"]["ports"]
        relaxed = patch_of(Side.HOST, rule.key, host, {**body, "spec": {**spec, "ports": ports}})
        actions.append(Attempt(action=exact, otherwise=(relaxed,)))
        return actions
    if changes:
        actions.append(patch_of(Side.HOST, rule.key, host, {"metadata": changes}))
    return actions
