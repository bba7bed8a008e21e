"""Snapshots of real stores that real API servers write to: one moment of them, and the way from one kind of store to the other."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import toolchain
from syncer.snapshots import restore as restoring
from syncer.snapshots.format import Damaged, Reader, verify
from syncer.snapshots.store import connect
from syncer.snapshots.take import take
from syncer.values import Cluster, InvalidValue, Restore, Settings, Store
from tests.integration.servers import ApiServer

pytestmark = pytest.mark.timeout(300)
CLUSTER = Cluster(name="alpha", namespace="it", service="alpha", domain="x", owner={}, workload_service_account="w")
KINDS = ("namespaces", "configmaps", "secrets", "serviceaccounts", "clusterroles", "services", "leases")
COUNTED = ("zz-first", "aa-second")


def settings(server: ApiServer, **restore: object) -> Settings:
    """As the chart would render them for a server of these tests."""
    order = Restore(**{"id": "one", "raise_revision": False} | restore)
    return Settings(cluster=CLUSTER, store=Store(endpoints=(server.store_url,)), restore=order)


async def snapshot(server: ApiServer) -> io.BytesIO:
    store = await connect(settings(server).store, patience=10)
    out = io.BytesIO()
    await take(store, settings(server), out, now=dt.datetime.now(dt.UTC))
    store.close()
    out.seek(0)
    return out


async def restore(server: ApiServer, file: io.BytesIO, **order: object) -> int:
    file.seek(0)
    store = await connect(settings(server).store, patience=10)
    try:
        return await restoring.restore(store, settings(server, **order), file)
    finally:
        store.close()


def everything(server: ApiServer) -> dict[str, object]:
    """All objects of some kinds but those of the server itself, without what the store counts."""
    found = {}
    for item in json.loads(server.kubectl("get", ",".join(KINDS), "--all-namespaces", "-o", "json"))["items"]:
        metadata = item["metadata"]
        version = metadata.pop("resourceVersion")
        assert version.isdecimal()
        found[f"{item['kind']}/{metadata.get('namespace')}/{metadata['name']}"] = item
    return {name: item for name, item in found.items() if "/kube-system/" not in name}


@pytest.fixture(scope="module", params=["kine", "etcd"])
def source(request, tmp_path_factory) -> Iterator[ApiServer]:
    """A server with some objects, among them what has a size; what tests write, they write into namespaces of their own."""
    toolchain.build(["kube-apiserver", "etcd", "kine", "kubectl"])
    server = ApiServer(tmp_path_factory.mktemp("source"), store=request.param)
    try:
        server.wait_ready()
        server.make_namespace("work")
        items = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"filled-{number}", "namespace": "work"},
                "data": {"text": "x" * (0 if number % 5 else number * 1500)},  # several pages together
            }
            for number in range(300)
        ]
        server.kubectl("create", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": items})
        yield server
    finally:
        server.stop()


@pytest.fixture
def target(source, tmp_path) -> Iterator[ApiServer]:
    """A store of the other kind; its API server has not been started yet, and shares the source's keys."""
    other = "etcd" if "kine" in str(source.store.arguments[0]) else "kine"
    server = ApiServer(tmp_path / "target", store=other)
    server.server.kill9()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def counting(server: ApiServer) -> Iterator[None]:
    """Writes pairs of ConfigMaps, the first of which is always at or one ahead of the second. The first pair is there already."""
    server.make_namespace("counted")
    begun, stop = threading.Event(), threading.Event()

    def count() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for name in COUNTED:
                body = {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": name, "namespace": "counted"},
                    "data": {"count": str(number)},
                }
                server.kubectl("apply", "--server-side", "-f", "-", manifest=body)
            begun.set()

    thread = threading.Thread(target=count)
    thread.start()
    try:
        assert begun.wait(30)
        yield
    finally:
        stop.set()
        thread.join()


async def test_all_objects_come_from_one_kind_of_store_to_the_other_and_replace_what_is_there(source, target):
    before = everything(source)
    file = await snapshot(source)
    header, count = verify(file)
    assert count > 300
    assert await restore(target, file, raise_revision=True) == count

    target.restart()
    assert everything(target) == before
    found = json.loads(target.kubectl("get", "--raw", "/api/v1/namespaces/work/configmaps?limit=1"))
    version = found["metadata"]["resourceVersion"]
    assert int(version) > header.revision
    target.kubectl("create", "configmap", "new", "-n", "work")
    target.kubectl("delete", "configmap", "filled-0", "-n", "work")

    target.kill9()
    assert await restore(target, file, id="two", replace=True) == count
    target.restart()
    assert everything(target) == before


def counts_in(file: io.BytesIO) -> list[int]:
    """What the two ConfigMaps hold in a snapshot, where they lie as protobuf."""
    file.seek(0)
    pairs = dict(Reader(file).pairs())
    found = [re.search(rb"count\x12.(\d+)", pairs[f"configmaps/counted/{name}".encode()]) for name in COUNTED]
    return [int(match[1]) for match in found if match]


async def test_a_snapshot_under_writes_is_of_one_revision(source):
    with counting(source):
        files = [await snapshot(source) for _ in range(3)]
    for file in files:
        first, second = counts_in(file)
        assert first - second in (0, 1)
    assert counts_in(files[0]) < counts_in(files[2])


async def test_a_store_with_objects_and_a_damaged_file_are_refused_and_an_interrupted_restore_begins_anew(
    source, target
):
    file = await snapshot(source)
    _, whole = verify(file)
    cut = io.BytesIO(file.getvalue()[:-100])
    with pytest.raises(Damaged):
        await restore(target, cut)
    with pytest.raises(InvalidValue, match="has objects"):
        await restore(source, file)

    store = await connect(settings(target).store, patience=10)
    target.store.kill9()
    file.seek(0)
    with pytest.raises(restoring.StoreError):
        await restoring.restore(store, settings(target), file)
    store.close()
    target.store.restart()
    assert await restore(target, file, id="two") == whole


def test_the_command_writes_a_file_for_its_owner_only(source, tmp_path):
    config = {
        "cluster": {
            "name": "alpha",
            "namespace": "it",
            "service": "alpha",
            "owner": {"kind": "ConfigMap"},
            "workloadServiceAccount": "w",
            "kubernetes": "v1.36.3",
        },
        "store": {"endpoints": f"http://127.0.0.1:1,{source.store_url}"},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "syncer", "snapshot", "--config", tmp_path / "config.yaml"]
    file = tmp_path / "snapshot"

    subprocess.run([*command, "--file", file], check=True, capture_output=True)
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open("rb") as opened:
        header, count = verify(opened)
    assert (header.cluster, header.kubernetes) == ("alpha", "v1.36.3")
    assert count > 300
    again = subprocess.run([*command, "--file", file], check=False, capture_output=True)
    assert again.returncode == 2
    assert b"choose another file" in again.stderr
    piped = subprocess.run(command, check=True, capture_output=True)
    assert verify(io.BytesIO(piped.stdout))[1] >= count - 5
