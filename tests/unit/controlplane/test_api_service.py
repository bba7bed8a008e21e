"""Service default/kubernetes: the control plane's address, changed at most once."""

from __future__ import annotations

import pytest

from syncer.controlplane.api_service import address_of, ensure
from syncer.kube.errors import Unreachable
from tests.unit.engine.fakes import FakeServer, invalid

SLICES = "endpointslices.discovery.k8s.io"
OURS = {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": {"clusterIP": "10.0.0.1"}}


async def settled(virtual, endpoints=("192.0.2.1",)):
    await ensure(virtual, address="10.0.0.9", endpoints=list(endpoints))
    return virtual.find("services", "default", "kubernetes")


async def test_the_address_is_that_of_the_control_planes_host_service():
    host = FakeServer("host")
    host.put("services", {"metadata": {"name": "vc", "namespace": "hns"}, "spec": {"clusterIP": "10.0.0.9"}})
    assert await address_of(host, "hns", "vc") == "10.0.0.9"


async def test_a_service_with_another_address_is_replaced():
    virtual = FakeServer("virtual")
    virtual.put("services", OURS)
    assert (await settled(virtual))["spec"]["clusterIP"] == "10.0.0.9"
    assert virtual.said[:2] == ["delete services/kubernetes", "create services/kubernetes"]


async def test_a_service_with_the_right_address_is_left_alone():
    virtual = FakeServer("virtual")
    virtual.put("services", {**OURS, "spec": {"clusterIP": "10.0.0.9"}})
    await settled(virtual)
    assert not [said for said in virtual.said if "services/" in said and "endpoint" not in said]


async def test_a_missing_service_is_made():
    assert (await settled(FakeServer("virtual")))["spec"]["ports"][0]["targetPort"] == 8443


async def test_an_api_server_that_is_not_quite_ready_is_waited_for():
    virtual = FakeServer("virtual")
    virtual.refuse("create", "services", invalid("the range is not known yet"), times=3)
    virtual.refuse("get", "services", Unreachable("refused"), times=2)
    assert (await settled(virtual))["spec"]["clusterIP"] == "10.0.0.9"


async def test_a_service_that_can_never_be_had_is_an_error():
    virtual = FakeServer("virtual")
    virtual.refuse("create", "services", invalid("never"), times=None)
    with pytest.raises(Exception, match="never"):
        await settled(virtual)


@pytest.mark.parametrize(("address", "family"), [("192.0.2.1", "IPv4"), ("fd00::1", "IPv6")])
async def test_the_control_plane_is_behind_it(address, family):
    virtual = FakeServer("virtual")
    await settled(virtual, [address])
    assert virtual.find(SLICES, "default", "kubernetes")["addressType"] == family
    assert virtual.find(SLICES, "default", "kubernetes")["endpoints"][0]["addresses"] == [address]
    assert virtual.find("endpoints", "default", "kubernetes")["subsets"][0]["addresses"] == [{"ip": address}]


async def test_endpoints_of_an_earlier_control_plane_pod_are_replaced():
    virtual = FakeServer("virtual")
    await settled(virtual, ["192.0.2.1"])
    await settled(virtual, ["192.0.2.2"])
    assert virtual.find(SLICES, "default", "kubernetes")["endpoints"][0]["addresses"] == ["192.0.2.2"]
    assert virtual.find("endpoints", "default", "kubernetes")["subsets"][0]["addresses"] == [{"ip": "192.0.2.2"}]
