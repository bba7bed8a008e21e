"""What follows from the indexes and is asked for often: kept up to date with each change instead of searched for.

Also the answer to everything that a translation may ask about the rest of the virtual cluster (syncer.rules.context.Surroundings).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from syncer.engine.index import Index
from syncer.names import Key, Object
from syncer.plan.pods import is_finished
from syncer.rules import generic, pods, services
from syncer.rules.context import ServiceView
from syncer.rules.nodes import Sighting
from syncer.rules.table import Rule, Table

DNS_SERVICE = Key("services", "kube-system", "kube-dns")
LINGER = 30.0
"""Seconds for which something that is no longer used stays, since the next pod often uses it again."""
_MARGIN = 0.1
_NO_LABELS: Mapping[str, str] = {}


class World:
    """Both sides' indexes by rule key, and what is derived from them."""

    def __init__(
        self,
        table: Table,
        *,
        later: Callable[[Key, float], None],
        clock: Callable[[], float] = time.monotonic,
        alone: bool = True,
    ) -> None:
        """`later` has a key looked at after so many seconds; `alone` means that no other replica makes host objects."""
        self.table = table
        self._later = later
        self._clock = clock
        self._alone = alone
        self._lingering: dict[Key, float] = {}
        self._promised: dict[Key, float] = {}
        self._bound: dict[Key, tuple[str, str]] = {}
        self.virtual: dict[str, Index] = {}
        self.host: dict[str, Index] = {}
        self.api_service_address = ""
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._services: dict[str, dict[str, ServiceView]] = {}
        self._selectorless: set[tuple[str, str]] = set()
        self._dns_address: str | None = None
        self._carried: dict[Key, frozenset[Key]] = {}
        self._users: dict[Key, int] = {}
        self._node_of: dict[Key, str] = {}
        self._node_users: dict[str, int] = {}
        self._sightings: dict[str, Sighting] = {}

    # -- Surroundings ------------------------------------------------------------------------------------------------

    def namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """Every virtual namespace with its labels."""
        return self._namespaces

    def services(self, namespace: str) -> Iterable[ServiceView]:
        """Services of a virtual namespace that have a cluster IP."""
        return self._services.get(namespace, {}).values()

    def api_address(self) -> str:
        """IP of the virtual API server's Service."""
        return self.api_service_address

    def dns_address(self) -> str | None:
        """IP of the virtual cluster's DNS Service, as the host knows it."""
        return self._dns_address

    def has_node(self, name: str) -> bool:
        """Whether the virtual cluster has this Node."""
        return Key("nodes", "", name) in self.virtual["nodes"]

    def host_resources(self, node: str) -> frozenset[str]:
        """Names of the resources that the host's node has."""
        index = self.host.get("nodes")
        found = index.get(Key("nodes", "", node)) if index is not None else None
        return frozenset(((found or {}).get("status") or {}).get("allocatable") or ())

    def host_volume(self, name: str) -> Object | None:
        """The host's PersistentVolume of this name."""
        index = self.host.get("persistentvolumes")
        return index.get(Key("persistentvolumes", "", name)) if index is not None else None

    def has_own_endpoints(self, namespace: str, service: str) -> bool:
        """Whether this virtual Service exists and has no selector."""
        return (namespace, service) in self._selectorless

    def exists(self, key: Key) -> bool:
        """Whether this object exists in the virtual cluster."""
        index = self.virtual.get(key.rule)
        return index is not None and key in index

    def on_host(self, key: Key) -> bool:
        """Whether this object's counterpart exists on the host; kinds that do not cross the border count as there."""
        index = self.host.get(key.rule)
        return index is None or key in index

    def used(self, key: Key) -> bool:
        """Whether some object carries this one to the host."""
        return self._users.get(key, 0) > 0 or self._lingers(key)

    # -- promises ----------------------------------------------------------------------------------------------------

    def promise(self, key: Key, seconds: float) -> None:
        """A virtual object is about to be created whose host object exists already: it is not to be taken for an orphan."""
        self._promised[key] = self._clock() + seconds
        self._later(key, seconds + _MARGIN)

    def note_bound(self, key: Key, *, uid: str, node: str) -> None:
        """We have bound this virtual pod, of which the watch is yet to tell."""
        self._bound[key] = uid, node

    def bound_to(self, key: Key, uid: str) -> str | None:
        """The node that we have just bound this virtual pod to."""
        known, node = self._bound.get(key, ("", ""))
        return node if known == uid else None

    def is_promised(self, key: Key) -> bool:
        """Whether a promise for this key still holds."""
        until = self._promised.get(key)
        if until is not None and until <= self._clock():
            del self._promised[key]
            until = None
        return until is not None

    def patience(self, key: Key) -> float | None:
        """Seconds until a promise for this key, or its time after the last use, is over; None when it waits for neither."""
        ends = [until for until in (self._promised.get(key), self._lingering.get(key)) if until is not None]
        left = max(ends, default=0.0) - self._clock()
        return left + _MARGIN if left > 0 else None

    def _host_service_seen(self, key: Key, obj: Object) -> None:
        if key not in self.virtual["services"] and self._is_young(obj):
            # Another replica has made it, for a Service that is about to be created.
            self.promise(key, services.PROMISE)

    @staticmethod
    def _is_young(obj: Object) -> bool:
        try:
            made = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
        except (KeyError, TypeError, ValueError):
            return False
        return (datetime.now(UTC) - made).total_seconds() < services.PROMISE

    # -- what the node plans need ------------------------------------------------------------------------------------

    def sighting(self, node: str) -> Sighting | None:
        """What is known of a host node that pods of this cluster use, or None when none does."""
        key = Key("nodes", "", node)
        was_used = key in self._lingering
        if self._node_users.get(node) or self._lingers(key):
            return self._sightings.get(node, Sighting())
        if was_used:
            # What it was like then says nothing of the next time.
            self._sightings.pop(node, None)
        return None

    def expect(self, node: str) -> None:
        """A pod is about to be bound to this node."""
        self._release(Key("nodes", "", node))

    def wants_look(self, key: Key) -> None:
        """Has a key looked at soon."""
        self._later(key, 0.0)

    def note_lost(self, node: str) -> bool:
        """The host has lost contact with a node; returns whether that is news."""
        before = self._sightings.get(node, Sighting())
        self._sightings[node] = Sighting(before.addresses, True)
        return not before.lost

    # -- keeping up --------------------------------------------------------------------------------------------------

    def virtual_changed(self, key: Key, obj: Object | None) -> Iterable[Key]:
        """Takes in a change of the virtual side; returns the other keys that it concerns."""
        if obj is not None:
            self._promised.pop(key, None)  # kept
        if obj is None or obj.get("spec", {}).get("nodeName"):
            self._bound.pop(key, None)
        match key.rule:
            case "namespaces":
                return self._namespace_changed(key.name, obj)
            case "services":
                return self._service_changed(key, obj)
            case "pods":
                return [*self._references_changed(key, obj), *self._placement_changed(key, obj)]
            case _:
                return self._references_changed(key, obj)

    def host_changed(self, key: Key, obj: Object | None) -> Iterable[Key]:
        """Takes in a change of the host side; returns the other keys that it concerns."""
        if key == DNS_SERVICE:
            address = (obj or {}).get("spec", {}).get("clusterIP") or None
            if address != self._dns_address:
                self._dns_address = address
                return [pod for pod in self.virtual["pods"] if pod not in self.host["pods"]]
        if key.rule == "pods" and obj is not None:
            return self._node_seen(obj)
        if key.rule == "services" and obj is not None and not self._alone:
            self._host_service_seen(key, obj)
        return ()

    def _namespace_changed(self, name: str, obj: Object | None) -> Iterable[Key]:
        if obj is None:
            self._namespaces.pop(name, None)
            return ()
        labels = obj["metadata"].get("labels") or _NO_LABELS
        if self._namespaces.get(name) == labels:
            return ()
        self._namespaces[name] = labels
        return [key for key in self.virtual["pods"] if key.namespace == name]

    def _service_changed(self, key: Key, obj: Object | None) -> Iterable[Key]:
        views = self._services.setdefault(key.namespace, {})
        views.pop(key.name, None)
        if obj is not None and services.has_address(obj) and obj["spec"].get("clusterIP"):
            views[key.name] = ServiceView(key.name, obj["spec"]["clusterIP"], tuple(obj["spec"].get("ports") or ()))
        if not views:
            del self._services[key.namespace]
        place = key.namespace, key.name
        selectorless = obj is not None and not services.selects_pods(obj)
        if selectorless == (place in self._selectorless):
            return ()
        (self._selectorless.add if selectorless else self._selectorless.discard)(place)
        slices = self.virtual.get("endpointslices.discovery.k8s.io")
        return [] if slices is None else [other for other in slices if other.namespace == key.namespace]

    def _references_changed(self, key: Key, obj: Object | None) -> Iterable[Key]:
        before = self._carried.get(key, frozenset())
        after = frozenset() if obj is None else self._references(key, obj)
        if before == after:
            return ()
        if after:
            self._carried[key] = after
        else:
            del self._carried[key]
        for target in after - before:
            self._users[target] = self._users.get(target, 0) + 1
        for target in before - after:
            self._users[target] -= 1
            if not self._users[target]:
                del self._users[target]
                self._release(target)
        return after - before

    def _references(self, key: Key, obj: Object) -> frozenset[Key]:
        rule: Rule | None = self.table.get(key.rule)
        if rule is None:
            return frozenset()
        return pods.carried(obj) if rule.handler == "pods" else frozenset(generic.carried(rule, key, obj))

    def _placement_changed(self, key: Key, obj: Object | None) -> Iterable[Key]:
        before = self._node_of.get(key)
        after = _node_that_counts(obj)
        if before == after:
            return ()
        if before is not None:
            self._node_users[before] -= 1
            if not self._node_users[before]:
                del self._node_users[before]
                self._release(Key("nodes", "", before))
        if after is None:
            del self._node_of[key]
        else:
            self._node_of[key] = after
            self._node_users[after] = self._node_users.get(after, 0) + 1
        return [Key("nodes", "", after)] if after else ()

    def _lingers(self, key: Key) -> bool:
        until = self._lingering.get(key)
        if until is not None and until <= self._clock():
            del self._lingering[key]
            until = None
        return until is not None

    def _release(self, key: Key) -> None:
        self._lingering[key] = self._clock() + LINGER
        self._later(key, LINGER + _MARGIN)

    def _node_seen(self, host_pod: Object) -> Iterable[Key]:
        node, status = host_pod["spec"].get("nodeName"), host_pod.get("status") or {}
        if not node:
            return ()
        before = self._sightings.get(node, Sighting())
        addresses = tuple(item["ip"] for item in status.get("hostIPs") or () if item.get("ip")) or before.addresses
        after = Sighting(addresses, before.lost and not _is_ready(status))
        if before == after:
            return ()
        self._sightings[node] = after
        return [Key("nodes", "", node)]


def _node_that_counts(pod: Object | None) -> str | None:
    """The node that a virtual pod keeps alive: daemon pods follow their node instead."""
    if pod is None or is_finished(pod):
        return None
    owners = pod["metadata"].get("ownerReferences") or ()
    if any(owner.get("controller") and owner["kind"] == "DaemonSet" for owner in owners):
        return None
    node: str | None = pod["spec"].get("nodeName")
    return node


def _is_ready(status: Object) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ())
