"""Kubeconfig Secrets with a ServiceAccount's token: they need the running virtual cluster, unlike those that `pki` writes."""

from __future__ import annotations

import asyncio
import logging

from syncer.controlplane.kubeconfig import Entry, Issuer, export_with_token
from syncer.kube.client import Client
from syncer.kube.errors import KubeError
from syncer.names import Object
from syncer.values import InvalidValue, Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


async def export_all(settings: Settings, *, host: Client, virtual: Client, owner: Object, authority: bytes) -> None:
    """Writes those Secrets; each is tried until it can be written. `authority` is the virtual cluster's CA (PEM)."""
    cluster = settings.cluster
    issuer = Issuer(cluster=cluster.name, namespace=cluster.namespace, owner=owner, authority=authority)
    entries = [Entry.parse(row, cluster=cluster.name) for row in settings.kubeconfigs]
    for entry in entries:
        if entry.service_account is not None:
            await _export(entry, issuer, host=host, virtual=virtual)


async def _export(entry: Entry, issuer: Issuer, *, host: Client, virtual: Client) -> None:
    pause = _FIRST_PAUSE
    while True:
        try:
            await export_with_token(host, virtual, entry, issuer)
        except (KubeError, InvalidValue) as error:
            log.warning("a kubeconfig cannot be written yet: %s", error, extra={"secret": entry.secret})
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return
