"""Endpoints that a tenant writes by hand, on the host."""

from __future__ import annotations

import pytest

from syncer.rules.endpointslices import MADE_BY, SERVICE_NAME, service_of, to_host
from tests.unit.builders import HOST_NAMESPACE, context, key, rule, there, virtual


def slice_(**fields):
    labels = {SERVICE_NAME: "db", MADE_BY: "a-person", "app": "db"}
    return virtual(
        "endpointslices",
        "db-1",
        metadata={"labels": labels},
        addressType="IPv4",
        **{"endpoints": [], "ports": [], **fields},
    )


def translated(**fields):
    return to_host(rule("endpointslices"), key("endpointslices", "db-1"), slice_(**fields), context())


def endpoint(**target):
    made = translated(endpoints=[{"addresses": ["10.0.0.1"], "targetRef": target}])
    return made["endpoints"][0]


def test_a_slice_belongs_to_the_hosts_service_and_to_no_controller():
    labels = translated()["metadata"]["labels"]
    assert labels[SERVICE_NAME] == there("db")
    assert labels[MADE_BY] == "sublet.dev"
    assert labels["app"] == "db"


def test_addresses_conditions_and_ports_are_the_tenants():
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}, "hostname": "a", "nodeName": "n"}]
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "h2c"}]
    made = translated(endpoints=endpoints, ports=ports)
    assert (made["endpoints"], made["ports"], made["addressType"]) == (endpoints, ports, "IPv4")


@pytest.mark.parametrize("nothing", [None, []])
def test_a_slice_without_endpoints_or_ports_has_none_on_the_host(nothing):
    made = translated(endpoints=nothing, ports=nothing)
    assert (made["endpoints"], made["ports"]) == ([], [])


def test_a_pod_behind_an_endpoint_has_its_host_name():
    target = endpoint(kind="Pod", name="web-0", namespace="shop", uid="u")["targetRef"]
    assert target == {"kind": "Pod", "name": there("web-0"), "namespace": HOST_NAMESPACE}


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "Node", "name": "n"},
        {"kind": "Pod"},
        {"kind": "Pod", "name": "web-0"},
        {"kind": "Pod", "namespace": "shop"},
        {"kind": "Pod", "name": "", "namespace": ""},
        {"name": "web-0", "namespace": "shop"},
    ],
)
def test_an_endpoint_whose_target_is_no_known_pod_goes_without_one(target):
    assert "targetRef" not in endpoint(**target)


@pytest.mark.parametrize("labels", [None, {}, {"app": "db"}])
def test_a_slice_without_a_service_names_none(labels):
    assert service_of({"metadata": {"labels": labels}}) is None
