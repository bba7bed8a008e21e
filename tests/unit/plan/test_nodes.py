"""Virtual nodes: made, kept up and removed without a write that changes nothing."""

from __future__ import annotations

import copy

import pytest

from syncer.names import MANAGED_BY
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
