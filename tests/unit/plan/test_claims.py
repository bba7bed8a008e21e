"""Claims and the volumes that show where they are bound."""

from __future__ import annotations

import pytest

from syncer.names import MANAGED_BY
from syncer.plan import plan
from syncer.plan.actions import Attempt, Create, Delete, Later, Patch, Side, Warn
from syncer.plan.claims import plan_volume
from syncer.rules.claims import SELECTED_NODE, to_host, volume
from tests.unit.builders import CLUSTER, FakeWorld, context, going, key, merged, rule, stored, virtual

ROW, KEY = rule("persistentvolumeclaims"), key("persistentvolumeclaims", "data")
DONE = {"phase": "Bound", "capacity": {"storage": "1Gi"}}


def claim(*, status=None, **spec):
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return virtual("persistentvolumeclaims", "data", spec=asked, status=status or {"phase": "Pending"})


def hosts(mine=None, *, bound=True, schedules=False, **spec):
    body = to_host(ROW, KEY, mine or claim(), context(schedules=schedules))
    host = stored(body, status=DONE if bound else {"phase": "Pending"})
    host["spec"] |= ({"volumeName": "pv-1"} if bound else {}) | spec
    return host


def stand_in(phase="Bound", **spec):
    body = volume(claim(), hosts(), CLUSTER)
    body["spec"] |= spec
    return stored(body, status={"phase": phase})


BOUND = claim(volumeName="pv-1", status=DONE)


def planned(mine, host=None, shown=None, **surroundings):
    return plan(ROW, KEY, virtual=mine, host=host, volume=shown, context=context(**surroundings))


def test_a_new_claim_is_created():
    (action,) = planned(claim())
    assert action == Create(side=Side.HOST, resource=ROW.key, body=to_host(ROW, KEY, claim(), context()))


def test_a_claim_on_its_way_out_is_not_created():
    assert planned(going(claim())) == []


def test_a_pending_claim_waits():
    assert planned(claim(), hosts(bound=False)) == []


def test_a_bound_claim_gets_a_volume_and_is_bound_to_it_and_says_so():
    create, bind, report = planned(claim(), hosts())
    assert create == Create(side=Side.VIRTUAL, resource="persistentvolumes", body=volume(claim(), hosts(), CLUSTER))
    assert bind.body["spec"] == {"volumeName": "pv-1"}
    assert bind.body["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
    assert (report.subresource, report.body) == ("status", {"status": DONE})


def test_a_claim_without_a_class_learns_which_one_the_host_chose():
    bind = planned(claim(), hosts(storageClassName="fast"))[1]
    assert bind.body["spec"]["storageClassName"] == "fast"


def test_a_new_volume_is_said_to_be_bound():
    (patch,) = planned(BOUND, hosts(), stand_in("Available"))
    assert (patch.resource, patch.subresource, patch.body) == (
        "persistentvolumes",
        "status",
        {"status": {"phase": "Bound"}},
    )


def test_a_bound_claim_that_all_know_of_needs_nothing():
    assert planned(BOUND, hosts(), stand_in()) == []


def test_a_claim_that_grows_asks_the_host_and_tells_the_tenant_when_it_refuses():
    bigger = claim(volumeName="pv-1", status=DONE, resources={"requests": {"storage": "5Gi"}})
    (attempt,) = planned(bigger, hosts(), stand_in())
    assert isinstance(attempt, Attempt)
    assert attempt.action.body == {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}
    assert isinstance(attempt.otherwise[0], Warn)


def test_a_volume_grows_with_the_hosts():
    host = {**hosts(), "status": {**DONE, "capacity": {"storage": "5Gi"}}}
    patch, _ = planned(BOUND, host, stand_in())
    assert (patch.resource, patch.body) == ("persistentvolumes", {"spec": {"capacity": {"storage": "5Gi"}}})


def test_labels_of_a_claim_are_followed():
    labelled = {**BOUND, "metadata": {**BOUND["metadata"], "labels": {"a": "b"}}}
    (attempt,) = planned(labelled, hosts(), stand_in())
    assert attempt.action.body["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize("mine", [None, {**BOUND, "metadata": {**BOUND["metadata"], "uid": "another"}}])
def test_a_host_claim_of_nobody_or_of_a_predecessor_goes(mine):
    (action,) = planned(mine, hosts())
    assert isinstance(action, Delete)
    assert action.side is Side.HOST


def test_a_volume_whose_claim_is_there_stays():
    assert plan_volume(stand_in(), claim=BOUND, cluster=CLUSTER) == []


@pytest.mark.parametrize("left", [None, {"metadata": {"uid": "another"}}])
def test_a_volume_whose_claim_has_gone_is_released_and_deleted(left):
    release, delete = plan_volume(stand_in(), claim=left, cluster=CLUSTER)
    assert isinstance(release, Patch)
    assert release.body == {"status": {"phase": "Released"}}
    assert isinstance(delete, Delete)


def test_a_volume_that_is_released_and_going_needs_nothing_more():
    assert plan_volume(going(stand_in("Released")), claim=None, cluster=CLUSTER) == []


@pytest.mark.parametrize("labels", [None, {}, {MANAGED_BY: "other"}])
def test_a_volume_of_somebody_else_is_left_alone(labels):
    theirs = stand_in()
    theirs["metadata"]["labels"] = labels
    assert plan_volume(theirs, claim=None, cluster=CLUSTER) == []


def test_a_claim_whose_volume_the_host_lost_gets_another_and_says_so():
    mine = claim(volumeName="pv-0", status=DONE)
    mine["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    create, warning = planned(mine)
    assert isinstance(create, Create)
    assert create.side is Side.HOST
    assert isinstance(warning, Warn)
    assert planned(mine, hosts(mine), stand_in()) == []


def test_a_claim_that_names_a_volume_of_the_tenants_own_leaves_that_one_alone():
    mine = claim(volumeName="own")
    own = stored({"metadata": {"name": "own"}, "spec": {}}, status={"phase": "Available"})
    (report,) = planned(mine, hosts(mine), own)
    assert report.body == {"status": DONE}


REACH = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "In", "values": ["n"]}]}]}}
REAL = {"metadata": {"name": "pv-1"}, "spec": {"nodeAffinity": REACH}}


