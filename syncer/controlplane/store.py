"""Which store a virtual cluster's objects lie in, remembered beside its keys: other values must not begin with an empty one unseen."""

from __future__ import annotations

from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.names import PREFIX
from syncer.values import Cluster, InvalidValue

STORE_ANNOTATION = PREFIX + "store"
"""On Secret `NAME-certs`: the path of the store's switch below controlPlane.backingStore, such as `etcd.embedded`."""


async def claim(client: Client, cluster: Cluster) -> None:
    """Remembers the store that the values ask for. Raises InvalidValue if it is another one than before, KubeError."""
    name = f"{cluster.name}-certs"
    secret = await client.get(SECRETS, cluster.namespace, name)
    known = (secret["metadata"].get("annotations") or {}).get(STORE_ANNOTATION)
    if known is None:
        await client.patch(
            SECRETS, cluster.namespace, name, {"metadata": {"annotations": {STORE_ANNOTATION: cluster.store}}}
        )
    elif known != cluster.store:
        raise InvalidValue(
            f"controlPlane.backingStore.{cluster.store}",
            f"the objects of this virtual cluster lie in {known}",
            f"enable controlPlane.backingStore.{known} again; or, to give up what lies there, "
            f"run: kubectl -n {cluster.namespace} annotate secret {name} {STORE_ANNOTATION}-",
        )
