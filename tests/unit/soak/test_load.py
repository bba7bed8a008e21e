"""What the tenant's work writes down as promised."""

from random import Random

import pytest

from syncer.kube.errors import AlreadyExists, Forbidden, Invalid, Unreachable
from tests.soak import load
from tests.soak.load import Load


class Answers:
    """An API server that answers creations one after the other with these errors, None = done."""

    def __init__(self, *errors):
        self.errors = list(errors)

    async def create(self, _resource, _body, *, namespace):
        assert namespace == "soak"
        error = self.errors.pop(0)
        if error is not None:
            raise error


async def made(monkeypatch, *errors):
    monkeypatch.setattr(load, "_AGAIN", 0)
    work = Load(Answers(*errors), "soak", Random(1), rate=5, population=10)
    await work._create_pod()
    return work


async def test_a_creation_without_an_answer_is_repeated_and_an_object_that_is_there_by_then_is_promised(monkeypatch):
    work = await made(monkeypatch, Unreachable("reset"), AlreadyExists(409, "AlreadyExists", "there"))

    assert work.ledger.pods == {"pod-1"}
    assert work.done == {"tried again": 1, "pod created": 1}


async def test_a_refused_creation_promises_nothing_and_is_told(monkeypatch):
    work = await made(monkeypatch, Invalid(422, "Invalid", "no"))

    assert work.ledger.pods == set()
    assert [sentence.partition(" ")[2] for sentence in work.refused] == ["pod created: 422 Invalid: no"]


@pytest.mark.parametrize(
    "refusal",
    [
        Invalid(422, "Invalid", "spec.clusterIPs: failed to allocate IP 10.96.1.1: rpc error: code = Unavailable"),
        Forbidden(
            403, "Forbidden", "the server was unable to return a response in the time allotted (get limitranges)"
        ),
    ],
)
async def test_a_failing_store_that_looks_like_a_refusal_is_tried_again(monkeypatch, refusal):
    work = await made(monkeypatch, refusal, None)

    assert work.ledger.pods == {"pod-1"}
    assert work.refused == []
