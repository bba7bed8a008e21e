"""Configuration of a node's programs."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from lab import layout, nodeconfig
from lab.layout import Node

NODE = Node(2)


def kubelet() -> dict:
    return nodeconfig.kubelet(NODE, certificate=Path("c"), key=Path("k"), authority=Path("a"))


def test_containerd_configuration_is_valid_toml_with_the_nodes_own_store() -> None:
    config = tomllib.loads(nodeconfig.containerd(NODE, cni_binaries=Path("/opt/cni/bin")))

    assert config["root"] == str(NODE.folder / "containerd")
    assert config["plugins"]["io.containerd.grpc.v1.cri"]["cni"]["bin_dir"] == "/opt/cni/bin"


def test_a_path_with_quotes_does_not_break_the_toml() -> None:
    config = tomllib.loads(nodeconfig.containerd(NODE, cni_binaries=Path('/a "b"\\c')))

    assert config["plugins"]["io.containerd.grpc.v1.cri"]["cni"]["bin_dir"] == '/a "b"\\c'


def test_the_kubelet_serves_nobody_without_a_certificate_or_token() -> None:
    assert kubelet()["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet()["authorization"] == {"mode": "Webhook"}


def test_pods_are_kept_in_the_nodes_own_cgroup() -> None:
    assert kubelet()["cgroupRoot"] == f"/{layout.CGROUP}/node-2"


def test_a_full_disk_evicts_nothing_before_its_last_percent() -> None:
    assert kubelet()["evictionHard"]["nodefs.available"] == "1%"
    assert kubelet()["imageGCHighThresholdPercent"] == 100


def test_kube_proxy_leaves_the_machines_conntrack_settings_alone() -> None:
    conntrack = nodeconfig.kube_proxy(NODE, kubeconfig=Path("k"))["conntrack"]

    assert set(conntrack.values()) == {0, "0s"}


def test_pods_get_addresses_of_the_nodes_range_and_keep_them_towards_others() -> None:
    interface = nodeconfig.cni(NODE)["plugins"][0]

    assert interface["ipam"]["ranges"] == [[{"subnet": "10.244.2.0/24"}]]
    assert interface["ipMasq"] is False


def test_the_node_is_registered_with_the_range_that_its_network_uses() -> None:
    assert nodeconfig.node_object(NODE)["spec"]["podCIDR"] == NODE.pod_range


def test_configurations_can_be_written_as_json() -> None:
    for config in (kubelet(), nodeconfig.kube_proxy(NODE, kubeconfig=Path("k")), nodeconfig.cni(NODE)):
        json.dumps(config)
