"""Which of several syncers synchronises: the one that holds a Lease in the virtual cluster.

The Lease lies on the virtual side, and each syncer reaches it by the API server of its own pod: whoever cannot use that one cannot
work, and loses the Lease. It costs the host nothing. The rules are those of Kubernetes' own components (client-go's leaderelection):
a Lease is taken when its holder has not renewed it for as long as it promised, by one's own clock; a holder that cannot renew gives
up in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NoReturn

from syncer.kube.client import Client
from syncer.kube.errors import KubeError, NotFound
from syncer.kube.resource import Resource
from syncer.names import Object
from syncer.values import Leadership

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
NAMESPACE, NAME = "kube-system", "sublet-syncer"

log = logging.getLogger(__name__)


class LostLeadership(Exception):
    """The Lease could not be renewed in time: another syncer may be at work by now."""


class Leader:
    """A candidate. `identity` differs from replica to replica; `clock` gives seconds that only go forward."""

    def __init__(
        self, client: Client, terms: Leadership, identity: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._terms, self._identity, self._clock = client, terms, identity, clock
        self._lease: Object | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        """The last version of the Lease, and when it was first seen."""

    async def lead(self, *work: Callable[[], Awaitable[object]]) -> None:
        """Waits for the Lease, then works as long as it is kept. Raises LostLeadership."""
        await self.acquire()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.keep())
                for part in work:
                    tasks.create_task(_awaited(part()))
        finally:
            await asyncio.shield(self.release())

    async def acquire(self) -> None:
        """Waits until the Lease is ours."""
        while True:
            if await self._try():
                log.info("leads", extra={"identity": self._identity})
                return
            await asyncio.sleep(self._terms.retry_period)

    async def keep(self) -> NoReturn:
        """Renews it. Raises LostLeadership when that has failed for `renew_deadline` seconds, or another syncer has taken it."""
        renewed = self._clock()
        while True:
            await asyncio.sleep(self._terms.retry_period)
            if await self._try():
                renewed = self._clock()
            elif self._is_taken() or self._clock() - renewed >= self._terms.renew_deadline:
                raise LostLeadership(f"the Lease {NAMESPACE}/{NAME} is not {self._identity}'s any more")

    async def release(self) -> None:
        """Gives it back, so that the next syncer need not wait."""
        if self._lease is not None and not self._is_taken():
            with contextlib.suppress(KubeError, TimeoutError):
                async with asyncio.timeout(self._terms.retry_period):
                    await self._write({"holderIdentity": "", "leaseDurationSeconds": 1})

    async def _try(self) -> bool:
        """One attempt to take or renew it; whether it is ours now."""
        try:
            async with asyncio.timeout(self._terms.renew_deadline):
                return await self._attempt()
        except (KubeError, TimeoutError) as error:
            log.debug("cannot take the lease", extra={"error": str(error)})
            return False

    async def _attempt(self) -> bool:
        try:
            self._lease = await self._client.get(LEASES, NAMESPACE, NAME)
        except NotFound:
            body = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": NAME},
                "spec": self._spec(),
            }
            self._lease = await self._client.create(LEASES, body, namespace=NAMESPACE)
            return True
        version = self._lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = version, self._clock()
        if self._is_taken():
            return False
        await self._write(self._spec())
        return True

    def _is_taken(self) -> bool:
        """Whether another syncer holds it and has renewed it not too long ago."""
        spec = (self._lease or {}).get("spec") or {}
        if spec.get("holderIdentity") in (None, "", self._identity):
            return False
        return self._clock() - self._seen[1] < float(spec.get("leaseDurationSeconds") or 0)

    async def _write(self, spec: Object) -> None:
        """Patches the Lease if nobody else did meanwhile. Raises Conflict."""
        assert self._lease is not None
        version = self._lease["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "spec": spec}
        self._lease = await self._client.patch(LEASES, NAMESPACE, NAME, patch)
        self._seen = self._lease["metadata"]["resourceVersion"], self._clock()

    def _spec(self) -> Object:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec: Object = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._terms.lease_duration,
            "renewTime": now,
        }
        before = ((self._lease or {}).get("spec") or {}) if self._lease else {}
        if before.get("holderIdentity") != self._identity:
            spec |= {"acquireTime": now, "leaseTransitions": int(before.get("leaseTransitions") or 0) + 1}
        return spec


async def _awaited(work: Awaitable[object]) -> None:
    await work
