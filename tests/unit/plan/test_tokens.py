"""Token Secrets: written when needed, anew when due, gone with their pod."""

from __future__ import annotations

import pytest

from syncer.names import TOKEN, UID, Key
from syncer.plan.actions import Delete, IssueTokens, Later
from syncer.plan.tokens import REFRESH_AT, plan
from tests.unit.builders import going, virtual

KEY = Key(TOKEN, "shop", "web")
ISSUE = [IssueTokens(key=KEY, uid="virtual-web")]
VOLUME = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}


def pod(*, status=None, volumes=(VOLUME,), **spec):
    return virtual(
        "pods", spec={"volumes": list(volumes), "containers": [], **spec}, status=status or {"phase": "Pending"}
    )


def secret(refresh_at="1000", uid="virtual-web"):
    annotations = {UID: uid} | ({REFRESH_AT: refresh_at} if refresh_at is not None else {})
    return {"metadata": {"name": "s", "namespace": "hns", "uid": "s", "annotations": annotations}}


PLACED = pod(nodeName="node-1", status={"phase": "Running", "startTime": "then"})
HOST = {"metadata": {}}


def planned(mine, there=None, host=HOST, now=900.0, *, schedules=False):
    return plan(KEY, pod=mine, host_pod=host, secret=there, schedules=schedules, now=now)


@pytest.mark.parametrize("host", [HOST, None])
def test_a_pod_that_runs_or_is_to_run_gets_its_tokens(host):
    assert planned(pod(), host=host) == ISSUE


def test_tokens_are_looked_at_again_when_they_are_due():
    assert planned(PLACED, secret("1000"), now=900) == [Later(seconds=100)]


@pytest.mark.parametrize("refresh_at", ["900", "899.5", None, "", "soon", "nan"])
def test_tokens_that_are_due_or_of_unknown_age_are_written_anew(refresh_at):
    assert planned(PLACED, secret(refresh_at), now=900) == ISSUE


def test_the_tokens_of_a_predecessor_are_replaced():
    assert planned(PLACED, secret(uid="another")) == ISSUE


def test_a_pod_that_the_host_refuses_for_now_keeps_its_tokens():
    assert planned(pod(), secret("1000"), host=None) == [Later(seconds=100)]


@pytest.mark.parametrize(
    ("mine", "host"),
    [
        (None, None),
        (None, HOST),
        (PLACED, None),
        (pod(status={"phase": "Succeeded"}), HOST),
        (pod(status={"phase": "Failed"}), HOST),
        (pod(volumes=()), HOST),
    ],
)
def test_tokens_that_nobody_needs_are_removed_and_never_issued(mine, host):
    (action,) = planned(mine, secret(), host)
    assert isinstance(action, Delete)
    assert action.resource == TOKEN
    assert planned(mine, going(secret()), host) == []
    assert planned(mine, None, host) == []


def test_a_pod_that_the_virtual_scheduler_has_placed_gets_its_tokens_before_the_host_has_it():
    placed = pod(nodeName="n", status={"conditions": [{"type": "PodScheduled", "status": "True"}]})
    assert planned(placed, host=None, schedules=True) == ISSUE
