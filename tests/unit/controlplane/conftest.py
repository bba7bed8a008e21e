"""A host for the pki command; and tests that wait for an API server do so on a clock that jumps."""

from __future__ import annotations

import asyncio

import pytest

from syncer.controlplane import pki
from tests.unit.controlplane.keys import NOW, config
from tests.unit.controlplane.memory_api import MemoryApi
from tests.unit.engine.fakes import JumpingLoop

_PATIENT = ("test_api_service", "test_manifests", "test_renewal")


def pytest_asyncio_loop_factories(config, item):
    return {"jumping": JumpingLoop} if item.path.stem in _PATIENT else {"real": asyncio.new_event_loop}


@pytest.fixture
def api():
    memory = MemoryApi()
    memory.put("/api/v1/namespaces/team/configmaps/vc-owner-alpha", {"metadata": {"uid": "owner"}})
    spec = {"type": "ClusterIP", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:0::9"]}
    memory.put("/api/v1/namespaces/team/services/alpha", {"spec": spec})
    return memory


@pytest.fixture
def run(api, tmp_path):
    async def run(document=None, *, now=NOW, environment=None, patience=0.0, again=False):
        out = tmp_path / "pki"
        await pki.run(document or config(), api.client, out, environment or {}, again=again, now=now, patience=patience)
        return out

    return run
