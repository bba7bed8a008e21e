"""One process of the syncer: clients, engine, servers and chores, in the order in which they need each other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from pathlib import Path
from typing import NoReturn

from prometheus_client import generate_latest

from syncer import plan
from syncer.controlplane import followed, renewal, serving
from syncer.engine import leader, owner
from syncer.engine.events import EventMirror
from syncer.engine.metrics import Metrics
from syncer.engine.sync import Engine
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from syncer.kubelet.upstream import Upstream
from syncer.rules.table import Table, parse_table
from syncer.values import Settings
from syncer.wiring import surroundings
from syncer.wiring.background import Background
from syncer.wiring.duties import Duties
from syncer.wiring.renewed import Renewed
from syncer.wiring.servers import Ports, Servers
from syncer.wiring.surroundings import Surroundings

log = logging.getLogger(__name__)

_REFRESH_EVERY = 20.0
_IN_FLIGHT = 8
"""Requests to one API server at a time: each is a TLS connection of 100 KiB, and more of them are no faster."""


class Syncer:
    """One syncer process. `host` and `virtual` are the credentials for the two API servers, `pki` the folder with certificates.

    `identity` is what it calls itself among several. `renew` renews the certificates in the folder; without it they stay as they are.
    `config` is the document that the settings come from, to be followed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        host: Credentials,
        virtual: Credentials,
        pki: Path,
        pod_ip: str,
        ports: Ports,
        identity: str = "",
        renew: renewal.Renew | None = None,
        config: Path | None = None,
    ) -> None:
        self.settings = settings
        self.table: Table = parse_table(settings.rules)
        plan.check(self.table)
        self._manifests = followed.objects(settings.manifests)
        self._config = config
        self.metrics = Metrics()
        self._credentials = {"host": host, "virtual": virtual}
        self._pki = pki
        self._pod_ip = pod_ip
        self._ports = ports
        self._identity = identity
        self._renew = renew
        self.host = self._client("host")
        self.virtual = self._client("virtual")
        self.engine: Engine | None = None
        self._duties: Duties | None = None
        self._silent: set[str] = set()
        self._background = Background()

    def _client(self, name: str) -> Client:
        def observe(verb: str, resource: str, code: int, seconds: float) -> None:
            self.metrics.observe_request(name, verb, resource, code, seconds)
            (self._silent.discard if code else self._silent.add)(name)

        return Client.connect(self._credentials[name], name=name, max_in_flight=_IN_FLIGHT, observe=observe)

    async def run(self) -> None:
        """Starts everything and works until cancelled; then lets open streams end."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.host.close)
            stack.push_async_callback(self.virtual.close)
            stack.push_async_callback(self._background.end)
            health = await serving.serve_health(port=self._ports.health, ready=self.unready, metrics=self._scrape)
            stack.push_async_callback(health.cleanup)
            found = await surroundings.find(self.settings.cluster, host=self.host, virtual=self.virtual)
            engine = self.engine = self._make_engine(found)
            duties = self._duties = self._make_duties(engine, found)
            terms = self.settings.leadership
            if terms is None:
                await duties.begin()
            servers = self._make_servers(engine)
            await servers.start(stack)
            renewed = self._make_renewed(engine, servers, duties)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run())
                if terms is not None:
                    candidate = leader.Leader(self.virtual, terms, self._identity)
                    tasks.create_task(candidate.lead(duties.begin, duties.follow_endpoints))
                tasks.create_task(duties.prepare())
                tasks.create_task(self._refresh_for_ever())
                tasks.create_task(self.metrics.watch_lag())
                tasks.create_task(self._watch_owner(engine, found.owner["uid"]))
                tasks.create_task(duties.export_kubeconfigs())
                if self._renew is not None:
                    tasks.create_task(renewal.keep(self.settings, self.host, self._pki, self._renew, renewed))
                if "events" in self.table:
                    tasks.create_task(self._mirror_events(engine))
                await engine.started.wait()
                # What has been loaded by now stays: the collector need not look at it again.
                gc.collect()
                gc.freeze()

    # -- parts -------------------------------------------------------------------------------------------------------

    def _make_engine(self, found: Surroundings) -> Engine:
        engine = Engine(
            settings=self.settings,
            table=self.table,
            host=self.host,
            virtual=self.virtual,
            owner=found.owner,
            metrics=self.metrics,
            virtual_version=found.version,
        )
        engine.world.api_service_address = found.address
        return engine

    def _make_duties(self, engine: Engine, found: Surroundings) -> Duties:
        return Duties(
            engine,
            found,
            manifests=self._manifests,
            config=self._config,
            pod_ip=self._pod_ip,
            authority=self._read_authority,
        )

    def _make_servers(self, engine: Engine) -> Servers:
        return Servers(
            engine,
            pki=self._pki,
            authority=self._read_authority,
            ports=self._ports,
            upstream=Upstream(self._credentials["host"]),
            spawn=self._background.spawn,
        )

    def _make_renewed(self, engine: Engine, servers: Servers, duties: Duties) -> Renewed:
        return Renewed(
            engine,
            servers=servers,
            duties=duties,
            authority=self._read_authority,
            spawn=self._background.spawn,
        )

    def _read_authority(self) -> bytes:
        return (self._pki / "ca.crt").read_bytes()

    # -- health ------------------------------------------------------------------------------------------------------

    def unready(self) -> str:
        """Why the syncer is not ready; empty when it is: indexes complete and both API servers answering."""
        engine, duties = self.engine, self._duties
        if engine is None or duties is None or (engine.leading.is_set() and not duties.prepared.is_set()):
            return "starting"
        if not engine.synced:
            return "an index is not complete"
        # Watches notice a lost server by themselves: asking at each probe would only cost requests.
        return ", ".join(f"the {name} API server does not answer" for name in sorted(self._silent))

    def _scrape(self) -> bytes:
        if self.engine is not None:
            self.metrics.queue_depth.set(len(self.engine.queue))
            for side, rule, index in self.engine.indexes():
                self.metrics.objects.labels(side, rule).set(len(index))
        return generate_latest(self.metrics.registry)

    # -- chores ------------------------------------------------------------------------------------------------------

    async def _mirror_events(self, engine: Engine) -> None:
        await engine.started.wait()
        kinds = {rule.kind: rule.key for rule in self.table.values() if rule.direction == "toHost"}
        mirror = EventMirror(
            host=self.host, virtual=self.virtual, world=engine.world, context=engine.context, kinds=kinds
        )
        await mirror.run()

    async def _watch_owner(self, engine: Engine, uid: str) -> None:
        def gone() -> None:
            engine.retired = True
            log.warning("the release is being removed: nothing more is written to the host")

        await owner.watch(self.host, self.settings.cluster, uid, gone)

    async def _refresh_for_ever(self) -> NoReturn:
        while True:
            await asyncio.sleep(_REFRESH_EVERY)
            await self.host.refresh()
            await self.virtual.refresh()
