"""kubectl -> a real virtual API server -> the kubelet API -> a host, which is played here or real.

The virtual node declares that it takes WebSockets, so that the API server passes kubectl's own connection through unchanged.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from aiohttp import WSMsgType, web

from lab import toolchain
from syncer.controlplane.tls_site import TlsSite
from syncer.kube.credentials import Credentials, tls_context
from syncer.kubelet.routes import PodLocation
from syncer.kubelet.server import KubeletServer
from syncer.kubelet.upstream import Upstream
from tests.integration.conftest import ApiServerPair

NAMESPACE = "splice"
HOST_POD = "web-x-splice-x-alpha"
CONTAINER = {"name": "app", "image": "example.com/app"}
STDIN, STDOUT, ERROR, CLOSE = b"\0", b"\1", b"\3", b"\xff"
BULK = os.urandom(1024 * 1024) * 24


class FakeHost:
    """A host API server with one pod. `logs` and `exec` are what its subresources do; `queries` what they were asked."""

    def __init__(self) -> None:
        self.logs: Callable[[web.Request], object] = unexpected
        self.exec: Callable[[web.WebSocketResponse], object] = unexpected
        self.queries: list[str] = []
        self.gone = asyncio.Event()
        self.port = 0

    def application(self) -> web.Application:
        app = web.Application()
        pod = f"/api/v1/namespaces/tenant/pods/{HOST_POD}"
        app.add_routes([web.get(f"{pod}/log", self._logs), web.route("*", f"{pod}/exec", self._exec)])
        return app

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(request.rel_url.raw_query_string)
        return await self.logs(request)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(request.rel_url.raw_query_string)
        if self.exec is unexpected:
            return status(404, f'pods "{HOST_POD}" not found in tenant')
        connection = web.WebSocketResponse(protocols=["v5.channel.k8s.io"])
        await connection.prepare(request)
        await self.exec(connection)
        await connection.close()
        return connection


async def unexpected(_: object) -> None:
    raise AssertionError("not expected")


def status(code: int, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return web.json_response(body, status=code)


def exited(code: int) -> bytes:
    if code == 0:
        return ERROR + orjson.dumps({"metadata": {}, "status": "Success"})
    causes = [{"reason": "ExitCode", "message": str(code)}]
    answer = {"status": "Failure", "reason": "NonZeroExitCode", "message": "no", "details": {"causes": causes}}
    return ERROR + orjson.dumps({"metadata": {}, **answer})


@dataclass(frozen=True, slots=True)
class Result:
    """What a kubectl command left."""

    code: int
    output: bytes
    errors: str


class Kubectl:
    """kubectl against the virtual API server."""

    def __init__(self, kubeconfig: Path) -> None:
        self._base = [str(toolchain.path("kubectl")), f"--kubeconfig={kubeconfig}", f"--namespace={NAMESPACE}"]

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*self._base, *arguments, stdin=pipe, stdout=pipe, stderr=pipe)

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        process = await self.start(*arguments)
        output, errors = await process.communicate(stdin)
        return Result(process.returncode or 0, output, errors.decode())


@pytest.fixture
async def host(tmp_path: Path, api_server_pair: ApiServerPair) -> AsyncIterator[FakeHost]:
    fake = FakeHost()
    certificate, key = api_server_pair.host.ca.issue("kube-apiserver", hosts=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    runner = web.AppRunner(fake.application(), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await TlsSite(runner, "127.0.0.1", 0, context).start()
    fake.port = runner.addresses[0][1]
    yield fake
    await runner.cleanup()


async def serve(pair: ApiServerPair, credentials: Credentials) -> KubeletServer:
    """The kubelet API with the pod's node and the pod behind it in the virtual cluster."""
    certificate, key = pair.virtual.ca.issue("syncer", hosts=("localhost", "127.0.0.1"))
    location = PodLocation(host_namespace="tenant", host_name=HOST_POD, containers=frozenset({"app"}))
    server = KubeletServer(
        listen_host="127.0.0.1",
        port=0,
        certificate=certificate,
        key=key,
        client_ca=pair.virtual.ca.certificate,
        upstream=Upstream(credentials),
        locate=lambda namespace, pod: location if (namespace, pod) == (NAMESPACE, "web") else None,
    )
    await server.start()
    await asyncio.to_thread(_announce, pair, server.port)
    return server


