"""The pki command against a real host, and a real virtual API server that starts with what it has written."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from lab import toolchain
from syncer import values
from syncer.controlplane import kubeconfig, material, pki, rotate, rotation
from syncer.controlplane.certificates import split
from syncer.controlplane.kubeconfig import Entry, Issuer
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from syncer.values import InvalidValue
from tests.integration.conftest import ApiServerPair
from tests.integration.eventually import eventually
from tests.integration.servers import ApiServer

NAMESPACE = "pki"
VIEWER = "system:serviceaccount:tools:viewer"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "alpha", "namespace": NAMESPACE},
    "spec": {"ports": [{"port": 443}]},
}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "vc-owner-alpha", "namespace": NAMESPACE}}
CONFIG = {
    "cluster": {
        "name": "alpha",
        "namespace": NAMESPACE,
        "service": "alpha",
        "owner": {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-alpha"},
        "workloadServiceAccount": "vc-workload-alpha",
    },
    "kubeconfigs": [{"secret": "vc-alpha", "namespace": NAMESPACE, "server": "https://alpha.pki.svc"}],
}

USER = "jsonpath={.status.userInfo.username}"
FLAGS = {
    "client-ca-file": "ca.crt",
    "tls-cert-file": "apiserver.crt",
    "tls-private-key-file": "apiserver.key",
    "kubelet-client-certificate": "apiserver-kubelet-client.crt",
    "kubelet-client-key": "apiserver-kubelet-client.key",
    "kubelet-certificate-authority": "ca.crt",
    "requestheader-client-ca-file": "front-proxy-ca.crt",
    "proxy-client-cert-file": "front-proxy-client.crt",
    "proxy-client-key-file": "front-proxy-client.key",
    "service-account-key-file": "sa.pub",
    "service-account-signing-key-file": "sa.key",
}


@pytest.fixture
def release(api_server_pair: ApiServerPair) -> ApiServer:
    """The host with those objects of the chart that the command looks at."""
    server = api_server_pair.host
    if f"namespace/{NAMESPACE}\n" not in server.kubectl("get", "namespaces", "-o", "name"):
        server.make_namespace(NAMESPACE)
        for manifest in (SERVICE, OWNER):
            server.kubectl("create", "-f", "-", manifest=manifest)
    return server


@pytest.fixture
async def host(release: ApiServer) -> AsyncIterator[Client]:
    client = Client.connect(Credentials.from_kubeconfig(release.kubeconfig), name="host")
    yield client
    await client.close()


def secret(server: ApiServer, name: str) -> dict[str, bytes]:
    found = orjson.loads(server.kubectl("get", "secret", name, "-n", NAMESPACE, "-o", "json"))
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


async def test_replicas_that_start_together_agree(host, api_server_pair, tmp_path):
    await asyncio.gather(*(pki.run(CONFIG, host, tmp_path / str(number), {}) for number in range(4)))
    contents = [{path.name: path.read_bytes() for path in (tmp_path / str(number)).iterdir()} for number in range(4)]
    assert all(content == contents[0] for content in contents)
    assert secret(api_server_pair.host, "vc-alpha")["client-certificate"] == contents[0]["admin.crt"]


def test_a_real_api_server_runs_with_the_files(release, tmp_path):
    out = tmp_path / "files"

    async def prepare() -> None:
        client = Client.connect(Credentials.from_kubeconfig(release.kubeconfig), name="host")
        await pki.run(CONFIG, client, out, {})
        await client.close()

    asyncio.run(prepare())
    server = with_files(tmp_path, out)
    try:
        server.wait_ready()
        users = {
            name: kubectl(
                out / f"{name}.conf",
                f"--server={server.url}",
                "auth",
                "whoami",
                "-o",
                "jsonpath={.status.userInfo.username}",
            )
            for name in ("admin", "syncer", "controller-manager", "scheduler", "coredns")
        }
        admin = (out / "admin.conf", f"--server={server.url}", "--namespace=default")
        kubectl(*admin, "create", "serviceaccount", "builder")
        token = kubectl(*admin, "create", "token", "builder")
    finally:
        server.stop()
    assert users == {
        "admin": "kubernetes-admin",
        "syncer": "sublet:syncer",
        "controller-manager": "system:kube-controller-manager",
        "scheduler": "system:kube-scheduler",
        "coredns": "system:coredns",
    }
    assert token.count(".") == 2


async def test_a_real_api_server_follows_a_rotation_of_its_ca(host, release, tmp_path):
    out, old = tmp_path / "files", tmp_path / "old"
    await pki.run(CONFIG, host, out, {})
    shutil.copytree(out, old)
    server = await asyncio.to_thread(with_files, tmp_path, out)
    port = int(server.url.rpartition(":")[2])

    def who(folder: Path) -> str:
        return answer(folder / "admin.conf", f"--server={server.url}", "auth", "whoami", "-o", USER)

    async def becomes_served(certificate: bytes) -> None:
        await eventually(lambda: split(certificate)[0].decode() == ssl.get_server_certificate(("127.0.0.1", port)))

    try:
        await asyncio.to_thread(server.wait_ready)
        settings = values.parse(CONFIG)
        assert "a new CA signs" in await rotate.begin(settings, host, host, {})
        await pki.run(CONFIG, host, out, {}, again=True)
        await becomes_served((out / "apiserver.crt").read_bytes())
        assert who(old) == who(out) == "kubernetes-admin"

        with pytest.raises(InvalidValue, match="rotate-ca --finish"):
            await rotate.begin(settings, host, host, {})
        found = await pki.look(settings, host, {})
        now = dt.datetime.now(dt.UTC)
        drop = lambda files: rotation.finished(files, found.wanted)  # noqa: E731
        await material.ensure(host, found.wanted, owner=found.owner, now=now, change=drop)
        await pki.run(CONFIG, host, out, {}, again=True)
        await becomes_served((out / "apiserver.crt").read_bytes())
        await eventually(lambda: who(out) == "kubernetes-admin")
        shutil.copy(out / "ca.crt", old / "ca.crt")
        await eventually(lambda: who(old) == "")
    finally:
        await asyncio.to_thread(server.stop)


async def test_an_exported_token_works_as_its_account(host, api_server_pair, controller_manager, tmp_path):
    server = api_server_pair.virtual
    virtual = Client.connect(Credentials.from_kubeconfig(server.kubeconfig), name="virtual")
    account = {"name": "viewer", "namespace": "tools", "clusterRole": "view"}
    row = {"secret": "alpha-viewer", "namespace": NAMESPACE, "server": server.url, "serviceAccount": account}
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "vc-owner-alpha",
        "uid": "11111111-2222-3333-4444-555555555555",
    }
    issuer = Issuer(cluster="alpha", namespace=NAMESPACE, owner=owner, authority=server.ca.certificate.read_bytes())
    assert await kubeconfig.export_with_token(host, virtual, Entry.parse(row, cluster="alpha"), issuer)
    await virtual.close()
    exported = tmp_path / "viewer.conf"
    exported.write_bytes(secret(api_server_pair.host, "alpha-viewer")["config"])
    assert kubectl(exported, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == VIEWER
    await eventually(lambda: answer(exported, "auth", "can-i", "list", "pods") == "yes")
    assert answer(exported, "auth", "can-i", "create", "pods") == "no"


def with_files(folder: Path, pki: Path) -> ApiServer:
    """An API server that uses the files as the control plane's does."""
    server = ApiServer(folder, store="kine", flags=[f"--{flag}={pki / file}" for flag, file in FLAGS.items()])
    server.ca.certificate = pki / "ca.crt"
    return server


def answer(config: Path, *arguments: str) -> str:
    """What a kubectl command says, also when that makes it fail."""
    command = [str(toolchain.path("kubectl")), f"--kubeconfig={config}", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30).stdout.strip()


def kubectl(config: Path, *arguments: str) -> str:
    command = [str(toolchain.path("kubectl")), f"--kubeconfig={config}", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout
