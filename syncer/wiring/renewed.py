"""What follows when the certificates in the folder have been renewed: they are used, and who was told of the CA hears of another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from syncer.controlplane.renewal import State
from syncer.engine.sync import Engine
from syncer.plan.actions import Side
from syncer.wiring.duties import Duties
from syncer.wiring.servers import Servers


class Renewed:
    """To be called at the start and after each renewal. `authority` reads the CA, `spawn` begins a task that nobody waits for."""

    def __init__(
        self,
        engine: Engine,
        *,
        servers: Servers,
        duties: Duties,
        authority: Callable[[], bytes],
        spawn: Callable[[Awaitable[Any]], None],
    ) -> None:
        self._engine = engine
        self._servers = servers
        self._duties = duties
        self._authority = authority
        self._spawn = spawn
        self._trusted: bytes | None = None

    async def __call__(self, state: State) -> None:
        """Uses what lies in the folder now: open connections go on, new ones show and check the new certificates."""
        self._engine.metrics.certificates_due.set(state.due.timestamp())
        await self._engine.clients[Side.VIRTUAL].refresh()
        self._servers.reload()
        before, self._trusted = self._trusted, self._authority()
        if before not in (None, self._trusted):
            self._spawn(self._announce())

    async def _announce(self) -> None:
        await self._servers.announce_authority()
        if self._engine.leading.is_set():
            await self._duties.export_kubeconfigs()
