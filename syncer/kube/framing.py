"""Cuts the byte stream of a watch into lines, and unpacks gzip in case somebody on the way packed it.

An API server writes one JSON document per line. A line can be larger than any buffer (an object of 1.5 MB arrives in
dozens of chunks), and a gzip body can consist of several members, one per flush of the server; both are plain here,
where HTTP libraries have limits or drop data. Neither class does I/O.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from syncer.kube.errors import Unreachable

_GZIP = 16 + zlib.MAX_WBITS


class LineSplitter:
    """Collects chunks and gives complete lines, without their line end. Linear in the bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The non-empty lines that `chunk` completes."""
        first, *others = chunk.split(b"\n")
        self._parts.append(first)
        if not others:
            return []
        lines = [b"".join(self._parts), *others]
        self._parts = [lines.pop()]
        return [line for line in lines if line]


class Gunzip:
    """Unpacks a gzip body of any number of members, as far as its chunks allow."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> bytes:
        """The plain bytes of `chunk`. Raises Unreachable when it is not gzip."""
        parts = []
        try:
            while chunk:
                if self._member.eof:
                    self._member = zlib.decompressobj(_GZIP)
                parts.append(self._member.decompress(chunk))
                chunk = self._member.unused_data
        except zlib.error as error:
            raise Unreachable("the answer says it is gzip, but is not") from error
        return b"".join(parts)


class Plain:
    """Takes the place of Gunzip for a body that nobody packed."""

    def feed(self, chunk: bytes) -> bytes:
        """`chunk` itself."""
        return chunk


def unpacker(headers: Mapping[str, str]) -> Gunzip | Plain:
    """What turns a body's chunks into plain bytes, judged by its headers (names in lower case)."""
    return Gunzip() if headers.get("content-encoding", "").lower() == "gzip" else Plain()
