"""What decides over the life of a pod; whole lives are in tests/unit/engine/test_pods.py."""

from __future__ import annotations

import pytest

from syncer.names import UID
from syncer.plan import plan
from syncer.plan.actions import Attempt, Bind, Create, Delete, First, Later, Patch, Side, Together, Warn
from syncer.plan.pods import FORCED, is_finished, was_placed
from syncer.rules import pods as rules
from tests.unit.builders import FakeWorld, context, going, key, rule, stored, virtual

ROW, KEY = rule("pods"), key("pods")
NODES = FakeWorld(nodes=frozenset({"node-1"}))


def pod(*, metadata=None, status=None, **spec):
    given = {"containers": [{"name": "main", "image": "i"}], "dnsPolicy": "Default", **spec}
    return virtual("pods", spec=given, status=status or {"phase": "Pending"}, metadata=metadata or {})


def hosts(mine=None, *, status=None, **spec):
    host = stored(rules.to_host(KEY, mine or pod(), context(NODES)), status=status or {"phase": "Pending"})
    host["spec"] |= spec
    return host


RUNNING = {"phase": "Running", "startTime": "then"}
PLACED = pod(nodeName="node-1", status=RUNNING)


def planned(mine, host=None, *, gone=None, world=NODES, **settings):
    return plan(ROW, KEY, virtual=mine, host=host, gone=gone, context=context(world, **settings))


def kinds(actions):
    return [type(action) for action in actions]


@pytest.mark.parametrize(
    ("node", "status", "expected"),
    [
        (None, {}, False),
        (None, {"startTime": "then"}, False),
        ("n", {}, False),
        ("n", None, False),
        ("n", {"startTime": "then"}, True),
        ("n", {"conditions": [{"type": "PodScheduled", "status": "True"}]}, True),
        ("n", {"conditions": [{"type": "PodScheduled", "status": "False"}]}, False),
        ("n", {"conditions": None}, False),
    ],
)
def test_a_pod_was_on_the_host_when_it_was_bound_not_when_it_asked_for_a_node(node, status, expected):
    assert was_placed({"spec": {"nodeName": node}, "status": status}, schedules=False) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, False),
        ({}, False),
        ({"phase": "Running"}, False),
        ({"phase": "Succeeded"}, True),
        ({"phase": "Failed"}, True),
    ],
)
def test_a_pod_is_finished_when_all_its_containers_ended_for_good(status, expected):
    assert is_finished({"status": status}) is expected


def test_a_new_pod_is_created():
    assert kinds(planned(pod())) == [Create]


def test_a_new_pod_with_a_preset_node_is_created_when_the_node_is_known():
    assert kinds(planned(pod(nodeName="node-1"))) == [Create]
    assert kinds(planned(pod(nodeName="mars"))) == [Warn, Later]


def test_a_new_pod_gets_its_tokens_at_the_same_time_unless_they_are_there():
    from syncer.names import TOKEN, Key

    token = Key(TOKEN, KEY.namespace, KEY.name)
    mine = pod(volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}])
    (together,) = planned(mine, world=FakeWorld(not_on_host=frozenset({token})))
    assert isinstance(together, Together)
    assert kinds(together.actions) == [Create, First]
    assert kinds(planned(mine)) == [Create]


@pytest.mark.parametrize("mine", [going(pod()), going(PLACED), PLACED])
def test_a_pod_without_a_host_pod_that_had_one_or_is_going_goes_at_once(mine):
    (action,) = planned(mine)
    assert isinstance(action, Delete)
    assert (action.side, action.grace, action.uid) == (Side.VIRTUAL, 0, "virtual-web")


def test_a_pod_that_was_told_to_go_at_once_is_not_told_again():
    assert planned(going(PLACED, grace=0, finalizers=["a/b"])) == []


def test_the_last_state_of_a_vanished_host_pod_is_told_to_those_who_wait_for_it():
    gone = hosts(nodeName="node-1", status={**RUNNING, "phase": "Failed"})
    report, delete = planned(going(PLACED, finalizers=["a/b"]), gone=gone)
    assert isinstance(report, Patch)
    assert report.body["status"]["phase"] == "Failed"
    assert isinstance(delete, Delete)
    assert kinds(planned(going(PLACED), gone=gone)) == [Delete]


@pytest.mark.parametrize(
    ("virtual_grace", "host_grace", "asked"),
    [(30, None, 30), (5, 30, 5), (30, 5, None), (5, 5, None), (0, 30, 0), (0, None, 0)],
)
def test_the_host_pod_ends_within_the_tenants_grace(virtual_grace, host_grace, asked):
    host = hosts(nodeName="node-1")
    ending = host if host_grace is None else going(host, grace=host_grace)
    graces = [
        action.grace for action in planned(going(PLACED, grace=virtual_grace), ending) if isinstance(action, Delete)
    ]
    assert graces == ([] if asked is None else [asked])


def test_a_host_pod_that_is_ending_ends_for_the_tenant_with_the_same_grace():
    (action,) = planned(PLACED, going(hosts(nodeName="node-1"), grace=12))
    assert isinstance(action, Delete)
    assert (action.side, action.grace) == (Side.VIRTUAL, 12)


