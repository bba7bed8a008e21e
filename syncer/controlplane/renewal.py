"""When the certificates of a running control plane are renewed, and what is looked at to know it.

The work itself is the `renew` command, in a process of its own, so that the running syncer does not carry the cryptography library. It
leaves beside its files when the next of them is due; the syncer sleeps until then. Sooner it asks only when a watch tells of something
that the files do not have: what another replica has renewed or a person has rotated, an address that the Service was given, another CA in
a Secret of the user's.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import hashlib
import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from syncer.controlplane.secrets import SECRETS
from syncer.controlplane.server_names import SERVICES, server_names
from syncer.kube.client import Client
from syncer.kube.resource import Resource
from syncer.kube.watch import reflect
from syncer.names import Object
from syncer.values import Cluster, Settings

STATE = "renewal.json"
"""The file with the `State`."""

_SPREAD = 10.0  # seconds over which replicas begin: the first does the work, the others find it done
_PAUSE = 60.0  # seconds at least between two runs because of time: near the end of a CA leaves become ever shorter
_LONGEST = 3600.0  # seconds between two looks at the clock, which may be set, or stand still while a machine sleeps

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the `renew` command tells the syncer about the files."""

    due: dt.datetime
    """When the first of them is to be renewed."""
    server_names: frozenset[str] = frozenset()
    """The names that the API server's certificate was to have."""
    source: str = ""
    """The digest of the user's CA, if it is from a Secret."""

    def render(self) -> bytes:
        """As the content of the file."""
        names = sorted(self.server_names)
        return json.dumps({"due": self.due.timestamp(), "serverNames": names, "source": self.source}).encode()

    @classmethod
    def read(cls, folder: Path) -> State:
        """What lies in the folder."""
        state = json.loads((folder / STATE).read_bytes())
        return cls(
            due=dt.datetime.fromtimestamp(state["due"], dt.UTC),
            server_names=frozenset(state["serverNames"]),
            source=state["source"],
        )


def digest(secret: Object) -> str:
    """What tells one content of the user's CA Secret from another."""
    data = secret.get("data") or {}
    return hashlib.sha256("\n".join(f"{key}:{data.get(key)}" for key in ("tls.crt", "tls.key")).encode()).hexdigest()


def differs(folder: Path, secret: Object) -> bool:
    """Whether the Secret with the certificates holds others than the files."""
    for name, text in (secret.get("data") or {}).items():
        file = folder / name
        try:
            if file.exists() and file.read_bytes() != base64.b64decode(text):
                return True
        except binascii.Error:
            return True
    return False


def lacks_names(folder: Path, cluster: Cluster, service: Object) -> bool:
    """Whether the API server is reached under a name that its certificate does not have."""
    return not server_names(cluster, service) <= State.read(folder).server_names


def has_another_source(folder: Path, secret: Object) -> bool:
    """Whether the user's CA is another than that which signs."""
    return digest(secret) != State.read(folder).source


Renew = Callable[[], Awaitable[bool]]
"""Runs the command; says whether it has succeeded."""
Done = Callable[[State], Awaitable[None]]
"""Is told at the start, and after each run."""


class Renewal:
    """Runs `renew` when a file is due, and when asked. `clock` gives seconds since the epoch; `jitter` numbers in [0, 1)."""

    def __init__(
        self,
        folder: Path,
        renew: Renew,
        done: Done,
        *,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._folder = folder
        self._renew = renew
        self._done = done
        self._clock = clock
        self._jitter = jitter
        self._asked = asyncio.Event()

    def soon(self) -> None:
        """Asks for a run without waiting for the time."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Works until cancelled."""
        pause = 0.0
        while True:
            await self._done(State.read(self._folder))
            await self._wait(pause)
            self._asked.clear()
            if await self._renew():
                pause = _PAUSE
            else:
                pause = min(max(pause * 2, _PAUSE), _LONGEST)
                _log.error("certificates were not renewed; the next attempt follows", extra={"seconds": pause})

    async def _wait(self, pause: float) -> None:
        """Returns when asked, or when a file is due and `pause` seconds are over."""
        due = State.read(self._folder).due.timestamp() + self._jitter() * _SPREAD
        at = max(due, self._clock() + pause)
        while (left := at - self._clock()) > 0:
            try:
                async with asyncio.timeout(min(left, _LONGEST)):
                    await self._asked.wait()
            except TimeoutError:
                continue
            return


async def renew(config: Path, out: Path) -> bool:
    """Runs the command on the config document and the folder; its log goes where ours goes."""
    command = (sys.executable, "-m", "syncer", "renew", "--config", str(config), "--out", str(out))
    process = await asyncio.create_subprocess_exec(*command)
    try:
        return await process.wait() == 0
    except asyncio.CancelledError:
        process.kill()
        raise


async def keep(settings: Settings, host: Client, folder: Path, renew: Renew, done: Done) -> None:
    """Renews until cancelled, and watches what may call for it."""
    cluster, certificates = settings.cluster, settings.certificates
    job = Renewal(folder, renew, done)

    def watched(resource: Resource, name: str, calls: Callable[[Object], bool]) -> Coroutine[None, None, NoReturn]:
        sink = Follower(calls, job.soon)
        return reflect(host, resource, sink, namespace=cluster.namespace, field_selector=f"metadata.name={name}")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(job.run())
        tasks.create_task(watched(SECRETS, f"{cluster.name}-certs", lambda secret: differs(folder, secret)))
        if brought := certificates.authority_secret:
            tasks.create_task(watched(SECRETS, brought, lambda secret: has_another_source(folder, secret)))
        if certificates.follow_service:
            tasks.create_task(watched(SERVICES, cluster.service, lambda found: lacks_names(folder, cluster, found)))


class Follower:
    """Sink of a watch on one object: asks for a renewal when its content calls for one."""

    def __init__(self, calls: Callable[[Object], bool], ask: Callable[[], None]) -> None:
        self._calls = calls
        self._ask = ask

    def begin(self) -> None:
        """A list starts."""

    def put(self, obj: Object) -> None:
        """The object as listed."""
        self.changed(obj)

    def end(self) -> None:
        """Without the object in it: whoever removed it may have reasons, and the files go on."""

    def bookmark(self, resource_version: str) -> None:
        """Nothing to remember."""

    def changed(self, obj: Object) -> None:
        """Looks at it."""
        if self._calls(obj):
            self._ask()

    def deleted(self, obj: Object) -> None:
        """As in `end`."""
