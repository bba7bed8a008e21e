"""One kubelet API between a fake host API server and a caller that may be the virtual API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncer.kubelet.routes import PodLocation
from syncer.kubelet.server import KubeletServer
from syncer.kubelet.upstream import Upstream
from tests.integration.certificates import Authority
from tests.unit.kubelet.fakes import Caller, FakeHost

WEB = PodLocation(host_namespace="tenant", host_name="web-x-shop-x-alpha", containers=frozenset({"app"}))


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FakeHost]:
    fake = FakeHost(tmp_path)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The virtual cluster's CA."""
    return Authority(tmp_path / "virtual")


@pytest.fixture
def observed() -> list[tuple[str, int]]:
    """Route and status of what was answered."""
    return []


@pytest.fixture
async def kubelet(host: FakeHost, authority: Authority, observed) -> AsyncIterator[KubeletServer]:
    certificate, key = authority.issue("syncer", hosts=("localhost", "127.0.0.1"))
    server = KubeletServer(
        listen_host="127.0.0.1",
        port=0,
        certificate=certificate,
        key=key,
        client_ca=authority.certificate,
        upstream=Upstream(host.credentials()),
        locate=lambda namespace, pod: WEB if (namespace, pod) == ("shop", "web") else None,
        observe=lambda route, status, seconds: observed.append((route, status)),
        max_streams=3,
    )
    await server.start()
    yield server
    await server.close(grace=0)


@pytest.fixture
def api_server(kubelet: KubeletServer, authority: Authority) -> Caller:
    return Caller(kubelet.port, authority.certificate, authority.issue("sublet:kubelet-client"))
