"""A client for what all stores speak: those requests of the etcd API that kube-apiserver itself sends, since kine knows no others."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError

from syncer.snapshots import messages
from syncer.values import Store as Settings

_PAGE_BYTES = 4 << 20
"""So much one answer should hold; the first page learns how many keys that is."""
_PAGE_KEYS = range(1, 1001)
_FIRST_PAGE = 50
_ANSWER = 60.0  # seconds; counting many keys takes a database a while
_PAUSE = 0.5


class StoreError(Exception):
    """The store did not do what was asked."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A key below the prefix, without it, and what it holds."""

    key: bytes
    value: bytes
    revision: int
    """Of its last change."""
    leased: bool
    """Whether it goes away by itself, as events do."""


class Store:
    """One virtual cluster's keys: all below a prefix."""

    def __init__(self, channel: Channel, prefix: str) -> None:
        self._channel = channel
        self._prefix = f"/{prefix.strip('/')}/".encode()
        self._range = self._method("Range", messages.RangeRequest, messages.RangeResponse)
        self._txn = self._method("Txn", messages.TxnRequest, messages.TxnResponse)
        self._compact = self._method("Compact", messages.CompactionRequest, messages.CompactionResponse)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    async def revision(self) -> int:
        """That of the last change to the store."""
        answer = await self._call(self._range, messages.RangeRequest(key=self._prefix, range_end=self._end, limit=1))
        revision: int = answer.header.revision
        return revision

    async def pages(self, revision: int, *, keys_only: bool = False) -> AsyncIterator[list[Pair]]:
        """All pairs as they were at that revision, in the order of their keys."""
        key, limit = self._prefix, _FIRST_PAGE
        while True:
            request = messages.RangeRequest(
                key=key, range_end=self._end, limit=limit, revision=revision, keys_only=keys_only
            )
            answer = await self._call(self._range, request)
            pairs = [self._pair(found) for found in answer.kvs]
            if pairs:
                yield pairs
            if not answer.more or not pairs:
                return
            key = answer.kvs[-1].key + b"\0"
            mean = sum(len(pair.key) + len(pair.value) for pair in pairs) // len(pairs) + 1
            limit = min(max(_PAGE_BYTES // mean, _PAGE_KEYS.start), _PAGE_KEYS.stop - 1)

    async def get(self, key: bytes) -> Pair | None:
        """One pair, or None."""
        answer = await self._call(self._range, messages.RangeRequest(key=self._prefix + key))
        return self._pair(answer.kvs[0]) if answer.kvs else None

    async def create(self, key: bytes, value: bytes) -> bool:
        """Writes a pair if the key is new; says whether it was."""
        return await self._put(key, value, 0)

    async def update(self, pair: Pair, value: bytes) -> bool:
        """Writes a pair's value if it has not changed; says whether that was so."""
        return await self._put(pair.key, value, pair.revision)

    async def delete(self, key: bytes) -> None:
        """Removes a pair if it is there."""
        key = self._prefix + key
        request = messages.TxnRequest()
        request.success.add().request_range.key = key
        request.success.add().request_delete_range.key = key
        await self._call(self._txn, request)

    async def compact(self, revision: int) -> None:
        """Lets the store forget what was before that revision, if it does that on request."""
        with contextlib.suppress(StoreError):
            await self._call(self._compact, messages.CompactionRequest(revision=revision))

    async def _put(self, key: bytes, value: bytes, revision: int) -> bool:
        key = self._prefix + key
        request = messages.TxnRequest()
        request.compare.add(target=messages.MOD, key=key, mod_revision=revision)
        put = request.success.add().request_put
        put.key, put.value = key, value
        if revision:
            request.failure.add().request_range.key = key
        answer = await self._call(self._txn, request)
        succeeded: bool = answer.succeeded
        return succeeded

    @property
    def _end(self) -> bytes:
        return self._prefix[:-1] + b"0"  # the character after "/"

    def _pair(self, found: Any) -> Pair:
        return Pair(found.key.removeprefix(self._prefix), found.value, found.mod_revision, leased=found.lease != 0)

    def _method(self, name: str, request: Any, answer: Any) -> UnaryUnaryMethod[Any, Any]:
        return UnaryUnaryMethod(self._channel, f"/etcdserverpb.KV/{name}", request, answer)

    async def _call(self, method: UnaryUnaryMethod[Any, Any], request: Any) -> Any:
        try:
            return await method(request, timeout=_ANSWER)
        except (GRPCError, StreamTerminatedError, OSError, TimeoutError) as error:
            text = error.message if isinstance(error, GRPCError) else error
            raise StoreError(f"{text or type(error).__name__}") from error


async def connect(settings: Settings, *, patience: float) -> Store:
    """A connection to the first endpoint that answers within `patience` seconds. Raises StoreError."""
    deadline = time.monotonic() + patience
    while True:
        for endpoint in settings.endpoints:
            store = Store(_channel(endpoint, settings), settings.prefix)
            try:
                await store.revision()
            except StoreError as error:
                store.close()
                failure = f"{endpoint}: {error}"
            else:
                return store
        if time.monotonic() > deadline:
            raise StoreError(f"the store does not answer: {failure}")
        await asyncio.sleep(_PAUSE)


def _channel(endpoint: str, settings: Settings) -> Channel:
    parts = urlsplit(endpoint)
    if parts.scheme == "unix":
        return Channel(path=parts.path)
    secured: ssl.SSLContext | None = None
    if parts.scheme == "https":
        secured = ssl.create_default_context(cafile=settings.ca_file or None)
        secured.set_alpn_protocols(["h2"])
        if settings.cert_file:
            secured.load_cert_chain(settings.cert_file, settings.key_file)
    return Channel(parts.hostname, parts.port or 2379, ssl=secured)
