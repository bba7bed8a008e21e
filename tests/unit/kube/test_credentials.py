"""Tokens that rotate and kubeconfigs of several forms; certificates need real handshakes: tests/integration."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncer.kube.credentials import Credentials, CredentialsError, tls_context
from tests.integration.certificates import Authority
from tests.unit.kube.doubles import Clock


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Authority(tmp_path_factory.mktemp("pki")).certificate.read_bytes()


def from_file(path: Path, clock: Clock) -> Credentials:
    return Credentials("https://server", tls_context(), token=path, clock=clock)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def test_a_token_file_becomes_a_bearer_header(token: Path) -> None:
    assert from_file(token, Clock()).authorization() == "Bearer first"


def test_a_token_is_not_read_for_every_request(token: Path) -> None:
    credentials = from_file(token, Clock())
    credentials.authorization()
    token.write_text("second")
    assert credentials.authorization() == "Bearer first"


def test_a_rotated_token_is_used_within_half_a_minute(token: Path) -> None:
    clock = Clock()
    credentials = from_file(token, clock)
    credentials.authorization()
    token.write_text("second")
    clock.now += 30
    assert credentials.authorization() == "Bearer second"


def test_a_refused_token_is_read_again_at_once(token: Path) -> None:
    credentials = from_file(token, Clock())
    refused = credentials.authorization()
    token.write_text("second")
    assert credentials.renewed(refused)
    assert credentials.authorization() == "Bearer second"


def test_a_refused_token_that_did_not_change_is_not_renewed(token: Path) -> None:
    credentials = from_file(token, Clock())
    assert not credentials.renewed(credentials.authorization())


def test_a_token_that_another_request_renewed_counts_as_renewed(token: Path) -> None:
    credentials = from_file(token, Clock())
    refused = credentials.authorization()
    token.write_text("second")
    assert credentials.renewed(refused)
    assert credentials.renewed(refused)


def test_the_old_token_serves_while_its_file_is_away(token: Path) -> None:
    clock = Clock()
    credentials = from_file(token, clock)
    credentials.authorization()
    token.unlink()
    clock.now += 60
    assert credentials.authorization() == "Bearer first"


def test_no_token_is_no_header() -> None:
    assert Credentials("https://server", tls_context()).authorization() is None


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_the_address_inside_a_cluster_comes_from_the_environment(
    host: str, server: str, token: Path, authority: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (token.parent / "ca.crt").write_bytes(authority)
    assert Credentials.in_cluster(token.parent).server == server


def test_outside_a_cluster_the_missing_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(CredentialsError, match="KUBERNETES_SERVICE_HOST"):
        Credentials.in_cluster(tmp_path)


def test_a_missing_service_account_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(CredentialsError, match="token"):
        Credentials.in_cluster(tmp_path)


@pytest.mark.parametrize("strict", [True, False])
def test_strictness_does_not_depend_on_the_version_of_python(strict: bool) -> None:
    assert bool(tls_context(strict=strict).verify_flags & ssl.VERIFY_X509_STRICT) is strict


def test_certificates_are_verified_by_default() -> None:
    context = tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def write(folder: Path, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    path = folder / "config"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://server:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "other"}, {"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_kubeconfig_names_the_server(tmp_path: Path) -> None:
    assert Credentials.from_kubeconfig(write(tmp_path)).server == "https://server:6443"


def test_a_kubeconfig_holds_a_token(tmp_path: Path) -> None:
    credentials = Credentials.from_kubeconfig(write(tmp_path, user={"token": "abc"}))
    assert credentials.authorization() == "Bearer abc"


def test_a_token_file_beside_the_kubeconfig_wins_over_a_token(token: Path) -> None:
    path = write(token.parent, user={"token": "abc", "tokenFile": "token"})
    assert Credentials.from_kubeconfig(path).authorization() == "Bearer first"


def test_a_kubeconfig_holds_the_authority_inline(tmp_path: Path, authority: bytes) -> None:
    inline = base64.b64encode(authority).decode()
    credentials = Credentials.from_kubeconfig(write(tmp_path, cluster={"certificate-authority-data": inline}))
    assert credentials.ssl_context.cert_store_stats()["x509_ca"] == 1


def test_a_kubeconfig_may_waive_verification(tmp_path: Path) -> None:
    credentials = Credentials.from_kubeconfig(write(tmp_path, cluster={"insecure-skip-tls-verify": True}))
    assert credentials.ssl_context.verify_mode == ssl.CERT_NONE


def test_what_a_kubeconfig_asks_for_in_vain_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="exec, proxy-url"):
        Credentials.from_kubeconfig(write(tmp_path, cluster={"proxy-url": "http://p"}, user={"exec": {}}))


@pytest.mark.parametrize("content", ["", "[]", "a: b", "{", "current-context: x\ncontexts: []"])
def test_an_incomplete_kubeconfig_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(CredentialsError, match="config"):
        Credentials.from_kubeconfig(path)


def test_a_missing_kubeconfig_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="none"):
        Credentials.from_kubeconfig(tmp_path / "none")
