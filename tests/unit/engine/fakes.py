"""An API server in memory, and an event loop whose clock jumps instead of waiting."""

from __future__ import annotations

import asyncio
import copy
import selectors
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from syncer.engine.index import Index
from syncer.kube.client import Page
from syncer.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, KubeError, NotFound
from syncer.kube.resource import Resource
from syncer.kube.transport import Response
from syncer.names import Object
from tests.unit.builders import merged

_RETURNED_WHEN_DELETED = ("persistentvolumeclaims", "pods", "services")
"""Kinds whose DELETE is answered with the object, also when it is gone; for others that means that it lingers."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    verb: str
    resource: str
    name: str
    body: Any = field(default=None, compare=False)
    subresource: str | None = None
    options: Any = field(default=None, compare=False)

    def __str__(self) -> str:
        path = f"{self.resource}/{self.name}"
        return f"{self.verb} {path}/{self.subresource}" if self.subresource else f"{self.verb} {path}"


class FakeServer:
    """What a Client offers, answered from memory.

    `watch` links indexes by resource key: each change is kept until `tell` hands it to them, as a watch would, later than the answer
    to the request that made it. `refuse` makes the next matching requests fail.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.watch: dict[str, list[Index]] = {}
        self.mutate: Callable[[str, Object], Object] = lambda _resource, obj: obj
        """Admission on this server: changes objects before they are stored."""
        self.serves: dict[str, list[Object]] = {}
        """Path of an API version -> what it says it serves."""
        self.news_came = asyncio.Event()
        self._news: list[tuple[str, str, Object]] = []
        self._refusals: list[tuple[str, str, KubeError, int | None]] = []
        self._version = 100
        self._made = 0

    # -- for tests -----------------------------------------------------------------------------------------------------

    @property
    def said(self) -> list[str]:
        """All requests but reads, as text."""
        return [str(call) for call in self.calls if call.verb not in ("get", "list")]

    def bodies(self, said: str) -> list[Any]:
        """Bodies of the requests that read so."""
        return [call.body for call in self.calls if str(call) == said]

    def refuse(self, verb: str, resource: str, error: KubeError, *, times: int | None = 1) -> None:
        """The next `times` such requests fail; None = all."""
        self._refusals.append((verb, resource, error, times))

    def accept(self) -> None:
        """Nothing is refused any more."""
        self._refusals.clear()

    def put(self, resource: str, obj: Object) -> Object:
        """Stores an object from outside, new or changed; gives it what a server gives."""
        stored = copy.deepcopy(obj)
        key = self._key(resource, stored["metadata"].get("namespace", ""), stored["metadata"]["name"])
        stored["metadata"].setdefault("uid", self._uid())
        return self._store(key, stored)

    def change(self, resource: str, namespace: str, name: str, patch: Object) -> Object:
        """Merge-patches an object from outside."""
        key = self._key(resource, namespace, name)
        return self._store(key, merged(self.objects[key], patch))

    def remove(self, resource: str, namespace: str, name: str) -> Object:
        """Removes an object from outside."""
        return self._drop(self._key(resource, namespace, name))

    def of(self, resource: str) -> list[Object]:
        """All objects of a kind."""
        return [obj for (kind, _, _), obj in self.objects.items() if kind == resource]

    def find(self, resource: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self.objects.get(self._key(resource, namespace, name))

    def tell(self) -> bool:
        """Hands all news to the indexes; returns whether there was any."""
        news, self._news = self._news, []
        self.news_came.clear()
        for kind, resource, obj in news:
            for index in self.watch.get(resource, ()):
                told = copy.deepcopy(obj)
                index.deleted(told) if kind == "gone" else index.changed(told)
        return bool(news)

    def list_into(self, resource: str, index: Index) -> None:
        """A complete listing."""
        index.begin()
        for obj in self.of(resource):
            index.put(copy.deepcopy(obj))
        index.end()

    # -- what a Client offers --------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        await self._received("get", resource, name)
        return copy.deepcopy(self._existing(resource, namespace, name)[1])

    async def list(self, resource: Resource, namespace: str | None = None, **_: Any) -> list[Object]:
        await self._received("list", resource, "")
        return [copy.deepcopy(obj) for obj in self.of(resource.key)]

    async def pages(self, resource: Resource, namespace: str | None = None, **_: Any) -> AsyncIterator[Page]:
        """One object a page."""
        await self._received("list", resource, "")
        for obj in self.of(resource.key):
            yield Page([copy.deepcopy(obj)], "0")

    async def create(
        self, resource: Resource, obj: Object, *, namespace: str | None = None, dry_run: bool = False
    ) -> Object:
        name = obj["metadata"].get("name", "")
        await self._received("create", resource, name, obj, options={"dry_run": dry_run})
        key = self._key(resource.key, namespace, name)
        if key in self.objects:
            raise AlreadyExists(409, "AlreadyExists", f'{resource.plural} "{name}" already exists')
        stored = copy.deepcopy(obj)
        stored["metadata"] |= {"uid": self._uid()} | ({"namespace": namespace} if namespace else {})
        if resource.plural == "services":
            stored.setdefault("status", {"loadBalancer": {}})
        if dry_run:
            return stored
        return copy.deepcopy(self._store(key, self.mutate(resource.key, stored)))

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Object,
        *,
        subresource: str | None = None,
        content_type: str | None = None,
        field_manager: str | None = None,
        force: bool = False,
    ) -> Object:
        options = {"content_type": content_type, "field_manager": field_manager, "force": force}
        await self._received("patch", resource, name, patch, subresource, options)
        if content_type == "apply":
            known = self.find(resource.key, namespace or "", name)
            return copy.deepcopy(self._store(self._key(resource.key, namespace, name), merged(known or {}, patch)))
        key, known = self._existing(resource, namespace, name)
        for mark in ("uid", "resourceVersion"):
            asked = (patch.get("metadata") or {}).get(mark)
            if asked and asked != known["metadata"][mark]:
                raise Conflict(409, "Conflict", f"the {mark} in the precondition does not match")
        after = self.mutate(resource.key, merged(known, patch))
        if after == known:
            return copy.deepcopy(known)
        return copy.deepcopy(self._store(key, after))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        grace_seconds: int | None = None,
        uid: str | None = None,
    ) -> Object | None:
        await self._received("delete", resource, name, options={"grace": grace_seconds, "uid": uid})
        key, known = self._existing(resource, namespace, name)
        if uid is not None and uid != known["metadata"]["uid"]:
            raise Conflict(409, "Conflict", "the UID in the precondition does not match")
        runs = resource.plural == "pods" and known["spec"].get("nodeName") and grace_seconds != 0
        if runs or known["metadata"].get("finalizers"):
            marks = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace_seconds or 0}
            return self._store(key, merged(known, {"metadata": marks}))
        self._drop(key)
        return known if resource.plural in _RETURNED_WHEN_DELETED else None

    async def raw(self, method: str, path: str) -> Response:
        self.calls.append(Call("get", "raw", path))
        if path not in self.serves:
            return Response(404, {}, b"404 page not found")
        return Response(200, {}, orjson.dumps({"resources": self.serves[path]}))

    async def post_subresource(
        self, resource: Resource, namespace: str | None, name: str, subresource: str, body: Object
    ) -> Object:
        await self._received("create", resource, name, body, subresource)
        if subresource == "token":
            granted = {"token": f"token-of-{name}", "expirationTimestamp": "1970-01-01T01:00:00Z"}
            return {**body, "status": granted}
        key, known = self._existing(resource, namespace, name)
        if subresource == "binding":
            if known["spec"].get("nodeName"):
                raise Conflict(409, "Conflict", "the pod is already assigned to a node")
            scheduled = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
            self._store(key, merged(known, {"spec": {"nodeName": body["target"]["name"]}, "status": scheduled}))
        return {"kind": "Status"}

    # -- inside ----------------------------------------------------------------------------------------------------------

    async def _received(
        self,
        verb: str,
        resource: Resource,
        name: str,
        body: Any = None,
        subresource: str | None = None,
        options: Any = None,
    ) -> None:
        self.calls.append(Call(verb, resource.key, name, copy.deepcopy(body), subresource, options))
        await asyncio.sleep(0)
        for number, (refused, kind, error, times) in enumerate(self._refusals):
            if refused == verb and kind == resource.key:
                if times == 1:
                    del self._refusals[number]
                elif times is not None:
                    self._refusals[number] = (refused, kind, error, times - 1)
                raise error

    @staticmethod
    def _key(resource: str, namespace: str | None, name: str) -> tuple[str, str, str]:
        return resource, namespace or "", name

    def _existing(self, resource: Resource, namespace: str | None, name: str) -> tuple[tuple[str, str, str], Object]:
        key = self._key(resource.key, namespace, name)
        if key not in self.objects:
            raise NotFound(404, "NotFound", f'{resource.plural} "{name}" not found')
        return key, self.objects[key]

    def _uid(self) -> str:
        self._made += 1
        return f"{self.name}-uid-{self._made}"

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    def _store(self, key: tuple[str, str, str], obj: Object) -> Object:
        self.objects[key] = {**obj, "metadata": {**obj["metadata"], "resourceVersion": self._next()}}
        self._news.append(("changed", key[0], self.objects[key]))
        self.news_came.set()
        return self.objects[key]

    def _drop(self, key: tuple[str, str, str]) -> Object:
        obj = self.objects.pop(key)
        last = {**obj, "metadata": {**obj["metadata"], "resourceVersion": self._next()}}
        self._news.append(("gone", key[0], last))
        self.news_came.set()
        return last


def forbidden(message: str = "exceeded quota") -> Forbidden:
    return Forbidden(403, "Forbidden", message)


def invalid(message: str = "not valid") -> Invalid:
    return Invalid(422, "Invalid", message)


def failing(status: int = 500) -> ApiError:
    return ApiError.from_object({"code": status, "reason": "InternalError", "message": "down"})


class _Impatient(selectors.SelectSelector):
    """Never waits: when nothing is ready, the loop's clock jumps to the next timer."""

    loop: JumpingLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("every task waits for something that will never happen")
            self.loop.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which hours pass in milliseconds; `now` is its time in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Impatient()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def passed() -> float:
    """Seconds since the test began."""
    return asyncio.get_running_loop().time()


def keys_of(index: Index) -> Iterator[str]:
    """The keys of an index, as text."""
    return (str(key) for key in index)
