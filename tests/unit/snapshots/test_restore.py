"""Taking and restoring, on stores in memory."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io

import pytest

from syncer.snapshots import restore as restoring
from syncer.snapshots.format import Damaged
from syncer.snapshots.record import KEY
from syncer.snapshots.store import StoreError
from syncer.snapshots.take import take
from syncer.values import Cluster, InvalidValue, Restore, Settings
from tests.unit.snapshots.memory_store import MemoryStore

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
OBJECTS = {b"pods/a/%d" % number: b"pod %d" % number for number in range(150)}
CLUSTER = Cluster(
    name="alpha", namespace="tenant", service="alpha", domain="cluster.local", owner={}, workload_service_account="w"
)


def settings(*, name="alpha", kubernetes="v1.36.3", **restore):
    cluster = dataclasses.replace(CLUSTER, name=name, kubernetes=kubernetes)
    order = Restore(**{"id": "one", "raise_revision": False} | restore)
    return Settings(cluster=cluster, restore=order)


def filled(objects=OBJECTS):
    store = MemoryStore()
    for key, value in objects.items():
        store.put(key, value)
    return store


def objects(store):
    return {key: pair.value for key, pair in store.now.items() if key not in (KEY, b"health")}


async def snapshot(store, **options):
    async def no_pause(_: float) -> None: ...

    out = io.BytesIO()
    await take(store, settings(**options), out, now=NOW, sleep=no_pause)
    out.seek(0)
    return out


async def test_a_snapshot_brings_all_objects_into_an_empty_store():
    target = MemoryStore()
    assert await restoring.restore(target, settings(), await snapshot(filled())) == len(OBJECTS)
    assert objects(target) == OBJECTS
    assert await restoring.done(target, "one")
    assert not await restoring.done(target, "two")


async def test_a_snapshot_is_of_one_revision_whatever_is_written_meanwhile():
    source, out = filled(), io.BytesIO()

    async def somebody_writes(_: float) -> None:
        source.put(b"pods/a/0", b"changed")
        source.put(b"pods/b/0", b"new")
        await source.delete(b"pods/a/1")

    assert await take(source, settings(), out, now=NOW, sleep=somebody_writes) == len(OBJECTS)
    out.seek(0)
    target = MemoryStore()
    await restoring.restore(target, settings(), out)
    assert objects(target) == OBJECTS


async def test_what_goes_away_by_itself_and_what_is_no_object_is_left_out():
    source = filled()
    source.put(b"events/a/b", b"event", leased=True)
    source.put(b"health", b"kine")
    await restoring.restore(source, settings(replace=True), await snapshot(filled()))
    source.put(b"events/a/b", b"event", leased=True)

    target = MemoryStore()
    await restoring.restore(target, settings(), await snapshot(source))
    assert objects(target) == OBJECTS


async def test_a_store_with_objects_is_not_touched():
    target = filled({b"pods/x/y": b"mine"})
    before = target.now
    with pytest.raises(InvalidValue, match="has objects"):
        await restoring.restore(target, settings(), await snapshot(filled()))
    assert target.now == before


async def test_objects_are_replaced_on_demand():
    target = filled({b"pods/x/y": b"mine", b"pods/a/0": b"mine too", b"health": b"kine"})
    await restoring.restore(target, settings(replace=True), await snapshot(filled()))
    assert objects(target) == OBJECTS
    assert b"health" in target.now


async def test_a_damaged_file_changes_nothing():
    target, file = filled(), await snapshot(filled())
    before = target.now
    with pytest.raises(Damaged):
        await restoring.restore(target, settings(replace=True), io.BytesIO(file.getvalue()[:-10]))
    assert target.now == before


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("writes", [1, 2, 100, 150, 151])
async def test_an_interrupted_restore_begins_anew(writes, replace, monkeypatch):
    monkeypatch.setattr(restoring, "_PATIENCE", 0)
    target, file = filled({b"pods/x/y": b"mine"} if replace else {}), await snapshot(filled())
    target.fails_after = writes
    with pytest.raises(StoreError, match="gone"):
        await restoring.restore(target, settings(replace=replace), file)
    assert not await restoring.done(target, "one")

    target.fails_after = None
    await restoring.restore(target, settings(id="two"), await snapshot(filled({b"pods/c/d": b"other"})))
    assert objects(target) == {b"pods/c/d": b"other"}


async def test_a_store_that_is_away_for_a_moment_is_asked_again():
    class Unsteady(MemoryStore):
        refused = 0

        async def create(self, key, value):
            if key.startswith(b"pods/a/") and not self.refused:
                self.refused = 1
                raise StoreError("connection refused")
            created = await super().create(key, value)
            if key == b"pods/a/9" and created:
                raise StoreError("the answer was lost")
            return created

    target = Unsteady()
    assert await restoring.restore(target, settings(), await snapshot(filled())) == len(OBJECTS)
    assert objects(target) == OBJECTS


async def test_another_writer_is_noticed():
    class Meddled(MemoryStore):
        async def create(self, key, value):
            if key == b"pods/a/9":
                self.put(b"pods/z/z", b"by somebody else")
            return await super().create(key, value)

    target = Meddled()
    with pytest.raises(StoreError, match="somebody else"):
        await restoring.restore(target, settings(), await snapshot(filled()))
    assert not await restoring.done(target, "one")


async def test_the_revision_passes_that_of_the_snapshot_and_what_was_written_after_it(monkeypatch):
    monkeypatch.setattr(restoring, "_AHEAD", 100)
    source, target = filled(), MemoryStore()
    for number in range(400):
        source.put(b"leases/a/b", b"%d" % number)
    file = await snapshot(source)
    await restoring.restore(target, settings(raise_revision=True), file)

    assert objects(target) == OBJECTS | {b"leases/a/b": b"399"}
    assert await target.revision() > await source.revision() + 100


async def test_a_snapshot_of_another_cluster_is_refused_unless_that_is_meant():
    file = await snapshot(filled(), name="beta")
    with pytest.raises(InvalidValue, match="of virtual cluster beta, not of alpha"):
        await restoring.restore(MemoryStore(), settings(), file)
    file.seek(0)
    await restoring.restore(MemoryStore(), settings(from_cluster="beta"), file)


@pytest.mark.parametrize(
    ("version", "taken"), [("v1.35.4", False), ("v1.36.0", True), ("v1.37.1", True), ("v1.38.0", False)]
)
async def test_a_snapshot_of_a_kubernetes_that_this_one_cannot_follow_is_refused(version, taken):
    file = await snapshot(filled(), kubernetes="v1.36.3")
    if taken:
        await restoring.restore(MemoryStore(), settings(kubernetes=version), file)
    else:
        with pytest.raises(InvalidValue, match=r"distro.k8s.version"):
            await restoring.restore(MemoryStore(), settings(kubernetes=version), file)
