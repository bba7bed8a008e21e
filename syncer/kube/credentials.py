"""Who we are towards an API server, kept fresh while the process runs.

Everything here expires: projected tokens are rewritten at about 80 % of their hour, client certificates and CAs are
renewed in place. Tokens are read again every half minute and at once after a 401; certificates are loaded into the live
SSLContext when their files change, and count from the next handshake on. Files are small and local, so they are read on
the event loop.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_AGE = 30.0  # seconds that a token once read is used without looking at its file


_UNSUPPORTED = {"exec", "auth-provider", "username", "as", "proxy-url", "tls-server-name"}


class CredentialsError(Exception):
    """The kubeconfig or the service account files cannot be used; the message says why and what is supported."""


class Credentials:
    """The address of an API server, the TLS context for it, and a bearer token if there is one.

    `token` is a file that is followed, or a fixed text. `certificate` (chain, key) and `authority` are PEM files that
    are followed by `refresh`. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        server: str,
        ssl_context: ssl.SSLContext,
        *,
        token: Path | str | None = None,
        certificate: tuple[Path, Path] | None = None,
        authority: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        self.ssl_context = ssl_context
        self._token_file = token if isinstance(token, Path) else None
        self._token = token if isinstance(token, str) else None
        self._token_read = float("-inf")
        self._certificate = certificate
        self._authority = authority
        self._clock = clock
        if certificate is not None:
            ssl_context.load_cert_chain(*certificate)
        if authority is not None:
            ssl_context.load_verify_locations(authority)
        self._stamps = self._stat()

    @classmethod
    def in_cluster(cls, folder: Path = SERVICE_ACCOUNT, *, strict: bool = False) -> Credentials:
        """Those of the pod's own service account; `strict` as in `tls_context`."""
        try:
            host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        except KeyError as error:
            raise CredentialsError(f"not inside a cluster: {error} is not set") from error
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        for file in (folder / "token", folder / "ca.crt"):
            if not file.is_file():
                raise CredentialsError(f"{file} is missing: mount the service account's token and CA there")
        return cls(server, tls_context(strict=strict), token=folder / "token", authority=folder / "ca.crt")

    @classmethod
    def from_kubeconfig(cls, path: Path, *, strict: bool = False) -> Credentials:
        """Those of the current context of a kubeconfig; `strict` as in `tls_context`.

        Understands tokens, client certificates and CAs, inline or as files beside the kubeconfig.
        """
        cluster, user = _current(path)
        context = tls_context(strict=strict, insecure=bool(cluster.get("insecure-skip-tls-verify")))
        authority_data = _inline(cluster, "certificate-authority-data", path)
        authority = _file(cluster, "certificate-authority", path)
        if authority_data:
            context.load_verify_locations(cadata=authority_data.decode())
        elif authority is None:
            context.load_default_certs()
        certificate_data, key_data = (_inline(user, f"client-{part}-data", path) for part in ("certificate", "key"))
        if certificate_data and key_data:
            _load_pair(context, certificate_data, key_data)
        certificate, key = _file(user, "client-certificate", path), _file(user, "client-key", path)
        token_file = _file(user, "tokenFile", path)
        return cls(
            str(cluster["server"]),
            context,
            token=token_file or user.get("token"),
            certificate=(certificate, key) if certificate and key and not certificate_data else None,
            authority=None if authority_data else authority,
        )

    def authorization(self) -> str | None:
        """The Authorization header of a request that starts now."""
        if self._token_file is not None and self._clock() - self._token_read >= _TOKEN_AGE:
            self._read_token(self._token_file)
        return f"Bearer {self._token}" if self._token else None

    def renewed(self, refused: str | None) -> bool:
        """After a 401: reads the token again, and says whether there is now another than the refused header's."""
        if self._token_file is not None:
            self._read_token(self._token_file)
        return self.authorization() != refused

    def refresh(self) -> bool:
        """Loads certificates whose files changed; True if any did. To be called every 20 s or so.

        While a rotation is half done (a certificate whose key is not there yet) the old pair stays, until the next
        call.
        """
        stamps = self._stat()
        if stamps == self._stamps:
            return False
        try:
            if self._certificate is not None:
                tls_context().load_cert_chain(
                    *self._certificate
                )  # a failure would leave the live context without a key
                self.ssl_context.load_cert_chain(*self._certificate)
            if self._authority is not None:
                self.ssl_context.load_verify_locations(self._authority)
        except (OSError, ssl.SSLError):
            return False
        self._stamps = stamps
        return True

    def _read_token(self, file: Path) -> None:
        try:
            self._token = file.read_text().strip()
        except OSError:
            return  # a mount in the middle of an update: the old token is the best there is
        self._token_read = self._clock()

    def _stat(self) -> list[tuple[int, int]]:
        files = [*(self._certificate or ()), *([self._authority] if self._authority else [])]
        stamps = []
        for file in files:
            try:
                status = file.stat()
            except OSError:
                stamps.append((0, 0))
            else:
                stamps.append((status.st_mtime_ns, status.st_ino))
        return stamps


def tls_context(*, strict: bool = False, insecure: bool = False) -> ssl.SSLContext:
    """A context without any CA yet.

    `strict` demands what RFC 5280 demands of certificates. Python 3.13 does by default, and then refuses the CAs of
    many running clusters for a missing authority key identifier; trust here rests on the one CA that was handed to us,
    so the default is off. As with Kubernetes' own clients, an intermediate CA may be the anchor.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    else:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _current(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster and the user of a kubeconfig's current context."""
    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster: dict[str, Any] = _named(config, "clusters", context["cluster"])["cluster"]
        user: dict[str, Any] = _named(config, "users", context["user"]).get("user") or {}
        cluster["server"]
    except OSError as error:
        raise CredentialsError(f"cannot read kubeconfig {path}: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise CredentialsError(f"kubeconfig {path} is not complete: {error}") from error
    unsupported = sorted(_UNSUPPORTED & (user.keys() | cluster.keys()))
    if unsupported:
        raise CredentialsError(
            f"kubeconfig {path} uses {', '.join(unsupported)}; use a token or a client certificate instead"
        )
    return cluster, user


def _named(config: Any, section: str, name: str) -> dict[str, Any]:
    for entry in config[section]:
        if entry["name"] == name:
            return dict(entry)
    raise KeyError(f"{section} has no {name!r}")


def _file(entry: dict[str, Any], field: str, kubeconfig: Path) -> Path | None:
    return kubeconfig.parent / entry[field] if entry.get(field) else None


def _inline(entry: dict[str, Any], field: str, kubeconfig: Path) -> bytes | None:
    try:
        return base64.b64decode(entry[field]) if entry.get(field) else None
    except binascii.Error as error:
        raise CredentialsError(f"kubeconfig {kubeconfig}: {field} is not base64") from error


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Loads an inline pair. ssl takes files only: it gets one in memory, or briefly on disk where that is not Linux."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("client"), "wb") as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
