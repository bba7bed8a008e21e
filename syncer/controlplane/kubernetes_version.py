"""Which Kubernetes has written a virtual cluster's objects, remembered beside its keys.

Kubernetes goes up one minor version at a time and never back: a newer API server stores what an older one may not read, and what an
older one has stored is converted on the way. The version is remembered once the API server runs, not when values ask for it: one that
never came up, for want of its image, can be taken back.
"""

from __future__ import annotations

import re

from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.kube.errors import NotFound
from syncer.names import PREFIX
from syncer.values import Cluster, InvalidValue

ANNOTATION = PREFIX + "kubernetes"
"""On Secret `NAME-certs`: the newest version that has run on the store, such as `v1.36.3`."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.\d")


async def check(client: Client, cluster: Cluster) -> None:
    """Raises InvalidValue if the values ask for a version that cannot follow the one that has run, KubeError."""
    before = await _remembered(client, cluster)
    if before is None:
        return
    old, new = _minor(before), _minor(cluster.kubernetes)
    if old is None or new is None or old <= new <= _following(old):
        return
    command = f"kubectl -n {cluster.namespace} annotate secret {_secret(cluster)} {ANNOTATION}-"
    if new > old:
        problem = f"{cluster.kubernetes} passes over a minor version: this virtual cluster has run {before}"
        remedy = "set it to a version {}.{} first, or back to the one it has run".format(*_following(old))
    else:
        problem = f"{cluster.kubernetes} is older than {before}, which has written to this virtual cluster's store"
        remedy = f"set it to {before} or newer; or, once the store holds a backup from before, run: {command}"
    key = "version" if cluster.distro == "k8s" else "image"
    raise InvalidValue(f"controlPlane.distro.{cluster.distro}.{key}", problem, remedy)


async def remember(client: Client, cluster: Cluster, running: str) -> None:
    """Notes that an API server of this version runs. Raises KubeError.

    While several pods change over one after the other, one of the old version may start after the first of the new.
    """
    try:
        before = await _remembered(client, cluster)
    except NotFound:  # no keys of ours: nothing was made for this cluster that could be remembered by
        return
    old, new = _minor(before or ""), _minor(running)
    if before == running or new is None or (old is not None and new < old):
        return
    note = {"metadata": {"annotations": {ANNOTATION: running}}}
    await client.patch(SECRETS, cluster.namespace, _secret(cluster), note)


async def _remembered(client: Client, cluster: Cluster) -> str | None:
    secret = await client.get(SECRETS, cluster.namespace, _secret(cluster))
    version: str | None = (secret["metadata"].get("annotations") or {}).get(ANNOTATION)
    return version


def _secret(cluster: Cluster) -> str:
    return f"{cluster.name}-certs"


def _minor(version: str) -> tuple[int, int] | None:
    """Major and minor; None for what is no version, of which nothing can be said."""
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else None


def _following(minor: tuple[int, int]) -> tuple[int, int]:
    return minor[0], minor[1] + 1
