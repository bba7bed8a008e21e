"""The two servers for the API server next door: admission, and the kubelet of every node. Both show the syncer's certificate."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from syncer.controlplane import admission, serving
from syncer.engine.sync import Engine
from syncer.kube.errors import KubeError
from syncer.kubelet.routes import PodLocation
from syncer.kubelet.server import KubeletServer
from syncer.kubelet.upstream import Upstream
from syncer.names import Key, Object
from syncer.plan.actions import Side

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the syncer listens; 0 in tests = any free port."""

    health: int = 8080
    kubelet: int = 10250
    admission: int = admission.PORT


class Servers:
    """They answer from what `engine` knows. `pki` is the folder with the certificate, `authority` reads the CA in it.

    `spawn` begins a task that nobody waits for.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        pki: Path,
        authority: Callable[[], bytes],
        ports: Ports,
        upstream: Upstream,
        spawn: Callable[[Awaitable[Any]], None],
    ) -> None:
        self._engine = engine
        self._host, self._virtual = engine.clients[Side.HOST], engine.clients[Side.VIRTUAL]
        self._certificate, self._key, self._client_ca = pki / "syncer.crt", pki / "syncer.key", pki / "ca.crt"
        self._authority = authority
        self._ports = ports
        self._spawn = spawn
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self._certificate, self._key)
        self._webhook = self._configuration()
        self._kubelet = KubeletServer(
            listen_host=None,
            port=ports.kubelet,
            certificate=self._certificate,
            key=self._key,
            client_ca=self._client_ca,
            upstream=upstream,
            locate=self._locate,
            streams=engine.metrics.streams,
            observe=engine.metrics.observe_stream,
        )

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Serves until `stack` is unwound."""
        await self._serve_admission(stack)
        await self._kubelet.start()
        stack.push_async_callback(self._kubelet.close)

    def reload(self) -> None:
        """Reads the certificate again: open connections go on, new ones show and check what lies in the folder now."""
        for reload in (partial(self._context.load_cert_chain, self._certificate, self._key), self._kubelet.reload):
            try:
                reload()
            except OSError as error:  # what is in use lasts longer than it takes to mend the files
                log.error("renewed certificates cannot be used: %s", error)

    async def announce_authority(self) -> None:
        """Tells the API server of another CA."""
        self._webhook |= self._configuration()
        with contextlib.suppress(KubeError):  # the old one does as well until the next start
            await admission.ensure(self._virtual, self._webhook)

    async def _serve_admission(self, stack: contextlib.AsyncExitStack) -> None:
        engine = self._engine
        handler = admission.ServiceAdmission(
            host=self._host,
            rule=engine.table["services"],
            context=engine.context,
            known=lambda key: key in engine.world.virtual["services"],
            on_host=engine.world.host["services"].get,
            promise=engine.world.promise,
            written=engine.world.host["services"].written,
        )
        runner = await serving.serve_admission(
            port=self._ports.admission, path=admission.PATH, review=handler.review, context=self._context
        )
        stack.push_async_callback(runner.cleanup)
        await admission.ensure(self._virtual, self._webhook)
        self._spawn(admission.keep(self._virtual, self._webhook, self._spawn))

    def _configuration(self) -> Object:
        return admission.configuration(self._authority(), port=self._ports.admission)

    def _locate(self, namespace: str, name: str) -> PodLocation | None:
        world, context = self._engine.world, self._engine.context
        key = Key("pods", namespace, name)
        virtual = world.virtual["pods"].get(key)
        if virtual is None or key not in world.host["pods"]:
            return None
        spec = virtual["spec"]
        containers = [
            item["name"]
            for field in ("containers", "initContainers", "ephemeralContainers")
            for item in spec.get(field) or ()
        ]
        return PodLocation(
            host_namespace=context.host_namespace,
            host_name=context.host_name(name, namespace),
            containers=frozenset(containers),
        )
