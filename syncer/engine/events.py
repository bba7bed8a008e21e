"""Shows the tenant the host's events on their objects, in their own names.

Events are many and matter least, so they have a small worker of their own: they wait while pods move.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import NoReturn

import orjson

from syncer.engine.remembered import Remembered
from syncer.engine.warnings import EVENTS
from syncer.engine.world import World
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, KubeError, NotFound
from syncer.kube.watch import reflect
from syncer.names import Key, Object
from syncer.rules.context import Context
from syncer.rules.events import is_told, to_virtual

log = logging.getLogger(__name__)

_WAITING = 2000
_WRITERS = 2
_REMEMBERED = 10_000
"""Events that are known to be there, up to twice as many: those of an hour, after which they expire, at three to five a second."""
_SILENCE = 700.0
"""Seconds. API servers keep no watch cache for events and so send no bookmarks; they end the watch themselves before that."""


class EventMirror:
    """Sink of the host's events; writes their virtual counterparts."""

    def __init__(
        self, *, host: Client, virtual: Client, world: World, context: Context, kinds: Mapping[str, str]
    ) -> None:
        self._host = host
        self._virtual = virtual
        self._world = world
        self._context = context
        self._kinds = kinds
        """Kubernetes kind -> rule key of every kind that crosses the border."""
        self._known = Remembered(_REMEMBERED)
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        """JSON: parsed, thousands of events would take many times the memory."""

    async def run(self) -> None:
        """Mirrors until cancelled. Events that the virtual cluster has already are not written again."""
        await self._learn_what_is_told()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WRITERS):
                tasks.create_task(self._write_for_ever())
            tasks.create_task(
                reflect(self._host, EVENTS, self, namespace=self._context.host_namespace, silence=_SILENCE)
            )

    async def _learn_what_is_told(self) -> None:
        async for page in self._virtual.pages(EVENTS):  # there may be very many: never all in memory at once
            for event in page.items:
                self._known.add(f"{event['metadata']['namespace']}/{event['metadata']['name']}")

    def begin(self) -> None:
        """Part of Sink."""

    def end(self) -> None:
        """Part of Sink."""

    def bookmark(self, resource_version: str) -> None:
        """Part of Sink."""

    def deleted(self, obj: Object) -> None:
        """The virtual copy expires by itself, as events do."""

    def put(self, obj: Object) -> None:
        """An event of the first list."""
        self.changed(obj)

    def changed(self, obj: Object) -> None:
        """A new event, or one counted up. When too many wait, the newest are left out: nothing depends on them."""
        self._note_lost_node(obj)
        try:
            self._waiting.put_nowait(orjson.dumps(obj))
        except asyncio.QueueFull:
            log.debug("an event was left out")

    def _note_lost_node(self, event: Object) -> None:
        if event.get("reason") != "NodeNotReady" or (event.get("involvedObject") or {}).get("kind") != "Pod":
            return
        key = self._subject(event)
        pod = self._world.host["pods"].get(key) if key else None
        node = pod["spec"].get("nodeName") if pod else None
        if pod is None or _has_recovered(pod, event):
            return
        if node and self._world.note_lost(node):
            self._world.wants_look(Key("nodes", "", node))

    def _subject(self, event: Object) -> Key | None:
        """The virtual object that an event is about; None also for a host object that another of its name has replaced."""
        about = event.get("involvedObject") or {}
        rule = self._kinds.get(about.get("kind", ""))
        index = self._world.host.get(rule) if rule else None
        key = index.find(about.get("name", "")) if index is not None else None
        if index is None or key is None or about.get("uid", "") not in ("", index.uid(key)):
            return None
        return key

    async def _write_for_ever(self) -> NoReturn:
        while True:
            event = await self._waiting.get()
            try:
                await self._write(orjson.loads(event))
            except KubeError as error:
                log.debug("an event could not be written", extra={"error": str(error)})
            except Exception:
                log.exception("an event could not be translated")

    async def _write(self, event: Object) -> None:
        key = self._subject(event)
        subject = self._world.virtual[key.rule].get(key) if key is not None else None
        if key is None or subject is None or not is_told(event, key, subject, self._context):
            return
        wanted = to_virtual(event, key, subject, self._context)
        name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
        mark = f"{namespace}/{name}"
        if mark not in self._known:
            self._known.add(mark)
            try:
                await self._virtual.create(EVENTS, wanted, namespace=namespace)
                return
            except AlreadyExists:
                pass
            except KubeError:
                self._known.discard(mark)
                raise
        elif (event.get("count") or 1) <= 1 and not event.get("series"):
            return
        change = {
            field: wanted[field] for field in ("count", "lastTimestamp", "series", "message") if wanted.get(field)
        }
        try:
            await self._virtual.patch(EVENTS, namespace, name, change)
        except NotFound:
            self._known.discard(mark)


def _has_recovered(pod: Object, event: Object) -> bool:
    """Whether a pod has become ready after an event; events are listed again for an hour after they happened."""
    # Times are RFC 3339 in UTC with whole seconds: they compare as text.
    when = event.get("lastTimestamp") or event.get("eventTime") or ""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = (item for item in conditions if item["type"] == "Ready" and item["status"] == "True")
    return bool(when) and any((item.get("lastTransitionTime") or "") > when for item in ready)
