"""Lets this process speak from inside a network namespace, where Service IPs of the host cluster can be reached."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from lab import layout

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def entered(namespace: str) -> Iterator[None]:
    """The calling thread, and those and the programs that it starts, are in that namespace as long as the context lasts."""
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _enter(layout.namespace_path(namespace))
        try:
            yield
        finally:
            _set(outside)
    finally:
        os.close(outside)


def _enter(path: Path) -> None:
    there = os.open(path, os.O_RDONLY)
    try:
        _set(there)
    finally:
        os.close(there)


def _set(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
