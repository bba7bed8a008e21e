"""What is to be done for an object whose row says it all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.names import UID
from syncer.plan import plan
from syncer.plan.actions import Create, Delete, First, Patch, Side
from syncer.plan.generic import SAME, merge_difference
from syncer.rules.generic import to_host
from tests.unit.builders import FakeWorld, context, going, key, merged, rule, stored, virtual

INGRESS = rule("ingresses")
KEY = key("ingresses")
MINE = virtual(
    "ingresses", spec={"rules": [{"host": "a"}], "tls": [{"secretName": "cert"}]}, metadata={"labels": {"a": "b"}}
)
CERT = key("secrets", "cert")


def theirs(mine=MINE, **fields):
    return stored(to_host(INGRESS, KEY, mine, context()), **fields)


def planned(mine=MINE, host=None, world=None):
    return plan(INGRESS, KEY, virtual=mine, host=host, context=context(world))


def test_an_object_that_is_new_is_created():
    assert planned() == [Create(side=Side.HOST, resource=INGRESS.key, body=to_host(INGRESS, KEY, MINE, context()))]


def test_what_it_carries_comes_first_unless_it_is_there_or_nowhere():
    (first, create) = planned(world=FakeWorld(not_on_host=frozenset({CERT})))
    assert first == First(keys=(CERT,))
    assert isinstance(create, Create)
    assert len(planned(world=FakeWorld(not_on_host=frozenset({CERT}), missing=frozenset({CERT})))) == 1


def test_an_object_on_its_way_out_is_not_created():
    assert planned(going(MINE)) == []


def test_an_object_on_its_way_out_keeps_its_host_object():
    assert planned(going(MINE), theirs()) == []


def test_an_object_that_is_the_same_on_both_sides_needs_nothing():
    assert planned(host=theirs()) == []


def test_an_edit_is_sent_as_the_smallest_patch_to_exactly_that_host_object():
    edited = {**MINE, "spec": {"rules": [{"host": "b"}], "tls": MINE["spec"]["tls"]}}
    host = theirs()
    assert planned(edited, host) == [
        Patch(
            side=Side.HOST,
            resource=INGRESS.key,
            namespace="hns",
            name=host["metadata"]["name"],
            uid=host["metadata"]["uid"],
            body={"spec": {"rules": [{"host": "b"}]}},
        )
    ]


def test_labels_and_fields_go_in_one_patch():
    edited = {**MINE, "spec": {}, "metadata": {**MINE["metadata"], "labels": {}}}
    (patch,) = planned(edited, theirs())
    assert patch.body["spec"] == {"rules": None, "tls": None}
    assert patch.body["metadata"]["labels"] == {"a": None}


def test_fields_that_nobody_gave_to_the_tenant_are_left_to_the_host():
    assert planned(host=theirs(extra={"of": "host"}, metadata={"generation": 7})) == []


def test_the_hosts_status_is_copied_through_the_status_subresource():
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    assert planned(host=theirs(status=status)) == [
        Patch(
            side=Side.VIRTUAL,
            resource=INGRESS.key,
            namespace="shop",
            name="web",
            uid="virtual-web",
            body={"status": status},
            subresource="status",
        )
    ]


@pytest.mark.parametrize("mine", [None, {}])
def test_an_empty_status_on_one_side_only_is_no_reason_to_write(mine):
    assert planned({**MINE, "status": mine}, theirs()) == []


def test_a_host_object_without_a_virtual_one_is_deleted():
    host = theirs()
    assert planned(None, host) == [
        Delete(
            side=Side.HOST,
            resource=INGRESS.key,
            namespace="hns",
            name=host["metadata"]["name"],
            uid=host["metadata"]["uid"],
        )
    ]


@pytest.mark.parametrize("mine", [None, {**MINE, "metadata": {**MINE["metadata"], "uid": "another"}}])
def test_a_host_object_that_is_going_already_is_left_to_go(mine):
    assert planned(mine, going(theirs())) == []


def test_nothing_on_either_side_is_nothing_to_do():
    assert planned(None, None) == []


def test_the_host_object_of_a_predecessor_goes_first():
    successor = {**MINE, "metadata": {**MINE["metadata"], "uid": "another"}}
    (action,) = planned(successor, theirs())
    assert isinstance(action, Delete)


def test_a_host_object_that_lost_its_uid_mark_gets_it_back():
    host = theirs()
    del host["metadata"]["annotations"][UID]
    (patch,) = planned(host=host)
    assert patch.body == {"metadata": {"annotations": {UID: "virtual-web"}}}


@pytest.mark.parametrize("used", [True, False])
def test_a_kind_that_crosses_only_when_used_does_so(used):
    row, name = rule("configmaps"), key("configmaps")
    mine = virtual("configmaps", data={"a": "b"})
    given_ = context(FakeWorld(unused=frozenset() if used else frozenset({name})))
    host = stored(to_host(row, name, mine, given_))
    new = plan(row, name, virtual=mine, host=None, context=given_)
    old = plan(row, name, virtual=mine, host=host, context=given_)
    assert [type(action) for action in new] == ([Create] if used else [])
    assert [type(action) for action in old] == ([] if used else [Delete])


def test_fields_that_the_host_owns_beside_the_status_come_back_in_a_plain_patch():
    from syncer.rules.table import parse_table

    row = {
        "resource": "widgets", "group": "x", "version": "v1", "kind": "Widget", "scope": "Namespaced", "direction": "toHost",
        "tenantOwns": ["spec"], "hostOwns": ["status", "result"],
    }  # fmt: skip
    (widgets,) = parse_table([row]).values()
    mine = {"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {}}
    host = stored(to_host(widgets, KEY, mine, context()), status={"a": 1}, result={"b": 2})
    one, other = plan(widgets, KEY, virtual=mine, host=host, context=context())
    assert (one.subresource, one.body) == ("status", {"status": {"a": 1}})
    assert (other.subresource, other.body) == (None, {"result": {"b": 2}})


names = st.sampled_from("abc")
scalars = st.sampled_from([0, 1, "", "s", True, False])
# JSON as API servers store it: no null members, for those are what a merge patch deletes with.
objects = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
maps = st.dictionaries(names, objects, max_size=3)


@given(maps, maps)
def test_applying_the_difference_to_what_is_there_gives_what_is_wanted(have, want):
    difference = merge_difference(have, want)
    assert (have if difference is SAME else merged(have, difference)) == want


@given(maps)
def test_there_is_no_difference_to_oneself(have):
    assert merge_difference(have, have) is SAME


@given(maps, maps)
def test_a_difference_once_applied_leaves_none(have, want):
    difference = merge_difference(have, want)
    after = have if difference is SAME else merged(have, difference)
    assert merge_difference(after, want) is SAME


@pytest.mark.parametrize(
    ("have", "want"),
    [(None, None), (None, {}), ({}, None), (None, []), ([], None), ("", None), (None, False), (0, None)],
)
def test_nothing_and_something_empty_are_the_same(have, want):
    assert merge_difference(have, want) is SAME


@pytest.mark.parametrize(
    ("have", "want", "difference"),
    [
        ({"a": 1}, None, None),
        (None, {"a": 1}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
        ({"a": True}, {"a": False}, {"a": False}),
    ],
)
def test_a_difference_says_only_what_differs(have, want, difference):
    assert merge_difference(have, want) == difference
