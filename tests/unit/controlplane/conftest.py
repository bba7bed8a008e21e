"""Tests that wait for an API server do so on a clock that jumps."""

from __future__ import annotations

import asyncio

from tests.unit.engine.fakes import JumpingLoop

_PATIENT = ("test_api_service", "test_manifests", "test_renewal")


def pytest_asyncio_loop_factories(config, item):
    return {"jumping": JumpingLoop} if item.path.stem in _PATIENT else {"real": asyncio.new_event_loop}
