"""Tasks that nobody waits for: they run until they are through or the process ends, and one that fails ends no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


class Background:
    """Holds such tasks, of which asyncio itself keeps no strong reference."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def spawn(self, work: Awaitable[Any]) -> None:
        """Begins a task."""

        async def awaited() -> object:
            return await work

        task = asyncio.create_task(awaited())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Cancels those that still run, and waits for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
