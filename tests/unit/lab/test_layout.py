"""Addresses and folders of the lab."""

from __future__ import annotations

import ipaddress

from lab import layout
from lab.layout import Node


def test_every_node_has_its_own_address_and_pod_range() -> None:
    nodes = layout.nodes(layout.MAX_NODES)

    assert len({node.address for node in nodes}) == len(nodes)
    assert len({node.pod_range for node in nodes}) == len(nodes)


def test_pod_ranges_lie_inside_the_clusters_range() -> None:
    whole = ipaddress.ip_network(layout.POD_RANGE)

    assert all(ipaddress.ip_network(node.pod_range).subnet_of(whole) for node in layout.nodes(layout.MAX_NODES))


def test_no_two_ranges_of_the_lab_overlap() -> None:
    named = [
        layout.POD_RANGE,
        layout.FAKE_POD_RANGE,
        layout.SERVICE_RANGE,
        f"{layout.HUB_ADDRESS}/24",
        "198.18.77.0/30",
    ]
    ranges = [ipaddress.ip_network(value, strict=False) for value in named]

    assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)


def test_service_addresses_lie_inside_the_service_range() -> None:
    services = ipaddress.ip_network(layout.SERVICE_RANGE)

    assert ipaddress.ip_address(layout.DNS_ADDRESS) in services
    assert ipaddress.ip_address(layout.KUBERNETES_SERVICE_ADDRESS) in services


def test_two_nodes_are_in_two_zones() -> None:
    assert Node(1).zone != Node(2).zone


def test_the_socket_of_a_node_fits_into_a_socket_address() -> None:
    assert len(str(Node(layout.MAX_NODES).containerd_socket)) < 104


def test_everything_that_stays_is_in_the_chosen_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SUBLET_CACHE", str(tmp_path))

    assert layout.state().is_relative_to(tmp_path)
    assert layout.image_archives().is_relative_to(tmp_path)
    assert layout.kubeconfig().is_relative_to(tmp_path)
