"""Pods ask the virtual cluster's DNS server."""

from __future__ import annotations

import pytest

from syncer.rules.pods import to_host, waiting_for
from tests.unit.builders import FakeWorld
from tests.unit.rules.pods.samples import KEY, context, pod

SEARCHES = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]


def dns(**spec):
    host = to_host(KEY, pod(**spec), context())["spec"]
    return host.get("dnsPolicy"), host.get("dnsConfig")


@pytest.mark.parametrize(
    "spec",
    [
        {"dnsPolicy": "ClusterFirst"},
        {"dnsPolicy": None},
        {"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True},
        {"dnsPolicy": "ClusterFirstWithHostNet"},
    ],
)
def test_a_cluster_first_pod_asks_the_virtual_dns_server(spec):
    assert dns(**spec) == (
        "None",
        {"nameservers": ["10.96.0.10"], "searches": SEARCHES, "options": [{"name": "ndots", "value": "5"}]},
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"dnsPolicy": "Default"},
        {"dnsPolicy": "Default", "dnsConfig": {"options": [{"name": "edns0"}]}},
        {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}},
        {"dnsPolicy": "ClusterFirst", "hostNetwork": True},
    ],
)
def test_a_pod_without_cluster_dns_is_left_alone(spec):
    assert dns(**spec) == (spec["dnsPolicy"], spec.get("dnsConfig"))


def test_own_servers_and_searches_follow_those_of_the_cluster():
    own = {"nameservers": ["192.0.2.1", "10.96.0.10"], "searches": ["example.org", "cluster.local"]}
    _, config = dns(dnsConfig=own)
    assert config["nameservers"] == ["10.96.0.10", "192.0.2.1"]
    assert config["searches"] == [*SEARCHES, "example.org"]


def test_own_options_are_kept_and_win():
    options = [{"name": "ndots", "value": "2"}, {"name": "timeout", "value": "3"}, {"name": "use-vc"}]
    assert dns(dnsConfig={"options": options})[1]["options"] == options


def test_no_more_than_three_servers_are_named():
    own = {"nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]}
    assert dns(dnsConfig=own)[1]["nameservers"] == ["10.96.0.10", "192.0.2.1", "192.0.2.2"]


def test_no_more_than_32_domains_are_searched():
    own = {"searches": [f"d{number}.example.org" for number in range(32)]}
    assert len(dns(dnsConfig=own)[1]["searches"]) == 32


def test_the_search_list_stays_within_2048_characters():
    own = {"searches": [f"{number:02}{'x' * 60}.{'y' * 63}.{'z' * 63}.example" for number in range(29)]}
    searches = dns(dnsConfig=own)[1]["searches"]
    assert 1800 < len(" ".join(searches)) <= 2048


def test_a_pod_waits_for_the_dns_server_it_needs():
    assert "DNS" in waiting_for(pod(), context(FakeWorld(dns=None)))


@pytest.mark.parametrize("spec", [{"dnsPolicy": "Default"}, {"hostNetwork": True}])
def test_a_pod_does_not_wait_for_a_dns_server_it_does_not_need(spec):
    assert waiting_for(pod(**spec), context(FakeWorld(dns=None))) is None


def test_a_pod_does_not_wait_where_no_dns_server_is_brought_along():
    assert waiting_for(pod(), context(FakeWorld(dns=None), manifests="")) is None


def test_a_pod_without_obstacle_waits_for_nothing():
    assert waiting_for(pod(), context()) is None


def test_a_pod_waits_for_the_node_that_its_author_chose():
    reason = waiting_for(pod(nodeName="node-7"), context(FakeWorld(nodes=frozenset({"node-1"}))))
    assert "node-7" in reason


def test_a_pod_on_a_known_node_waits_for_nothing():
    assert waiting_for(pod(nodeName="node-1"), context(FakeWorld(nodes=frozenset({"node-1"})))) is None
