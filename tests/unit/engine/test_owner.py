"""The release's owner object: found at the start, and watched for its end."""

from __future__ import annotations

import pytest

from syncer.engine.owner import OwnerReplaced, _Sink, find
from syncer.values import InvalidValue
from tests.unit.builders import HOST_NAMESPACE, settings
from tests.unit.engine.fakes import FakeServer

CLUSTER = settings().cluster


def owner(uid="known", **metadata):
    return {
        "kind": "ConfigMap",
        "metadata": {"name": "vc-owner-vc", "namespace": HOST_NAMESPACE, "uid": uid, **metadata},
    }


class Watched:
    def __init__(self) -> None:
        self.gone = 0
        self.sink = _Sink("known", self._count)

    def _count(self) -> None:
        self.gone += 1

    def list(self, *objects) -> None:
        self.sink.begin()
        for obj in objects:
            self.sink.put(obj)
        self.sink.end()


async def test_the_owner_is_referred_to_by_its_uid():
    host = FakeServer("host")
    host.put("configmaps", owner())
    assert await find(host, CLUSTER) == {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-vc", "uid": "known"}


async def test_a_release_without_its_owner_does_not_start():
    with pytest.raises(InvalidValue, match="vc-owner-vc is not in the host namespace; install the release again"):
        await find(FakeServer("host"), CLUSTER)


def test_while_its_owner_is_there_the_release_is():
    it = Watched()
    it.list(owner())
    it.sink.changed(owner(labels={"a": "b"}))
    assert it.gone == 0


@pytest.mark.parametrize("how", ["deleted", "going", "not listed"])
def test_a_release_whose_owner_goes_is_being_removed(how):
    it = Watched()
    if how == "deleted":
        it.sink.deleted(owner())
    elif how == "going":
        it.sink.changed(owner(deletionTimestamp="now"))
    else:
        it.list()
    assert it.gone == 1


def test_an_owner_that_was_made_again_ends_the_program_also_when_its_end_went_unseen():
    """What it owned would be collected as garbage over and over."""
    it = Watched()
    with pytest.raises(OwnerReplaced):
        it.list(owner("another"))
    it.sink.deleted(owner())
    with pytest.raises(OwnerReplaced):
        it.sink.changed(owner("another"))
