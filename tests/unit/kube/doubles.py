"""Stand-ins for both ends of the room: an API server that is a plain function, and a sink that remembers.

    client = Client(MockTransport(handler), NoCredentials(), name="test")

`handler` takes a `Request` and returns a `Response`, or a `Stream` for a watch. A stream's parts are chunks, exceptions to raise, or
SILENCE, after which nothing comes any more.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from syncer.kube.credentials import Credentials
from syncer.kube.errors import Unreachable
from syncer.kube.resource import Resource
from syncer.kube.transport import Response, StreamResponse
from syncer.names import Object

CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)


class Part(Enum):
    """What else than bytes a stream can hold."""

    SILENCE = "nothing more comes, and the connection stays"


SILENCE = Part.SILENCE


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sent."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body or b"null")

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return self.query.get("watch") == "true"


@dataclass(frozen=True, slots=True)
class Stream:
    """The answer to a watch."""

    parts: Iterable[bytes | Exception | Part] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Response | Stream
Handler = Callable[[Request], Answer | Awaitable[Answer]]


class MockTransport:
    """A Transport whose server is a function. `requests` holds what it was asked, `open` the number of streams in use."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[Request] = []
        self.open = 0
        self.reconnected = 0
        self._handler = handler

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        answer = await self._answer(Request(method, path, dict(query), body, headers))
        assert isinstance(answer, Response)
        return answer

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[StreamResponse]:
        answer = await self._answer(Request("GET", path, dict(query), None, headers))
        if isinstance(answer, Response):
            answer = Stream([answer.body], answer.status, answer.headers)
        self.open += 1
        try:
            yield _MockStream(answer)
        finally:
            self.open -= 1

    async def reconnect(self) -> None:
        self.reconnected += 1

    async def close(self) -> None:
        pass

    async def _answer(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self._handler(request)
        return answer if isinstance(answer, Response | Stream) else await answer


class _MockStream:
    def __init__(self, stream: Stream) -> None:
        self.status = stream.status
        self.headers = stream.headers
        self._parts = stream.parts

    async def read_all(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, Part):
                await asyncio.Event().wait()
            else:
                yield part


class NoCredentials(Credentials):
    """Credentials of nobody in particular."""

    def __init__(self, token: str | None = None) -> None:
        super().__init__("https://server", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), token=token)


class Clock:
    """Seconds that pass when told."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class MemorySink:
    """A sink that keeps objects by (namespace, name), and a line for every call in `calls`."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.calls: list[str] = []
        self.version = ""
        self.synced = asyncio.Event()
        self._listed: set[tuple[str, str]] = set()

    def begin(self) -> None:
        self.calls.append("begin")
        self._listed = set()

    def put(self, obj: Object) -> None:
        self._listed.add(self._store("put", obj))

    def end(self) -> None:
        self.calls.append("end")
        for key in self.objects.keys() - self._listed:
            self.calls.append(f"gone {key[1]}")
            del self.objects[key]
        self.synced.set()

    def changed(self, obj: Object) -> None:
        self._store("changed", obj)

    def deleted(self, obj: Object) -> None:
        self.calls.append(f"deleted {obj['metadata']['name']}")
        self.objects.pop(_key(obj), None)

    def bookmark(self, resource_version: str) -> None:
        self.calls.append(f"bookmark {resource_version}")
        self.version = resource_version

    @property
    def names(self) -> list[str]:
        """The names of the objects it holds."""
        return sorted(name for _, name in self.objects)

    def _store(self, call: str, obj: Object) -> tuple[str, str]:
        self.calls.append(f"{call} {obj['metadata']['name']}")
        self.objects[_key(obj)] = obj
        return _key(obj)


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(status, headers or {}, orjson.dumps(body))


def refusal(
    status: int, reason: str = "", message: str = "no", *, headers: Mapping[str, str] | None = None, **details: Any
) -> Response:
    """An answer that is a Status."""
    return answer(failure(status, reason, message, **details), status, headers)


def failure(status: int, reason: str = "", message: str = "no", **details: Any) -> Object:
    """A Status that tells of a failure."""
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": status, "reason": reason, "message": message, "details": details,
    }  # fmt: skip


def configmap(name: str, version: int | str = 1, **more: Any) -> Object:
    """A ConfigMap in namespace `ns`; `more` goes to its top level."""
    metadata = {"name": name, "namespace": "ns", "resourceVersion": str(version), "uid": f"uid-{name}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **more}


def event(kind: str, obj: Object) -> bytes:
    """One line of a watch."""
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def bookmark(version: int | str, *, ends_listing: bool = False) -> bytes:
    """The line of a bookmark, which carries an object that is none."""
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if ends_listing:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event("BOOKMARK", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def broken() -> Unreachable:
    """What a transport raises when the connection breaks."""
    return Unreachable("the connection broke")
