"""Health, readiness and metrics over HTTP."""

from __future__ import annotations

import aiohttp
import pytest

from syncer.controlplane import serving


@pytest.fixture
async def health():
    reasons = [""]
    runner = await serving.serve_health(port=0, ready=lambda: reasons[0], metrics=lambda: b"sublet_x 1\n")
    (port,) = [address[1] for address in runner.addresses if len(address) == 2]

    async def get(path):
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, await answer.text()

    yield get, reasons
    await runner.cleanup()


async def test_a_syncer_that_runs_is_healthy(health):
    get, _ = health
    assert await get("/healthz") == (200, "ok\n")


async def test_readiness_says_what_is_missing(health):
    get, reasons = health
    assert await get("/readyz") == (200, "ok\n")
    reasons[0] = "an index is not complete"
    assert await get("/readyz") == (503, "an index is not complete\n")


async def test_metrics_are_text(health):
    get, _ = health
    assert await get("/metrics") == (200, "sublet_x 1\n")


async def test_there_is_nothing_else(health):
    get, _ = health
    assert (await get("/"))[0] == 404
