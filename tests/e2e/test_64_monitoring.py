"""What the ServiceMonitor says, done as a Prometheus does it: the token reads metrics, and nothing else."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.objects import Object
from tests.e2e.tenancy import Release, eventually, host_kubectl, inside, install, remove

DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"plural": "servicemonitors", "singular": "servicemonitor", "kind": "ServiceMonitor"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""The kind of the Prometheus operator, as far as it takes to store one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraper:
    """Reads what the ServiceMonitor of a release points to."""

    release: Release
    folder: Path
    endpoints: dict[str, Object]
    ports: dict[str, int]
    address: str

    def read(self, port: str, path: str) -> tuple[int, str]:
        """Status and text of one request to the pod itself, with credential and name as the endpoint has them."""
        endpoint = self.endpoints[port]
        options, host = [], self.address
        if endpoint["scheme"] == "https":
            name = endpoint["tlsConfig"]["serverName"]
            authority = self.secret(endpoint["tlsConfig"]["ca"]["secret"])
            token = self.secret(endpoint["authorization"]["credentials"])
            (self.folder / "ca.crt").write_bytes(authority)
            options = ["--cacert", str(self.folder / "ca.crt"), "--header", f"Authorization: Bearer {token.decode()}"]
            options += ["--resolve", f"{name}:{self.ports[port]}:{self.address}"]
            host = name
        url = f"{endpoint['scheme']}://{host}:{self.ports[port]}{path}"
        command = [*inside(), "curl", "--silent", "--show-error", "--max-time", "5", "--write-out", "\n%{http_code}"]
        result = subprocess.run([*command, *options, url], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        text, _, code = result.stdout.rpartition("\n")
        return int(code), text

    def secret(self, reference: Object) -> bytes:
        """One key of a Secret of the release."""
        found = self.release.host.get("secret", reference["name"], "--namespace", self.release.namespace)
        return base64.b64decode(found["data"][reference["key"]])


@pytest.fixture(scope="module")
def scraper(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraper]:
    """A release with a ServiceMonitor, on a host that knows the kind."""
    folder, namespace, host = tmp_path_factory.mktemp("monitored"), f"metrics-{uuid.uuid4().hex[:6]}", host_kubectl()
    host.apply(DEFINITION)
    try:
        host("wait", "--for=condition=Established", f"crd/{DEFINITION['metadata']['name']}")
        values = folder / "values.json"
        values.write_text(json.dumps({"controlPlane": {"serviceMonitor": {"enabled": True}}}))
        release = install("vc", namespace, folder, "--values", str(values))
        monitor = host.get("servicemonitor", "vc-vc", "--namespace", namespace)
        selector = ",".join(f"{key}={value}" for key, value in monitor["spec"]["selector"]["matchLabels"].items())
        (service,) = host.items("services", "--namespace", namespace, f"--selector={selector}")
        (subset,) = host.get("endpoints", service["metadata"]["name"], "--namespace", namespace)["subsets"]
        eventually(lambda: host.get("secret", "vc-metrics-vc", "--namespace", namespace))
        yield Scraper(
            release=release,
            folder=folder,
            endpoints={item["port"]: item for item in monitor["spec"]["endpoints"]},
            ports={item["name"]: item["port"] for item in subset["ports"]},
            address=subset["addresses"][0]["ip"],
        )
    finally:
        remove(host, "vc", namespace)
        host("delete", "crd", DEFINITION["metadata"]["name"])


@pytest.mark.parametrize(
    ("port", "metric"),
    [
        ("https", "apiserver_request_total"),
        ("controller-manager", "workqueue_depth"),
        ("syncer", "sublet_requests_total"),
    ],
)
def test_every_endpoint_gives_its_metrics(scraper: Scraper, port: str, metric: str) -> None:
    code, text = scraper.read(port, scraper.endpoints[port]["path"])

    assert (code, metric in text) == (200, True)


@pytest.mark.parametrize("path", ["/api/v1/secrets", "/api/v1/namespaces", "/apis/apps/v1/deployments"])
def test_the_credential_reads_nothing_else(scraper: Scraper, path: str) -> None:
    assert scraper.read("https", path)[0] == 403
