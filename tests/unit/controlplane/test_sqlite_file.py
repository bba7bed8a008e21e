"""A damaged SQLite file is found before anything opens it for writing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from syncer.controlplane import sqlite_file
from syncer.values import InvalidValue, Restore

PAGE = 4096


@pytest.fixture
def file(tmp_path):
    """A file as a killed kine leaves it: a write-ahead log beside it that has not been taken over."""
    made = tmp_path / "made"
    made.mkdir()
    with closing(sqlite3.connect(made / "state.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, value BLOB)")
        connection.execute("CREATE INDEX by_name ON kine (name)")
        rows = [(f"/registry/pods/a/{number}", b"v" * 300) for number in range(3000)]
        connection.executemany("INSERT INTO kine (name, value) VALUES (?, ?)", rows)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("INSERT INTO kine (name, value) VALUES ('/registry/late', 'x')")
        connection.commit()
        data = tmp_path / "data"
        shutil.copytree(made, data)
    return data / "state.db"


def contents(folder):
    """Everything but the shared memory, which readers need and which is made anew from the rest."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}


def overwrite(file, page, *, count=1):
    with file.open("r+b") as opened:
        opened.seek(page * PAGE)
        opened.write(b"\xa5" * PAGE * count)


@pytest.mark.parametrize("replace", [False, True])
def test_a_sound_file_passes_and_stays_as_it_is(file, replace):
    before = contents(file.parent)
    sqlite_file.check(file, Restore(id="one", replace=True) if replace else None)
    assert contents(file.parent) == before
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM kine").fetchone() == (3001,)


@pytest.mark.parametrize("beside", [("state.db-wal",), ("state.db-shm",), ("state.db-wal", "state.db-shm")])
def test_a_file_without_a_log_beside_it_passes(file, beside):
    for name in beside:
        (file.parent / name).unlink()
    sqlite_file.check(file, None)


def test_a_file_that_is_missing_or_empty_passes(tmp_path):
    sqlite_file.check(tmp_path / "state.db", None)
    (tmp_path / "state.db").touch()
    sqlite_file.check(tmp_path / "state.db", None)


@pytest.mark.parametrize("page", [0, 1, 5, 40, 100])
def test_a_damaged_file_is_refused_with_its_name_and_the_remedy_and_nothing_changes(file, page):
    overwrite(file, page)
    before = contents(file.parent)
    with pytest.raises(InvalidValue) as caught:
        sqlite_file.check(file, None)
    assert str(file) in str(caught.value)
    assert "damaged" in str(caught.value)
    assert "restore.replace" in str(caught.value)
    assert contents(file.parent) == before


def test_a_file_that_was_cut_off_is_refused(file):
    with file.open("r+b") as opened:
        opened.truncate(20 * PAGE)
    with pytest.raises(InvalidValue, match="damaged"):
        sqlite_file.check(file, None)


def test_a_damaged_file_is_put_aside_for_a_restore_that_replaces(file):
    overwrite(file, 2, count=3)
    before = contents(file.parent)
    with pytest.raises(InvalidValue):
        sqlite_file.check(file, Restore(id="one"))
    sqlite_file.check(file, Restore(id="one", replace=True))
    assert {path.name for path in file.parent.iterdir()} == {"before-one"}
    assert contents(file.parent / "before-one") == before

    shutil.copy(file.parent / "before-one" / "state.db", file)
    sqlite_file.check(file, Restore(id="one", replace=True))
    assert {path.name for path in file.parent.iterdir()} == {"before-one", "before-one.2"}
