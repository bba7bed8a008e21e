"""The cluster's certificates, made by the real openssl."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from lab import certificates, layout
from lab.layout import Node

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLET_CACHE", str(tmp_path_factory.mktemp("cache")))
        certificates.ensure([*certificates.control_plane(), certificates.node(Node(1))])
        yield


def shown(name: str, *what: str) -> str:
    command = ["openssl", "x509", "-noout", *what, "-in", str(certificates.path(name))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("leaf", certificates.control_plane(), ids=lambda leaf: leaf.name)
def test_every_leaf_is_signed_by_its_authority(leaf) -> None:
    command = [
        "openssl",
        "verify",
        "-CAfile",
        str(certificates.path(leaf.authority)),
        str(certificates.path(leaf.name)),
    ]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_api_servers_certificate_is_good_for_the_machine_and_for_pods() -> None:
    names = shown("apiserver", "-ext", "subjectAltName")

    for name in (layout.API_ADDRESS, layout.KUBERNETES_SERVICE_ADDRESS, "DNS:kubernetes.default.svc", "DNS:localhost"):
        assert name in names


def test_a_kubelet_is_a_node_to_the_node_authoriser() -> None:
    assert "CN=system:node:node-1,O=system:nodes" in shown("node-1", "-subject", "-nameopt", "RFC2253")


def test_the_admins_kubeconfig_leads_to_the_api_server() -> None:
    config = json.loads(layout.kubeconfig().read_text())

    assert config["clusters"][0]["cluster"]["server"] == f"https://{layout.API_ADDRESS}:{layout.API_PORT}"
    assert layout.kubeconfig().stat().st_mode & 0o077 == 0


def test_a_second_call_makes_nothing_again() -> None:
    before = certificates.path("apiserver").read_bytes()

    certificates.ensure(certificates.control_plane())

    assert certificates.path("apiserver").read_bytes() == before