@pytest.mark.parametrize("mine", [None, {**PLACED, "metadata": {**PLACED["metadata"], "uid": "another"}}])
def test_a_host_pod_of_nobody_or_of_a_predecessor_is_ended_and_not_twice(mine):
    (action,) = planned(mine, hosts())
    assert isinstance(action, Delete)
    assert (action.side, action.grace) == (Side.HOST, FORCED)
    assert planned(mine, going(hosts(), grace=FORCED)) == []
    assert kinds(planned(mine, going(hosts(), grace=30))) == [Delete]


def test_a_pod_is_bound_where_the_host_runs_it():
    assert planned(pod(), hosts(nodeName="node-1")) == [Bind(key=KEY, uid="virtual-web", node="node-1")]


@pytest.mark.parametrize(("mine", "host"), [(going(pod()), hosts()), (pod(), going(hosts()))])
def test_a_pod_that_is_going_on_either_side_is_not_bound(mine, host):
    host["spec"]["nodeName"] = "node-1"
    assert Bind not in kinds(planned(mine, host))


def test_a_status_is_told_once_the_kubelet_has_spoken():
    assert planned(PLACED, hosts(PLACED, nodeName="node-1", status={"phase": "Pending", "message": "scheduled"})) == []
    (report,) = planned(PLACED, hosts(PLACED, nodeName="node-1", status={**RUNNING, "podIP": "10.0.0.1"}))
    assert report.body == {"status": {"podIP": "10.0.0.1"}}


def test_a_pod_that_never_started_is_reported_when_it_failed():
    (report,) = planned(PLACED, hosts(PLACED, nodeName="node-1", status={"phase": "Failed", "reason": "Evicted"}))
    assert report.body["status"]["reason"] == "Evicted"


def test_a_pod_with_readiness_gates_is_reported_only_on_what_was_seen():
    mine = pod(readinessGates=[{"conditionType": "a/b"}], nodeName="node-1", status=RUNNING)
    (report,) = planned(mine, hosts(mine, nodeName="node-1", status={**RUNNING, "podIP": "10.0.0.1"}))
    assert report.body["metadata"] == {"resourceVersion": "1"}


def test_changes_that_the_host_may_refuse_are_tried_and_explained():
    host = hosts(PLACED, nodeName="node-1", status=RUNNING)
    edited = {**PLACED, "metadata": {**PLACED["metadata"], "labels": {"new": "label"}}}
    (attempt,) = planned(edited, host)
    assert isinstance(attempt, Attempt)
    assert attempt.action.body["metadata"]["labels"] == {"new": "label"}
    assert isinstance(attempt.otherwise[0], Warn)


def test_lists_of_a_pod_are_patched_by_name():
    host = hosts(PLACED, nodeName="node-1", status=RUNNING)
    image = {**PLACED, "spec": {**PLACED["spec"], "containers": [{"name": "main", "image": "new"}]}}
    actions = [attempt.action for attempt in planned(image, host)]
    (images,) = [action for action in actions if "spec" in action.body]
    assert images.strategic
    assert images.body["spec"]["containers"] == [{"name": "main", "image": "new"}]


def test_a_finished_pod_is_not_changed_any_more():
    host = hosts(PLACED, nodeName="node-1", status={**RUNNING, "phase": "Succeeded"})
    mine = {**PLACED, "status": host["status"], "metadata": {**PLACED["metadata"], "labels": {"new": "label"}}}
    assert all(action.side is Side.VIRTUAL for action in planned(mine, host))


def test_a_host_pod_that_lost_its_uid_mark_is_still_ours():
    host = hosts(PLACED, nodeName="node-1", status=RUNNING)
    del host["metadata"]["annotations"][UID]
    assert Delete not in kinds(planned(PLACED, host))


def test_an_end_that_was_asked_for_and_did_not_come_is_asked_for_again():
    """As after a store that was killed between shortening the grace and removing the pod."""
    (delete,) = planned(going(PLACED, grace=0))
    assert (delete.side, delete.grace) == (Side.VIRTUAL, 0)


SCHEDULED = {"type": "PodScheduled", "status": "True"}
REFUSED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}


def test_a_pod_that_the_virtual_scheduler_has_not_placed_yet_is_no_matter_of_the_host():
    assert planned(pod(), schedules=True) == []


def test_a_pod_that_the_virtual_scheduler_has_placed_is_made_not_taken_for_one_that_the_host_has_lost():
    placed = pod(nodeName="node-1", status={"phase": "Pending", "conditions": [SCHEDULED]})
    (create,) = planned(placed, schedules=True)
    assert isinstance(create, Create)
    assert create.body["spec"]["affinity"]


def test_a_pod_that_the_host_has_lost_after_its_start_goes_whoever_scheduled_it():
    assert kinds(planned(PLACED, schedules=True)) == [Delete]


def test_what_the_virtual_scheduler_said_stands_until_the_hosts_scheduler_or_kubelet_says_more():
    placed = pod(nodeName="node-1", status={"phase": "Pending", "conditions": [SCHEDULED]})
    host = stored(rules.to_host(KEY, placed, context(NODES, schedules=True)), status={"phase": "Pending"})
    assert planned(placed, host, schedules=True) == []
    host["status"]["conditions"] = [REFUSED]
    (report,) = planned(placed, host, schedules=True)
    assert report.body["status"]["conditions"] == [REFUSED]
