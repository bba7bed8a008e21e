"""TLS handshakes between two who check each other as strictly as Python does by default since 3.13: with the rules of RFC 5280."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from syncer.controlplane.certificates import Pair


def handshake(
    server: Pair,
    client: Pair,
    *,
    server_trusts: bytes,
    client_trusts: bytes,
    folder: Path,
    name: str = "localhost",
) -> Any:
    """What a server called `name` sees of the client, or why it is not content. Raises OSError when the client is not."""
    serving = _context(ssl.Purpose.CLIENT_AUTH, server, server_trusts, folder / "server")
    calling = _context(ssl.Purpose.SERVER_AUTH, client, client_trusts, folder / "client")
    ours, theirs = socket.socketpair()
    seen: list[Any] = []

    def serve() -> None:
        try:
            with serving.wrap_socket(theirs, server_side=True) as connection:
                seen.append(connection.getpeercert())
                connection.sendall(b"x")
        except OSError as error:
            seen.append(error)
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with calling.wrap_socket(ours, server_hostname=name) as connection:
            connection.recv(1)
    finally:
        thread.join()
    return seen[0]


def _context(purpose: ssl.Purpose, pair: Pair, trusted: bytes, folder: Path) -> ssl.SSLContext:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca").write_bytes(trusted)
    (folder / "pair").write_bytes(pair.certificate + pair.key)
    context = ssl.create_default_context(purpose, cafile=str(folder / "ca"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "pair")
    return context
