"""X.509 as Kubernetes wants it, strict enough for RFC 5280 checks: authorities, leaves, and when a leaf must be made anew.

Only commands that end import this module, so that the running syncer does not carry the cryptography library. All keys are
ECDSA P-256; everything goes in and out as PEM.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BACKDATE = dt.timedelta(minutes=5)  # for clocks that are behind ours
_RENEW_AT = 2 / 3  # of a leaf's life


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long new certificates are valid."""

    authority: dt.timedelta = dt.timedelta(days=3650)
    leaf: dt.timedelta = dt.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate that is wanted: a server's if it has `names` (DNS names and IPs), else a client's."""

    file: str
    """Its name without .crt and .key."""
    common_name: str
    """For a client: the user's name."""
    organization: str = ""
    """For a client: the user's group."""
    names: frozenset[str] = frozenset()
    authority: str = "ca"
    """File name of the authority that signs it."""
    peer: bool = False
    """A server that is a client of its like too, as the members of an etcd are."""

    @property
    def usages(self) -> tuple[x509.ObjectIdentifier, ...]:
        """What the certificate may be used for."""
        server = (ExtendedKeyUsageOID.SERVER_AUTH,) if self.names else ()
        client = (ExtendedKeyUsageOID.CLIENT_AUTH,) if self.peer or not self.names else ()
        return server + client


class Authority:
    """A CA that can sign. Raises ValueError, saying which half is bad, if the pair is none.

    Of several certificates in the pair the first one counts. `chain` goes behind each leaf: certificates (PEM) that lead those to this
    CA who know another one only.
    """

    def __init__(self, pair: Pair, chain: bytes = b"") -> None:
        try:
            self._certificate = x509.load_pem_x509_certificate(pair.certificate)
            self._chain = _certificates_of(chain)
        except ValueError as error:
            raise ValueError("the certificate cannot be read") from error
        try:
            key = serialization.load_pem_private_key(pair.key, password=None)
        except (ValueError, TypeError) as error:
            raise ValueError("the private key cannot be read") from error
        if key.public_key() != self._certificate.public_key():
            raise ValueError("certificate and private key do not belong together")
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("the private key is neither an elliptic curve nor an RSA key")
        if not _is_authority(self._certificate):
            raise ValueError("the certificate is not that of a CA, which may sign others")
        self._key = key

    @staticmethod
    def create(common_name: str, lifetime: dt.timedelta, now: dt.datetime) -> Pair:
        """A new self-signed CA."""
        key = _new_key()
        name = _subject(common_name)
        public = key.public_key()
        certificate = (
            _builder(name, public, now - _BACKDATE, now + lifetime)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs=True), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
            .sign(key, hashes.SHA256())
        )
        return Pair(_pem(certificate), _private_pem(key))

    @property
    def certificate(self) -> bytes:
        """Its own certificate alone."""
        return _pem(self._certificate)

    @property
    def expires(self) -> dt.datetime:
        """When nothing that it has signed is accepted any more."""
        return self._certificate.not_valid_after_utc

    def issue(self, leaf: Leaf, lifetime: dt.timedelta, now: dt.datetime) -> Pair:
        """A new certificate and key; it does not outlive the CA."""
        key = _new_key()
        until = min(now + lifetime, self.expires)
        subject = _subject(leaf.common_name, leaf.organization)
        builder = (
            _builder(subject, key.public_key(), now - min(_BACKDATE, lifetime / 20), until)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(leaf.usages), critical=False)
            .add_extension(self._identifier(), critical=False)
        )
        if leaf.names:
            alternatives = x509.SubjectAlternativeName([_general_name(name) for name in sorted(leaf.names)])
            builder = builder.add_extension(alternatives, critical=False)
        certificates = [builder.sign(self._key, hashes.SHA256()), *self._chain]
        return Pair(b"".join(map(_pem, certificates)), _private_pem(key))

    def introduce(self, other: Authority, now: dt.datetime) -> bytes:
        """A certificate that leads those who know this CA only to `other` and what that has signed."""
        theirs = other._certificate
        until = min(self.expires, other.expires)
        certificate = (
            _builder(theirs.subject, other._key.public_key(), now - _BACKDATE, until)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs=True), critical=True)
            .add_extension(self._identifier(), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pem(certificate)

    def replaces(self, other: Authority) -> bool:
        """Whether what `other` has signed holds under this CA too: the same name and key, with another validity perhaps."""
        return (
            self._certificate.subject == other._certificate.subject
            and self._key.public_key() == other._key.public_key()
        )

    def fault(self, leaf: Leaf, pair: Pair, now: dt.datetime) -> str:
        """Why `pair` must be made anew to be `leaf`; empty when it is good."""
        try:
            certificate, *chain = x509.load_pem_x509_certificates(pair.certificate)
            key = serialization.load_pem_private_key(pair.key, password=None)
        except (ValueError, TypeError):
            return "it cannot be read"
        if key.public_key() != certificate.public_key():
            return "certificate and key do not belong together"
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return "it was signed by another CA"
        if certificate.subject != _subject(leaf.common_name, leaf.organization):
            return "it has another subject"
        missing = {_general_name(name) for name in leaf.names} - _names_of(certificate)
        if missing:
            return f"it lacks the names {', '.join(sorted(str(name.value) for name in missing))}"
        if chain != self._chain:
            return "it leads to other CAs than it should"
        if now >= _due(certificate):
            return f"it expires at {certificate.not_valid_after_utc.isoformat()}"
        return ""

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        """How leaves point to this CA."""
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(_own_identifier(self._certificate))


def due(certificate: bytes) -> dt.datetime:
    """When a leaf is to be renewed."""
    return _due(x509.load_pem_x509_certificate(certificate))


def split(pem: bytes) -> list[bytes]:
    """The certificates of a text one by one. Raises ValueError, also when there are none."""
    return [_pem(one) for one in x509.load_pem_x509_certificates(pem)]


def unexpired(pem: bytes, now: dt.datetime) -> bytes:
    """Those certificates of a text, which may be empty, that have not expired."""
    return b"".join(_pem(one) for one in _certificates_of(pem) if one.not_valid_after_utc > now)


def new_signing_key() -> tuple[bytes, bytes]:
    """Private and public key for service account tokens."""
    key = _new_key()
    return _private_pem(key), public_half(_private_pem(key))


def public_half(private: bytes) -> bytes:
    """The public key of a private one. Raises ValueError if that cannot be read."""
    try:
        key = serialization.load_pem_private_key(private, password=None)
    except TypeError as error:
        raise ValueError("the private key is encrypted") from error
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _certificates_of(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem) if pem.strip() else []


def _due(certificate: x509.Certificate) -> dt.datetime:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * _RENEW_AT


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    begin: dt.datetime,
    end: dt.datetime,
    identifier: x509.SubjectKeyIdentifier | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(identifier or x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _own_identifier(authority: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """What a CA calls itself, or its key if it gives itself no name."""
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(authority.public_key())


def _subject(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
