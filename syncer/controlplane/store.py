"""Which store a virtual cluster's objects lie in, remembered beside its keys: other values must not begin with an empty one unseen."""

from __future__ import annotations

from syncer.controlplane import kubernetes_version
from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.names import PREFIX
from syncer.values import Cluster, InvalidValue, Settings

STORE_ANNOTATION = PREFIX + "store"
"""On Secret `NAME-certs`: the path of the store's switch below controlPlane.backingStore, such as `etcd.embedded`."""
RESTORED_ANNOTATION = PREFIX + "restored"
"""On the same: controlPlane.backingStore.restore.id of the last restore that is done."""

MEMBERS_ANNOTATION = PREFIX + "etcd-members"
"""On Secret `NAME-etcd-certs`: how many members the release's own etcd has."""


async def claim(client: Client, settings: Settings) -> bool:
    """Remembers the store that the values ask for; says whether a snapshot is to be restored into it first.

    Raises InvalidValue if it is another one than before and nothing is to be restored, KubeError.
    """
    cluster, wanted = settings.cluster, settings.restore.id
    found = await _annotations(client, settings)
    known = found.get(STORE_ANNOTATION)
    if wanted and found.get(RESTORED_ANNOTATION) != wanted:
        return True
    if known is None:
        await _annotate(client, settings, {STORE_ANNOTATION: cluster.store})
    elif known != cluster.store:
        raise InvalidValue(
            f"controlPlane.backingStore.{cluster.store}",
            f"the objects of this virtual cluster lie in {known}",
            f"enable controlPlane.backingStore.{known} again; to bring them over, take a snapshot there, then enable this store "
            "together with controlPlane.backingStore.restore.id (docs/stores.md); to give up what lies there, run: kubectl "
            f"-n {cluster.namespace} annotate secret {cluster.name}-certs {STORE_ANNOTATION}-",
        )
    return False


async def restored(client: Client, settings: Settings) -> None:
    """Remembers that the snapshot is restored, and with it the store; forgets which Kubernetes wrote to another. Raises KubeError."""
    annotations = {
        STORE_ANNOTATION: settings.cluster.store,
        RESTORED_ANNOTATION: settings.restore.id,
        kubernetes_version.ANNOTATION: None,
    }
    await _annotate(client, settings, annotations)


async def is_restored(client: Client, settings: Settings) -> bool:
    """Whether that is remembered of this restore. Raises KubeError."""
    return (await _annotations(client, settings)).get(RESTORED_ANNOTATION) == settings.restore.id


async def _annotations(client: Client, settings: Settings) -> dict[str, str]:
    secret = await client.get(SECRETS, settings.cluster.namespace, f"{settings.cluster.name}-certs")
    return secret["metadata"].get("annotations") or {}


async def _annotate(client: Client, settings: Settings, annotations: dict[str, str | None]) -> None:
    name = f"{settings.cluster.name}-certs"
    await client.patch(SECRETS, settings.cluster.namespace, name, {"metadata": {"annotations": annotations}})


async def claim_members(client: Client, cluster: Cluster, secret: str) -> None:
    """Remembers how many members etcd has. Raises InvalidValue if they are to become fewer, which would take its majority away."""
    found = await client.get(SECRETS, cluster.namespace, secret)
    known = (found["metadata"].get("annotations") or {}).get(MEMBERS_ANNOTATION) or "0"
    wanted = cluster.etcd_members
    if wanted < int(known):
        raise InvalidValue(
            "controlPlane.backingStore.etcd.deploy.statefulSet.highAvailability.replicas",
            f"this etcd has {known} members, and {wanted} of them are no majority until the others are taken out",
            f"set it to {known} again; docs/stores.md says how to go down to {wanted}",
        )
    if wanted > int(known):
        patch = {"metadata": {"annotations": {MEMBERS_ANNOTATION: str(wanted)}}}
        await client.patch(SECRETS, cluster.namespace, secret, patch)
