"""The commands `snapshot` and `restore`: streams, files and who may do what when; the work itself is done next door."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from syncer.controlplane import store as claims
from syncer.kube.client import Client
from syncer.snapshots import restore as restoring
from syncer.snapshots.store import Store, StoreError, connect
from syncer.snapshots.take import take
from syncer.values import InvalidValue, Settings

_PATIENCE = 10.0  # seconds for a store that should be there
_LONG_PATIENCE = 300.0  # for one that starts; kine gives up then too
_PAUSE = 1.0
_LOCK = "restore.lock"
_log = logging.getLogger(__name__)


async def snapshot(settings: Settings, file: Path | None) -> None:
    """Takes a snapshot into a new file, or to standard output. Raises StoreError, InvalidValue."""
    if file is None and sys.stdout.isatty():
        raise InvalidValue("snapshot", "a terminal is no place for it", "send standard output to a file")
    store = await connect(settings.store, patience=_PATIENCE)
    try:
        with _output(file) as out:
            count = await take(store, settings, out, now=dt.datetime.now(dt.UTC))
            out.flush()
    finally:
        store.close()
    _log.info("snapshot taken: %d keys", count)


async def restore(settings: Settings, file: Path | None) -> None:
    """Restores from a file or from standard input, as the values say it. Raises StoreError, Damaged, InvalidValue."""
    order = settings.restore
    if not order.id:
        raise InvalidValue(f"{restoring.AT}.id", "is empty: no restore is asked for", "set it and let helm upgrade")
    with _alone(), _input(file) as source:
        store = await connect(settings.store, patience=_LONG_PATIENCE)
        try:
            if await restoring.done(store, order.id):
                raise InvalidValue(f"{restoring.AT}.id", f"{order.id} is done already", "set it to a new word")
            count = await restoring.restore(store, settings, source)
        finally:
            store.close()
    _log.info("restored: %d keys", count)


async def restore_once(settings: Settings, client: Client) -> None:
    """Restores what the values name, or waits until somebody brings it, and remembers that on the host; returns at once when it is done.

    Raises StoreError, Damaged, InvalidValue, KubeError.
    """
    order = settings.restore
    store = await connect(settings.store, patience=_LONG_PATIENCE)
    try:
        if not await restoring.done(store, order.id):
            if await claims.is_restored(client, settings):
                raise InvalidValue(
                    f"{restoring.AT}.id",
                    f"{order.id} has been restored, but {settings.cluster.store} does not hold it",
                    "set it to a new word to restore again, or to nothing to begin with what is there",
                )
            if order.file:
                await restore(settings, Path(order.file))
            else:
                await _wait(store, order.id)
        await claims.restored(client, settings)
    finally:
        store.close()


async def _wait(store: Store, restore_id: str) -> None:
    _log.info("waiting for a snapshot: kubectl exec -i POD -c restore -- python -m syncer restore < FILE")
    while True:
        with contextlib.suppress(StoreError):
            if await restoring.done(store, restore_id):
                return
        await asyncio.sleep(_PAUSE)


@contextlib.contextmanager
def _output(file: Path | None) -> Iterator[IO[bytes]]:
    """Where a snapshot goes; a file is for its owner only, new, and whole or not there."""
    if file is None:
        yield sys.stdout.buffer
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidValue(str(file), f"cannot be made: {error.strerror}", "choose another file") from error
    try:
        with open(descriptor, "wb") as out:  # noqa: PTH123  a descriptor
            yield out
    except BaseException:
        file.unlink()
        raise


@contextlib.contextmanager
def _input(file: Path | None) -> Iterator[IO[bytes]]:
    """What a snapshot is read from, twice: a stream lies in a file without a name meanwhile."""
    if file is not None:
        try:
            source = file.open("rb")
        except OSError as error:
            raise InvalidValue(
                f"{restoring.AT}.file", f"{file}: {error.strerror}", "mount the snapshot there"
            ) from error
        with source:
            yield source
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.seek(0)
        yield copy


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keeps a second restore in this pod from writing between the first one's keys."""
    with (Path(tempfile.gettempdir()) / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidValue("restore", "another one runs in this pod", "wait for its end") from error
        yield
