"""Manifests that values change while the control plane runs.

The kubelet brings a changed config document into the pod within a minute or two. Whatever else is in it needs a new pod, which the chart
then makes; a Deployment of CoreDNS does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from syncer import values
from syncer.controlplane import dns
from syncer.controlplane import manifests as applied
from syncer.kube.client import Client
from syncer.kube.errors import KubeError
from syncer.names import Object
from syncer.values import InvalidValue

_EVERY = 5.0
log = logging.getLogger(__name__)


def objects(text: str) -> list[Object]:
    """The objects of the manifests. Raises InvalidValue."""
    return applied.parse(dns.with_host_resolver(text), where="controlPlane.coredns or experimental.deploy.vcluster")


async def apply_changes(virtual: Client, config: Path, known: str) -> None:
    """Applies manifests whenever they change, until cancelled. What cannot be applied is logged."""
    async for text in manifests(config, known):
        try:
            await applied.apply(virtual, objects(text))
        except (InvalidValue, KubeError) as error:
            log.error("changed manifests are not applied: %s", error)
        else:
            log.info("changed manifests are applied")


async def manifests(config: Path, known: str, *, every: float = _EVERY) -> AsyncIterator[str]:
    """The manifests of the config document each time that they are others than before; `known` are those at the start.

    A document that cannot be read counts as unchanged.
    """
    seen = 0
    while True:
        await asyncio.sleep(every)
        try:
            changed = _changed(config)
            if changed == seen:
                continue
            settings, _ = values.load(config)
        except (OSError, InvalidValue) as error:
            log.warning("the config document cannot be read again: %s", error)
            continue
        seen = changed
        if settings.manifests != known:
            known = settings.manifests
            yield known


def _changed(file: Path) -> int:
    """When the file was written last; the kubelet puts a new one in its place."""
    return file.stat().st_mtime_ns
