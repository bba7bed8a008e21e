"""Tells the tenant, by events on their own objects, what the host says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from cachetools import TTLCache

from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, ApiError, KubeError, NotFound
from syncer.kube.resource import Resource
from syncer.names import Object
from syncer.plan.actions import Warn
from syncer.rules.events import LONGEST_MESSAGE, event_name

EVENTS = Resource("", "v1", "events", "Event", namespaced=True)
_COMPONENT = "sublet-syncer"
_SAME_FOR = 60.0
_REMEMBERED = 4096


def timestamp() -> str:
    """The present as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Warnings:
    """Writes Warning events; the same one at most once a minute."""

    def __init__(self, virtual: Client, *, now: Callable[[], str] = timestamp) -> None:
        self._virtual = virtual
        self._now = now
        self._said: TTLCache[str, None] = TTLCache(maxsize=_REMEMBERED, ttl=_SAME_FOR)

    async def tell(self, warning: Warn, subject: Object | None) -> None:
        """Writes the event, or counts it up. A subject that is gone needs no telling."""
        if subject is None:
            return
        metadata = subject["metadata"]
        digest = hashlib.sha256(f"{metadata['uid']}/{warning.reason}/{warning.message}".encode()).hexdigest()[:16]
        if digest in self._said:
            return
        self._said[digest] = None
        now = self._now()
        namespace = metadata.get("namespace") or "default"
        name = event_name(metadata["name"], digest)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": subject["apiVersion"],
                "kind": subject["kind"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata["uid"],
            },
            "type": "Warning",
            "reason": warning.reason,
            "message": warning.message[:LONGEST_MESSAGE],
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._virtual.create(EVENTS, event, namespace=namespace)
        except AlreadyExists:
            await self._count_up(namespace, name, now)
        except KubeError as error:
            self._said.pop(digest, None)
            if not isinstance(error, ApiError):
                raise

    async def _count_up(self, namespace: str, name: str, now: str) -> None:
        try:
            known = await self._virtual.get(EVENTS, namespace, name)
            change = {"count": int(known.get("count") or 1) + 1, "lastTimestamp": now}
            await self._virtual.patch(EVENTS, namespace, name, change)
        except NotFound:
            pass
