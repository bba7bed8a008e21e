"""What `helm test` runs: a pod goes through the virtual cluster to the host and back.

It is asked of the API server as any user would, with an exported kubeconfig; nothing on the host is spoken to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from syncer.kube.client import Client
from syncer.kube.errors import KubeError
from syncer.kube.resource import Resource
from syncer.names import Object

PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
NAMESPACE = "default"
_PAUSE = 0.5
_AMOUNT = {"cpu": "100m", "memory": "64Mi"}


class Failed(Exception):
    """The pod did not come through; the message says how far it got."""


def pod(image: str) -> Object:
    """A pod that ends at once, of an image that has Python, and that passes Pod Security "restricted"."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "sublet-test-", "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "command": ["python", "-c", ""],
                    "resources": {"requests": _AMOUNT, "limits": _AMOUNT},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


async def run(
    virtual: Client,
    wanted: Object,
    *,
    patience: float = 90.0,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> str:
    """Creates the pod, waits until it has ended well, deletes it; gives the node that ran it. Raises Failed."""
    found = await virtual.create(PODS, wanted, namespace=NAMESPACE)
    name = found["metadata"]["name"]
    try:
        for _ in range(int(patience / _PAUSE)):
            found = await virtual.get(PODS, NAMESPACE, name)
            phase = found.get("status", {}).get("phase")
            if phase == "Succeeded":
                node: str = found["spec"]["nodeName"]
                return node
            if phase == "Failed":
                break
            await sleep(_PAUSE)
        raise Failed(f"pod {NAMESPACE}/{name} of the virtual cluster did not end well: {found.get('status')}")
    finally:
        with contextlib.suppress(KubeError):
            await virtual.delete(PODS, NAMESPACE, name)
