"""The range of the host's Service IPs: found out without making anything, and accepted by the virtual cluster."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from syncer.controlplane.service_range import allow, detect
from syncer.kube.errors import NotFound
from syncer.values import InvalidValue
from tests.unit.engine.fakes import FakeServer, forbidden, invalid

RANGES = "servicecidrs.networking.k8s.io"


def refusing(message: str) -> FakeServer:
    host = FakeServer("host")
    host.refuse("list", RANGES, forbidden())
    host.refuse("create", "services", invalid(message))
    return host


async def test_a_range_that_the_user_gave_is_not_asked_for():
    host = FakeServer("host")
    assert await detect(host, "hns", given="10.0.0.0/16, fd00::/108") == [
        ip_network("10.0.0.0/16"),
        ip_network("fd00::/108"),
    ]
    assert host.calls == []


@pytest.mark.parametrize("given", ["10.0.0.0", "10.0.0.1/16", "not a range", "10.0.0.0/16,,"])
async def test_a_range_that_is_none_is_refused_by_its_value(given):
    if given == "10.0.0.0":
        assert await detect(FakeServer("host"), "hns", given=given) == [ip_network("10.0.0.0/32")]
        return
    with pytest.raises(InvalidValue, match=r"networking\.serviceCIDR"):
        await detect(FakeServer("host"), "hns", given=given)


async def test_ranges_are_read_where_they_may_be_read():
    host = FakeServer("host")
    host.put(RANGES, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/12", "fd00::/108"]}})
    assert await detect(host, "hns", given="") == [ip_network("10.96.0.0/12"), ip_network("fd00::/108")]
    assert host.said == []


@pytest.mark.parametrize(
    "message",
    [
        "failed to allocate IP 0.0.0.1: the provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/16",
        "provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/16.",
    ],
)
async def test_a_range_that_may_not_be_read_is_told_by_a_refusal(message):
    host = refusing(message)
    assert await detect(host, "hns", given="") == [ip_network("10.96.0.0/16")]
    (question,) = [call for call in host.calls if call.verb == "create"]
    assert question.options == {"dry_run": True}
    assert host.of("services") == []


async def test_an_older_host_without_ranges_is_asked_by_a_refusal():
    host = refusing("The range of valid IPs is fd00:10:96::/112")
    host.accept()
    host.refuse("list", RANGES, NotFound(404, "NotFound", "no such kind"))
    host.refuse("create", "services", invalid("The range of valid IPs is fd00:10:96::/112"))
    assert await detect(host, "hns", given="") == [ip_network("fd00:10:96::/112")]


@pytest.mark.parametrize(
    "message", ["quota exceeded", "The range of valid IPs is unknown", "the range of valid IPs is ..."]
)
async def test_a_host_that_does_not_tell_leaves_it_to_the_user(message):
    with pytest.raises(InvalidValue, match=r"set networking\.serviceCIDR"):
        await detect(refusing(message), "hns", given="")


async def test_a_host_that_takes_any_address_leaves_it_to_the_user():
    host = FakeServer("host")
    host.refuse("list", RANGES, forbidden())
    with pytest.raises(InvalidValue, match="was accepted"):
        await detect(host, "hns", given="")
    assert host.of("services") == []


@pytest.mark.parametrize("wanted", ["10.96.0.0/16", "10.96.0.0/12", "10.100.0.0/24"])
async def test_a_range_within_the_virtual_clusters_own_needs_nothing(wanted):
    virtual = FakeServer("virtual")
    virtual.put(RANGES, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/12"]}})
    await allow(virtual, [ip_network(wanted)])
    assert virtual.said == []


async def test_other_ranges_are_added_once_each_under_a_name_that_says_which():
    virtual = FakeServer("virtual")
    virtual.put(RANGES, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/12"]}})
    for _ in range(2):
        await allow(virtual, [ip_network("172.20.0.0/16"), ip_network("fd00::/108"), ip_network("10.0.0.0/8")])
    made = {obj["metadata"]["name"]: obj["spec"]["cidrs"] for obj in virtual.of(RANGES)}
    assert made == {
        "kubernetes": ["10.96.0.0/12"],
        "sublet-host-4-172-20-0-0-16": ["172.20.0.0/16"],
        "sublet-host-6-fd00---108": ["fd00::/108"],
        "sublet-host-4-10-0-0-0-8": ["10.0.0.0/8"],
    }
