"""Restoring a snapshot into a store that no API server runs on.

A record in the store says that it has begun and that it is done. One that was interrupted begins anew, from an empty store.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import IO, TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_delay,
    wait_exponential,
)

from syncer.snapshots import format as files
from syncer.snapshots.record import KEY, OWN, Record
from syncer.snapshots.store import Store, StoreError
from syncer.values import InvalidValue, Settings

AT = "controlPlane.backingStore.restore"
_AT_ONCE = 32  # writes; a store answers many together about as fast as one
_AHEAD = 1000
"""So many changes after the snapshot may have been seen by clients. They watch from the last one that they have seen, and an API
server that has not come so far yet would tell them nothing, without an error."""
_STEP = 20_000
"""Changes between two lines of the log, and between two times that the store may forget."""
_PATIENCE = 20.0
"""Seconds in which each write is tried again: a database may be away for a moment in the middle of thousands of them."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Contended(StoreError):
    """Somebody else writes to the store."""


async def done(store: Store, restore_id: str) -> bool:
    """Whether this restore has been done in this store. Raises StoreError."""
    found = await store.get(KEY)
    return found is not None and Record.decode(found.value) == Record(id=restore_id, done=True)


async def restore(store: Store, settings: Settings, file: IO[bytes]) -> int:
    """Writes all keys of a snapshot and gives their number; nothing if the store has objects, or the file is not whole.

    Raises format.Damaged, InvalidValue for what a person has to decide, StoreError.
    """
    order = settings.restore
    header, count = files.verify(file)
    _check(header, settings)
    found = await store.get(KEY)
    begun = found is not None and not Record.decode(found.value).done
    if not (order.replace or begun) and await _has_objects(store):
        raise InvalidValue(
            AT,
            f"the store {settings.cluster.store} has objects",
            f"choose an empty store; or set {AT}.replace, which removes them",
        )
    begin = Record(id=order.id, done=False).encode()
    if not (await store.update(found, begin) if found else await store.create(KEY, begin)):
        raise Contended("somebody else restores into it at the same time")
    _log.info("restoring", extra={"keys": count, "taken": header.time, "revision": header.revision})
    await _remove(store)
    reader = files.Reader(file)
    await _each(reader.pairs(), lambda pair: _create(store, *pair))
    if order.raise_revision:
        await _raise(store, header.revision + _AHEAD)
    await _verify(store, count)
    found = await store.get(KEY)
    if found is None or not await store.update(found, Record(id=order.id, done=True).encode()):
        raise Contended("somebody else writes to it at the same time")
    return count


def _check(header: files.Header, settings: Settings) -> None:
    expected = settings.restore.from_cluster or settings.cluster.name
    if header.cluster != expected:
        raise InvalidValue(
            f"{AT}.fromCluster",
            f"the snapshot is of virtual cluster {header.cluster}, not of {expected}, and names of host objects depend on that",
            f"set it to {header.cluster} if that is meant; host objects are then made anew under new names",
        )
    taken, asked = _minor(header.kubernetes), _minor(settings.cluster.kubernetes)
    if taken and asked and not taken <= asked <= (taken[0], taken[1] + 1):
        raise InvalidValue(
            "controlPlane.distro.k8s.version",
            f"the snapshot is of Kubernetes {header.kubernetes}, and {settings.cluster.kubernetes} is older or passes over a version",
            f"set it to {header.kubernetes}, or one minor version above",
        )


def _minor(version: str) -> tuple[int, ...]:
    """Major and minor; nothing for what is no version."""
    match = _VERSION.match(version)
    return tuple(int(part) for part in match.groups()) if match else ()


async def _has_objects(store: Store) -> bool:
    async for page in store.pages(await store.revision(), keys_only=True):
        if any(pair.key not in OWN for pair in page):
            return True
    return False


async def _remove(store: Store) -> None:
    """Removes all objects, and what an interrupted restore has left."""
    async for page in store.pages(await store.revision(), keys_only=True):
        await _each((pair.key for pair in page if pair.key not in OWN), store.delete)


async def _create(store: Store, key: bytes, value: bytes) -> None:
    if await store.create(key, value):
        return
    found = await store.get(key)
    if found is None or found.value != value:  # else it is our own, written by a request whose answer was lost
        raise Contended(f"{key.decode(errors='replace')} is there already: somebody else writes to it at the same time")


async def _raise(store: Store, wanted: int) -> None:
    """Lifts the store's revision by keys that come and go, since there is no other way that all stores know."""
    revision = await store.revision()
    while revision < wanted:
        changes = min(wanted - revision + 1, _STEP)
        _log.info("raising the revision, so that watches from before notice", extra={"from": revision, "to": wanted})

        async def come_and_go(number: int) -> None:
            key = b"sublet.dev/raise-%d" % number
            await store.create(key, b"")
            await store.delete(key)

        await _each(range((changes + 1) // 2), come_and_go)
        revision = await store.revision()
        await store.compact(revision)


async def _verify(store: Store, count: int) -> None:
    there = 0
    async for page in store.pages(await store.revision(), keys_only=True):
        there += sum(pair.key not in OWN for pair in page)
    if there != count:
        raise Contended(f"{there} keys are there in the end, not {count}: somebody else writes to it at the same time")


async def _each(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    """Does the work for all items, some at once; an error that does not pass ends it all."""
    remaining: Iterator[T] = iter(items)

    async def worker() -> None:
        for item in remaining:
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(StoreError) & retry_if_not_exception_type(Contended),
                stop=stop_after_delay(_PATIENCE),
                wait=wait_exponential(multiplier=0.1, max=2),
                reraise=True,
            )
            async for attempt in retrying:
                with attempt:
                    await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(worker())
    except* StoreError as errors:
        # The first one is why the others were given up.
        raise errors.exceptions[0] from None
