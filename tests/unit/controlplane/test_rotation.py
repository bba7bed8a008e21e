"""Another CA in place of the one that signs: who knew the old one only is led to the new one until the old one is given up."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from syncer.controlplane import material, rotation
from syncer.controlplane.certificates import Authority, Leaf, Lifetimes, Pair, split
from syncer.values import InvalidValue
from tests.unit.controlplane.handshakes import handshake

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
LATER = NOW + dt.timedelta(seconds=1)
WANTED = material.Wanted(
    secret="alpha-certs",
    namespace="team",
    cluster="alpha",
    leaves=(
        Leaf(file="server", common_name="server", names=frozenset({"localhost"})),
        Leaf(file="client", common_name="client"),
        Leaf(file="front", common_name="front", authority="front-proxy-ca"),
    ),
    lifetimes=Lifetimes(),
)


@pytest.fixture(scope="module")
def old():
    return material.complete({}, WANTED, NOW)


@pytest.fixture(scope="module")
def both(old):
    return material.complete(rotation.begun(old, WANTED, LATER), WANTED, LATER)


@pytest.fixture(scope="module")
def new(both):
    return material.complete(rotation.finished(both, WANTED), WANTED, LATER)


def shake_hands(server, client, **trusted):
    """Whether both sides are content."""
    try:
        return isinstance(handshake(server, client, **trusted), dict)
    except OSError:
        return False


def pair(files, leaf):
    return Pair(files[f"{leaf}.crt"], files[f"{leaf}.key"])


@pytest.mark.parametrize("server", ["old", "both"])
@pytest.mark.parametrize("client", ["old", "both"])
@pytest.mark.parametrize("server_trusts", ["old", "both"])
@pytest.mark.parametrize("client_trusts", ["old", "both"])
def test_before_and_during_a_rotation_everybody_understands_everybody(
    old, both, server, client, server_trusts, client_trusts, tmp_path
):
    files = {"old": old, "both": both}
    assert shake_hands(
        pair(files[server], "server"),
        pair(files[client], "client"),
        server_trusts=files[server_trusts]["ca.crt"],
        client_trusts=files[client_trusts]["ca.crt"],
        folder=tmp_path,
    )


@pytest.mark.parametrize("mine", ["both", "new"])
@pytest.mark.parametrize("other", ["both", "new"])
def test_while_a_rotation_ends_everybody_understands_everybody(both, new, mine, other, tmp_path):
    files = {"both": both, "new": new}
    assert shake_hands(
        pair(files[mine], "server"),
        pair(files[other], "client"),
        server_trusts=files[mine]["ca.crt"],
        client_trusts=files[other]["ca.crt"],
        folder=tmp_path,
    )


def test_in_the_end_the_old_ca_opens_nothing(old, new, tmp_path):
    assert not shake_hands(
        pair(new, "server"),
        pair(old, "client"),
        server_trusts=new["ca.crt"],
        client_trusts=new["ca.crt"],
        folder=tmp_path,
    )


def test_the_key_of_the_old_ca_is_forgotten_at_once_and_that_of_tokens_is_kept(old, both):
    assert old["ca.key"] not in both.values()
    assert old["front-proxy-ca.key"] not in both.values()
    assert both["sa.key"] == old["sa.key"]


def test_the_new_ca_signs_and_is_named_first(old, both):
    signing, trusted = split(both["ca.crt"])
    assert trusted == old["ca.crt"]
    leaf = x509.load_pem_x509_certificate(both["client.crt"])
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(signing))
    assert signing != trusted


def test_nothing_of_the_old_ca_is_left_in_the_end(old, new):
    assert len(split(new["ca.crt"])) == 1
    assert new.keys() == old.keys()
    assert [len(split(new[f"{leaf.file}.crt"])) for leaf in WANTED.leaves] == [1, 1, 1]


def test_all_is_well_between_the_two_steps(both):
    assert material.complete(both, WANTED, LATER) == both


def test_a_rotation_is_ended_before_the_next_begins(both):
    with pytest.raises(InvalidValue, match=r"Secret team/alpha-certs, key ca\.crt: .* rotate-ca --finish"):
        rotation.begun(both, WANTED, LATER)


def test_a_ca_that_has_expired_is_trusted_no_more(old):
    short = Authority.create("company", dt.timedelta(days=1), NOW)
    files = material.complete(succeeded(old, short), WANTED, NOW)
    files = material.complete(succeeded(files, Authority.create("next", dt.timedelta(days=9), NOW)), WANTED, NOW)
    assert len(split(files["ca.crt"])) == 3
    later = material.complete(files, WANTED, NOW + dt.timedelta(days=2))
    assert len(split(later["ca.crt"])) == 2


def test_a_ca_of_the_users_takes_the_place_of_ours(old, tmp_path):
    company = Authority.create("company", dt.timedelta(days=9), NOW)
    files = material.complete(succeeded(old, company), WANTED, NOW)
    assert files["ca.crt"] == company.certificate + old["ca.crt"]
    assert files["front-proxy-ca.crt"] == old["front-proxy-ca.crt"]
    assert shake_hands(
        pair(files, "server"),
        pair(old, "client"),
        server_trusts=files["ca.crt"],
        client_trusts=old["ca.crt"],
        folder=tmp_path,
    )


def test_the_same_ca_again_changes_nothing(old):
    company = Authority.create("company", dt.timedelta(days=9), NOW)
    files = material.complete(succeeded(old, company), WANTED, NOW)
    assert succeeded(files, company) == files


def test_a_ca_with_the_same_key_and_name_takes_over_what_the_one_before_has_signed():
    first = renewed_by_cert_manager(None)
    files = material.complete(succeeded({}, first), WANTED, NOW)
    after = material.complete(succeeded(files, renewed_by_cert_manager(first.key)), WANTED, NOW)
    assert len(split(after["ca.crt"])) == 1
    assert after["client.crt"] == files["client.crt"]


def test_a_ca_with_the_same_name_and_another_key_is_told_from_the_one_before(tmp_path):
    files = material.complete(succeeded({}, renewed_by_cert_manager(None)), WANTED, NOW)
    after = material.complete(succeeded(files, renewed_by_cert_manager(None)), WANTED, NOW)
    assert len(split(after["ca.crt"])) == 2
    for trusted in (files, after):
        assert shake_hands(
            pair(after, "server"),
            pair(files, "client"),
            server_trusts=after["ca.crt"],
            client_trusts=trusted["ca.crt"],
            folder=tmp_path,
        )


def succeeded(files, pair):
    return rotation.succeeded(files, "ca", pair, wanted=WANTED, now=NOW)


def renewed_by_cert_manager(key):
    """A CA as cert-manager makes it: RSA, the same name each time, PKCS #1."""
    private = serialization.load_pem_private_key(key, None) if key else rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tenant-ca")])
    public = private.public_key()
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number(), NOW, NOW + dt.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), pem)
