"""Exec and port-forward to a pod on a real node: round trips, and how many bytes per second get through.

Exec is spoken as a WebSocket from this process, since starting a kubectl takes longer than what is measured. Port-forward is kubectl's,
which is the same on both sides.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import aiohttp
import orjson

from syncer.kube.credentials import Credentials
from tests.bench.bench import Bench
from tests.bench.figures import median
from tests.bench.targets import Target
from tests.bench.watching import views
from tests.bench.workload import PODS, marker, real_pod
from tests.e2e.tenancy import Kubectl

_PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _ERROR = 0, 1, 3
_PORT = 9000
_PATIENCE = 60.0
_MIB = 2**20


async def streams(bench: Bench) -> None:
    """All of it, in turns between the targets."""
    sizes = bench.sizes
    sessions: dict[str, list[float]] = defaultdict(list)
    echoes: dict[str, list[float]] = defaultdict(list)
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    async with contextlib.AsyncExitStack() as stack:
        pods = {target.name: await stack.enter_async_context(_Pod.running(target)) for target in bench.targets}
        for _ in range(sizes.sessions):
            for name, pod in pods.items():
                sessions[name].append(await pod.session("true"))
        for name, pod in pods.items():
            echoes[name] = await pod.echoes(sizes.sessions)
        for _ in range(sizes.bulks):
            for name, pod in pods.items():
                rates["exec"][name].append(sizes.bulk / await pod.session(_zeros(sizes.bulk), size=sizes.bulk * _MIB))
                rates["forward"][name].append(sizes.bulk / await pod.forward(sizes.bulk))
    bench.record_latencies("streams.session", "", sessions)
    bench.record_latencies("streams.echo", "", echoes)
    for measure, found in rates.items():
        for name, values in found.items():
            bench.record(f"streams.{measure}", f"{sizes.bulk} MiB, p50", name, median(values))


class _Pod:
    """A running pod of one target, and how to reach into it."""

    def __init__(self, target: Target, name: str, session: aiohttp.ClientSession) -> None:
        self._target, self._name, self._http = target, name, session
        self._credentials = Credentials.from_kubeconfig(target.kubeconfig)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, target: Target) -> AsyncIterator[_Pod]:
        """Such a pod; it is gone afterwards."""
        mark = marker()
        async with views([target], PODS) as seen, aiohttp.ClientSession() as http:
            view = seen[target.name]
            await target.client.create(PODS, real_pod(mark), namespace=target.space)
            await view.inside.when(mark, "running")
            try:
                yield cls(target, mark, http)
            finally:
                await target.delete(mark)
                await view.inside.when(mark, "gone")

    async def session(self, script: str, *, size: int = 0) -> float:
        """Seconds of a shell script in the pod, which says so many bytes, from connecting to its exit code."""
        began = time.perf_counter()
        said = 0
        async with asyncio.timeout(_PATIENCE), self._exec("sh", "-c", script) as socket:
            async for message in socket:
                if message.data[0] == _STDOUT:
                    said += len(message.data) - 1
                elif message.data[0] == _ERROR:
                    assert orjson.loads(message.data[1:])["status"] == "Success", message.data
                    break
        assert said == size, f"{said} bytes came, not {size}"
        return time.perf_counter() - began

    async def echoes(self, count: int) -> list[float]:
        """Seconds that each of so many single bytes takes through a running `cat` and back."""
        taken = []
        async with asyncio.timeout(_PATIENCE), self._exec("cat", stdin="true") as socket:
            for _ in range(count):
                began = time.perf_counter()
                await socket.send_bytes(bytes([_STDIN]) + b"x")
                await _hear(socket, b"x")
                taken.append(time.perf_counter() - began)
        return taken

    async def forward(self, mebibytes: int) -> float:
        """Seconds that so much takes through a forwarded port, from the first byte on."""
        async with self._exec("sh", "-c", _server(mebibytes)) as server, self._forwarded() as port:
            async with asyncio.timeout(_PATIENCE):
                await _hear(server, b"ready\n")
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4 * _MIB)
            try:
                async with asyncio.timeout(_PATIENCE):
                    left = mebibytes * _MIB - len(await reader.readexactly(1))
                    began = time.perf_counter()
                    while left > 0:
                        part = await reader.read(_MIB)
                        assert part, f"{left} bytes did not come"
                        left -= len(part)
            finally:
                writer.close()
        return time.perf_counter() - began

    @contextlib.asynccontextmanager
    async def _forwarded(self) -> AsyncIterator[int]:
        """The local port of a `kubectl port-forward` that is ready."""
        kubectl = Kubectl(kubeconfig=self._target.kubeconfig, namespace=self._target.space)
        command = kubectl.command("port-forward", f"pod/{self._name}", f":{_PORT}", "--address=127.0.0.1")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            assert process.stdout
            async with asyncio.timeout(_PATIENCE):
                line = (await process.stdout.readline()).decode()
            found = re.search(r":(\d+) ->", line)
            assert found, f"kubectl port-forward said {line!r}"
            yield int(found[1])
        finally:
            process.terminate()
            await process.wait()

    @contextlib.asynccontextmanager
    async def _exec(self, *command: str, stdin: str = "false") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        query = [("stdout", "true"), ("stdin", stdin), *(("command", word) for word in command)]
        authorization = self._credentials.authorization()
        async with self._http.ws_connect(
            self._credentials.server + PODS.path(self._target.space, self._name, "exec"),
            params=query,
            protocols=[_PROTOCOL],
            headers={"Authorization": authorization} if authorization else {},
            ssl=self._credentials.ssl_context,
            max_msg_size=0,
        ) as socket:
            yield socket


async def _hear(socket: aiohttp.ClientWebSocketResponse, text: bytes) -> None:
    """Waits until the command says this. Other messages, such as the empty one that opens each channel, are passed over."""
    while await socket.receive_bytes() != bytes([_STDOUT]) + text:
        pass


def _server(mebibytes: int) -> str:
    """A script that sends so much to whoever connects, and says when it listens."""
    listens = f"grep -q ':{_PORT:04X} .* 0A ' /proc/net/tcp /proc/net/tcp6"
    return f"{_zeros(mebibytes)} | nc -l -p {_PORT} & until {listens}; do sleep 0.05; done; echo ready; wait"


def _zeros(mebibytes: int) -> str:
    return f"dd if=/dev/zero bs=1M count={mebibytes} 2>/dev/null"
