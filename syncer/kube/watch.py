"""Keeps a sink equal to what an API server holds of one kind, for ever: the reflector.

A session lists if it must and then follows one watch. The listing is the head of the watch itself (WatchList), or pages
where the server cannot do that. Its end is told to the sink, which then drops what was not listed: that is how
deletions during a gap show. Sessions end for many reasons, all of them normal in the life of a cluster; each decides
whether the next session may go on from the last version seen or has to list, and how long to wait. Nothing here trusts
a connection: a watch that says nothing for 90 seconds, though bookmarks come every 60, is dead; one whose bookmarks are
older than what we have seen belongs to a server that went back in time, such as a restored backup.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import orjson

from syncer.kube.client import Client, selection
from syncer.kube.errors import (
    ApiError,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
)
from syncer.kube.framing import LineSplitter, unpacker
from syncer.kube.resource import Resource
from syncer.kube.sink import Sink as Sink
from syncer.names import Object

SILENCE = 90.0
"""Seconds without a byte after which a watch counts as dead; servers send a bookmark every 60."""
HEALTHY = 10.0
"""Seconds that a session must last to reset the back-off."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds of the first and the longest back-off; doubled in between, each shortened by up to a half at random."""
_LIFETIMES = (300, 600)  # seconds after which we let the server end a watch, so that watches spread over its replicas

_END_OF_LISTING = "k8s.io/initial-events-end"

T = TypeVar("T")

Restarted = Callable[[str, str], None]
"""Called after each session with the resource key and why it ended, a word of `Ending`."""

log = logging.getLogger(__name__)


class Silence(Exception):
    """Nothing came for too long."""


class Rewound(Exception):
    """The server is at an older version than we are."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session ended and how many seconds it lasted.

    `reason` is one of: ended (by the server, in order), expired, rewound, silent, unsupported (WatchList), throttled,
    forbidden, unauthorized, missing, unreachable, error.
    """

    reason: str
    lasted: float
    error: Exception | None = None


