"""Two real API servers for tests: `host` on etcd, `virtual` on kine with SQLite, as in production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from lab import toolchain
from tests.integration.servers import ApiServer, ControllerManager


@dataclass(frozen=True, slots=True)
class ApiServerPair:
    """The two ends of the syncer."""

    host: ApiServer
    virtual: ApiServer


@pytest.fixture(scope="session")
def api_server_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServerPair]:
    """Both servers, ready; shared by all tests of a run, so each test uses namespaces of its own."""
    toolchain.build(["kube-apiserver", "etcd", "kine", "kubectl"])
    folder = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        host = ApiServer(folder / "host", store="etcd")
        stack.callback(host.stop)
        # As in the chart: no node lifecycle controller would ever take the taint of a new node away.
        untainted = ["--disable-admission-plugins=TaintNodesByCondition"]
        virtual = ApiServer(folder / "virtual", store="kine", service_cidr="10.96.0.0/16", flags=untainted)
        stack.callback(virtual.stop)
        host.wait_ready()
        virtual.wait_ready()
        yield ApiServerPair(host, virtual)


@pytest.fixture(scope="session")
def controller_manager(api_server_pair: ApiServerPair) -> Iterator[ControllerManager]:
    """A controller manager for the virtual server: default service accounts, token clean-up, garbage collection."""
    toolchain.build(["kube-controller-manager"])
    manager = ControllerManager(api_server_pair.virtual)
    yield manager
    manager.stop()
