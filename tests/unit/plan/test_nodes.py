"""Virtual nodes: made, kept up and removed without a write that changes nothing."""

from __future__ import annotations

import copy

import pytest

from syncer.names import HOST_NODE, MANAGED_BY
from syncer.plan.actions import Create, Delete, Side
from syncer.plan.nodes import plan
from syncer.rules.nodes import Sighting, mirror, stand_in
from tests.unit.builders import CLUSTER, going, merged

THEN, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def wanted(addresses=("192.0.2.1",), *, lost=False):
    return stand_in("node-1", Sighting(addresses, lost), version="v1", architecture="amd64", cluster=CLUSTER)


def real(**fields):
    return mirror(
        {"metadata": {"name": "node-1", "labels": {"zone": "a"}}, "spec": {}, "status": {"conditions": []}, **fields},
        cluster=CLUSTER,
    )


def planned(have, want, *, mirrored=False, now=NOW):
    return plan(virtual=have, wanted=want, cluster=CLUSTER, mirrored=mirrored, now=now)


def made(want, *, mirrored=False):
    """The virtual node as it is after its creation."""
    (create,) = planned(None, want, mirrored=mirrored, now=THEN)
    body = copy.deepcopy(create.body)
    body["metadata"] |= {"uid": "n", "resourceVersion": "1"}
    body.setdefault("spec", {})
    return body


def applied(node, actions):
    for action in actions:
        node = merged(node, action.body)
    return node


def ready(node):
    return next(item for item in node["status"]["conditions"] if item["type"] == "Ready")


def test_a_node_that_is_wanted_is_created_with_the_time_of_its_conditions():
    (create,) = planned(None, wanted())
    assert isinstance(create, Create)
    assert create.side is Side.VIRTUAL
    assert {item["lastTransitionTime"] for item in create.body["status"]["conditions"]} == {NOW}


@pytest.mark.parametrize("mirrored", [True, False])
def test_time_alone_is_no_reason_to_write(mirrored):
    want = real() if mirrored else wanted()
    assert planned(made(want, mirrored=mirrored), want, mirrored=mirrored) == []


def test_an_address_that_becomes_known_is_added():
    node = made(wanted(()))
    actions = planned(node, wanted())
    assert [action.subresource for action in actions] == ["status"]
    assert planned(applied(node, actions), wanted()) == []


def test_a_lost_node_is_not_ready_since_now_and_ready_again_since_later():
    node = made(wanted())
    node = applied(node, planned(node, wanted(lost=True), now=NOW))
    assert (ready(node)["status"], ready(node)["lastTransitionTime"]) == ("Unknown", NOW)
    node = applied(node, planned(node, wanted(), now="2026-01-03T00:00:00Z"))
    assert (ready(node)["status"], ready(node)["lastTransitionTime"]) == ("True", "2026-01-03T00:00:00Z")


def test_a_reason_that_changes_keeps_the_time_of_the_last_transition():
    changed = wanted()
    changed["status"]["conditions"][0]["reason"] = "Other"
    node = made(wanted())
    node = applied(node, planned(node, changed))
    assert ready(node)["reason"] == "Other"
    assert ready(node)["lastTransitionTime"] == THEN


def test_what_the_tenant_did_to_a_stand_in_stays():
    node = made(wanted())
    node["spec"] = {"unschedulable": True, "taints": [{"key": "k", "effect": "NoSchedule"}], "podCIDR": "10.0.0.0/24"}
    node["metadata"]["labels"]["disk"] = "ssd"
    node["metadata"]["annotations"] = {"note": "mine"}
    assert planned(node, wanted()) == []


@pytest.mark.parametrize("change", [{MANAGED_BY: None}, {"kubernetes.io/arch": "s390x"}])
def test_labels_that_tell_the_truth_about_a_node_are_put_back(change):
    node = merged(made(wanted()), {"metadata": {"labels": change}})
    assert planned(applied(node, planned(node, wanted())), wanted()) == []


@pytest.mark.parametrize("odd", [{"metadata": {"labels": None}}, {"status": None}, {"spec": None}])
def test_a_node_that_somebody_emptied_is_filled_again(odd):
    node = {
        **made(wanted()),
        **({"metadata": {**made(wanted())["metadata"], "labels": None}} if "metadata" in odd else odd),
    }
    after = applied(node, planned(node, wanted()))
    assert planned(after, wanted()) == []


def test_a_mirror_follows_the_hosts_taints_and_cordon():
    node = made(real(), mirrored=True)
    cordoned = real(spec={"unschedulable": True, "taints": [{"key": "k"}], "providerID": "p"})
    actions = planned(node, cordoned, mirrored=True)
    assert actions[0].body["spec"] == {"unschedulable": True, "taints": [{"key": "k"}], "providerID": "p"}
    assert planned(applied(node, actions), cordoned, mirrored=True) == []
    back = planned(applied(node, actions), real(spec={"providerID": "p"}), mirrored=True)
    assert back[0].body["spec"] == {"unschedulable": None, "taints": None}


