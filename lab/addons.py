"""What runs as pods on the host cluster: its name server and the provisioner of its default StorageClass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from lab import catalogue, cluster, layout, node
from lab.layout import Node
from lab.progress import wait_until

_MANIFESTS = Path(__file__).parent / "manifests"
_DEPLOYMENTS = ("kube-system/coredns", "local-path-storage/local-path-provisioner")
# These are real programs: kwok would only pretend to run them.
_REAL_NODES = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "type", "operator": "NotIn", "values": ["kwok"]}]}]
        }
    }
}


def apply(nodes: Sequence[Node]) -> None:
    """Creates or updates the add-ons."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=dns() + "\n---\n" + storage(nodes))


def wait() -> None:
    """Returns when every add-on has an available pod."""

    def available() -> bool:
        items = json.loads(cluster.kubectl("get", "deployments", "-A", "-o", "json"))["items"]
        return {_full_name(item) for item in items if _is_available(item)}.issuperset(_DEPLOYMENTS)

    wait_until(
        available,
        what="the host's add-ons are available",
        seconds=90,
        remedy="see `kubectl get pods,events -A` with the lab's kubeconfig",
        every=0.25,
    )


def dns() -> str:
    """The manifest of the host's name server."""
    return _render(
        "coredns.yaml",
        image=catalogue.COREDNS,
        domain=layout.CLUSTER_DOMAIN,
        address=layout.DNS_ADDRESS,
        real_nodes=json.dumps(_REAL_NODES),
    )


def storage(nodes: Sequence[Node]) -> str:
    """Each node has its own folder, since all of them share the machine's disk."""
    paths = {"nodePathMap": [{"node": of.name, "paths": [str(node.volumes(of))]} for of in nodes]}
    return _render(
        "storage.yaml",
        image=catalogue.LOCAL_PATH_PROVISIONER,
        helper_image=catalogue.BUSYBOX,
        paths=json.dumps(paths),
        real_nodes=json.dumps(_REAL_NODES),
    )


def _full_name(item: dict[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _is_available(deployment: dict[str, Any]) -> bool:
    status = deployment["status"]
    return (
        bool(status.get("availableReplicas"))
        and status.get("observedGeneration") == deployment["metadata"]["generation"]
    )


def _render(name: str, **values: str) -> str:
    return Template((_MANIFESTS / name).read_text()).substitute(values)
