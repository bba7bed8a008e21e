"""What `helm test` says of a virtual cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncer.controlplane import round_trip
from syncer.kube.errors import ApiError
from tests.unit.controlplane.memory_api import MemoryApi
from tests.unit.kube.doubles import answer, refusal

PATH = "/api/v1/namespaces/default/pods/sublet-test-abc"


class Cluster(MemoryApi):
    """Names the pod, and gives it a phase more with each look."""

    def __init__(self, *phases: str) -> None:
        super().__init__()
        self.phases: Iterator[str] = iter(phases)
        self.before = self._look

    def _look(self, request):
        if request.method == "POST":
            return answer(self.put(PATH, request.json), 201)
        if request.method == "GET" and PATH in self.objects:
            status = {"phase": next(self.phases, "Pending")}
            self.put(PATH, {**self.objects[PATH], "spec": {"nodeName": "one"}, "status": status})
        return None


async def nap(_seconds: float) -> None:
    """No time passes."""


async def trip(cluster: MemoryApi) -> str:
    return await round_trip.run(cluster.client, round_trip.pod("image"), patience=5, sleep=nap)


async def test_a_pod_that_ends_well_tells_its_node_and_is_deleted() -> None:
    cluster = Cluster("Pending", "Running", "Succeeded")

    assert await trip(cluster) == "one"
    assert cluster.objects == {}


@pytest.mark.parametrize("phase", ["Failed", "Pending"])
async def test_a_pod_that_fails_or_does_not_run_is_told_and_deleted(phase: str) -> None:
    cluster = Cluster(phase)

    with pytest.raises(round_trip.Failed, match=phase):
        await trip(cluster)
    assert cluster.objects == {}


async def test_a_refusal_is_told_as_it_is() -> None:
    cluster = MemoryApi()
    cluster.before = lambda request: refusal(403, "Forbidden", "no")

    with pytest.raises(ApiError, match="no"):
        await trip(cluster)
