"""The commands: who waits for whom, and what is remembered where."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import sys

import pytest

from syncer.controlplane import store as claims
from syncer.snapshots import commands
from syncer.snapshots import restore as restoring
from syncer.values import InvalidValue
from tests.unit.controlplane.memory_api import MemoryApi
from tests.unit.snapshots.memory_store import MemoryStore
from tests.unit.snapshots.test_restore import OBJECTS, filled, objects, settings, snapshot

SECRET = "/api/v1/namespaces/tenant/secrets/alpha-certs"
DONE = {"sublet.dev/store": "database.embedded", "sublet.dev/restored": "one"}


class Standing(MemoryStore):
    """A store that many connect to."""

    def close(self) -> None: ...


@pytest.fixture
def target(monkeypatch):
    store = Standing()

    async def connect(*_, **__):
        return store

    monkeypatch.setattr(commands, "connect", connect)
    monkeypatch.setattr(commands, "_PAUSE", 0.01)
    return store


@pytest.fixture
def api():
    memory = MemoryApi()
    memory.put(SECRET, {})
    return memory


@pytest.fixture
async def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes((await snapshot(filled())).getvalue())
    return path


def remembered(api):
    return {key: value for key, value in api.objects[SECRET]["metadata"].get("annotations", {}).items() if value}


async def test_a_file_that_the_values_name_is_restored_once(target, api, file):
    order = settings(file=str(file))
    await commands.restore_once(order, api.client)
    assert objects(target) == OBJECTS
    assert remembered(api) == DONE

    await target.delete(b"pods/a/1")
    await commands.restore_once(order, api.client)
    assert len(objects(target)) == len(OBJECTS) - 1


async def test_who_waits_goes_on_when_somebody_has_brought_it(target, api, file, monkeypatch):
    waiting = asyncio.create_task(commands.restore_once(settings(), api.client))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    await commands.restore(settings(), None)
    await asyncio.wait_for(waiting, 5)
    assert objects(target) == OBJECTS
    assert remembered(api) == DONE

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    with pytest.raises(InvalidValue, match="one is done already"):
        await commands.restore(settings(), None)


async def test_what_was_restored_elsewhere_is_not_taken_for_done_here(target, api, file):
    await claims.restored(api.client, settings())
    with pytest.raises(InvalidValue, match="set it to a new word"):
        await commands.restore_once(settings(file=str(file)), api.client)
    assert objects(target) == {}


async def test_a_restore_that_nobody_asked_for_is_refused(target, file):
    with pytest.raises(InvalidValue, match="no restore is asked for"):
        await commands.restore(
            dataclasses.replace(settings(), restore=dataclasses.replace(settings().restore, id="")), file
        )


async def test_a_file_that_is_not_there_is_named(target, api, tmp_path):
    with pytest.raises(InvalidValue, match=r"restore\.file: .*/nothing: No such file"):
        await commands.restore_once(settings(file=str(tmp_path / "nothing")), api.client)


async def test_a_snapshots_file_is_for_its_owner_and_does_not_stay_when_it_fails(target, tmp_path, monkeypatch):
    await restoring.restore(target, settings(), await snapshot(filled()))
    path = tmp_path / "out"
    await commands.snapshot(settings(), path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidValue, match="choose another file"):
        await commands.snapshot(settings(), path)

    monkeypatch.setattr(target, "pages", lambda revision: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await commands.snapshot(settings(), tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
