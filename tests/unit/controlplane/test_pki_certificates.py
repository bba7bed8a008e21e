"""Certificates: accepted by strict checkers, and made anew when they should be."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from syncer.controlplane.certificates import Authority, Leaf, Lifetimes, Pair, new_signing_key, public_half
from tests.unit.controlplane.handshakes import handshake

NOW = dt.datetime.now(dt.UTC)
LIFE = Lifetimes()
SERVER = Leaf(file="apiserver", common_name="kube-apiserver", names=frozenset({"localhost", "127.0.0.1", "*.a.svc"}))
CLIENT = Leaf(file="admin", common_name="kubernetes-admin", organization="system:masters")


@pytest.fixture(scope="module")
def ca():
    return Authority.create("alpha-ca", LIFE.authority, NOW)


@pytest.fixture(scope="module")
def authority(ca):
    return Authority(ca)


def handshake_under(ca, server, client, folder, name="localhost"):
    return handshake(
        server, client, server_trusts=ca.certificate, client_trusts=ca.certificate, folder=folder, name=name
    )


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "pod-0.a.svc"])
def test_a_strict_handshake_succeeds(ca, authority, tmp_path, name):
    server, client = (authority.issue(leaf, LIFE.leaf, NOW) for leaf in (SERVER, CLIENT))
    subject = handshake_under(ca, server, client, tmp_path, name)["subject"]
    assert subject == ((("organizationName", "system:masters"),), (("commonName", "kubernetes-admin"),))


def test_a_name_that_is_not_in_the_certificate_fails_the_handshake(ca, authority, tmp_path):
    server, client = (authority.issue(leaf, LIFE.leaf, NOW) for leaf in (SERVER, CLIENT))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake_under(ca, server, client, tmp_path, "elsewhere")


def test_a_servers_certificate_is_none_for_a_client(ca, authority, tmp_path):
    server = authority.issue(SERVER, LIFE.leaf, NOW)
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_CERTIFICATE"):
        handshake_under(ca, server, server, tmp_path)


def test_a_new_leaf_is_good(authority):
    assert authority.fault(SERVER, authority.issue(SERVER, LIFE.leaf, NOW), NOW) == ""


def test_a_leaf_is_good_until_two_thirds_of_its_life(authority):
    pair = authority.issue(CLIENT, dt.timedelta(days=90), NOW)
    assert authority.fault(CLIENT, pair, NOW + dt.timedelta(days=59)) == ""
    assert authority.fault(CLIENT, pair, NOW + dt.timedelta(days=61)).startswith("it expires at")


def test_a_leaf_of_a_few_seconds_is_good_at_first(authority):
    pair = authority.issue(CLIENT, dt.timedelta(seconds=30), NOW)
    assert authority.fault(CLIENT, pair, NOW) == ""
    assert authority.fault(CLIENT, pair, NOW + dt.timedelta(seconds=25)) != ""


def test_a_leaf_does_not_outlive_its_authority():
    young = Authority(Authority.create("short", dt.timedelta(days=1), NOW))
    certificate = x509.load_pem_x509_certificate(young.issue(CLIENT, LIFE.leaf, NOW).certificate)
    assert certificate.not_valid_after_utc == young.expires


def test_a_leaf_that_lacks_a_name_is_made_anew(authority):
    pair = authority.issue(SERVER, LIFE.leaf, NOW)
    wanted = Leaf(file="apiserver", common_name="kube-apiserver", names=SERVER.names | {"10.96.0.9", "more"})
    assert authority.fault(wanted, pair, NOW) == "it lacks the names 10.96.0.9, more"


def test_a_leaf_with_more_names_than_wanted_stays(authority):
    pair = authority.issue(SERVER, LIFE.leaf, NOW)
    wanted = Leaf(file="apiserver", common_name="kube-apiserver", names=frozenset({"localhost"}))
    assert authority.fault(wanted, pair, NOW) == ""


def test_a_leaf_of_another_authority_is_made_anew(authority):
    other = Authority(Authority.create("alpha-ca", LIFE.authority, NOW))
    assert authority.fault(CLIENT, other.issue(CLIENT, LIFE.leaf, NOW), NOW) == "it was signed by another CA"


def test_a_leaf_of_another_user_is_made_anew(authority):
    assert authority.fault(SERVER, authority.issue(CLIENT, LIFE.leaf, NOW), NOW) == "it has another subject"


def test_a_leaf_with_another_key_is_made_anew(authority):
    one, other = (authority.issue(CLIENT, LIFE.leaf, NOW) for _ in range(2))
    fault = authority.fault(CLIENT, Pair(one.certificate, other.key), NOW)
    assert fault == "certificate and key do not belong together"


@pytest.mark.parametrize("half", ["certificate", "key"])
def test_a_spoilt_leaf_is_made_anew(authority, half):
    pair = authority.issue(CLIENT, LIFE.leaf, NOW)
    spoilt = Pair(pair.certificate if half == "key" else b"junk", pair.key if half == "certificate" else b"junk")
    assert authority.fault(CLIENT, spoilt, NOW) == "it cannot be read"


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        (b"junk", None, "the certificate cannot be read"),
        (None, b"junk", "the private key cannot be read"),
        (None, new_signing_key()[0], "certificate and private key do not belong together"),
    ],
)
def test_a_spoilt_authority_says_what_is_wrong(ca, certificate, key, problem):
    with pytest.raises(ValueError, match=problem):
        Authority(Pair(certificate or ca.certificate, key or ca.key))


def test_a_leaf_is_no_authority(authority):
    with pytest.raises(ValueError, match="is not that of a CA"):
        Authority(authority.issue(CLIENT, LIFE.leaf, NOW))


def test_an_rsa_authority_without_identifiers_can_sign():
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "company")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + LIFE.authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    authority = Authority(Pair(certificate.public_bytes(serialization.Encoding.PEM), pem))
    assert authority.fault(CLIENT, authority.issue(CLIENT, LIFE.leaf, NOW), NOW) == ""


def test_the_public_half_follows_from_the_private_one():
    private, public = new_signing_key()
    assert public_half(private) == public
    assert public.startswith(b"-----BEGIN PUBLIC KEY-----")


def test_a_spoilt_signing_key_is_refused():
    with pytest.raises(ValueError, match="Unable to load PEM"):
        public_half(b"junk")