def _announce(pair: ApiServerPair, port: int) -> None:
    virtual = pair.virtual
    if f"namespace/{NAMESPACE}\n" not in virtual.kubectl("get", "namespaces", "-o", "name"):
        virtual.make_namespace(NAMESPACE)
        virtual.kubectl(
            "create", "-f", "-", manifest={"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-splice"}}
        )
        spec = {"nodeName": "node-splice", "automountServiceAccountToken": False, "containers": [CONTAINER]}
        for name in ("web", "lost"):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
            virtual.kubectl("create", "-f", "-", manifest=pod)
            running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
            virtual.kubectl(
                *("patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge"),
                *("-p", orjson.dumps(running).decode()),
            )
    node = {
        "status": {
            "addresses": [{"type": "InternalDNS", "address": "localhost"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        }
    }
    virtual.kubectl(
        *("patch", "node", "node-splice", "--subresource=status", "--type=merge", "-p", orjson.dumps(node).decode())
    )


@pytest.fixture
async def kubectl(api_server_pair: ApiServerPair, host: FakeHost) -> AsyncIterator[Kubectl]:
    credentials = Credentials(
        f"https://127.0.0.1:{host.port}", tls_context(), token="t", authority=api_server_pair.host.ca.certificate
    )
    server = await serve(api_server_pair, credentials)
    yield Kubectl(api_server_pair.virtual.kubeconfig)
    await server.close(grace=0)


async def test_logs_are_printed(kubectl, host):
    async def logs(request):
        return web.Response(text="first\nsecond\n")

    host.logs = logs
    assert (await kubectl("logs", "web", "--tail=2", "--timestamps", "--since=5m")).output == b"first\nsecond\n"
    assert host.queries == ["container=app&sinceSeconds=300&tailLines=2&timestamps=true"]


async def test_followed_logs_come_line_by_line_and_end_with_kubectl(kubectl, host):
    async def logs(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(b"one\n")
            await asyncio.sleep(30)
        finally:
            host.gone.set()
        return response

    host.logs = logs
    process = await kubectl.start("logs", "-f", "web")
    assert await process.stdout.readline() == b"one\n"
    process.terminate()
    await asyncio.wait_for(host.gone.wait(), 5)
    await process.wait()


async def test_a_refused_log_is_explained_in_virtual_names(kubectl, host):
    async def logs(request):
        return status(400, f'previous terminated container "app" in pod "{HOST_POD}" not found')

    host.logs = logs
    result = await kubectl("logs", "--previous", "web")
    assert result.errors == (
        'Error from server (BadRequest): previous terminated container "app" in pod "web" not found\n'
    )


async def test_logs_of_a_pod_that_is_not_on_the_host_are_explained(kubectl):
    errors = (await kubectl("logs", "lost")).errors
    assert errors.startswith('Error from server (BadRequest): pod "lost" in namespace "splice" is not on the host')


async def test_exec_that_the_host_refuses_is_explained_in_virtual_names(kubectl, host):
    result = await kubectl("exec", "web", "--", "true")
    assert result.code == 1
    assert 'pods "web" not found in splice' in result.errors
    assert HOST_POD not in result.errors


async def test_exec_prints_and_passes_the_exit_code(kubectl, host):
    async def run(connection):
        await connection.send_bytes(STDOUT + b"hello\n")
        await connection.send_bytes(exited(3))

    host.exec = run
    result = await kubectl("exec", "web", "--", "sh", "-c", "echo hello; exit 3")
    assert (result.code, result.output) == (3, b"hello\n")
    assert host.queries == ["container=app&command=sh&command=-c&command=echo+hello%3B+exit+3&stderr=true&stdout=true"]


async def test_exec_passes_standard_input(kubectl, host):
    async def cat(connection):
        async for message in connection:
            assert message.type == WSMsgType.BINARY
            if message.data[:1] == CLOSE:
                break
            await connection.send_bytes(STDOUT + message.data[1:])
        await connection.send_bytes(exited(0))

    host.exec = cat
    result = await kubectl("exec", "-i", "web", "--", "cat", stdin=b"there and back\n")
    assert (result.code, result.output) == (0, b"there and back\n")


async def test_the_tail_of_a_large_output_is_not_lost(kubectl, host):
    async def bulk(connection):
        for start in range(0, len(BULK), 32 * 1024):
            await connection.send_bytes(STDOUT + BULK[start : start + 32 * 1024])
        await connection.send_bytes(exited(0))

    host.exec = bulk
    result = await kubectl("exec", "web", "--", "cat", "bulk")
    assert result.code == 0
    assert hashlib.sha256(result.output).digest() == hashlib.sha256(BULK).digest()


async def test_a_cancelled_exec_frees_the_host_connection(kubectl, host):
    async def wait(connection):
        await connection.send_bytes(STDOUT + b"started\n")
        try:
            async for _ in connection:
                pass
        finally:
            host.gone.set()

    host.exec = wait
    process = await kubectl.start("exec", "web", "--", "sleep", "1d")
    assert await process.stdout.readline() == b"started\n"
    process.kill()
    await asyncio.wait_for(host.gone.wait(), 5)
    await process.wait()


@pytest.fixture
async def real_host(api_server_pair: ApiServerPair) -> AsyncIterator[Kubectl]:
    """The host is a real API server, where the syncer may exec and not read logs; its pod has not been scheduled."""
    host = api_server_pair.host
    if "namespace/tenant\n" not in host.kubectl("get", "namespaces", "-o", "name"):
        host.make_namespace("tenant")
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": HOST_POD, "namespace": "tenant"}}
        host.kubectl("create", "-f", "-", manifest={**pod, "spec": {"containers": [CONTAINER]}})
        host.kubectl("create", "role", "syncer", "-n", "tenant", "--verb=get,create", "--resource=pods/exec")
        host.kubectl("create", "rolebinding", "syncer", "-n", "tenant", "--role=syncer", "--user=splicer")
    credentials = Credentials.from_kubeconfig(host.kubeconfig_for("splicer"))
    server = await serve(api_server_pair, credentials)
    yield Kubectl(api_server_pair.virtual.kubeconfig)
    await server.close(grace=0)


async def test_a_real_hosts_refusal_of_exec_is_explained_in_virtual_names(real_host):
    errors = (await real_host("exec", "web", "--", "true")).errors
    assert "pod web does not have a host assigned" in errors
    assert HOST_POD not in errors


async def test_a_missing_right_on_a_real_host_is_told_as_the_hosts(real_host):
    errors = (await real_host("logs", "web")).errors
    assert 'the host cluster refused: pods "web" is forbidden' in errors
    assert HOST_POD not in errors
