"""What a syncer that starts has to find out before it can work: its own address, its owner, and what the two API servers are."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import orjson
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from syncer.controlplane import api_service, kubernetes_version, service_range
from syncer.engine import owner
from syncer.kube.client import Client
from syncer.kube.errors import ServerError, Unreachable
from syncer.names import Object
from syncer.values import Cluster, InvalidValue

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_PATIENCE = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The ownerReference for host objects, the host's Service ranges, the API server's Service IP, and its version."""

    owner: Object
    ranges: list[service_range.Network]
    address: str
    version: str


async def find(cluster: Cluster, *, host: Client, virtual: Client) -> Surroundings:
    """Asks both API servers, which may still be starting. Raises InvalidValue for what cannot work."""
    found_owner, ranges, address, version = await asyncio.gather(
        owner.find(host, cluster),
        service_range.detect(host, cluster.namespace, given=cluster.service_cidr),
        _patiently(lambda: api_service.address_of(host, cluster.namespace, cluster.service), pause=2.0),
        # It starts beside us on this machine, and everything waits for it.
        _patiently(lambda: _version(virtual), pause=0.2),
    )
    # Before anything is written inside, and not later: what has been written decides which versions may follow.
    await _patiently(lambda: kubernetes_version.remember(host, cluster, version), pause=2.0)
    log.info("both API servers answer", extra={"cluster": cluster.name, "version": version})
    return Surroundings(owner=found_owner, ranges=ranges, address=address, version=version)


async def _patiently(request: Callable[[], Awaitable[_Answer]], *, pause: float) -> _Answer:
    """The answer of a server that may still be starting; between two tries at most `pause` seconds."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((Unreachable, ServerError)),
        stop=stop_after_delay(_PATIENCE),
        wait=wait_exponential(multiplier=0.1, max=pause),
        reraise=True,
    ):
        with attempt:
            return await request()
    raise AssertionError  # the last try has raised


async def _version(virtual: Client) -> str:
    ready = await virtual.raw("GET", "/readyz")
    if ready.status != 200:
        raise ServerError(ready.status, "NotReady", "the virtual API server is not ready yet")
    answer = await virtual.raw("GET", "/version")
    version: str = orjson.loads(answer.body)["gitVersion"]
    return version


def pod_ip() -> str:
    """This pod's IP, from the environment that the chart sets."""
    ip = os.environ.get("POD_IP")
    if not ip:
        raise InvalidValue("env POD_IP", "is not set", "run the syncer with the chart, which sets it")
    return ip