def test_heartbeats_of_a_real_node_are_not_passed_on():
    def beating(time):
        return real(
            status={
                "conditions": [
                    {"type": "Ready", "status": "True", "lastHeartbeatTime": time, "lastTransitionTime": THEN}
                ]
            }
        )

    node = made(beating(THEN), mirrored=True)
    assert planned(node, beating(NOW), mirrored=True) == []


def test_a_node_that_nobody_wants_is_deleted_if_it_is_ours():
    (action,) = planned(made(wanted()), None)
    assert isinstance(action, Delete)
    theirs = merged(made(wanted()), {"metadata": {"labels": {MANAGED_BY: None}}})
    assert planned(theirs, None) == []


@pytest.mark.parametrize("want", [None, wanted(())])
def test_a_node_on_its_way_out_is_left_to_go(want):
    assert planned(going(made(wanted())), want) == []


def test_a_node_that_never_was_needs_nothing():
    assert planned(None, None) == []


MINE = {"key": "mine", "effect": "NoSchedule"}
THEIRS = {"key": "theirs", "effect": "NoSchedule"}


def mirrored(want, **spec):
    """A mirror after the tenant has changed its spec."""
    node = made(want, mirrored=True)
    node["spec"] = {name: value for name, value in {**node["spec"], **spec}.items() if value is not None}
    return node


def after(node, want):
    """The mirror when the host's news have come in; nothing may be left to say."""
    node = applied(node, planned(node, want, mirrored=True))
    assert planned(node, want, mirrored=True) == []
    return node


def test_taints_and_a_cordon_of_the_tenants_own_stay_on_a_mirror_while_the_hosts_come_and_go():
    node = mirrored(real(), taints=[MINE], unschedulable=True)
    assert planned(node, real(), mirrored=True) == []
    node = after(node, real(spec={"taints": [THEIRS]}))
    assert node["spec"]["taints"] == [MINE, THEIRS]
    node = after(node, real())
    assert node["spec"] == {"taints": [MINE], "unschedulable": True}


def test_what_the_tenant_has_lifted_from_a_mirror_is_not_put_back_until_the_host_says_it_anew():
    busy = real(spec={"taints": [THEIRS], "unschedulable": True})
    node = mirrored(busy, taints=None, unschedulable=None)
    assert planned(node, busy, mirrored=True) == []
    node = after(node, real())
    assert node["spec"] == {}
    assert after(node, busy)["spec"] == {"taints": [THEIRS], "unschedulable": True}


def test_a_taint_that_changes_its_value_on_the_host_stands_once():
    node = made(real(spec={"taints": [{**THEIRS, "value": "1"}]}), mirrored=True)
    assert after(node, real(spec={"taints": [{**THEIRS, "value": "2"}]}))["spec"]["taints"] == [
        {**THEIRS, "value": "2"}
    ]


def test_a_label_that_the_host_has_taken_off_goes_and_one_of_the_tenants_own_stays():
    node = made(real(metadata={"name": "node-1", "labels": {"zone": "a", "old": "1"}}), mirrored=True)
    node["metadata"]["labels"]["mine"] = "1"
    labels = after(node, real())["metadata"]["labels"]
    assert (labels["zone"], labels["mine"]) == ("a", "1")
    assert "old" not in labels


def test_a_change_of_taints_is_not_made_over_one_that_is_not_known_yet():
    (change,) = planned(made(real(), mirrored=True), real(spec={"taints": [THEIRS]}), mirrored=True)
    assert change.body["metadata"]["resourceVersion"] == "1"


@pytest.mark.parametrize("odd", ["", "{", "[]", '{"labels":[],"taints":[1],"unschedulable":0}'])
def test_a_note_that_a_tenant_has_spoilt_is_written_anew(odd):
    want = real(spec={"taints": [THEIRS]})
    node = made(want, mirrored=True)
    node["metadata"]["annotations"] = {HOST_NODE: odd}
    assert after(node, want)["spec"]["taints"] == [THEIRS]


def test_resources_that_a_tenant_gives_to_a_mirror_stay_as_long_as_they_are_not_the_hosts():
    have = {"cpu": "2", "example.com/gpu": "1"}
    node = made(real(status={"conditions": [], "capacity": have, "allocatable": have}), mirrored=True)
    node["status"]["capacity"] = {"cpu": "64", "example.com/gpu": "9", "tenant.example/licence": "5"}
    status = after(node, real(status={"conditions": [], "capacity": have, "allocatable": have}))["status"]
    assert status["capacity"] == {**have, "tenant.example/licence": "5"}
