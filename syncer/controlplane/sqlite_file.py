"""The health of SQLite's file, looked at before kine opens it: what is damaged must not be written to, nor taken for less than it was."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from syncer.values import InvalidValue, Restore

_log = logging.getLogger(__name__)
_BESIDE = ("", "-wal", "-shm")  # what SQLite calls the files that belong together


def check(file: Path, restore: Restore | None) -> None:
    """Passes a file that is sound, empty or not there.

    A damaged one is put aside if `restore` is to replace it. Otherwise raises InvalidValue, and nothing is changed.
    """
    fault = find_fault(file)
    if fault is None:
        return
    if restore is None or not restore.replace:
        raise InvalidValue(
            str(file),
            f"SQLite finds it damaged ({fault})",
            "restore a snapshot in its place: set controlPlane.backingStore.restore.id to a new word, and "
            "controlPlane.backingStore.restore.replace (docs/stores.md)",
        )
    aside = _aside(file, restore)
    _log.warning("the damaged file is put aside", extra={"file": str(file), "reason": fault, "aside": str(aside)})


def find_fault(file: Path) -> str | None:
    """What SQLite has to say against a file, which it only reads; None when all is well."""
    if not file.exists() or not file.stat().st_size:
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found).replace("\n", " ")


def _aside(file: Path, restore: Restore) -> Path:
    folder = file.parent / f"before-{restore.id}"
    number = 1
    while folder.exists():
        number += 1
        folder = file.parent / f"before-{restore.id}.{number}"
    folder.mkdir(mode=0o700)
    for suffix in _BESIDE:
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(folder / part.name)
    return folder
