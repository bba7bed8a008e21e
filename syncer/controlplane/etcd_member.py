"""The `etcd` command: the init step of a member of the release's own etcd. It finds out how etcd has to start and writes its settings.

It asks the other members, with the members' certificate. As long as it waits with an empty disk, it says so to the others from the
port where its etcd will listen to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from yarl import URL

from syncer.controlplane.etcd_membership import Decision, Do, Member, Seat, View, Word, decide
from syncer.controlplane.etcd_settings import settings
from syncer.controlplane.tls_site import TlsSite
from syncer.kube.errors import Unreachable
from syncer.kube.transport import AiohttpTransport

_PAUSE = 1.0  # seconds between two looks; a member that has been added is seen by all within it
_PATIENCE = 3.0  # seconds for an answer; an etcd without a majority gives none
_DOUBTS = 2  # so often a member looks again before it goes on with its data although nobody answers
_WAITING = "/sublet/empty"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Certificates and keys: a member's, or with `identity="client"` the API server's, which is no server to others."""

    folder: Path
    identity: str = "member"

    def client(self) -> ssl.SSLContext:
        """For asking members."""
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        context.load_cert_chain(self.folder / f"{self.identity}.crt", self.folder / f"{self.identity}.key")
        return context

    def server(self) -> ssl.SSLContext:
        """For answering them."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.folder / "ca.crt")
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED
        return context


async def run(
    own: Seat, others: Sequence[Seat], flags: Sequence[str], *, files: Files, out: Path, listen: str, metrics: int
) -> None:
    """Returns when etcd can start with the settings in file `out`.

    `flags` are etcd's but those that name members, of which `--data-dir` is read here; `listen` is the address to listen on, `metrics` the
    port of its health checks. Raises InvalidValue for a flag that cannot be set.
    """
    document = settings(flags)
    data = Path(document["data-dir"])
    async with contextlib.AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(contextlib.aclosing(Cluster(others, files)))
        if not _log_in(data):
            await stack.enter_async_context(_waiting(own, files))
        decision = await _settle(own, others, cluster, data)
    if decision.do is not Do.RESUME:
        _empty(data)
    _write(out, document | _of_this_member(own, decision, listen, metrics))


def _of_this_member(own: Seat, decision: Decision, listen: str, metrics: int) -> dict[str, str]:
    """What the settings say about the member and the cluster that it comes to, which means nothing to one with data."""
    cluster = decision.cluster or {own.name: own.peer}
    return {
        "name": own.name,
        "advertise-client-urls": own.client,
        "initial-advertise-peer-urls": own.peer,
        "listen-client-urls": f"https://{listen}:{URL(own.client).port}",
        "listen-peer-urls": f"https://{listen}:{URL(own.peer).port}",
        "listen-metrics-urls": f"http://{listen}:{metrics}",
        "initial-cluster": ",".join(f"{name}={peer}" for name, peer in cluster.items()),
        "initial-cluster-state": "new" if decision.do is Do.FORM else "existing",
    }


async def await_majority(members: Sequence[Seat], files: Files, *, patience: float = 600.0) -> None:
    """Returns when a majority of the members is at work. Raises Unreachable after `patience` seconds."""
    end = time.monotonic() + patience
    log.info("waits for a majority of etcd's members")
    async with contextlib.aclosing(Cluster(members, files)) as cluster:
        while await cluster.members() is None:
            if time.monotonic() >= end:
                raise Unreachable("no majority of etcd's members answers; their logs say why")
            await asyncio.sleep(_PAUSE)


async def _settle(own: Seat, others: Sequence[Seat], cluster: Cluster, disk: Path) -> Decision:
    """Looks and acts until etcd can start."""
    said, doubts = "", _DOUBTS if others else 0
    view = await cluster.look()
    while True:
        decision = decide(own, others, view, data=_log_in(disk))
        if (message := f"{decision.do.value}: {decision.why}") != said:
            said = message
            log.info("%s", message, extra={"member": own.name})
        match decision.do:
            case Do.RESUME if view.members is None and doubts:
                doubts -= 1  # a majority that is slow to answer may have removed this member
            case Do.RESUME | Do.JOIN:
                return decision
            case Do.FORM:
                await asyncio.sleep(_PAUSE * 2)  # so that the others see as much, and need not wait for this one's etcd
                return decision
            case Do.SET_ASIDE:
                _set_aside(disk)
            case Do.REMOVE if decision.member:
                await cluster.remove(decision.member)
            case Do.ADD:
                members = await cluster.add(own)
                if members and len(members) == 2:  # there is no majority now until this member starts
                    view = View(told=members)
                    continue
        await asyncio.sleep(_PAUSE)
        view = await cluster.look()


class Cluster:
    """The other members as they answer; each of them may be away."""

    def __init__(self, others: Sequence[Seat], files: Files) -> None:
        context = files.client()
        self._clients = {other.name: _transport(other.client, context) for other in others}
        self._peers = {other.name: _transport(other.peer, context) for other in others}

    async def aclose(self) -> None:
        """Closes all connections."""
        for transport in (*self._clients.values(), *self._peers.values()):
            await transport.close()

    async def look(self) -> View:
        """What there is to see of them."""
        members, told, words = await asyncio.gather(self.members(), self.members(majority=False), self.words())
        return View(members=members, told=told, words=words)

    async def members(self, *, majority: bool = True) -> list[Member] | None:
        """The members as a majority knows them, or else as one of them does; None when nobody answers."""
        answers = await asyncio.gather(
            *(_ask_member(transport, "list", {"linearizable": majority}) for transport in self._clients.values())
        )
        return next((_members_in(found) for found in answers if _granted(found)), None)

    async def add(self, own: Seat) -> list[Member] | None:
        """Asks for a member at `own`; returns all members if it is granted."""
        found = await self._change("add", {"peerURLs": [own.peer]})
        return None if found is None else _members_in(found)

    async def remove(self, member: Member) -> None:
        """Asks for a member to be taken out; whether it was shows in the members."""
        await self._change("remove", {"ID": member.id})

    async def words(self) -> dict[str, Word]:
        """What each of them says for itself."""
        words = await asyncio.gather(*(self._word(transport) for transport in self._peers.values()))
        return dict(zip(self._peers, words, strict=True))

    async def _change(self, method: str, request: dict[str, Any]) -> Any:
        """Asks one after the other until one grants it; returns its answer."""
        for name, transport in self._clients.items():
            found = await _ask_member(transport, method, request)
            if _granted(found):
                return found
            if found is not None:
                log.info("%s does not %s: %s", name, method, found)
        return None

    async def _word(self, transport: AiohttpTransport) -> Word:
        waiting, members = await asyncio.gather(*(_ask(transport, "GET", path) for path in (_WAITING, "/members")))
        if waiting == {"empty": True}:
            return Word.EMPTY
        if isinstance(members, list) and members and not any(member.get("clientURLs") for member in members):
            return Word.NEW
        return Word.OTHER


def _transport(url: str, context: ssl.SSLContext) -> AiohttpTransport:
    return AiohttpTransport(url, context, connect_timeout=_PATIENCE, request_timeout=_PATIENCE)


async def _ask_member(transport: AiohttpTransport, method: str, request: dict[str, Any]) -> Any:
    """Through etcd's JSON gateway."""
    return await _ask(transport, "POST", f"/v3/cluster/member/{method}", json.dumps(request).encode())


