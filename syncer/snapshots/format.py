"""What a snapshot's file looks like: a gzip stream of a header, pairs of key and value, and an end that proves all is there.

    magic, header            a line each; the header is JSON
    length, length, key, value      again and again; two big-endian numbers of 32 bits
    0, 0
    end                      JSON: how many pairs, and the SHA-256 of all before

Neither writing nor reading holds more than a pair in memory.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any

import orjson

_MAGIC = b"sublet snapshot 1\n"
_LENGTHS = struct.Struct(">II")
_LONGEST = (1 << 16, 1 << 28)  # of a key and of a value; stores take less
_LONGEST_LINE = 1 << 16


class Damaged(Exception):
    """The file is no snapshot, or not a whole one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is known before the first pair."""

    cluster: str
    """Name of the virtual cluster, on which the names of its host objects depend."""
    kubernetes: str
    """Version of its API server, such as `v1.36.3`."""
    store: str
    """Where the keys lay: the path of a switch below controlPlane.backingStore."""
    revision: int
    """The store's revision that the pairs are of."""
    time: str
    """When it was taken, in ISO 8601."""


class Writer:
    """Writes a snapshot; without `finish` it is not a whole one."""

    def __init__(self, out: IO[bytes], header: Header) -> None:
        self._out = gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0)
        self._hash = hashlib.sha256()
        self.count = 0
        self._write(_MAGIC + orjson.dumps(asdict(header)) + b"\n")

    def add(self, key: bytes, value: bytes) -> None:
        """Writes a pair."""
        self._write(_LENGTHS.pack(len(key), len(value)) + key + value)
        self.count += 1

    def finish(self) -> None:
        """Writes the end."""
        self._write(_LENGTHS.pack(0, 0))
        self._out.write(orjson.dumps({"count": self.count, "sha256": self._hash.hexdigest()}) + b"\n")
        self._out.close()

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._out.write(data)


class Reader:
    """Reads a snapshot. The file is whole only when `pairs` has come to its end without Damaged."""

    def __init__(self, file: IO[bytes]) -> None:
        self._in = gzip.GzipFile(fileobj=file, mode="rb")
        self._hash = hashlib.sha256()
        if self._line() != _MAGIC:
            raise Damaged("it is no snapshot of a virtual cluster, or one of a newer version")
        try:
            self.header = Header(**orjson.loads(self._line()))
        except (TypeError, orjson.JSONDecodeError) as error:
            raise Damaged("its header cannot be read") from error

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """All pairs in the order in which they were written. Raises Damaged."""
        count = 0
        while True:
            lengths = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
            if not lengths[0]:
                break
            if any(length > longest for length, longest in zip(lengths, _LONGEST, strict=True)):
                raise Damaged(f"there is something else after {count} keys")
            yield self._exactly(lengths[0]), self._exactly(lengths[1])
            count += 1
        digest = self._hash.hexdigest()
        if self._end() != {"count": count, "sha256": digest}:
            raise Damaged("what it holds is not what was written")

    def _end(self) -> Any:
        try:
            end = orjson.loads(self._line())
        except orjson.JSONDecodeError as error:
            raise Damaged("its end cannot be read") from error
        if self._read(1):
            raise Damaged("something comes after its end")
        return end

    def _line(self) -> bytes:
        with _readable():
            line = self._in.readline(_LONGEST_LINE)
        self._hash.update(line)
        return line

    def _exactly(self, length: int) -> bytes:
        data = self._read(length)
        if len(data) != length:
            raise Damaged("it ends too early")
        self._hash.update(data)
        return data

    def _read(self, length: int) -> bytes:
        with _readable():
            return self._in.read(length)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Tells what gzip says about a file as Damaged."""
    try:
        yield
    except EOFError as error:
        raise Damaged("it ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise Damaged(f"it is no snapshot, or damaged: {error}") from error


def verify(file: IO[bytes]) -> tuple[Header, int]:
    """Reads a whole file and goes back to its beginning; gives its header and the number of pairs. Raises Damaged."""
    reader = Reader(file)
    count = sum(1 for _ in reader.pairs())
    file.seek(0)
    return reader.header, count