async def reflect(
    client: Client,
    resource: Resource,
    sink: Sink,
    *,
    namespace: str | None = None,
    label_selector: str | None = None,
    field_selector: str | None = None,
    restarted: Restarted | None = None,
    silence: float = SILENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> NoReturn:
    """Keeps `sink` equal to the selected objects until cancelled. Only an error of the sink ends it otherwise.

    `restarted` is told every session's end; `jitter` gives numbers in [0, 1); `clock` and `silence` are in seconds.
    """
    reflector = Reflector(
        client,
        resource,
        sink,
        namespace=namespace,
        query=selection(label_selector, field_selector),
        silence=silence,
        clock=clock,
        jitter=jitter,
    )
    while True:
        ending = await reflector.session()
        if restarted is not None:
            restarted(resource.key, ending.reason)
        await sleep(reflector.pause(ending))


class Reflector:
    """The finite pieces of `reflect`: one session, and the pause after it."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        sink: Sink,
        *,
        namespace: str | None,
        query: dict[str, str],
        silence: float = SILENCE,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.version: str | None = None
        """The version that the sink has reached and a watch can go on from; None when only a listing helps."""
        self._client = client
        self._resource = resource
        self._sink = sink
        self._namespace = namespace
        self._query = query
        self._silence = silence
        self._clock = clock
        self._jitter = jitter
        self._pages_only = False
        self._silences = 0
        self._failures = 0
        self._warned: str | None = None

    async def session(self) -> Ending:
        """Lists if needed and follows a watch until it ends, for whatever reason."""
        began = self._clock()
        listing = self.version is None
        streamed = listing and self._client.watch_list and not self._pages_only
        try:
            if listing and not streamed:
                await self._list()
            await self._watch()
        except (KubeError, Silence, Rewound) as error:
            reason = self._learn(error, streamed=streamed)
            return Ending(reason, self._clock() - began, error)
        return Ending("ended", self._clock() - began)

    def pause(self, ending: Ending) -> float:
        """Seconds until the next session: none after a healthy one that ended in order, else more each time."""
        if ending.reason == "unsupported":
            return 0.0
        if ending.lasted >= HEALTHY:
            self._failures = 0
            self._warned = None
            if ending.reason in ("ended", "expired"):
                return 0.0
        self._tell(ending)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures, 16)) * (1 + self._jitter()) / 2
        self._failures += 1
        if isinstance(ending.error, ApiError) and ending.error.retry_after is not None:
            return max(pause, ending.error.retry_after + self._jitter())
        return pause

    async def _list(self) -> None:
        async with self._client.starting:
            self._sink.begin()
            version = ""
            async for page in self._client.pages(
                self._resource,
                self._namespace,
                label_selector=self._query.get("labelSelector"),
                field_selector=self._query.get("fieldSelector"),
            ):
                version = page.resource_version
                for item in page.items:
                    self._sink.put(item)
            self._listed(version)

    async def _watch(self) -> None:
        """Follows one watch; without a version its head is the listing, of which only a few may run at a time."""
        async with AsyncExitStack() as slot:
            if self.version is None:
                await slot.enter_async_context(self._client.starting)
            async with AsyncExitStack() as connection:
                watch = self._client.stream(self._resource, self._namespace, self._watch_query())
                stream = await self._not_silent(connection.enter_async_context(watch))
                if self.version is None:
                    self._sink.begin()
                chunks, plain, splitter = stream.chunks(), unpacker(stream.headers), LineSplitter()
                while (chunk := await self._not_silent(anext(chunks, None))) is not None:
                    for line in splitter.feed(plain.feed(chunk)):
                        self._take(line)
                    if self.version is not None:
                        await slot.aclose()
                # What the splitter still holds never got its line end: it is no event, and comes again.

    def _watch_query(self) -> dict[str, str]:
        shortest, longest = _LIFETIMES
        query = self._query | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(shortest + (longest - shortest) * self._jitter())),
        }
        if self.version is None:
            return query | {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        return query | {"resourceVersion": self.version}

    async def _not_silent(self, something: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._silence):
                return await something
        except TimeoutError as error:
            raise Silence(f"nothing came for {self._silence:g} s") from error

    def _take(self, line: bytes) -> None:
        """Hands one line of a watch to the sink."""
        try:
            event = orjson.loads(line)
            kind, obj = event["type"], event["object"]
            metadata = {} if kind == "ERROR" else obj["metadata"]
            version = "" if kind == "ERROR" else metadata["resourceVersion"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            # A nesting deeper than our parser takes, for example. One object must not stop all others of its kind.
            log.error(
                "%s: skipped a line of %d bytes in the watch of %s", self._client.name, len(line), self._resource.key
            )
            return
        if kind == "ERROR":
            self.version = None
            raise ApiError.from_object(obj)
        if kind == "BOOKMARK":
            self._bookmark(version, metadata)
            return
        metadata.pop("managedFields", None)
        self._advance(version)
        if kind == "DELETED":
            self._sink.deleted(obj)
        elif self.version is None:
            self._sink.put(obj)
        else:
            self._sink.changed(obj)

    def _bookmark(self, version: str, metadata: Object) -> None:
        if self.version is None:
            if (metadata.get("annotations") or {}).get(_END_OF_LISTING) == "true":
                self._listed(version)
            return
        self._advance(version)
        self._sink.bookmark(version)

    def _advance(self, version: str) -> None:
        """Notes an event's version. An equal one is news all the same: objects of one etcd lease expire together."""
        if self.version is None:
            return  # objects of a listing come in any order
        if _older(version, self.version):
            raise Rewound(f"the server is at version {version}, we were at {self.version} already")
        self._silences = 0
        self.version = version

    def _listed(self, version: str) -> None:
        self._sink.end()
        self._silences = 0
        self._pages_only = False
        self.version = version
        self._sink.bookmark(version)

    def _learn(self, error: Exception, *, streamed: bool) -> str:
        """What an error means for the next session, and the word for it."""
        match error:
            case Silence():
                self._silences += 1
                self._pages_only |= streamed and self.version is None  # perhaps it sends no end of the listing
                if self._silences > 1:
                    self.version = None
                return "silent"
            case Rewound():
                self.version = None
                return "rewound"
            case Invalid() if streamed:
                self._client.watch_list = False
                return "unsupported"
            case TooManyRequests():
                return "throttled"
            case Unauthorized():
                return "unauthorized"
            case Forbidden():
                return "forbidden"
            case ServerError() if streamed and self.version is None:
                # Also what a server says whose etcd does not report progress, inside of a stream that began well.
                self._pages_only = True
                return "unsupported"
            case ServerError():
                return "error"
            case Gone():
                self.version = None
                return "expired"
            case ApiError():
                self.version = None
                return "missing" if isinstance(error, NotFound) else "error"
        return "unreachable"

    def _tell(self, ending: Ending) -> None:
        """Warns once about each new kind of trouble."""
        level = logging.DEBUG if ending.reason in (self._warned, "ended", "expired") else logging.WARNING
        self._warned = ending.reason
        where = f" in namespace {self._namespace}" if self._namespace else ""
        hint = ""
        if isinstance(ending.error, Forbidden):
            hint = f" (missing right: list and watch {self._resource.key}{where})"
        elif isinstance(ending.error, NotFound):
            hint = " (the server does not serve this kind)"
        log.log(
            level,
            "%s: the watch of %s%s was interrupted: %s%s",
            self._client.name,
            self._resource.key,
            where,
            ending.error or "the server ended it at once",
            hint,
        )


def _older(version: str, than: str) -> bool:
    """Whether `version` is known to come before `than`: only decimal versions have an order."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