def test_a_scheduler_inside_learns_where_a_volume_can_be_reached():
    create, *_ = planned(claim(), hosts(), world=FakeWorld(volumes={"pv-1": REAL}), schedules=True)
    assert create.body["spec"]["nodeAffinity"] == REACH


def test_a_scheduler_inside_is_not_told_of_a_volume_before_it_is_known_where_that_can_be_reached():
    later, report = planned(claim(), hosts(), schedules=True)
    assert isinstance(later, Later)
    assert report.subresource == "status"


def test_a_volume_that_was_shown_before_there_was_a_scheduler_says_now_where_it_can_be_reached():
    known = FakeWorld(volumes={"pv-1": REAL})
    (change,) = planned(BOUND, hosts(), stand_in(), world=known, schedules=True)
    assert change.body == {"spec": {"nodeAffinity": REACH}}
    assert planned(BOUND, hosts(), stand_in(nodeAffinity=REACH), world=known, schedules=True) == []


def chosen(node="node-1"):
    mine = claim()
    mine["metadata"]["annotations"] = {SELECTED_NODE: node}
    return mine


def test_the_node_that_a_scheduler_inside_has_chosen_for_a_volume_reaches_the_provisioner():
    (change,) = planned(chosen(), hosts(bound=False), schedules=True)
    assert change.action.body["metadata"]["annotations"][SELECTED_NODE] == "node-1"
    assert planned(chosen(), hosts(chosen(), bound=False, schedules=True), schedules=True) == []


def test_a_node_that_the_provisioner_turns_down_is_the_scheduler_s_to_choose_again():
    host = hosts(chosen(), bound=False, schedules=True)
    del host["metadata"]["annotations"][SELECTED_NODE]
    forget, refused = planned(chosen(), host, schedules=True)
    assert (refused.side, refused.body) == (Side.VIRTUAL, {"metadata": {"annotations": {SELECTED_NODE: None}}})
    host = merged(host, forget.action.body)
    assert planned(claim(), host, schedules=True) == []
    (again,) = planned(chosen("node-2"), host, schedules=True)
    assert again.action.body["metadata"]["annotations"][SELECTED_NODE] == "node-2"


def test_when_the_host_schedules_a_tenant_cannot_choose_the_node_of_a_volume():
    assert planned(chosen(), hosts(bound=False)) == []
