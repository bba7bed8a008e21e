"""Requests to one API server, in terms of Kubernetes objects.

Thin on purpose: JSON in, JSON out, no models, no cache. It bounds what is in flight, renews a refused token once, and
raises an error class per kind of refusal. Waiting is left to the caller's queue, since a sleeping request would hold a
worker; the one exception is a 429 that asks for at most a second. `metadata.managedFields`, half of a typical object,
is dropped from answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from syncer.kube.credentials import Credentials
from syncer.kube.errors import ApiError, TooManyRequests, Unreachable
from syncer.kube.framing import unpacker
from syncer.kube.resource import Resource
from syncer.kube.transport import AiohttpTransport, Response, StreamResponse, Transport
from syncer.names import Object

PAGE = 500  # objects asked for per request when listing
_SHORT_WAIT = 1.0  # seconds; the longest Retry-After that is slept through
_STARTING_WATCHES = 4  # a watch costs the server as much as a list until its initial state is through
_JSON = "application/json"
_BASE_HEADERS = {
    "Accept": _JSON,
    "Accept-Encoding": "identity",  # packing is not worth the CPU inside a cluster, and delays watches
    "User-Agent": "sublet-syncer",
}

PatchType = Literal["merge", "strategic", "json", "apply"]
_PATCH_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}

Observe = Callable[[str, str, int, float], None]
"""Called after each request with verb, resource key, HTTP status (0: no answer) and seconds until the answer."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: objects, and the version that a watch can go on from after the last page."""

    items: list[Object]
    resource_version: str


