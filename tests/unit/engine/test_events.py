"""Which of the host's events reach the tenant, how often, and what they tell of nodes."""

from __future__ import annotations

import orjson
import pytest

from syncer.engine.events import EventMirror
from syncer.kube.errors import Unreachable
from syncer.names import Object
from tests.unit.builders import HOST_NAMESPACE, SPACE, there
from tests.unit.engine.harness import Harness, engine_of
from tests.unit.engine.test_pods import running


def about(host_pod: Object, **fields: object) -> Object:
    """A host event about a pod."""
    metadata = host_pod["metadata"]
    involved = {"kind": "Pod", "name": metadata["name"], "namespace": HOST_NAMESPACE, "uid": metadata["uid"]}
    name = f"{metadata['name']}.17abc"
    return {
        "metadata": {"name": name},
        "involvedObject": {**involved, **fields},
        "type": "Normal",
        "reason": "Started",
        "message": "Container started",
    }


def mirror_of(harness: Harness) -> EventMirror:
    return EventMirror(
        host=harness.host,  # type: ignore[arg-type]
        virtual=harness.virtual,  # type: ignore[arg-type]
        world=harness.world,
        context=harness.engine.context,
        kinds={"Pod": "pods"},
    )


async def told(harness: Harness, event: Object) -> list[str]:
    """Reasons of the events that the tenant has after this one."""
    await mirror_of(harness)._write(event)
    return [found["reason"] for found in harness.virtual.of("events")]


async def test_events_of_the_host_reach_the_tenant():
    async with engine_of() as it:
        await running(it)
        assert await told(it, about(it.theirs("pods"))) == ["Started"]


async def test_events_that_the_tenant_has_already_are_not_told_again_after_a_restart():
    async with engine_of() as it:
        await running(it)
        event = about(it.theirs("pods"))
        await told(it, event)
        restarted = mirror_of(it)
        await restarted._learn_what_is_told()
        it.virtual.calls.clear()
        await restarted._write(event)
        assert it.virtual.said == []


async def test_events_wait_as_text_since_parsed_they_would_fill_the_memory():
    async with engine_of() as it:
        await running(it)
        mirror = mirror_of(it)
        event = about(it.theirs("pods"))
        mirror.changed(event)
        assert mirror._waiting.get_nowait() == orjson.dumps(event)


async def test_events_about_an_earlier_host_pod_of_the_same_name_are_not_laid_on_its_successor():
    async with engine_of() as it:
        await running(it)
        assert await told(it, about(it.theirs("pods"), uid="an-earlier-one")) == []


async def test_events_about_containers_that_only_the_host_knows_are_kept_from_the_tenant():
    async with engine_of() as it:
        await running(it)
        assert await told(it, about(it.theirs("pods"), fieldPath="spec.initContainers{sublet-rewrite-hosts}")) == []


# -- a node that is lost -----------------------------------------------------------------------------------------------


def lost_at(host_pod: Object, time: str) -> Object:
    return {**about(host_pod), "reason": "NodeNotReady", "type": "Warning", "lastTimestamp": time}


async def ready_since(harness: Harness, time: str) -> Object:
    await running(harness)
    ready = [{"type": "Ready", "status": "True", "lastTransitionTime": time}]
    harness.host.change("pods", HOST_NAMESPACE, there(), {"status": {"conditions": ready}})
    await harness.settle()
    return harness.theirs("pods")


def is_lost(harness: Harness) -> bool:
    sighting = harness.world.sighting("node-1")
    assert sighting is not None
    return sighting.lost


async def test_a_node_that_the_host_gives_up_is_shown_as_lost():
    async with engine_of() as it:
        host_pod = await ready_since(it, "2026-01-01T10:00:00Z")
        mirror_of(it).changed(lost_at(host_pod, "2026-01-01T11:00:00Z"))
        await it.settle()
        assert is_lost(it)
        conditions = it.mine("nodes", "node-1", "")["status"]["conditions"]
        assert {item["status"] for item in conditions} == {"Unknown"}


async def test_old_news_of_a_node_that_has_come_back_is_not_believed_after_a_restart():
    async with engine_of() as it:
        host_pod = await ready_since(it, "2026-01-01T10:00:00Z")
        mirror_of(it).put(lost_at(host_pod, "2026-01-01T09:59:00Z"))
        assert not is_lost(it)


async def test_other_news_of_pods_says_nothing_of_their_node():
    async with engine_of() as it:
        host_pod = await ready_since(it, "2026-01-01T10:00:00Z")
        mirror_of(it).changed({**lost_at(host_pod, "2026-01-01T11:00:00Z"), "reason": "Killing"})
        mirror_of(it).changed(
            {**lost_at(host_pod, "2026-01-01T11:00:00Z"), "involvedObject": {"kind": "Node", "name": "node-1"}}
        )
        mirror_of(it).changed(
            {**lost_at(host_pod, "2026-01-01T11:00:00Z"), "involvedObject": {"kind": "Pod", "name": "stranger"}}
        )
        assert not is_lost(it)


# -- writing -----------------------------------------------------------------------------------------------------------


async def test_an_event_counted_up_is_counted_up_and_one_told_again_is_not_written():
    async with engine_of() as it:
        await running(it)
        mirror, event = mirror_of(it), about(it.theirs("pods"))
        for count in (1, 1, 2):
            await mirror._write({**event, "count": count})
        (told_event,) = it.virtual.of("events")
        assert told_event["count"] == 2
        assert [said for said in it.virtual.said if "events" in said] == [
            "create events/web.17abc",
            "patch events/web.17abc",
        ]


async def test_an_event_that_could_not_be_written_is_written_when_it_is_told_again():
    async with engine_of() as it:
        await running(it)
        mirror, event = mirror_of(it), about(it.theirs("pods"))
        it.virtual.refuse("create", "events", Unreachable("reset"))
        with pytest.raises(Unreachable):
            await mirror._write(event)
        await mirror._write(event)
        assert len(it.virtual.of("events")) == 1


async def test_an_event_that_expired_in_the_virtual_cluster_is_made_again():
    async with engine_of() as it:
        await running(it)
        mirror, event = mirror_of(it), about(it.theirs("pods"))
        await mirror._write(event)
        it.virtual.remove("events", SPACE, "web.17abc")
        await mirror._write({**event, "count": 2})
        await mirror._write({**event, "count": 3})
        assert it.virtual.of("events")[0]["count"] == 3


async def test_events_about_nobody_the_tenant_knows_are_not_theirs():
    async with engine_of() as it:
        await running(it)
        mirror = mirror_of(it)
        for odd in (
            {"involvedObject": None},
            {"involvedObject": {}},
            {"involvedObject": {"kind": "Pod", "name": "stranger"}},
        ):
            await mirror._write({**about(it.theirs("pods")), **odd})
        it.virtual.remove("pods", SPACE, "web")
        it.virtual.tell()
        await mirror._write(about(it.theirs("pods")))
        assert it.virtual.of("events") == []


async def test_a_flood_of_events_is_cut_off_and_not_hoarded():
    async with engine_of() as it:
        await running(it)
        mirror, event = mirror_of(it), about(it.theirs("pods"))
        for _ in range(5000):
            mirror.changed(event)
        assert mirror._waiting.qsize() == 2000
