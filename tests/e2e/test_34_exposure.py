"""The API server from outside: by node port, and behind an Ingress whose controller passes TLS through or begins it again."""

from __future__ import annotations

import base64
import contextlib
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import layout
from tests.e2e.tenancy import CommandFailed, Kubectl, Release, eventually, inside, install, uninstall
from tests.integration.certificates import Authority

pytestmark = [pytest.mark.timeout(180), pytest.mark.long]

NAME = "api.tenant.example.com"
NODE_PORT = 31000 + random.randrange(1000)
SERVER = f"https://{layout.Node(1).address}:{NODE_PORT}"
VALUES = {
    "controlPlane": {
        "coredns": {"enabled": False},
        "ingress": {"enabled": True, "host": NAME, "spec": {"ingressClassName": "nobody"}},
        "service": {"httpsNodePort": NODE_PORT, "spec": {"type": "NodePort"}},
        "statefulSet": {"persistence": {"volumeClaim": {"enabled": False}}},
    },
    "exportKubeConfig": {
        "server": SERVER,
        "additionalSecrets": [
            {"name": "by-token", "serviceAccount": {"name": "robot", "clusterRole": "cluster-admin"}},
        ],
    },
}


@pytest.fixture(scope="module")
def exposed(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A virtual cluster that is reached in every way at once, by its kubeconfig through a node port."""
    folder: Path = tmp_path_factory.mktemp("exposed")
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(VALUES))
    installed = install("vc", f"out-{uuid.uuid4().hex[:6]}", folder, "--values", str(file))
    yield installed
    uninstall(installed)


@contextlib.contextmanager
def ingress_controller(release: Release, *options: str) -> Iterator[str]:
    """A proxy that does what the release's Ingress says; the address at which it listens."""
    (rule,) = release.host.get("ingress", release.name, "--namespace", release.namespace)["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = release.host.get("service", backend["name"], "--namespace", release.namespace)["spec"]
    (port,) = (item["port"] for item in service["ports"] if item["name"] == backend["port"]["name"])
    command = [sys.executable, "-m", "tests.e2e.passthrough", rule["host"], service["clusterIP"], str(port), *options]
    with subprocess.Popen([*inside(), *command], stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        try:
            yield f"https://127.0.0.1:{proxy.stdout.readline().strip()}"
        finally:
            proxy.terminate()


def test_the_exported_kubeconfig_works_as_it_is_through_the_node_port(exposed: Release) -> None:
    assert f"server: {SERVER}" in exposed.tenant.kubeconfig.read_text()
    assert "default" in exposed.tenant.names("namespaces")


def test_an_ingress_that_passes_tls_through_brings_certificates_to_the_api_server(exposed: Release) -> None:
    with ingress_controller(exposed) as address:
        through = (f"--server={address}", f"--tls-server-name={NAME}")
        assert "kubernetes-admin" in exposed.tenant(*through, "auth", "whoami")
        with pytest.raises(CommandFailed):
            exposed.tenant(f"--server={address}", "--tls-server-name=kubernetes", "get", "--raw=/version")


def test_an_ingress_that_begins_tls_again_serves_those_who_show_a_token(exposed: Release, tmp_path: Path) -> None:
    secret = eventually(lambda: exposed.host.get("secret", "by-token", "--namespace", exposed.namespace))
    config = yaml.safe_load(base64.b64decode(secret["data"]["config"]))
    token = config["users"][0]["user"]["token"]
    inner = tmp_path / "inner.crt"
    inner.write_bytes(base64.b64decode(secret["data"]["certificate-authority"]))
    outer = Authority(tmp_path / "outer")
    certificate, key = outer.issue(NAME, hosts=(NAME,))
    options = ("--certificate", str(certificate), "--key", str(key), "--authority", str(inner))
    anybody = tmp_path / "anybody.kubeconfig"
    anybody.write_text("")
    with ingress_controller(exposed, *options) as address:
        outside = Kubectl(kubeconfig=anybody, prefix=inside())
        identity = (f"--certificate-authority={outer.certificate}", f"--tls-server-name={NAME}", f"--token={token}")
        found = outside(f"--server={address}", *identity, "auth", "whoami")
    assert "system:serviceaccount:kube-system:robot" in found