class Client:
    """One API server; `name` ("host" or "virtual") is for logs. All methods raise the errors of `syncer.kube.errors`.

    `max_in_flight` bounds concurrent requests without watches: the server's fair queueing gives a service account few
    seats.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        *,
        name: str,
        max_in_flight: int = 32,
        observe: Observe | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.watch_list = True
        """Whether the server is believed to send a watch's initial state; one refusal clears it for all watches."""
        self.starting = asyncio.Semaphore(_STARTING_WATCHES)
        """To be held while a watch receives its initial state."""
        self._transport = transport
        self._credentials = credentials
        self._in_flight = asyncio.Semaphore(max_in_flight)
        self._observe = observe or _unobserved
        self._sleep = sleep

    @classmethod
    def connect(
        cls, credentials: Credentials, *, name: str, max_in_flight: int = 32, observe: Observe | None = None
    ) -> Client:
        """A client over real connections, opened when first needed."""
        transport = AiohttpTransport(credentials.server, credentials.ssl_context)
        return cls(transport, credentials, name=name, max_in_flight=max_in_flight, observe=observe)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """The object as it is now."""
        return await self._object("get", resource, "GET", resource.path(namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[Object]:
        """All matching objects of one namespace, or of all. Raises Gone when paging takes the server too long."""
        pages = self.pages(resource, namespace, label_selector=label_selector, field_selector=field_selector)
        return [item async for page in pages for item in page.items]

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> AsyncIterator[Page]:
        """A consistent list in pages of at most `PAGE` objects; they carry apiVersion and kind, which servers omit."""
        query = {"limit": str(PAGE)} | selection(label_selector, field_selector)
        while True:
            answer = await self._object("list", resource, "GET", resource.path(namespace), query=query)
            items: list[Object] = answer.get("items") or []
            for item in items:
                item["apiVersion"], item["kind"] = resource.api_version, resource.kind
                item["metadata"].pop("managedFields", None)
            yield Page(items, answer["metadata"]["resourceVersion"])
            following = answer["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following

    async def create(
        self, resource: Resource, obj: Object, *, namespace: str | None = None, dry_run: bool = False
    ) -> Object:
        """Creates `obj`; `namespace` is None for kinds without one."""
        query = {"dryRun": "All"} if dry_run else {}
        return await self._object("create", resource, "POST", resource.path(namespace), query=query, body=obj)

    async def replace(
        self, resource: Resource, namespace: str | None, name: str, obj: Object, *, subresource: str | None = None
    ) -> Object:
        """Puts `obj` in the place of what is there; Conflict if it names another resourceVersion."""
        return await self._object("update", resource, "PUT", resource.path(namespace, name, subresource), body=obj)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Object | Sequence[Object],
        *,
        subresource: str | None = None,
        content_type: PatchType | None = None,
        field_manager: str | None = None,
        force: bool = False,
    ) -> Object:
        """Changes the object. Without `content_type` a dict is a merge patch (RFC 7396), a list a JSON patch (6902).

        "apply" needs a `field_manager`, and `force` takes fields from other managers.
        """
        kind = content_type or ("merge" if isinstance(patch, dict) else "json")
        query = {}
        if field_manager is not None:
            query["fieldManager"] = field_manager
        if force:
            query["force"] = "true"
        path = resource.path(namespace, name, subresource)
        return await self._object(
            "patch", resource, "PATCH", path, query=query, body=patch, content_type=_PATCH_TYPES[kind]
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        grace_seconds: int | None = None,
        uid: str | None = None,
        propagation: Literal["Orphan", "Background", "Foreground"] | None = None,
    ) -> Object | None:
        """Deletes the object, only that of `uid` if given (else Conflict). Gives the object if that is the answer.

        An answer with the object means little by itself: pods come back whether they linger or not.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        answer = await self._object("delete", resource, "DELETE", resource.path(namespace, name), body=options)
        return None if answer.get("kind") == "Status" else answer

    async def post_subresource(
        self, resource: Resource, namespace: str | None, name: str, subresource: str, body: Object
    ) -> Object:
        """Posts to a subresource: pods/binding, pods/eviction, serviceaccounts/token. The answer is often a Status."""
        return await self._object("create", resource, "POST", resource.path(namespace, name, subresource), body=body)

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = _JSON,
    ) -> Response:
        """Any request, such as GET /readyz, answered with whatever status came; only a missing answer raises."""
        return await self._send(
            method.lower(), "raw", method, path, query=query or {}, body=body, content_type=content_type
        )

    @asynccontextmanager
    async def stream(
        self, resource: Resource, namespace: str | None, query: Mapping[str, str]
    ) -> AsyncIterator[StreamResponse]:
        """A watch: its answer from the head on. Leaving the context closes the connection; refusals raise."""
        path = resource.path(namespace)
        for attempt in (1, 2):
            headers = self._headers()
            began = time.perf_counter()
            async with AsyncExitStack() as stack:
                try:
                    opening = self._transport.stream(path, query=query, headers=headers)
                    response = await stack.enter_async_context(opening)
                except Unreachable:
                    self._observe("watch", resource.key, 0, time.perf_counter() - began)
                    raise
                self._observe("watch", resource.key, response.status, time.perf_counter() - began)
                if response.status < 300:
                    yield response
                    return
                body = unpacker(response.headers).feed(await response.read_all())
            if response.status != 401 or attempt == 2 or not self._credentials.renewed(headers.get("Authorization")):
                raise ApiError.from_status(response.status, body, response.headers)

    async def refresh(self) -> None:
        """Loads renewed certificates and reconnects if there are any; to be called every 20 s or so."""
        if self._credentials.refresh():
            await self._transport.reconnect()

    async def close(self) -> None:
        """Closes all connections."""
        await self._transport.close()

    async def _object(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | Sequence[Object] | None = None,
        content_type: str = _JSON,
    ) -> Object:
        data = None if body is None else orjson.dumps(body)
        response = await self._send(
            verb, resource.key, method, path, query=query or {}, body=data, content_type=content_type
        )
        if response.status >= 300:  # redirects are not followed: they would carry the token elsewhere
            raise ApiError.from_status(response.status, response.body, response.headers)
        try:
            answer: Object = orjson.loads(response.body)
            metadata: Any = answer.get("metadata")
        except (orjson.JSONDecodeError, AttributeError) as error:
            raise Unreachable(f"{method} {path}: the answer is no JSON object") from error
        if metadata:
            metadata.pop("managedFields", None)
        return answer

    async def _send(
        self,
        verb: str,
        key: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
    ) -> Response:
        """One request with its two second chances: a renewed token after 401, a short wait after 429."""
        renewable = patient = True
        while True:
            headers = self._headers()
            if body is not None:
                headers["Content-Type"] = content_type
            response = await self._observed(verb, key, method, path, query=query, body=body, headers=headers)
            if response.status == 401 and renewable and self._credentials.renewed(headers.get("Authorization")):
                renewable = False
            elif response.status == 429 and patient and (wait := _short_wait(response)) is not None:
                patient = False
                await self._sleep(wait)
            else:
                return response

    async def _observed(
        self,
        verb: str,
        key: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Response:
        async with self._in_flight:
            began = time.perf_counter()
            status = 0
            try:
                response = await self._transport.request(method, path, query=query, body=body, headers=headers)
                status = response.status
            finally:
                self._observe(verb, key, status, time.perf_counter() - began)
        return Response(status, response.headers, unpacker(response.headers).feed(response.body))

    def _headers(self) -> dict[str, str]:
        authorization = self._credentials.authorization()
        return _BASE_HEADERS | ({"Authorization": authorization} if authorization else {})


def _unobserved(_verb: str, _resource: str, _status: int, _seconds: float) -> None:
    """Where nobody counts requests."""


def selection(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    """The query parameters of the selectors that are there."""
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: selector for name, selector in selectors.items() if selector}


def _short_wait(response: Response) -> float | None:
    error = ApiError.from_status(response.status, response.body, response.headers)
    return error.retry_after if isinstance(error, TooManyRequests) and error.retry_after <= _SHORT_WAIT else None
