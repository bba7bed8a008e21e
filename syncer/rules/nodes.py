"""Virtual Nodes: stand-ins for the host nodes that run the tenant's pods, or mirrors of the real ones.

Every virtual Node says that its kubelet listens at `localhost`: the API server next to the syncer dials the syncer's kubelet API.
The InternalIP is the host node's own, so that NodePorts and node-to-pod traffic work. Without a right to read nodes it is known from
`status.hostIP` of the pods on the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncer.names import HOST_NODE, MANAGED_BY, Object
from syncer.values import Toleration

KUBELET_PORT = 10250
STAND_IN = "sublet.dev/stand-in"
_CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "500"}
_CONDITIONS = (
    # type, status when ready, reason when ready
    ("Ready", "True", "KubeletReady"),
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What pods on it tell of a host node."""

    addresses: tuple[str, ...] = ()
    """IPs of the node, first the primary one; empty while no pod there has started."""
    lost: bool = False
    """The host said that the node does not answer any more."""


def stand_in(name: str, sighting: Sighting, *, version: str, architecture: str, cluster: str) -> Object:
    """A Node for a host node that we may not read. `version` is the virtual API server's, as in `v1.36.3`."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
        MANAGED_BY: cluster,
        STAND_IN: "true",
    }
    status = {
        "capacity": _CAPACITY,
        "allocatable": _CAPACITY,
        "conditions": conditions(lost=sighting.lost),
        "addresses": addresses(name, sighting.addresses),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": {
            "architecture": architecture,
            "bootID": "",
            "containerRuntimeVersion": "sublet://host",
            "kernelVersion": "",
            "kubeProxyVersion": "",
            "kubeletVersion": version,
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "",
            "systemUUID": "",
        },
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


def mirror(host: Object, *, cluster: str, tolerated: Sequence[Toleration] = ()) -> Object:
    """A Node that shows the host's real one, except for its addresses and kubelet port.

    Taints that every host pod tolerates are `tolerated`, and hidden: the tenant's pods need not say so once more.
    """
    metadata, status = host["metadata"], host.get("status") or {}
    real = tuple(item["address"] for item in status.get("addresses") or () if item["type"] == "InternalIP")
    external = [item for item in status.get("addresses") or () if item["type"] == "ExternalIP"]
    spec = {name: host["spec"][name] for name in ("taints", "unschedulable", "providerID") if host["spec"].get(name)}
    taints = [taint for taint in spec.pop("taints", ()) if not any(one.covers(taint) for one in tolerated)]
    if taints:
        spec["taints"] = taints
    labels = metadata.get("labels") or {}
    told = {"labels": sorted(labels), "taints": taints, "unschedulable": bool(spec.get("unschedulable"))}
    shown = {name: value for name, value in status.items() if name not in ("volumesInUse", "volumesAttached", "config")}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": metadata["name"],
            "labels": {**labels, MANAGED_BY: cluster},
            "annotations": {HOST_NODE: json.dumps(told, separators=(",", ":"), sort_keys=True)},
        },
        "spec": spec,
        "status": {
            **shown,
            "addresses": [*addresses(metadata["name"], real), *external],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        },
    }


@dataclass(frozen=True, slots=True)
class Told:
    """What a mirror was last told of the host's node. Where it differs by now from the mirror, the tenant has spoken."""

    labels: tuple[str, ...] = ()
    taints: tuple[Object, ...] = ()
    unschedulable: bool = False

    @staticmethod
    def of(node: Object) -> Told:
        """As the annotation says, which a tenant may have spoilt: then nothing was told."""
        try:
            told = json.loads((node["metadata"].get("annotations") or {})[HOST_NODE])
            return Told(
                tuple(str(key) for key in told["labels"]),
                tuple(taint for taint in told["taints"] if taint["key"]),
                bool(told["unschedulable"]),
            )
        except (KeyError, TypeError, ValueError):
            return Told()


def addresses(name: str, ips: tuple[str, ...]) -> list[Object]:
    """`status.addresses`: the API server dials the first type it is told to prefer, InternalDNS."""
    return [
        {"type": "InternalDNS", "address": "localhost"},
        {"type": "Hostname", "address": name},
        *({"type": "InternalIP", "address": ip} for ip in ips),
    ]


def conditions(*, lost: bool) -> list[Object]:
    """`status.conditions` of a stand-in, without times."""
    if not lost:
        return [{"type": kind, "status": status, "reason": reason} for kind, status, reason in _CONDITIONS]
    message = "the host cluster has lost contact with this node"
    return [
        {"type": kind, "status": "Unknown", "reason": "NodeStatusUnknown", "message": message}
        for kind, _, _ in _CONDITIONS
    ]


def matches(host: Object, labels: Mapping[str, str]) -> bool:
    """Whether a host node carries all of the selector's labels."""
    have = host["metadata"].get("labels") or {}
    return all(have.get(key) == value for key, value in labels.items())
