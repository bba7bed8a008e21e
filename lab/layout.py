"""Where everything of the lab lives: folders, sockets, network namespaces, addresses. Pure: nothing here touches the machine.

Two folders. STATE is in the user's cache and outlives `down`: certificates, logs, image archives, each node's containerd store.
RUN holds what is only true while the lab runs: sockets and process records; a reboot or `down` empties it.

    the machine      198.18.77.1
        | veth
    sublet-hub       198.18.77.2, 172.30.0.1   the control plane, and the bridge between the nodes
        | bridge
    sublet-node-I    172.30.0.(10+I)           one node each: containerd, kubelet, kube-proxy, pods in 10.244.I.0/24
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import toolchain

RUN = Path("/run/sublet-lab")
CGROUP = "sublet-lab"
NAMESPACE_PREFIX = "sublet-"
HUB_NAMESPACE = f"{NAMESPACE_PREFIX}hub"

MACHINE_LINK = "sublet0"  # the machine's end of the veth pair to the hub
MACHINE_ADDRESS = "198.18.77.1"
API_ADDRESS = "198.18.77.2"  # the hub's end: the API server, as seen from the machine
API_PORT = 6443
HUB_ADDRESS = "172.30.0.1"
NODE_PREFIX = 24

POD_RANGE = "10.244.0.0/16"
FAKE_POD_RANGE = "10.245.0.0/16"  # pods on kwok nodes: addresses nobody answers
SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"

MAX_NODES = 100


def state() -> Path:
    """The folder that outlives `down`."""
    return toolchain.cache_root() / "lab"


def logs() -> Path:
    """One file per daemon, made anew by each fresh `up`."""
    return state() / "logs"


def certificates() -> Path:
    """Certificates, keys and the kubeconfigs of components."""
    return state() / "certificates"


def audit_log() -> Path:
    """Who asked the host's API server for what."""
    return logs() / "audit.log"


def kubeconfig() -> Path:
    """The admin's kubeconfig. Its address works on the machine and inside every namespace of the lab."""
    return state() / "kubeconfig"


def image_archives() -> Path:
    """Images as OCI archives, by reference and key."""
    return toolchain.cache_root() / "images"


def build_storage() -> Path:
    """buildah's own storage, apart from the user's."""
    return toolchain.cache_root() / "buildah"


def namespace_path(namespace: str) -> Path:
    """The file that stands for a network namespace."""
    return Path("/run/netns") / namespace


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the host cluster. `index` counts from 1 and decides all addresses."""

    index: int

    @property
    def name(self) -> str:
        """Its Node's name."""
        return f"node-{self.index}"

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"{NAMESPACE_PREFIX}{self.name}"

    @property
    def address(self) -> str:
        """Its InternalIP."""
        return f"172.30.0.{10 + self.index}"

    @property
    def pod_range(self) -> str:
        """Where its pods' addresses come from; as many as a kubelet takes pods."""
        return f"10.244.{self.index}.0/24"

    @property
    def zone(self) -> str:
        """Two zones, so that topology spread has something to spread over."""
        return f"zone-{'ab'[(self.index - 1) % 2]}"

    @property
    def folder(self) -> Path:
        """containerd's store, kubelet's volumes, logs of pods, local persistent volumes."""
        return state() / "nodes" / self.name

    @property
    def run(self) -> Path:
        """What the node itself sees as /run."""
        return RUN / self.name

    @property
    def containerd_socket(self) -> Path:
        """As seen from the machine; the node sees it under /run."""
        return self.run / "containerd" / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """Its branch of the cgroup tree; pods are below it."""
        return f"{CGROUP}/{self.name}"

    def enter(self, anchor: int) -> tuple[str, ...]:
        """The command prefix that runs something on this node, given the process that holds its namespaces."""
        return ("nsenter", "--target", str(anchor), "--mount", "--uts", "--net", "--")


def nodes(count: int) -> tuple[Node, ...]:
    """The first `count` nodes."""
    return tuple(Node(index) for index in range(1, count + 1))
