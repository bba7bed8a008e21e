"""From a key to its plan: looks up what the pure plans need and picks the right one."""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import datetime

from syncer.engine.warnings import timestamp
from syncer.engine.world import World
from syncer.names import TOKEN, Key, Object
from syncer.plan import claims, nodes, plan, tokens
from syncer.plan.actions import Action, Later
from syncer.rules import claims as claim_rules
from syncer.rules import nodes as node_rules
from syncer.rules.context import Context
from syncer.rules.table import Table

_PATIENCE = 5.0
"""Seconds that a server may take to remove a pod whose end was asked for."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Planner:
    """Plans any key from what the indexes hold. `version` is the virtual API server's, `now` gives Unix time in seconds."""

    def __init__(self, *, table: Table, context: Context, world: World, version: str, now: Callable[[], float]) -> None:
        self._table = table
        self._context = context
        self._world = world
        self._version = version
        self._now = now
        machine = platform.machine()
        self._architecture = _ARCHITECTURES.get(machine, machine)
        self.gone: dict[Key, Object] = {}
        """Last states of host pods that have disappeared and whose virtual pods have not been told yet."""

    def plan(self, key: Key) -> list[Action]:
        """What is to be done for this key, right now, and when to look again."""
        actions = self._plan(key)
        patience = self._world.patience(key)
        return [*actions, Later(seconds=patience)] if patience else actions

    def _plan(self, key: Key) -> list[Action]:
        virtual, host = self._world.virtual, self._world.host
        match key.rule:
            case "nodes":
                return self._node(key)
            case "persistentvolumes":
                return self._volume(key)
            case rule if rule == TOKEN:
                pod = Key("pods", key.namespace, key.name)
                return tokens.plan(
                    key,
                    pod=virtual["pods"].get(pod),
                    host_pod=host["pods"].get(pod),
                    secret=host[TOKEN].get(key),
                    schedules=self._context.settings.schedules,
                    now=self._now(),
                )
        if key.rule not in self._table:
            return []
        ours, theirs = virtual[key.rule].get(key), host[key.rule].get(key)
        if ours is None and self._world.is_promised(key):
            return []
        if ours is not None and (node := self._world.bound_to(key, ours["metadata"]["uid"])):
            ours["spec"].setdefault("nodeName", node)
        if key.rule == "pods" and ours is not None and theirs is None and self._is_just_ending(ours):
            # The answer to our last request is on its way; the server is asked again only if nothing comes of it.
            return [Later(seconds=_PATIENCE)]
        return plan(
            self._table[key.rule],
            key,
            virtual=ours,
            host=theirs,
            context=self._context,
            gone=self.gone.get(key),
            volume=self._bound_volume(key, ours, theirs),
        )

    def _is_just_ending(self, pod: Object) -> bool:
        metadata = pod["metadata"]
        if metadata.get("deletionGracePeriodSeconds") != 0 or metadata.get("finalizers"):
            return False
        try:
            asked = datetime.fromisoformat(metadata["deletionTimestamp"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return False
        return 0 <= self._now() - asked < _PATIENCE

    def _bound_volume(self, key: Key, ours: Object | None, theirs: Object | None) -> Object | None:
        if key.rule != "persistentvolumeclaims" or ours is None or theirs is None:
            return None
        return self._world.virtual["persistentvolumes"].get(
            Key("persistentvolumes", "", claim_rules.volume_name(ours, theirs))
        )

    def _volume(self, key: Key) -> list[Action]:
        volume = self._world.virtual["persistentvolumes"].get(key)
        if volume is None:
            return []
        reference = volume["spec"].get("claimRef") or {}
        claim_key = Key("persistentvolumeclaims", reference.get("namespace", ""), reference.get("name", ""))
        claims_index = self._world.virtual.get("persistentvolumeclaims")
        claim = claims_index.get(claim_key) if claims_index is not None else None
        return claims.plan_volume(volume, claim=claim, cluster=self._context.cluster)

    def _node(self, key: Key) -> list[Action]:
        mirrored = "nodes" in self._world.host
        return nodes.plan(
            virtual=self._world.virtual["nodes"].get(key),
            wanted=self._wanted_mirror(key) if mirrored else self._wanted_stand_in(key),
            cluster=self._context.cluster,
            mirrored=mirrored,
            now=timestamp(),
        )

    def _wanted_stand_in(self, key: Key) -> Object | None:
        sighting = self._world.sighting(key.name)
        if sighting is None:
            return None
        return node_rules.stand_in(
            key.name,
            sighting,
            version=self._version,
            architecture=self._architecture,
            cluster=self._context.cluster,
        )

    def _wanted_mirror(self, key: Key) -> Object | None:
        real = self._world.host["nodes"].get(key)
        settings = self._context.settings.nodes
        if real is None or not node_rules.matches(real, settings.labels):
            return None
        if not settings.all and not settings.labels and self._world.sighting(key.name) is None:
            return None
        return node_rules.mirror(
            real, cluster=self._context.cluster, tolerated=self._context.settings.pods.enforce_tolerations
        )
