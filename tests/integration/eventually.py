"""Waiting for what happens elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def eventually(holds: Callable[[], object], *, within: float = 10.0) -> None:
    """Returns once `holds()` is true; fails after `within` seconds, showing the last value."""
    deadline = time.monotonic() + within
    while not (value := holds()):
        assert time.monotonic() < deadline, f"still {value!r} after {within:g} s"
        await asyncio.sleep(0.01)
