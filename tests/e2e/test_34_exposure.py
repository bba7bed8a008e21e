"""The API server from outside: by node port, load balancer, TLSRoute, and an Ingress that passes TLS through or begins it again."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import layout
from tests.e2e import gateway_api, processes
from tests.e2e.objects import Object
from tests.e2e.tenancy import CHART, CommandFailed, Kubectl, Release, eventually, helm, inside, install, uninstall
from tests.integration.certificates import Authority

pytestmark = [pytest.mark.timeout(180), pytest.mark.long]

NAME = "api.tenant.example.com"
ROUTED = "api.routed.example.com"
BALANCED = "198.51.100.7"
"""An address that belongs to nobody; the nodes lead it to the Service that has it as its load balancer's."""
NODE_PORT = 31000 + random.randrange(1000)
SERVER = f"https://{layout.Node(1).address}:{NODE_PORT}"
VALUES = {
    "controlPlane": {
        "coredns": {"enabled": False},
        "ingress": {"enabled": True, "host": NAME, "spec": {"ingressClassName": "nobody"}},
        "tlsRoute": {"enabled": True, "host": ROUTED, "parentRefs": [{"name": "nobody", "sectionName": "tls"}]},
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
    with gateway_api.defined("tlsroutes"):
        installed = install("vc", f"out-{uuid.uuid4().hex[:6]}", folder, "--values", str(file))
        yield installed
        uninstall(installed)


@contextlib.contextmanager
def gateway(release: Release) -> Iterator[str]:
    """A proxy that does what the release's TLSRoute says; the address at which it listens."""
    route = release.host.get("tlsroute", release.name, "--namespace", release.namespace)["spec"]
    (rule,), (name,) = route["rules"], route["hostnames"]
    (backend,) = rule["backendRefs"]
    with proxy(release, name, backend["name"], backend["port"]) as address:
        yield address


@contextlib.contextmanager
def ingress_controller(release: Release, *options: str) -> Iterator[str]:
    """A proxy that does what the release's Ingress says; the address at which it listens."""
    (rule,) = release.host.get("ingress", release.name, "--namespace", release.namespace)["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = release.host.get("service", backend["name"], "--namespace", release.namespace)["spec"]
    (port,) = (item["port"] for item in service["ports"] if item["name"] == backend["port"]["name"])
    with proxy(release, rule["host"], backend["name"], port, *options) as address:
        yield address


@contextlib.contextmanager
def proxy(release: Release, name: str, service: str, port: int, *options: str) -> Iterator[str]:
    """One that sends what asks for this name to a port of a Service; the address at which it listens."""
    ip = release.host.get("service", service, "--namespace", release.namespace)["spec"]["clusterIP"]
    command = [sys.executable, "-m", "tests.e2e.passthrough", name, ip, str(port), *options]
    with subprocess.Popen([*inside(), *command], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield f"https://127.0.0.1:{running.stdout.readline().strip()}"
        finally:
            running.terminate()


def test_the_exported_kubeconfig_works_as_it_is_through_the_node_port(exposed: Release, tmp_path: Path) -> None:
    secret = exposed.host.get("secret", "vc-vc", "--namespace", exposed.namespace)
    exported = tmp_path / "exported.kubeconfig"
    exported.write_bytes(base64.b64decode(secret["data"]["config"]))
    assert f"server: {SERVER}" in exported.read_text()
    assert "default" in Kubectl(kubeconfig=exported, prefix=inside()).names("namespaces")


def test_an_ingress_that_passes_tls_through_brings_certificates_to_the_api_server(exposed: Release) -> None:
    with ingress_controller(exposed) as address:
        through = (f"--server={address}", f"--tls-server-name={NAME}")
        assert "kubernetes-admin" in exposed.tenant(*through, "auth", "whoami")
        with pytest.raises(CommandFailed):
            exposed.tenant(f"--server={address}", "--tls-server-name=kubernetes", "get", "--raw=/version")


def test_a_tls_route_that_the_gateway_api_accepts_brings_certificates_to_the_api_server(exposed: Release) -> None:
    with gateway(exposed) as address:
        through = (f"--server={address}", f"--tls-server-name={ROUTED}")
        assert "kubernetes-admin" in exposed.tenant(*through, "auth", "whoami")
        with pytest.raises(CommandFailed):
            exposed.tenant(f"--server={address}", f"--tls-server-name={NAME}", "get", "--raw=/version")


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


def test_an_address_that_a_load_balancer_gives_later_is_in_the_certificate_though_nothing_starts_again(
    exposed: Release, tmp_path: Path
) -> None:
    spec = {"type": "LoadBalancer", "loadBalancerClass": "example.com/nobody", "externalTrafficPolicy": "Local"}
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({"controlPlane": {"service": {"spec": spec}}}))
    settings = ("--namespace", exposed.namespace, "--reuse-values", "--values", str(file))
    helm("upgrade", "vc", str(CHART), *settings, "--wait", "--timeout=120s")
    service = exposed.host.get("service", "vc", "--namespace", exposed.namespace)["spec"]
    assert [(port["name"], port["nodePort"]) for port in service["ports"]] == [("https", NODE_PORT)]
    assert spec.items() <= service.items()

    before = processes.pod_of(exposed)
    status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": BALANCED}]}}})
    exposed.on_host("patch", "service", "vc", "--subresource=status", "--type=merge", "--patch", status)
    eventually(lambda: exposed.tenant(f"--server=https://{BALANCED}", "get", "--raw=/version"))
    after = processes.pod_of(exposed)
    assert (after["metadata"]["uid"], restarts(after)) == (before["metadata"]["uid"], restarts(before))


def restarts(pod: Object) -> int:
    """How often containers of the pod have started again."""
    return sum(status["restartCount"] for status in processes.statuses(pod))
