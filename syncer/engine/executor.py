"""Carries out actions: the one place where a plan becomes requests.

An answer goes straight into the index, so that the watch's echo of our own write is recognised and dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from syncer.engine.tokens import TokenIssuer
from syncer.engine.warnings import Warnings
from syncer.engine.world import World
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound
from syncer.kube.resource import Resource
from syncer.names import TOKEN, UID, Key, Object, identify
from syncer.plan.actions import (
    Action,
    Attempt,
    Bind,
    Create,
    Delete,
    First,
    IssueTokens,
    Later,
    Patch,
    Side,
    Together,
    Warn,
)

log = logging.getLogger(__name__)


class NameTaken(Exception):
    """A host object that is not ours has the name that ours needs."""


class Executor:
    """Does what plans ask for.

    `bring_up` processes other keys first; `later` schedules a key; `translate` puts what the host says of a key into the tenant's names.
    """

    def __init__(
        self,
        *,
        clients: Mapping[Side, Client],
        resources: Mapping[str, Resource],
        world: World,
        cluster: str,
        tokens: TokenIssuer,
        warnings: Warnings,
        bring_up: Callable[[Key], Awaitable[object]],
        later: Callable[[Key, float], None],
        translate: Callable[[str, Key], str],
    ) -> None:
        self._clients = clients
        self._resources = resources
        self._world = world
        self._cluster = cluster
        self._tokens = tokens
        self._warnings = warnings
        self._bring_up = bring_up
        self._later = later
        self._translate = translate

    async def run(self, key: Key, action: Action) -> None:
        """Carries out one action of the plan for `key`. Raises the errors of syncer.kube.errors, and NameTaken."""
        # Bodies stay out of the log: they may be Secrets.
        log.debug("acting", extra={"object": str(key), "action": type(action).__name__})
        match action:
            case Create():
                await self._create(key, action)
            case Patch():
                await self._patch(action)
            case Delete():
                await self._delete(action)
            case Bind():
                await self._bind(action)
            case IssueTokens():
                written = await self._tokens.issue(action.key, self._world.virtual["pods"])
                if written is not None:
                    self._world.host[TOKEN].written(written)
            case First():
                await asyncio.gather(*(self._bring_up(other) for other in action.keys))
            case Together():
                await asyncio.gather(*(self.run(key, part) for part in action.actions))
            case Attempt():
                await self._attempt(key, action)
            case Warn():
                await self._warnings.tell(action, self._world.virtual[action.key.rule].get(action.key))
            case Later():
                self._later(key, action.seconds)

    async def _attempt(self, key: Key, attempt: Attempt) -> None:
        refused = (Invalid, Forbidden) if attempt.forbidden else (Invalid,)
        try:
            try:
                await self.run(key, attempt.action)
            except refused:
                if not attempt.again:
                    raise
                await asyncio.sleep(attempt.again)
                await self.run(key, attempt.action)
        except refused as error:
            for part in attempt.otherwise:
                await self.run(key, self._explained(part, error) if isinstance(part, Warn) else part)
            if not all(isinstance(part, Warn) for part in attempt.otherwise):
                # The plan does not know what the server made of its second choice, and the echo will be dropped.
                self._later(key, 0.0)

    def _explained(self, warning: Warn, error: ApiError) -> Warn:
        return replace(warning, message=f"{warning.message}: {self._translate(error.message, warning.key)}")

    def _written(self, side: Side, resource: str, obj: Object) -> None:
        indexes = self._world.host if side is Side.HOST else self._world.virtual
        index = indexes.get(resource)
        if index is not None:
            index.written(obj)

    async def _create(self, key: Key, action: Create) -> None:
        client, resource = self._clients[action.side], self._resources[action.resource]
        metadata = action.body["metadata"]
        namespace = metadata.get("namespace")
        try:
            answer = await client.create(resource, action.body, namespace=namespace)
        except AlreadyExists:
            # Our own POST whose answer was lost, or a stranger.
            answer = await client.get(resource, namespace, metadata["name"])
            if action.side is Side.HOST:
                self._claim(key, action, answer)
        self._written(action.side, action.resource, answer)

    def _claim(self, key: Key, action: Create, found: Object) -> None:
        proven = identify(found, action.resource, self._cluster)
        if proven != key:
            name = action.body["metadata"]["name"]
            raise NameTaken(f"the host namespace holds another {action.body['kind']} called {name}")
        mark = (found["metadata"].get("annotations") or {}).get(UID)
        if mark != action.body["metadata"]["annotations"].get(UID):
            raise Conflict(409, "Conflict", f"an earlier {action.body['kind']} {key.name} is still there")

    async def _patch(self, action: Patch) -> None:
        body = {**action.body, "metadata": {**(action.body.get("metadata") or {}), "uid": action.uid}}
        answer = await self._clients[action.side].patch(
            self._resources[action.resource],
            action.namespace or None,
            action.name,
            body,
            subresource=action.subresource,
            content_type="strategic" if action.strategic else "merge",
        )
        self._written(action.side, action.resource, answer)

    async def _delete(self, action: Delete) -> None:
        with contextlib.suppress(NotFound):  # what was wanted; the watch will say so too
            left = await self._clients[action.side].delete(
                self._resources[action.resource],
                action.namespace or None,
                action.name,
                grace_seconds=action.grace,
                uid=action.uid,
            )
            if action.side is Side.HOST:
                self._ended(action, left)

    def _ended(self, action: Delete, left: Object | None) -> None:
        """Takes in a DELETE's answer, so that nobody asks again before the watch tells."""
        index = self._world.host[action.resource]
        if left is None:
            index.removed(action.name, uid=action.uid)
        elif {"deletionTimestamp", "resourceVersion"} <= left["metadata"].keys():
            index.written(left)  # without a version it is one that has gone, shown for the last time

    async def _bind(self, action: Bind) -> None:
        if not self._world.has_node(action.node):
            self._world.expect(action.node)
            await self._bring_up(Key("nodes", "", action.node))
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": action.key.name, "namespace": action.key.namespace, "uid": action.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": action.node},
        }
        client = self._clients[Side.VIRTUAL]
        await client.post_subresource(self._resources["pods"], action.key.namespace, action.key.name, "binding", body)
        self._world.note_bound(action.key, uid=action.uid, node=action.node)
