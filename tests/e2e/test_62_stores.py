"""Stores other than SQLite on their own servers: what a tenant does works, and what was acknowledged is there whatever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import databases, etcd_members, processes
from tests.e2e.objects import Object, service, workload
from tests.e2e.tenancy import CHART, Kubectl, Release, eventually, helm, host_kubectl, install, remove, web
from tests.e2e.writing import Writer

pytestmark = pytest.mark.timeout(300)
EMBEDDED_ETCD = {"controlPlane": {"backingStore": {"etcd": {"embedded": {"enabled": True}}}}}
ENOUGH = 50
"""Objects that are made between two deaths."""
TWO_WRITES = """
BEGIN;
INSERT INTO kine (name) VALUES ('first') RETURNING id;
\\! psql --quiet tenant --command="SET lock_timeout = '100ms'" --command="INSERT INTO kine (name) VALUES ('second')" 2>&1
SELECT last_value FROM kine_id_seq;
"""
"""For psql: a second write while the first one is not committed, and the last id that has been given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A release on one of the stores. `server`: the processes that hold its data."""

    release: Release
    server: Callable[[], list[int]]
    inside: bool
    """Whether these are the control plane's own."""


@pytest.fixture(
    scope="module",
    params=[
        *("postgres", "mysql", "embedded-etcd"),
        *(pytest.param(name, marks=pytest.mark.long) for name in ("external-etcd", etcd_members.STORE)),
    ],
)
def stored(lab: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """A release on each store in turn."""
    folder, namespace = tmp_path_factory.mktemp(request.param), f"store-{uuid.uuid4().hex[:6]}"
    host = host_kubectl()
    with contextlib.ExitStack() as stack:
        if request.param == "embedded-etcd":
            values, server = EMBEDDED_ETCD, None
        elif request.param == etcd_members.STORE:
            values, server = etcd_members.values(3), None
        else:
            server = stack.enter_context(databases.server(request.param))
            values = server.values()
        host("create", "namespace", namespace)
        stack.callback(remove, host, "vc", namespace)
        if server:
            host.apply(server.secret(), namespace=namespace)
        release = install("vc", namespace, folder, "--values", written(values, folder))
        own = lambda: processes.processes_of(release, "store")  # noqa: E731
        pids = server.pids if server else own
        if request.param == etcd_members.STORE:
            pids = lambda: etcd_members.processes_of(release)  # noqa: E731
        yield Stored(release=release, server=pids, inside=request.param == "embedded-etcd")


def written(values: Object, folder: Path) -> str:
    """The path of a file with the values."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return str(file)


@pytest.fixture
def kubectl(stored: Stored) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace of its own."""
    with stored.release.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield stored.release.tenant.within(name)


def test_a_workload_runs_and_is_reached_by_its_service(kubectl: Kubectl) -> None:
    serve(kubectl)


def test_what_was_acknowledged_outlives_the_deaths_of_store_and_api_server(stored: Stored, kubectl: Kubectl) -> None:
    before = restarts(stored.release)
    with Writer(kubectl) as writer:
        for victim in (stored.server, lambda: processes.processes_of(stored.release, "apiserver")):
            more(writer)
            for pid in victim():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        more(writer)
    eventually(lambda: kubectl("get", "--raw", "/readyz"))

    assert writer.lost() == []
    again = {name: count - before[name] for name, count in restarts(stored.release).items()}
    assert again == dict.fromkeys(again, 0) | {"apiserver": 1} | ({"store": 1} if stored.inside else {})


def serve(kubectl: Kubectl) -> None:
    """Runs pods behind a Service, and looks that it leads to them and that they have logs."""
    space = kubectl.namespace
    kubectl.apply(workload("Deployment", "web", web(), replicas=2), service("web", app="web"), namespace=space)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    pod = min(kubectl.names("pods"))

    eventually(lambda: kubectl.execute(pod, "curl -s --max-time 2 http://web/hostname") in kubectl.names("pods"))
    assert "Started HTTP server" in kubectl("logs", pod)


def more(writer: Writer) -> None:
    """Waits until so many more objects are acknowledged."""
    wanted = len(writer.made) + ENOUGH
    eventually(lambda: len(writer.made) >= wanted, patience=90)


def restarts(release: Release) -> dict[str, int]:
    """How often each container has been started again."""
    return {found["name"]: found["restartCount"] for found in processes.statuses(processes.pod_of(release))}


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (databases.ESCAPED, "wrong", "password authentication failed"),
        ("@db.", "@nowhere.", "no such host"),
        (f"postgres:{databases.ESCAPED}", "nobody:x", "password authentication failed"),
    ],
    ids=["a wrong password", "an unknown host", "an unknown user"],
)
def test_a_store_that_cannot_be_used_says_why(lab: None, tmp_path: Path, before: str, after: str, told: str) -> None:
    host, namespace = host_kubectl(), f"store-{uuid.uuid4().hex[:6]}"
    host("create", "namespace", namespace)
    try:
        with databases.server("postgres") as server:
            host.apply(server.secret(), namespace=namespace)
            values = written(server.values(), tmp_path)
            Path(values).write_text(Path(values).read_text().replace(before, after))
            helm("install", "vc", str(CHART), "--namespace", namespace, "--values", values)
            eventually(lambda: told in host("logs", "vc-0", "--container=store", "--namespace", namespace))
    finally:
        remove(host, "vc", namespace)


@pytest.mark.long
def test_a_change_of_store_is_refused_and_the_way_back_keeps_everything(lab: None, tmp_path: Path) -> None:
    release = install("vc", f"store-{uuid.uuid4().hex[:6]}", tmp_path)
    upgrade = ("upgrade", "vc", str(CHART), "--namespace", release.namespace)
    try:
        release.tenant("create", "namespace", "kept")
        helm(*upgrade, "--values", written(EMBEDDED_ETCD, tmp_path))
        eventually(lambda: "lie in database.embedded" in release.on_host("logs", release.pod, "--container=pki"))
        helm(*upgrade, "--reset-values", "--wait", "--timeout=120s")

        assert "kept" in eventually(lambda: release.tenant.names("namespaces"))
    finally:
        remove(release.host, release.name, release.namespace)


@pytest.mark.long
def test_a_postgresql_for_several_pods_gives_an_id_only_when_the_write_before_is_committed(lab: None) -> None:
    with databases.server("postgres", shared=True) as server:
        first, *second, last = server.run("psql --quiet --tuples-only --no-align tenant", stdin=TWO_WRITES).splitlines()

    assert "lock timeout" in second[0]
    assert last == first
