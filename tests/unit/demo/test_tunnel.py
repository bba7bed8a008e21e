"""The tunnel, with a program in the place of kubectl that serves one connection as `kubectl port-forward` does."""

from __future__ import annotations

import socket
import sys
import textwrap
from collections.abc import Sequence

import pytest

from demo.tunnel import tunnel
from lab.errors import LabError

ONE_CONNECTION = """
    import os, socket
    server = socket.create_server(("127.0.0.1", 0))
    print(f"Forwarding from 127.0.0.1:{server.getsockname()[1]} -> 8443", flush=True)
    near, _ = server.accept()
    while data := near.recv(1024):
        near.sendall(str(os.getpid()).encode() + b" heard " + data)
"""
REFUSED = """
    print("error: pod is not running")
"""


def program(text: str) -> Sequence[str]:
    return [sys.executable, "-c", textwrap.dedent(text)]


def ask(port: int, text: str) -> tuple[str, str]:
    """What the far end makes of a text: its process, and the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
        near.sendall(text.encode())
        near.shutdown(socket.SHUT_WR)
        answer = b""
        while data := near.recv(1024):
            answer += data
    process, _, rest = answer.decode().partition(" ")
    return process, rest


def test_each_connection_gets_a_forward_of_its_own():
    with tunnel(program(ONE_CONNECTION)) as port:
        answers = [ask(port, "hello") for _ in range(3)]

    assert [text for _, text in answers] == ["heard hello"] * 3
    assert len({process for process, _ in answers}) == 3


def test_connections_may_be_open_at_the_same_time():
    with tunnel(program(ONE_CONNECTION)) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as first:
        assert ask(port, "second")[1] == "heard second"
        first.sendall(b"first")

        assert first.recv(1024).endswith(b"heard first")


def test_a_forward_that_cannot_be_had_is_told_at_once():
    with pytest.raises(LabError, match="pod is not running"), tunnel(program(REFUSED)):
        pass


def test_nothing_listens_after_the_end():
    with tunnel(program(ONE_CONNECTION)) as port:
        pass

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
