"""The engine: watches fill the indexes, changes queue keys, workers plan each key and carry the plan out.

Everything the engine knows can be rebuilt from the two API servers, so it may be killed at any moment. Work starts when all indexes
hold their first complete list; from then on a key is looked at whenever something changed that concerns it, and once in a while
all keys are compared in memory, which finds (and counts) whatever was missed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from syncer.engine.executor import Executor, NameTaken
from syncer.engine.futile import Futile, patch_in
from syncer.engine.index import Index
from syncer.engine.metrics import Metrics
from syncer.engine.planner import Planner
from syncer.engine.queue import Queue
from syncer.engine.tokens import SECRETS, NoToken, TokenIssuer
from syncer.engine.warnings import Warnings
from syncer.engine.world import World
from syncer.kube.client import Client
from syncer.kube.errors import ApiError, Conflict, Forbidden, Invalid, KubeError, NotFound, TooManyRequests
from syncer.kube.resource import Resource
from syncer.kube.watch import reflect
from syncer.names import KIND, MANAGED_BY, TOKEN, Key, Object, identify
from syncer.plan.actions import Action, Delete, Later, Side, Warn
from syncer.plan.pods import is_finished
from syncer.rules.context import Context
from syncer.rules.metadata import MetadataRules
from syncer.rules.table import Rule, Table
from syncer.rules.text import to_virtual_text
from syncer.values import Settings

log = logging.getLogger(__name__)

WORKERS = 24
COMPARE_EVERY = 60.0
_COMPARE_SLICE = 20

OWN_VIRTUAL = (
    Resource("", "v1", "namespaces", "Namespace", namespaced=False),
    Resource("", "v1", "nodes", "Node", namespaced=False),
    Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False),
)
"""Virtual kinds that the engine follows whatever the table says."""


def resource_of(rule: Rule) -> Resource:
    """Where the objects of a rule live."""
    return Resource(rule.group, rule.version, rule.resource, rule.kind, namespaced=rule.namespaced)


class Engine:
    """One running synchronisation between a virtual cluster and its host namespace."""

    def __init__(
        self,
        *,
        settings: Settings,
        table: Table,
        host: Client,
        virtual: Client,
        owner: Object | None,
        metrics: Metrics,
        virtual_version: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.table = table
        self.metrics = metrics
        self.queue = Queue()
        self.world = World(table, later=self._look_later, alone=settings.leadership is None)
        self.context = Context(settings, MetadataRules(settings.cluster.name, settings.metadata), self.world, owner)
        self.clients: Mapping[Side, Client] = {Side.HOST: host, Side.VIRTUAL: virtual}
        self.resources = {rule.key: resource_of(rule) for rule in table.values()}
        self.resources |= {resource.key: resource for resource in OWN_VIRTUAL}
        self.resources[TOKEN] = SECRETS
        self.planner = Planner(table=table, context=self.context, world=self.world, version=virtual_version, now=now)
        self.warnings = Warnings(virtual)
        self._executor = Executor(
            clients=self.clients,
            resources=self.resources,
            world=self.world,
            cluster=settings.cluster.name,
            tokens=TokenIssuer(host=host, virtual=virtual, context=self.context, now=now),
            warnings=self.warnings,
            bring_up=self._bring_up,
            later=self.queue.add_later,
            translate=partial(to_virtual_text, context=self.context),
        )
        self._news: dict[Key, tuple[float, Side]] = {}
        self._futile = Futile(self._versions)
        self.leading = asyncio.Event()
        """Set by whoever lets this engine work: of several replicas only one does, the others watch."""
        self.started = asyncio.Event()
        self.retired = False
        """The owner object is gone: the release is being removed, and writing to the host would only stand in the way."""
        self._make_indexes()

    # -- wiring ------------------------------------------------------------------------------------------------------

    def _make_indexes(self) -> None:
        cluster = self.settings.cluster.name
        for rule in self.table.values():
            if rule.direction == "toHost":
                self._add_index(Side.VIRTUAL, rule.key, partial(_by_name, rule.key))
                self._add_index(Side.HOST, rule.key, partial(identify, rule=rule.key, cluster=cluster))
            elif rule.handler == "persistentvolumes":
                self._add_index(Side.HOST, rule.key, partial(_by_claim, rule.key, self.settings.cluster.namespace))
            elif rule.handler != "events":
                self._add_index(Side.HOST, rule.key, partial(_by_name, rule.key))
                self._add_index(Side.VIRTUAL, rule.key, partial(_by_name, rule.key))
        self._add_index(Side.HOST, TOKEN, partial(identify, rule=TOKEN, cluster=cluster))
        for resource in OWN_VIRTUAL:
            self._add_index(Side.VIRTUAL, resource.key, partial(_by_name, resource.key))

    def _add_index(self, side: Side, rule: str, identify_: Callable[[Object], Key | None]) -> None:
        indexes = self.world.virtual if side is Side.VIRTUAL else self.world.host
        indexes[rule] = Index(identify_, partial(self._changed, side))

    def indexes(self) -> Iterable[tuple[Side, str, Index]]:
        """All indexes with their side and rule key."""
        for rule, index in self.world.virtual.items():
            yield Side.VIRTUAL, rule, index
        for rule, index in self.world.host.items():
            yield Side.HOST, rule, index

    @property
    def synced(self) -> bool:
        """Whether every index holds a complete list."""
        return all(index.synced.is_set() for _, _, index in self.indexes())

    # -- running -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watches, waits for complete indexes, then works until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for side, rule, index in self.indexes():
                tasks.create_task(self._watch(side, rule, index), name=f"watch {side} {rule}")
            for _, _, index in self.indexes():
                await index.synced.wait()
            log.info("all indexes are complete", extra={"objects": sum(len(index) for _, _, index in self.indexes())})
            await self.leading.wait()
            for key in self._all_keys():
                self.queue.add(key)
            for number in range(WORKERS):
                tasks.create_task(self.queue.work(self._handle), name=f"worker {number}")
            tasks.create_task(self._compare_for_ever(), name="compare")
            self.started.set()

    async def _watch(self, side: Side, rule: str, index: Index) -> None:
        namespace = selector = None
        resource = self.resources[rule]
        if side is Side.HOST and resource.namespaced:
            namespace = self.settings.cluster.namespace
            selector = f"{MANAGED_BY}={self.settings.cluster.name},{KIND}{'=' if rule == TOKEN else '!='}{TOKEN}"
        counted = partial(self._count_restart, side, rule)
        await reflect(
            self.clients[side], resource, index, namespace=namespace, label_selector=selector, restarted=counted
        )

    def _count_restart(self, side: Side, rule: str, _: str, reason: str) -> None:
        self.metrics.watch_restarts.labels(side, rule, reason).inc()

    def _changed(self, side: Side, key: Key, obj: Object | None, last: Object | None, own: bool) -> None:
        """An index took something in: have those looked at whom it concerns."""
        try:
            concerned = self._concerned(side, key, obj, last)
        except Exception:
            # An odd object must not end the watch that told of it.
            log.exception("cannot tell whom this object concerns", extra={"object": str(key)})
            concerned = []
        if not self.started.is_set():
            return
        if not own:
            self._news.setdefault(key, (time.perf_counter(), side))
            # What the host does not have yet goes first: it has work to do on it while the rest is written down.
            missing = side is Side.VIRTUAL and obj is not None and key not in self.world.host.get(key.rule, ())
            self.queue.add(key, urgent=missing)
        elif key.rule == TOKEN:
            self.queue.add(key)
        for other in concerned:
            self.queue.add(other)

    def _look_later(self, key: Key, seconds: float) -> None:
        if self.started.is_set():  # then all keys are looked at anyway
            self.queue.add_later(key, seconds)

    def _concerned(self, side: Side, key: Key, obj: Object | None, last: Object | None) -> list[Key]:
        if side is Side.VIRTUAL:
            concerned = list(self.world.virtual_changed(key, obj))
            token = Key(TOKEN, key.namespace, key.name)
            if key.rule == "pods" and token in self.world.host[TOKEN]:
                concerned.append(token)
            if obj is None and last is not None and key.rule == "persistentvolumeclaims":
                bound = last["spec"].get("volumeName")
                concerned += [Key("persistentvolumes", "", bound)] if bound else []
            volume = obj or last
            if key.rule == "persistentvolumes" and volume is not None:
                claim = volume["spec"].get("claimRef") or {}
                concerned.append(Key("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", "")))
        else:
            concerned = list(self.world.host_changed(key, obj))
            if key.rule == "pods" and (obj is None or is_finished(obj)):
                concerned.append(Key(TOKEN, key.namespace, key.name))
                if obj is None and last is not None and self.started.is_set():
                    self.planner.gone[key] = last
        return concerned

    # -- working -----------------------------------------------------------------------------------------------------

    async def _handle(self, key: Key) -> None:
        """One key, with everything that can go wrong turned into another try."""
        if self.retired:
            return
        news = self._news.pop(key, None)
        try:
            acted = await self._bring_up(key)
        except TooManyRequests as error:
            self.queue.failed(key, at_least=error.retry_after)
            self._failed(key, error.reason or "TooManyRequests")
        except (Conflict, NotFound) as error:
            # The world has moved on since the plan was made; news of it is on its way.
            self.queue.failed(key)
            log.debug("overtaken", extra={"object": str(key), "error": str(error)})
        except (Forbidden, Invalid, NameTaken, NoToken) as error:
            self.queue.failed(key, at_least=1.0)
            self._failed(key, "Refused")
            await self._tell_refusal(key, error)
        except KubeError as error:
            self.queue.failed(key)
            self._failed(key, "Unreachable" if not isinstance(error, ApiError) else error.reason or "Error")
            log.warning("will try again: %s", error, extra={"object": str(key)})
        except asyncio.CancelledError:
            raise
        except Exception:
            # One odd object must not stop the others.
            self.queue.failed(key, at_least=5.0)
            self._failed(key, "Bug")
            log.exception("cannot plan this object", extra={"object": str(key)})
        else:
            self.queue.succeeded(key)
            if news is not None and acted:
                since, side = news
                direction = "toHost" if side is Side.VIRTUAL else "fromHost"
                self.metrics.latency.labels(key.rule, direction).observe(time.perf_counter() - since)

    async def _bring_up(self, key: Key) -> bool:
        """Plans a key and carries the plan out; returns whether there was anything to do."""
        async with self.queue.alone(key):
            planned = self.planner.plan(key)
            actions = self._futile.without(key, planned)
            for action in actions:
                await self._executor.run(key, action)
            # What others wrote meanwhile is news, and no answer to what was sent.
            if any(map(patch_in, actions)) and key not in self._news:
                self._futile.learn(key, planned, self.planner.plan(key))
            self.planner.gone.pop(key, None)
            return any(not isinstance(action, Later) for action in actions)

    def _versions(self, key: Key) -> tuple[str, str]:
        virtual, host = self.world.virtual.get(key.rule), self.world.host.get(key.rule)
        return (virtual.version(key) if virtual else "", host.version(key) if host else "")

    def _failed(self, key: Key, reason: str) -> None:
        self.metrics.failures.labels(key.rule, reason).inc()

    async def _tell_refusal(self, key: Key, error: Exception) -> None:
        text = error.message if isinstance(error, ApiError) else str(error)
        if not isinstance(error, NoToken):
            text = f"the host cluster refused this object: {text}"
        log.warning("refused: %s", error, extra={"object": str(key)})
        subject = Key("pods", key.namespace, key.name) if key.rule == TOKEN else key
        if subject.rule not in self.world.virtual:
            return
        message = to_virtual_text(text, subject, self.context)
        try:
            await self._executor.run(key, Warn(key=subject, reason="SyncError", message=message))
        except KubeError as failure:
            log.warning("cannot write an event", extra={"object": str(key), "error": str(failure)})
        except Exception:
            log.exception("cannot tell of a refusal", extra={"object": str(key)})

    # -- comparing ---------------------------------------------------------------------------------------------------

    def _all_keys(self) -> set[Key]:
        return {key for _, _, index in self.indexes() for key in index}

    async def _compare_for_ever(self) -> None:
        while True:
            await asyncio.sleep(COMPARE_EVERY)
            await self.compare()

    async def compare(self) -> int:
        """Plans every key that nobody is seeing to; queues and counts those for which there is something to do."""
        corrections = 0
        for number, key in enumerate(self._all_keys()):
            if number % _COMPARE_SLICE == 0:
                await asyncio.sleep(0)
            if self.queue.is_pending(key):
                continue
            try:
                planned = self._futile.without(key, self.planner.plan(key))
                actions = [action for action in planned if not isinstance(action, Later | Warn)]
            except Exception:
                self.queue.add(key)  # where it will be counted and backed off
                continue
            if actions:
                corrections += 1
                self._count_correction(key, actions)
                self.queue.add(key)
        return corrections

    def _count_correction(self, key: Key, actions: Sequence[Action]) -> None:
        self.metrics.corrections.labels(key.rule).inc()
        log.info("corrected", extra={"object": str(key), "actions": [type(action).__name__ for action in actions]})
        if any(isinstance(action, Delete) and action.side is Side.HOST for action in actions):
            self.metrics.orphans.labels(key.rule).inc()


def _by_name(rule: str, obj: Object) -> Key:
    metadata = obj["metadata"]
    return Key(rule, metadata.get("namespace", ""), metadata["name"])


def _by_claim(rule: str, namespace: str, volume: Object) -> Key | None:
    """A volume's key if it belongs to a claim in our namespace: the others are none of our business."""
    claim = volume["spec"].get("claimRef") or {}
    return _by_name(rule, volume) if claim.get("namespace") == namespace else None
