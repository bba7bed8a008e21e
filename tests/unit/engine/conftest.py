"""Tests of the engine run on a clock that jumps."""

from __future__ import annotations

from tests.unit.engine.fakes import JumpingLoop


def pytest_asyncio_loop_factories(config, item):
    return {"jumping": JumpingLoop}
