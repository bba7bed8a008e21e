"""What a Service is on the host, and what of the host's Service the virtual one takes over."""

from __future__ import annotations

import pytest

from syncer.names import MANAGED_BY, NAMESPACE, UID
from syncer.rules import services
from tests.unit.builders import context, key, rule, virtual

PORTS = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]


def service(**spec):
    return virtual("services", spec={"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": PORTS, **spec})


def translated(**spec):
    return services.to_host(rule("services"), key("services"), service(**spec), context())["spec"]


@pytest.mark.parametrize(
    ("spec", "headless", "address", "selects"),
    [
        ({}, False, True, False),
        ({"selector": {"app": "a"}}, False, True, True),
        ({"clusterIP": "None", "selector": {"app": "a"}}, True, False, True),
        ({"type": "ExternalName", "clusterIP": None, "selector": {"app": "a"}}, False, False, False),
        ({"type": "NodePort", "clusterIP": ""}, False, True, False),
    ],
)
def test_kinds_of_services_are_told_apart(spec, headless, address, selects):
    made = service(**spec)
    assert services.is_headless(made) is headless
    assert services.has_address(made) is address
    assert services.selects_pods(made) is selects


def test_a_service_without_a_spec_is_an_ordinary_one():
    assert services.has_address({"metadata": {}})
    assert not services.selects_pods({"metadata": {}, "spec": None})


def test_a_selector_is_narrowed_to_the_tenants_own_pods():
    made = translated(selector={"app": "a", "team": "b"})["selector"]
    assert made == {"app": "a", context().metadata.label_key("team"): "b", MANAGED_BY: "vc", NAMESPACE: "shop"}


@pytest.mark.parametrize("selector", [None, {}])
def test_a_service_without_a_selector_gets_none(selector):
    assert not translated(selector=selector).get("selector")


def test_addresses_are_left_to_the_host_and_all_else_is_kept():
    given = {
        "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "healthCheckNodePort": 30000,
        "sessionAffinity": "ClientIP",
        "externalTrafficPolicy": "Local",
        "publishNotReadyAddresses": True,
    }
    assert translated(**given) == {
        "type": "ClusterIP",
        "ports": PORTS,
        "sessionAffinity": "ClientIP",
        "externalTrafficPolicy": "Local",
        "publishNotReadyAddresses": True,
    }


def test_a_headless_service_stays_headless():
    assert translated(clusterIP="None", clusterIPs=["None"])["clusterIP"] == "None"


@pytest.mark.parametrize(
    ("policy", "kept"), [("PreferDualStack", True), ("RequireDualStack", True), ("SingleStack", False)]
)
def test_two_address_families_are_asked_for_on_the_host_too(policy, kept):
    assert ("ipFamilyPolicy" in translated(ipFamilyPolicy=policy)) is kept


def test_a_host_service_is_not_tied_to_the_uid_of_a_virtual_one():
    body = services.to_host(rule("services"), key("services"), service(), context())
    assert UID not in body["metadata"]["annotations"]


def test_the_virtual_services_own_address_can_be_asked_for():
    body = services.to_host(rule("services"), key("services"), service(), context())
    asked = services.with_address(body, service(healthCheckNodePort=30001))
    assert (asked["spec"]["clusterIP"], asked["spec"]["healthCheckNodePort"]) == ("10.0.0.1", 30001)
    assert services.with_address(body, service(clusterIP="")) == body


def test_the_choice_of_node_ports_can_be_left_to_the_host():
    body = {"spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 81}]}}
    assert services.without_node_ports(body) == {"spec": {"ports": [{"port": 80}, {"port": 81}]}}
    assert services.without_node_ports({"spec": {}})["spec"].get("ports") in (None, [])


def test_what_the_host_allocated_is_what_the_virtual_service_takes_over():
    host = {
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.0.0.9",
            "clusterIPs": ["10.0.0.9", "fd00::9"],
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "PreferDualStack",
            "healthCheckNodePort": 30001,
        }
    }
    expected = {name: value for name, value in host["spec"].items() if name != "type"}
    assert services.allocations(host) == expected
    assert services.allocations({"spec": {"type": "ExternalName"}}) == {}
    assert services.allocations({}) == {}


def test_node_ports_are_matched_by_protocol_and_port():
    host = {
        "spec": {
            "ports": [
                {"port": 53, "protocol": "UDP", "nodePort": 30053},
                {"port": 53, "protocol": "TCP", "nodePort": 30054},
                {"port": 99, "nodePort": 30099},
            ]
        }
    }
    here = service(ports=[{"port": 53}, {"port": 53, "protocol": "UDP"}, {"port": 80}])
    assert services.ports_as_on_host(here, host) == [
        {"port": 53, "nodePort": 30054},
        {"port": 53, "protocol": "UDP", "nodePort": 30053},
        {"port": 80},
    ]


@pytest.mark.parametrize("ports", [None, []])
def test_a_service_without_ports_gets_none_from_the_host(ports):
    assert services.ports_as_on_host(service(ports=ports), {"spec": {"ports": PORTS}}) == []
