"""Puts the rooms together: clients, control plane chores, engine, servers, in the order in which they need each other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import orjson
from prometheus_client import generate_latest
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from syncer import plan
from syncer.controlplane import (
    admission,
    api_service,
    dns,
    endpoints,
    exports,
    followed,
    kubernetes_version,
    manifests,
    renewal,
    service_range,
    serving,
)
from syncer.engine import leader, owner
from syncer.engine.events import EventMirror
from syncer.engine.metrics import Metrics
from syncer.engine.sync import Engine
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from syncer.kube.errors import KubeError, ServerError, Unreachable
from syncer.kubelet.routes import PodLocation
from syncer.kubelet.server import KubeletServer
from syncer.kubelet.upstream import Upstream
from syncer.names import Key, Object
from syncer.rules.table import Table, parse_table
from syncer.values import InvalidValue, Settings

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_PATIENCE = 120
_REFRESH_EVERY = 20.0
_PAUSE = 0.1
_IN_FLIGHT = 8
"""Requests to one API server at a time: each is a TLS connection of 100 KiB, and more of them are no faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the syncer listens; 0 in tests = any free port."""

    health: int = 8080
    kubelet: int = 10250
    admission: int = admission.PORT


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
        self._trusted: bytes | None = None
        self._webhook: Object = {}
        self._reloads: list[Callable[[], None]] = []
        self._ranges: list[service_range.Network] = []
        self.host = self._client("host")
        self.virtual = self._client("virtual")
        self.engine: Engine | None = None
        self._prepared = asyncio.Event()
        self._silent: set[str] = set()
        self._background: set[asyncio.Task[object]] = set()

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
            stack.push_async_callback(self._end_background)
            health = await serving.serve_health(port=self._ports.health, ready=self.unready, metrics=self._scrape)
            stack.push_async_callback(health.cleanup)
            engine = self.engine = await self._make_engine()
            terms = self.settings.leadership
            if terms is None:
                await self._begin(engine)
            await self._serve_admission(stack, engine)
            kubelet = self._kubelet(engine)
            await kubelet.start()
            stack.push_async_callback(kubelet.close)
            self._reloads.append(kubelet.reload)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run())
                if terms is not None:
                    candidate = leader.Leader(self.virtual, terms, self._identity)
                    tasks.create_task(candidate.lead(lambda: self._begin(engine), self._follow_endpoints))
                tasks.create_task(self._prepare(engine))
                tasks.create_task(self._refresh_for_ever())
                tasks.create_task(self.metrics.watch_lag())
                tasks.create_task(self._watch_owner(engine))
                tasks.create_task(self._export_kubeconfigs(engine))
                if self._renew is not None:
                    tasks.create_task(renewal.keep(self.settings, self.host, self._pki, self._renew, self._renewed))
                if "events" in self.table:
                    tasks.create_task(self._mirror_events(engine))
                await engine.started.wait()
                # What has been loaded by now stays: the collector need not look at it again.
                gc.collect()
                gc.freeze()

    # -- start -------------------------------------------------------------------------------------------------------

    async def _make_engine(self) -> Engine:
        cluster = self.settings.cluster
        found_owner, ranges, address, version = await asyncio.gather(
            owner.find(self.host, cluster),
            service_range.detect(self.host, cluster.namespace, given=cluster.service_cidr),
            self._patiently(self._api_address, pause=2.0),
            # It starts beside us on this machine, and everything waits for it.
            self._patiently(self._virtual_version, pause=0.2),
        )
        # Before anything is written inside, and not later: what has been written decides which versions may follow.
        await self._patiently(lambda: kubernetes_version.remember(self.host, cluster, version), pause=2.0)
        engine = Engine(
            settings=self.settings,
            table=self.table,
            host=self.host,
            virtual=self.virtual,
            owner=found_owner,
            metrics=self.metrics,
            virtual_version=version,
        )
        engine.world.api_service_address = address
        self._ranges = ranges
        log.info("both API servers answer", extra={"cluster": cluster.name, "version": version})
        return engine

    async def _begin(self, engine: Engine) -> None:
        """Lets this syncer, of several only one, begin to work."""
        await service_range.allow(self.virtual, self._ranges)
        address = engine.world.api_service_address
        await api_service.ensure(self.virtual, address=address, endpoints=[self._pod_ip])
        engine.leading.set()

    async def _follow_endpoints(self) -> None:
        await self._prepared.wait()  # which names this pod alone
        cluster = self.settings.cluster
        await endpoints.follow(self.host, self._announce, namespace=cluster.namespace, service=cluster.service)

    async def _announce(self, addresses: list[str]) -> None:
        await api_service.announce(self.virtual, addresses)
        if self.settings.brings_dns and self.settings.embedded_dns:
            await dns.announce(self.virtual, addresses)

    @staticmethod
    async def _patiently(request: Callable[[], Awaitable[_Answer]], *, pause: float) -> _Answer:
        """The answer of a server that may still be starting; between two tries at most `pause` seconds."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((Unreachable, ServerError)),
            stop=stop_after_delay(_PATIENCE),
            wait=wait_exponential(multiplier=0.1, max=pause),
            reraise=True,
        ):
            with attempt:
                return await request()
        raise AssertionError  # the last try has raised

    async def _api_address(self) -> str:
        return await api_service.address_of(self.host, self.settings.cluster.namespace, self.settings.cluster.service)

    async def _virtual_version(self) -> str:
        ready = await self.virtual.raw("GET", "/readyz")
        if ready.status != 200:
            raise ServerError(ready.status, "NotReady", "the virtual API server is not ready yet")
        answer = await self.virtual.raw("GET", "/version")
        version: str = orjson.loads(answer.body)["gitVersion"]
        return version

    async def _prepare(self, engine: Engine) -> None:
        """What the virtual cluster needs before anybody can work in it."""
        await engine.leading.wait()
        wanted = self._manifests
        if self.settings.brings_dns and self.settings.embedded_dns and (address := await dns.retire(self.virtual)):
            await self._gone(engine, Key("services", dns.NAMESPACE, dns.SERVICE))
            wanted = dns.with_address(wanted, address)
        await manifests.apply(self.virtual, wanted)
        if self.settings.brings_dns:
            await dns.ensure(self.virtual, embedded=self.settings.embedded_dns, endpoints=[self._pod_ip])
        await engine.started.wait()
        self._prepared.set()
        log.info("ready")
        if self._config is not None:
            await followed.apply_changes(self.virtual, self._config, self.settings.manifests)

    @staticmethod
    async def _gone(engine: Engine, key: Key) -> None:
        """Waits until the host no longer has it."""
        await engine.started.wait()
        while True:
            if key not in engine.world.host[key.rule]:
                return
            await asyncio.sleep(_PAUSE)

    # -- servers -----------------------------------------------------------------------------------------------------

    async def _serve_admission(self, stack: contextlib.AsyncExitStack, engine: Engine) -> None:
        rule = self.table.get("services")
        if rule is None:
            return
        handler = admission.ServiceAdmission(
            host=self.host,
            rule=rule,
            context=engine.context,
            known=lambda key: key in engine.world.virtual["services"],
            on_host=engine.world.host["services"].get,
            promise=engine.world.promise,
            written=engine.world.host["services"].written,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def load() -> None:
            context.load_cert_chain(self._pki / "syncer.crt", self._pki / "syncer.key")

        load()
        self._reloads.append(load)
        runner = await serving.serve_admission(
            port=self._ports.admission, path=admission.PATH, review=handler.review, context=context
        )
        stack.push_async_callback(runner.cleanup)
        self._webhook = admission.configuration(self._read_authority(), port=self._ports.admission)
        await admission.ensure(self.virtual, self._webhook)
        self._spawn(admission.keep(self.virtual, self._webhook, self._spawn))

    def _kubelet(self, engine: Engine) -> KubeletServer:
        def locate(namespace: str, name: str) -> PodLocation | None:
            key = Key("pods", namespace, name)
            virtual = engine.world.virtual["pods"].get(key)
            if virtual is None or key not in engine.world.host["pods"]:
                return None
            spec = virtual["spec"]
            containers = [
                item["name"]
                for field in ("containers", "initContainers", "ephemeralContainers")
                for item in spec.get(field) or ()
            ]
            return PodLocation(
                host_namespace=engine.context.host_namespace,
                host_name=engine.context.host_name(name, namespace),
                containers=frozenset(containers),
            )

        return KubeletServer(
            listen_host=None,
            port=self._ports.kubelet,
            certificate=self._pki / "syncer.crt",
            key=self._pki / "syncer.key",
            client_ca=self._pki / "ca.crt",
            upstream=Upstream(self._credentials["host"]),
            locate=locate,
            streams=self.metrics.streams,
            observe=self.metrics.observe_stream,
        )

    def unready(self) -> str:
        """Why the syncer is not ready; empty when it is: indexes complete and both API servers answering."""
        engine = self.engine
        if engine is None or (engine.leading.is_set() and not self._prepared.is_set()):
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

    async def _watch_owner(self, engine: Engine) -> None:
        def gone() -> None:
            engine.retired = True
            log.warning("the release is being removed: nothing more is written to the host")

        if engine.context.owner is not None:
            await owner.watch(self.host, self.settings.cluster, engine.context.owner["uid"], gone)

    async def _export_kubeconfigs(self, engine: Engine) -> None:
        await engine.leading.wait()
        if engine.context.owner is not None:
            await exports.export_all(
                self.settings,
                host=self.host,
                virtual=self.virtual,
                owner=engine.context.owner,
                authority=self._read_authority(),
            )

    async def _renewed(self, state: renewal.State) -> None:
        """Uses what lies in the folder now: open connections go on, new ones show and check the new certificates."""
        self.metrics.certificates_due.set(state.due.timestamp())
        await self.virtual.refresh()
        for reload in self._reloads:
            reload()
        before, self._trusted = self._trusted, self._read_authority()
        if before not in (None, self._trusted):
            self._spawn(self._announce_authority())

    async def _announce_authority(self) -> None:
        """Tells of another CA those who have been told of the one before."""
        if self._webhook:
            self._webhook |= admission.configuration(self._read_authority(), port=self._ports.admission)
            with contextlib.suppress(KubeError):  # the old one does as well until the next start
                await admission.ensure(self.virtual, self._webhook)
        if self.engine is not None and self.engine.leading.is_set():
            await self._export_kubeconfigs(self.engine)

    def _read_authority(self) -> bytes:
        return (self._pki / "ca.crt").read_bytes()

    async def _refresh_for_ever(self) -> NoReturn:
        while True:
            await asyncio.sleep(_REFRESH_EVERY)
            await self.host.refresh()
            await self.virtual.refresh()

    async def _end_background(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _spawn(self, work: Awaitable[Any]) -> None:
        async def awaited() -> object:
            return await work

        task = asyncio.create_task(awaited())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def pod_ip() -> str:
    """This pod's IP, from the environment that the chart sets."""
    ip = os.environ.get("POD_IP")
    if not ip:
        raise InvalidValue("env POD_IP", "is not set", "run the syncer with the chart, which sets it")
    return ip
