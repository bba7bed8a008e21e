"""Which starts of containers somebody has to answer for."""

import pytest

from tests.soak.checks import unasked_replacements, unasked_restarts


def pods(**counts):
    return {"u1": [state(*(container(name, count) for name, count in counts.items()))]}


def state(*containers):
    return {"status": {"initContainerStatuses": list(containers)}}


def container(name, restarts, *, exit_code=137, ended="", started=""):
    return {
        "name": name,
        "restartCount": restarts,
        "state": {"running": {"startedAt": started}} if started else {"waiting": {}},
        "lastState": {"terminated": {"exitCode": exit_code, "finishedAt": ended}} if ended else {},
    }


def test_as_many_starts_as_kills_are_fine():
    assert unasked_restarts({("u1", "store"): 2}, pods(store=2, syncer=0)) == []


def test_a_start_that_nobody_asked_for_is_told():
    found = unasked_restarts({("u1", "store"): 2}, pods(store=2, syncer=1))

    assert found == ["syncer of pod u1 started again 1 times, but was killed 0 times"]


def test_kills_of_another_pod_do_not_count():
    assert unasked_restarts({("u2", "syncer"): 1}, pods(syncer=1)) != []


@pytest.mark.parametrize("name", ["apiserver", "controller-manager"])
@pytest.mark.parametrize(
    ("exit_code", "ended", "found"),
    [(1, "02:00", 0), (1, "03:50", 0), (137, "02:00", 1), (1, "05:00", 1)],
    ids=[
        "gave up without a store",
        "gave up while the store's API server started",
        "was killed",
        "ended with all there",
    ],
)
def test_who_gives_up_without_a_store_is_no_start_unasked_for(name, exit_code, ended, found):
    seen = [
        state(
            container("store", 1, ended=at("01:00"), started=started),
            container("apiserver", 0),
            container(name, 1, exit_code=exit_code, ended=at(ended)),
        )
        for started in ("", at("03:00"))
    ]

    assert len(unasked_restarts({("u1", "store"): 1}, {"u1": seen})) == found


def at(minute):
    """A time of day as objects have it."""
    return f"2026-11-24T10:{minute}Z"


def test_a_pod_that_somebody_else_deleted_is_told():
    seen = {"u1": {}, "u2": {}, "u3": {}}

    assert unasked_replacements(2, seen) == []
    assert unasked_replacements(1, seen) == ["the control plane's pod was replaced 2 times, but deleted 1 times"]
