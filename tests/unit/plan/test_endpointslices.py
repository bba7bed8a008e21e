"""Endpoints by hand: on the host while their Service has no selector."""

from __future__ import annotations

import pytest

from syncer.plan import plan
from syncer.plan.actions import Create, Delete, Patch
from syncer.rules.endpointslices import SERVICE_NAME, to_host
from tests.unit.builders import FakeWorld, context, going, key, rule, stored, virtual

ROW, KEY = rule("endpointslices"), key("endpointslices", "db-1")
BY_HAND = FakeWorld(selectorless=frozenset({("shop", "db"), ("default", "kubernetes")}))


def slice_(service="db", **fields):
    labels = {SERVICE_NAME: service} if service else {}
    given = {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"port": 1}], **fields}
    return virtual("endpointslices", "db-1", metadata={"labels": labels}, **given)


def hosts():
    return stored(to_host(ROW, KEY, slice_(), context()))


def planned(mine, host=None, world=BY_HAND):
    return plan(ROW, KEY, virtual=mine, host=host, context=context(world))


def test_a_slice_of_a_service_without_a_selector_is_created():
    (action,) = planned(slice_())
    assert isinstance(action, Create)


@pytest.mark.parametrize("service", ["web", None])
def test_a_slice_of_another_service_or_of_none_stays_in_the_virtual_cluster(service):
    assert planned(slice_(service)) == []


def test_the_virtual_api_servers_own_slice_stays_in_the_virtual_cluster():
    name = key("endpointslices", "kubernetes", "default")
    mine = {**slice_("kubernetes"), "metadata": {**slice_("kubernetes")["metadata"], "namespace": "default"}}
    assert plan(ROW, name, virtual=mine, host=None, context=context(BY_HAND)) == []


def test_a_slice_goes_when_its_service_gets_a_selector():
    (action,) = planned(slice_(), hosts(), FakeWorld())
    assert isinstance(action, Delete)


def test_ports_and_endpoints_are_followed():
    (action,) = planned(slice_(ports=[{"port": 2}], endpoints=None), hosts())
    assert isinstance(action, Patch)
    assert action.body == {"ports": [{"port": 2}], "endpoints": []}


def test_a_slice_as_wanted_needs_nothing():
    assert planned(slice_(), hosts()) == []


def test_a_slice_on_its_way_out_is_not_created():
    assert planned(going(slice_())) == []


@pytest.mark.parametrize("mine", [None, {**slice_(), "metadata": {**slice_()["metadata"], "uid": "another"}}])
def test_a_host_slice_of_nobody_or_of_a_predecessor_goes(mine):
    (action,) = planned(mine, hosts())
    assert isinstance(action, Delete)
