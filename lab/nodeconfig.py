"""Configuration files of one node's programs, as plain data. Pure.

JSON is YAML, so what takes YAML gets JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab import layout
from lab.layout import Node

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


def kubelet(node: Node, *, certificate: Path, key: Path, authority: Path) -> dict[str, Any]:
    """The kubelet's configuration. What differs from the defaults is for speed and for small or busy machines."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [layout.DNS_ADDRESS],
        "clusterDomain": layout.CLUSTER_DOMAIN,
        "resolvConf": str(resolv_conf(node)),
        "podLogsDir": "/var/log/pods",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "maxPods": 250,
        "serializeImagePulls": False,
        "syncFrequency": "10s",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        # The disk belongs to the machine's owner: never evict pods or collect images because it is full.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
            "imagefs.inodesFree": "1%",
        },
    }


def kube_proxy(node: Node, *, kubeconfig: Path) -> dict[str, Any]:
    """kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": node.name,
        "clusterCIDR": layout.POD_RANGE,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        # Zero leaves the machine's own settings alone.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def cni(node: Node) -> dict[str, Any]:
    """A veth pair per pod and one route to each: no bridge, no masquerading, host ports."""
    return {
        "cniVersion": "1.0.0",
        "name": "sublet-lab",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-addresses",
                    "ranges": [[{"subnet": node.pod_range}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def containerd(node: Node, *, cni_binaries: Path) -> str:
    """containerd's configuration, version 2 (containerd 1.6 and newer, 2.x too)."""
    return f"""version = 2
root = {_quoted(node.folder / "containerd")}
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {_quoted(PAUSE_IMAGE)}
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {_quoted(cni_binaries)}
    conf_dir = {_quoted(cni_folder(node))}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni_folder(node: Node) -> Path:
    """Where containerd looks for the node's CNI configuration."""
    return node.folder / "cni"


def resolv_conf(node: Node) -> Path:
    """What pods that ask for the node's name server get."""
    return node.folder / "resolv.conf"


def node_object(node: Node) -> dict[str, Any]:
    """The Node as it is registered before its kubelet starts, so that its pod range is the one its network has."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {
                "topology.kubernetes.io/region": "lab",
                "topology.kubernetes.io/zone": node.zone,
            },
        },
        "spec": {"podCIDR": node.pod_range, "podCIDRs": [node.pod_range]},
    }


def _quoted(value: object) -> str:
    return json.dumps(str(value))
