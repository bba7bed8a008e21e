"""Virtual nodes: stand-ins for nodes that may not be read, and mirrors of those that may."""

from __future__ import annotations

import pytest

from syncer.names import HOST_NODE, MANAGED_BY
from syncer.rules.nodes import Sighting, addresses, conditions, matches, mirror, stand_in
from syncer.values import parse_toleration


def node(sighting):
    return stand_in("node-1", sighting, version="v1.36.3", architecture="arm64", cluster="vc")


REAL = {
    "metadata": {"name": "node-1", "uid": "host", "labels": {"zone": "a"}, "annotations": {"x": "y"}},
    "spec": {"taints": [{"key": "k"}], "podCIDR": "10.0.0.0/24", "providerID": "cloud://1"},
    "status": {
        "addresses": [
            {"type": "Hostname", "address": "elsewhere"},
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "ExternalIP", "address": "203.0.113.1"},
            {"type": "InternalIP", "address": "fd00::1"},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10255}},
        "conditions": [{"type": "Ready", "status": "True"}],
        "volumesInUse": ["v"],
        "volumesAttached": [{"name": "v"}],
    },
}


def test_logs_and_exec_of_a_stand_in_lead_to_the_syncer_next_door():
    status = node(Sighting())["status"]
    assert status["addresses"][0] == {"type": "InternalDNS", "address": "localhost"}
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}


def test_a_stand_in_has_the_host_nodes_real_addresses():
    ips = [item["address"] for item in addresses("node-1", ("192.0.2.1", "fd00::1")) if item["type"] == "InternalIP"]
    assert ips == ["192.0.2.1", "fd00::1"]


def test_a_stand_in_says_that_it_is_one_and_runs_what_the_host_runs():
    made = node(Sighting())
    assert made["metadata"]["labels"][MANAGED_BY] == "vc"
    assert made["metadata"]["labels"]["kubernetes.io/arch"] == "arm64"
    assert made["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert made["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.3"


@pytest.mark.parametrize(("lost", "ready"), [(False, "True"), (True, "Unknown")])
def test_a_stand_in_is_ready_until_the_host_loses_its_node(lost, ready):
    (status,) = [
        item["status"] for item in node(Sighting(lost=lost))["status"]["conditions"] if item["type"] == "Ready"
    ]
    assert status == ready


def test_conditions_name_all_that_kubelets_report():
    for lost in (True, False):
        assert [item["type"] for item in conditions(lost=lost)] == [
            "Ready", "MemoryPressure", "DiskPressure", "PIDPressure",
        ]  # fmt: skip


def test_a_mirror_shows_the_real_node_except_for_how_to_reach_its_kubelet():
    made = mirror(REAL, cluster="vc")
    assert made["metadata"]["labels"] == {"zone": "a", MANAGED_BY: "vc"}
    assert made["metadata"]["annotations"].keys() == {HOST_NODE}
    assert made["spec"] == {"taints": [{"key": "k"}], "providerID": "cloud://1"}
    assert made["status"]["addresses"] == [
        {"type": "InternalDNS", "address": "localhost"},
        {"type": "Hostname", "address": "node-1"},
        {"type": "InternalIP", "address": "192.0.2.1"},
        {"type": "InternalIP", "address": "fd00::1"},
        {"type": "ExternalIP", "address": "203.0.113.1"},
    ]
    assert made["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    assert made["status"]["conditions"] == [{"type": "Ready", "status": "True"}]
    assert not {"volumesInUse", "volumesAttached"} & made["status"].keys()


def test_a_node_that_has_only_just_registered_can_be_mirrored():
    made = mirror({"metadata": {"name": "n", "labels": None}, "spec": {}}, cluster="vc")
    assert made["metadata"]["labels"] == {MANAGED_BY: "vc"}


@pytest.mark.parametrize(
    ("labels", "wanted", "expected"),
    [
        ({"a": "1"}, {}, True),
        ({"a": "1"}, {"a": "1"}, True),
        ({"a": "1"}, {"a": "2"}, False),
        (None, {"a": "1"}, False),
    ],
)
def test_nodes_are_chosen_by_labels(labels, wanted, expected):
    assert matches({"metadata": {"labels": labels}}, wanted) is expected


@pytest.mark.parametrize(
    ("toleration", "taint", "hidden"),
    [
        ("dedicated=tenants:NoSchedule", {"key": "dedicated", "value": "tenants", "effect": "NoSchedule"}, True),
        ("dedicated=others:NoSchedule", {"key": "dedicated", "value": "tenants", "effect": "NoSchedule"}, False),
        ("dedicated:NoExecute", {"key": "dedicated", "effect": "NoSchedule"}, False),
        ("dedicated", {"key": "dedicated", "value": "x", "effect": "NoExecute"}, True),
        (":NoSchedule", {"key": "any", "effect": "NoSchedule"}, True),
    ],
)
def test_taints_that_every_host_pod_tolerates_are_not_shown(toleration, taint, hidden):
    node = {"metadata": {"name": "n"}, "spec": {"taints": [taint]}}
    made = mirror(node, cluster="vc", tolerated=[parse_toleration(toleration, "x")])
    assert made["spec"] == ({} if hidden else {"taints": [taint]})
