"""What the virtual cluster needs done once, however many syncers it has: by the leader, or by the one there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from syncer.controlplane import api_service, dns, endpoints, exports, followed, manifests, service_range
from syncer.engine.sync import Engine
from syncer.names import Key, Object
from syncer.plan.actions import Side
from syncer.wiring.surroundings import Surroundings

log = logging.getLogger(__name__)

_PAUSE = 0.1


class Duties:
    """They begin when `engine` leads. `manifests` are applied inside, and again when the document `config` changes them.

    `pod_ip` stands for the API server as long as nobody knows of more, `authority` reads the CA that it is known by now.
    """

    def __init__(
        self,
        engine: Engine,
        found: Surroundings,
        *,
        manifests: list[Object],
        config: Path | None,
        pod_ip: str,
        authority: Callable[[], bytes],
    ) -> None:
        self.prepared = asyncio.Event()
        """Anybody can work in the virtual cluster."""
        self._engine = engine
        self._found = found
        self._settings = engine.settings
        self._host, self._virtual = engine.clients[Side.HOST], engine.clients[Side.VIRTUAL]
        self._manifests = manifests
        self._config = config
        self._pod_ip = pod_ip
        self._authority = authority

    async def begin(self) -> None:
        """Lets this syncer, of several only one, begin to work."""
        await service_range.allow(self._virtual, self._found.ranges)
        await api_service.ensure(self._virtual, address=self._found.address, endpoints=[self._pod_ip])
        self._engine.leading.set()

    async def prepare(self) -> None:
        """What the virtual cluster needs before anybody can work in it; then what changes of it, until cancelled."""
        await self._engine.leading.wait()
        wanted = self._manifests
        if self._serves_dns and (address := await dns.retire(self._virtual)):
            await self._gone(Key("services", dns.NAMESPACE, dns.SERVICE))
            wanted = dns.with_address(wanted, address)
        await manifests.apply(self._virtual, wanted)
        if self._settings.brings_dns:
            await dns.ensure(self._virtual, embedded=self._settings.embedded_dns, endpoints=[self._pod_ip])
        await self._engine.started.wait()
        self.prepared.set()
        log.info("ready")
        if self._config is not None:
            await followed.apply_changes(self._virtual, self._config, self._settings.manifests)

    async def follow_endpoints(self) -> None:
        """Tells inside which pods there are, until cancelled."""
        await self.prepared.wait()  # which names this pod alone
        cluster = self._settings.cluster
        await endpoints.follow(self._host, self._announce, namespace=cluster.namespace, service=cluster.service)

    async def export_kubeconfigs(self) -> None:
        """Writes those that need the running virtual cluster."""
        await self._engine.leading.wait()
        await exports.export_all(
            self._settings,
            host=self._host,
            virtual=self._virtual,
            owner=self._found.owner,
            authority=self._authority(),
        )

    async def _announce(self, addresses: list[str]) -> None:
        await api_service.announce(self._virtual, addresses)
        if self._serves_dns:
            await dns.announce(self._virtual, addresses)

    @property
    def _serves_dns(self) -> bool:
        return self._settings.brings_dns and self._settings.embedded_dns

    async def _gone(self, key: Key) -> None:
        """Waits until the host no longer has it."""
        await self._engine.started.wait()
        while True:
            if key not in self._engine.world.host[key.rule]:
                return
            await asyncio.sleep(_PAUSE)
