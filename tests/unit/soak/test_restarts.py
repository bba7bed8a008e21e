"""Which starts of containers somebody has to answer for."""

from tests.soak.checks import unasked_replacements, unasked_restarts


def pods(**counts):
    return {"u1": {"status": {"initContainerStatuses": [{"name": n, "restartCount": c} for n, c in counts.items()]}}}


def test_as_many_starts_as_kills_are_fine():
    assert unasked_restarts({("u1", "store"): 2}, pods(store=2, syncer=0)) == []


def test_a_start_that_nobody_asked_for_is_told():
    found = unasked_restarts({("u1", "store"): 2}, pods(store=2, syncer=1))

    assert found == ["syncer of pod u1 started again 1 times, but was killed 0 times"]


def test_kills_of_another_pod_do_not_count():
    assert unasked_restarts({("u2", "syncer"): 1}, pods(syncer=1)) != []


def test_a_pod_that_somebody_else_deleted_is_told():
    seen = {"u1": {}, "u2": {}, "u3": {}}

    assert unasked_replacements(2, seen) == []
    assert unasked_replacements(1, seen) == ["the control plane's pod was replaced 2 times, but deleted 1 times"]
