"""How objects are recognised in a watch, and how targets are named."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from tests.bench.targets import Address
from tests.bench.watching import Sightings
from tests.bench.workload import MARKER, fake_pod, marker


def line(kind: str, mark: str, *, name: str = "translated", phase: str = "Pending") -> bytes:
    pod = {"metadata": {"name": name}, "spec": {"env": [{"value": mark}]}, "status": {"phase": phase}}
    return orjson.dumps({"type": kind, "object": pod})


@pytest.fixture
def mark() -> str:
    return marker()


async def test_an_object_is_found_by_its_marker_under_any_name(mark: str):
    seen = Sightings()
    seen.note(line("ADDED", mark, name="another-name"), 7.0)

    assert await seen.when(mark, "there") == 7.0
    assert seen.names[mark] == "another-name"


async def test_only_the_first_sighting_counts(mark: str):
    seen = Sightings()
    for now in (1.0, 2.0):
        seen.note(line("MODIFIED", mark, phase="Running"), now)

    assert await seen.when(mark, "running") == 1.0


async def test_a_deleted_pod_is_not_seen_to_run(mark: str):
    seen = Sightings()
    seen.note(line("DELETED", mark, phase="Running"), 1.0)

    assert await seen.when(mark, "gone") == 1.0
    with pytest.raises(TimeoutError):
        await seen.when(mark, "running", patience=0)


async def test_a_sighting_can_be_waited_for(mark: str):
    seen = Sightings()
    waiting = asyncio.gather(seen.when(mark, "there"), seen.all([mark], "running"))
    await asyncio.sleep(0)
    seen.note(line("ADDED", mark), 1.0)
    seen.note(line("MODIFIED", mark, phase="Running"), 2.0)

    assert await waiting == [1.0, 2.0]


def test_lines_without_a_marker_are_not_even_parsed():
    Sightings().note(b"not JSON", 1.0)


def test_pods_carry_their_marker_in_what_every_implementation_has_to_carry(mark: str):
    spec = orjson.dumps(fake_pod(mark)["spec"])

    assert MARKER.findall(spec) == [mark.encode()]


def test_a_target_is_a_name_a_kubeconfig_and_a_host_namespace():
    assert Address.parse("other=/tmp/a.yaml:team-a") == Address(
        name="other", kubeconfig=Path("/tmp/a.yaml"), host_namespace="team-a"
    )


@pytest.mark.parametrize(
    "text", ["", "other", "other=", "other=file", "other=:ns", "=file:ns", "other=file:", "host=file:ns"]
)
def test_anything_else_is_no_target(text: str):
    with pytest.raises(ValueError, match="NAME=KUBECONFIG:HOSTNAMESPACE"):
        Address.parse(text)
