"""Keys that want attention: each at most once in the queue, each with one worker at a time, newest state only.

Urgent keys come first. A key that fails comes back after a growing pause of its own; others are not held up by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable

from syncer.names import Key

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 60.0


class Queue:
    """A set of dirty keys with delays and per-key back-off. Lives inside one running event loop."""

    def __init__(self, *, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._ready: asyncio.PriorityQueue[tuple[tuple[bool, int], Key]] = asyncio.PriorityQueue()
        self._number = itertools.count()
        self._queued: dict[Key, tuple[bool, int]] = {}
        """Waiting keys, each with the place of its entry that counts: one that became urgent has an older entry too."""
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._locks: dict[Key, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def busy(self) -> int:
        """How many keys are being worked on."""
        return len(self._locks)

    def add(self, key: Key, *, urgent: bool = False) -> None:
        """Wants `key` looked at now, also when it is waiting for later. Costs next to nothing when it is queued already."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        place = not urgent, next(self._number)
        waiting = self._queued.get(key)
        if waiting is None or place < waiting:
            self._queued[key] = place
            self._ready.put_nowait((place, key))

    def add_later(self, key: Key, seconds: float) -> None:
        """Wants `key` looked at in `seconds`; the earlier of two wishes counts."""
        if seconds <= 0:
            self.add(key)  # pending from here on: a timer would leave a moment in which nobody seems to see to it
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if key in self._queued or (timer is not None and timer.when() <= loop.time() + seconds):
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self.add, key)

    def failed(self, key: Key, *, at_least: float = 0.0) -> float:
        """Notes a failure and schedules the next try; returns the pause in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 16), _LONGEST_PAUSE) * (0.5 + self._jitter())
        pause = max(pause, at_least)
        self.add_later(key, pause)
        return pause

    def succeeded(self, key: Key) -> None:
        """Forgets the key's failures."""
        self._failures.pop(key, None)

    def is_pending(self, key: Key) -> bool:
        """Whether the key is queued, in work, or backing off: somebody will see to it."""
        return key in self._queued or key in self._locks or key in self._failures

    @contextlib.asynccontextmanager
    async def alone(self, key: Key) -> AsyncIterator[None]:
        """Holds the key: nobody else works on it meanwhile."""
        lock, holders = self._locks.get(key, (None, 0))
        lock = lock or asyncio.Lock()
        self._locks[key] = lock, holders + 1
        try:
            async with lock:
                yield
        finally:
            _, holders = self._locks[key]
            if holders == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, holders - 1

    async def work(self, handle: Callable[[Key], Awaitable[None]]) -> None:
        """One worker, for ever."""
        while True:
            place, key = await self._ready.get()
            if self._queued.get(key) == place:
                del self._queued[key]
                await handle(key)
