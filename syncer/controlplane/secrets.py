"""Secrets of the control plane itself: how they are marked, owned and encoded.

They do not carry the managed-by label: it marks a tenant's objects, which are swept when they have no counterpart.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from syncer.kube.resource import Resource
from syncer.names import PREFIX, Object

SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)
CLUSTER_LABEL = PREFIX + "cluster"
"""Names the virtual cluster that a Secret belongs to."""


def build(
    name: str, *, namespace: str, cluster: str, component: str, owner: Object | None, data: Mapping[str, bytes]
) -> Object:
    """A Secret; `owner` is an owner reference, or None outside of the release's namespace, where owners do not reach."""
    metadata: Object = {
        "name": name,
        "namespace": namespace,
        "labels": {
            "app.kubernetes.io/name": "sublet",
            "app.kubernetes.io/component": component,
            CLUSTER_LABEL: cluster,
        },
    }
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encode(data)}


def cluster_of(secret: Object) -> str | None:
    """The virtual cluster that has made the Secret."""
    cluster: str | None = (secret["metadata"].get("labels") or {}).get(CLUSTER_LABEL)
    return cluster


def owners_with(secret: Object, owner: Object) -> list[Object] | None:
    """The Secret's owner references with `owner` among them; None when it is there already.

    A release that is installed again right after an uninstall finds Secrets whose owner is gone; this keeps them from being
    collected under its feet.
    """
    owners: list[Object] = secret["metadata"].get("ownerReferences") or []
    return None if any(other["uid"] == owner["uid"] for other in owners) else [*owners, owner]


def encode(data: Mapping[str, bytes]) -> dict[str, str]:
    """The `data` of a Secret."""
    return {key: base64.b64encode(value).decode() for key, value in data.items()}
