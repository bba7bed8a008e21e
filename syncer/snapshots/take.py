"""Taking a snapshot: all keys of a running virtual cluster as they were at one revision, while it goes on."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import IO

from syncer.snapshots.format import Header, Writer
from syncer.snapshots.record import OWN
from syncer.snapshots.store import Store
from syncer.values import Settings

_SETTLE = 1.0
"""Seconds after which all writes up to a revision can be seen: a database may finish two at once in the other order."""


async def take(
    store: Store,
    settings: Settings,
    out: IO[bytes],
    *,
    now: dt.datetime,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> int:
    """Writes a snapshot to `out` and gives the number of its keys. Raises StoreError.

    What goes away by itself, such as events, is left out: leases are a matter of the store that gave them.
    """
    revision = await store.revision()
    await sleep(_SETTLE)
    header = Header(
        cluster=settings.cluster.name,
        kubernetes=settings.cluster.kubernetes,
        store=settings.cluster.store,
        revision=revision,
        time=now.isoformat(timespec="seconds"),
    )
    writer = Writer(out, header)
    async for page in store.pages(revision):
        for pair in page:
            if not pair.leased and pair.key not in OWN:
                writer.add(pair.key, pair.value)
    writer.finish()
    return writer.count