def _members_in(answer: Any) -> list[Member]:
    return [
        Member(id=item["ID"], peer=(item.get("peerURLs") or [""])[0], started=bool(item.get("clientURLs")))
        for item in answer.get("members", ())
    ]


def _granted(answer: Any) -> bool:
    return isinstance(answer, dict) and "header" in answer


async def _ask(transport: AiohttpTransport, method: str, path: str, body: bytes | None = None) -> Any:
    """The answer's JSON, whatever its status; None when there is none."""
    try:
        answer = await transport.request(
            method, path, query={}, body=body, headers={"Content-Type": "application/json"}
        )
        return json.loads(answer.body)
    except (Unreachable, ValueError):
        return None


@contextlib.asynccontextmanager
async def _waiting(own: Seat, files: Files) -> AsyncIterator[None]:
    """Tells the others that there is nothing here yet; afterwards it tells nobody any more."""

    async def empty(_: web.Request) -> web.Response:
        return web.json_response({"empty": True})

    app = web.Application()
    app.add_routes([web.get(_WAITING, empty)])
    # The others' etcds keep connections open.
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    port = URL(own.peer).port
    assert port is not None
    try:
        await TlsSite(runner, None, port, files.server()).start()
        yield
    finally:
        await runner.cleanup()


def _write(out: Path, document: dict[str, Any]) -> None:
    out.write_text(yaml.safe_dump(document))


def _log_in(data: Path) -> bool:
    """Whether a member has been at work with this folder."""
    return any((data / "member" / "wal").glob("*.wal"))


def _empty(data: Path) -> None:
    """Takes away what is no member without its log."""
    shutil.rmtree(data / "member", ignore_errors=True)


def _set_aside(data: Path) -> None:
    """Keeps what is of no use to the cluster, for a person who knows better, until the next time."""
    aside = data.with_name(f"{data.name}-removed")
    shutil.rmtree(aside, ignore_errors=True)
    data.rename(aside)
