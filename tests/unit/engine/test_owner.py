"""The owner object: its end retires the syncer, its return restarts it."""

from __future__ import annotations

import pytest

from syncer.engine.owner import OwnerReplaced, _Sink

OWNER = {"kind": "ConfigMap", "metadata": {"name": "vc-owner-vc", "uid": "1"}}


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def sink(told: list[str]) -> _Sink:
    return _Sink(lambda: told.append("gone"))


def test_an_owner_that_is_there_is_no_news(sink, told):
    sink.begin()
    sink.put(OWNER)
    sink.end()
    sink.changed(OWNER)

    assert told == []


@pytest.mark.parametrize("end", ["listed without it", "deleted", "being deleted"])
def test_the_end_of_the_owner_is_told(sink, told, end):
    if end == "listed without it":
        sink.begin()
        sink.end()
    elif end == "deleted":
        sink.deleted(OWNER)
    else:
        sink.changed({**OWNER, "metadata": {**OWNER["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})

    assert told == ["gone"]


def test_an_owner_made_again_is_not_ours(sink):
    sink.deleted(OWNER)

    with pytest.raises(OwnerReplaced, match="made again"):
        sink.changed(OWNER)
