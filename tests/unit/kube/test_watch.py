"""One session of a reflector at a time: what it asks, what it tells the sink, what it makes of trouble."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncer.kube.client import Client
from syncer.kube.errors import Unreachable
from syncer.kube.transport import Response
from syncer.kube.watch import FIRST_PAUSE, HEALTHY, LONGEST_PAUSE, Ending, Reflector, reflect
from tests.unit.kube.doubles import (
    CONFIGMAPS,
    SILENCE,
    Answer,
    Clock,
    Handler,
    MemorySink,
    MockTransport,
    NoCredentials,
    Request,
    Stream,
    answer,
    bookmark,
    broken,
    configmap,
    event,
    failure,
    refusal,
)

QUICK = 0.01  # seconds of silence that a test waits for


class World:
    """A reflector between a scripted server and a sink."""

    def __init__(self, *answers: Answer, handler: Handler | None = None, version: str | None = None) -> None:
        waiting = list(answers)
        self.transport = MockTransport(handler or (lambda request: waiting.pop(0)))
        self.client = Client(self.transport, NoCredentials(), name="test")
        self.sink = MemorySink()
        self.clock = Clock()
        self.reflector = Reflector(
            self.client,
            CONFIGMAPS,
            self.sink,
            namespace="ns",
            query={"labelSelector": "app=x"},
            silence=QUICK,
            clock=self.clock,
            jitter=lambda: 0.0,
        )
        self.reflector.version = version

    async def session(self) -> str:
        return (await self.reflector.session()).reason

    @property
    def queries(self) -> list[dict[str, str]]:
        return [dict(request.query) for request in self.transport.requests]


def listing(*objects: dict[str, Any], version: int = 10) -> list[bytes]:
    return [*(event("ADDED", obj) for obj in objects), bookmark(version, ends_listing=True)]


async def test_the_first_session_asks_for_the_initial_state_and_for_bookmarks() -> None:
    world = World(Stream())
    await world.session()
    assert world.queries == [
        {
            "labelSelector": "app=x",
            "watch": "true",
            "allowWatchBookmarks": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "timeoutSeconds": "300",
        }
    ]


async def test_the_head_of_a_watch_is_a_listing() -> None:
    world = World(Stream(listing(configmap("a"), configmap("b"))))
    assert await world.session() == "ended"
    assert world.sink.calls == ["begin", "put a", "put b", "end", "bookmark 10"]


async def test_after_the_listing_come_changes() -> None:
    parts = [*listing(), event("ADDED", configmap("a", 11)), event("MODIFIED", configmap("a", 12))]
    world = World(Stream([*parts, event("DELETED", configmap("a", 13))]))
    await world.session()
    assert world.sink.calls[3:] == ["changed a", "changed a", "deleted a"]


async def test_changes_during_the_listing_belong_to_it() -> None:
    parts = [event("ADDED", configmap("a")), event("ADDED", configmap("b")), event("MODIFIED", configmap("a", 9))]
    world = World(Stream([*parts, event("DELETED", configmap("b", 9)), bookmark(10, ends_listing=True)]))
    await world.session()
    assert world.sink.calls[-3:] == ["deleted b", "end", "bookmark 10"]
    assert world.sink.names == ["a"]


async def test_objects_come_without_managed_fields() -> None:
    obj = configmap("a")
    obj["metadata"]["managedFields"] = [{}]
    world = World(Stream(listing(obj)))
    await world.session()
    assert "managedFields" not in world.sink.objects["ns", "a"]["metadata"]


async def test_the_next_session_goes_on_where_the_last_one_ended() -> None:
    world = World(Stream([*listing(), event("ADDED", configmap("a", 12))]), Stream())
    await world.session()
    await world.session()
    assert world.queries[1]["resourceVersion"] == "12"
    assert "sendInitialEvents" not in world.queries[1]


async def test_a_bookmark_moves_on_and_is_no_object() -> None:
    world = World(Stream([*listing(), bookmark(50)]), Stream())
    await world.session()
    await world.session()
    assert world.sink.calls == ["begin", "end", "bookmark 10", "bookmark 50"]
    assert world.queries[1]["resourceVersion"] == "50"


async def test_a_bookmark_inside_a_listing_does_not_end_it() -> None:
    world = World(Stream([bookmark(5), event("ADDED", configmap("a"))]))
    await world.session()
    assert (world.sink.calls, world.reflector.version) == (["begin", "put a"], None)


async def test_a_listing_that_broke_off_starts_again() -> None:
    world = World(Stream([event("ADDED", configmap("a")), broken()]), Stream(listing(configmap("b"))))
    assert await world.session() == "unreachable"
    await world.session()
    assert world.sink.names == ["b"]


async def test_a_line_that_never_ended_is_no_event() -> None:
    world = World(Stream([*listing(), event("ADDED", configmap("a", 11))[:-1]]), Stream())
    await world.session()
    await world.session()
    assert (world.sink.names, world.queries[1]["resourceVersion"]) == ([], "10")


async def test_an_event_may_come_in_many_chunks() -> None:
    line = event("ADDED", configmap("big", data={"k": "x" * 3_000_000}))
    chunks = [line[at : at + 16384] for at in range(0, len(line), 16384)]
    world = World(Stream([*chunks, bookmark(10, ends_listing=True)]))
    await world.session()
    assert world.sink.names == ["big"]


async def test_a_watch_that_somebody_packed_loses_nothing() -> None:
    parts = [gzip.compress(part) for part in listing(*(configmap(name) for name in "abcde"))]
    world = World(Stream(parts, headers={"content-encoding": "gzip"}))
    await world.session()
    assert world.sink.names == list("abcde")


async def test_a_line_that_cannot_be_read_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    deep = b'{"type":"ADDED","object":' + b"[" * 2000 + b"]" * 2000 + b"}\n"
    world = World(Stream([deep, *listing(configmap("a"))]))
    await world.session()
    assert world.sink.names == ["a"]
    assert "skipped a line of" in caplog.text


EXPIRED = event("ERROR", failure(410, "Expired", "too old resource version"))


@pytest.mark.parametrize("gone", [Stream([EXPIRED]), refusal(410, "Expired")], ids=["event", "http"])
async def test_an_expired_version_is_listed_afresh_and_tells_what_is_gone(gone: Answer) -> None:
    world = World(
        Stream(listing(configmap("a"), configmap("b"))),
        gone,
        Stream(listing(configmap("b"), configmap("c"), version=30)),
    )
    await world.session()
    assert await world.session() == "expired"
    await world.session()
    assert world.sink.calls[-6:] == ["begin", "put b", "put c", "end", "gone a", "bookmark 30"]
    assert world.queries[2]["sendInitialEvents"] == "true"


async def test_any_other_error_event_lists_afresh_too() -> None:
    world = World(Stream([event("ERROR", failure(500, "InternalError"))]), version="5")
    assert await world.session() == "error"
    assert world.reflector.version is None


def paged(request: Request) -> Answer:
    """A server without WatchList."""
    if request.query.get("sendInitialEvents"):
        return refusal(422, "Invalid", "sendInitialEvents is forbidden")
    if request.watches:
        return Stream([event("ADDED", configmap("c", 21))])
    if "continue" in request.query:
        return answer({"metadata": {"resourceVersion": "20"}, "items": [configmap("b")]})
    return answer({"metadata": {"resourceVersion": "20", "continue": "x"}, "items": [configmap("a")]})


async def test_a_server_without_watch_list_is_listed_in_pages() -> None:
    world = World(handler=paged)
    assert await world.session() == "unsupported"
    assert await world.session() == "ended"
    assert world.sink.calls == ["begin", "put a", "put b", "end", "bookmark 20", "changed c"]
    assert [query.get("resourceVersion") for query in world.queries] == [None, None, None, "20"]


async def test_pages_are_taken_with_the_same_selection() -> None:
    world = World(handler=paged)
    world.client.watch_list = False
    await world.session()
    assert {query["labelSelector"] for query in world.queries} == {"app=x"}


async def test_a_server_without_watch_list_is_remembered_for_all_kinds() -> None:
    world = World(handler=paged)
    await world.session()
    other = Reflector(world.client, CONFIGMAPS, MemorySink(), namespace="ns", query={})
    await other.session()
    assert sum("sendInitialEvents" in query for query in world.queries) == 1


async def test_a_server_whose_store_reports_no_progress_is_listed_in_pages_at_once() -> None:
    def handler(request: Request) -> Answer:
        if "sendInitialEvents" in request.query:
            return Stream([event("ERROR", failure(500, "InternalError"))])
        return paged(request)

    world = World(handler=handler)
    ending = await world.reflector.session()
    assert (ending.reason, world.reflector.pause(ending)) == ("unsupported", 0.0)
    assert await world.session() == "ended"
    assert world.sink.names == ["a", "b", "c"]


async def test_a_server_that_can_list_in_neither_way_is_left_alone_for_a_while() -> None:
    world = World(handler=lambda _: refusal(500, "InternalError"))
    await world.session()
    ending = await world.reflector.session()
    assert (ending.reason, world.reflector.pause(ending) > 0) == ("error", True)


async def test_the_change_to_pages_takes_no_pause() -> None:
    world = World(handler=paged)
    assert world.reflector.pause(await world.reflector.session()) == 0.0


async def test_a_silent_watch_is_opened_again_at_the_same_version() -> None:
    world = World(Stream([*listing(), SILENCE]), Stream())
    assert await world.session() == "silent"
    await world.session()
    assert world.queries[1]["resourceVersion"] == "10"


async def test_a_watch_that_stays_silent_is_listed_afresh() -> None:
    world = World(Stream([SILENCE]), Stream([SILENCE]), Stream(listing()), version="99")
    await world.session()
    await world.session()
    assert world.reflector.version is None
    await world.session()
    assert world.reflector.version == "10"


@pytest.mark.parametrize("sign", [bookmark(100), event("ADDED", configmap("a", 100))])
async def test_a_sign_of_life_forgives_an_earlier_silence(sign: bytes) -> None:
    world = World(Stream([SILENCE]), Stream([sign, SILENCE]), version="99")
    await world.session()
    await world.session()
    assert world.reflector.version == "100"


async def test_a_server_that_never_answers_is_silent() -> None:
    async def never(request: Request) -> Answer:
        return await asyncio.Future()

    assert await World(handler=never).session() == "silent"


async def test_a_listing_that_never_ends_is_tried_in_pages_next() -> None:
    def handler(request: Request) -> Answer:
        return (
            Stream([event("ADDED", configmap("a")), SILENCE])
            if "sendInitialEvents" in request.query
            else paged(request)
        )

    world = World(handler=handler)
    assert await world.session() == "silent"
    assert await world.session() == "ended"
    assert world.client.watch_list


@pytest.mark.parametrize("sign", [bookmark(98), event("ADDED", configmap("a", 98))])
async def test_a_server_that_went_back_in_time_is_listed_afresh(sign: bytes) -> None:
    world = World(Stream([sign]), Stream(listing(version=50)), version="99")
    assert await world.session() == "rewound"
    await world.session()
    assert world.sink.calls == ["begin", "end", "bookmark 50"]


async def test_objects_that_expire_together_share_a_version() -> None:
    parts = [event("DELETED", configmap("a", 11)), event("DELETED", configmap("b", 11))]
    world = World(Stream([*listing(configmap("a"), configmap("b")), *parts]))
    await world.session()
    assert world.sink.names == []


async def test_versions_are_compared_as_numbers() -> None:
    world = World(Stream([bookmark(100)]), version="99")
    assert await world.session() == "ended"


async def test_versions_that_are_no_numbers_have_no_order() -> None:
    world = World(Stream([bookmark("abc")]), version="xyz")
    assert await world.session() == "ended"
    assert world.reflector.version == "abc"


@pytest.mark.parametrize(
    ("refused", "reason", "version"),
    [
        (refusal(429, headers={"retry-after": "7"}), "throttled", "5"),
        (refusal(503, headers={"retry-after": "7"}), "throttled", "5"),
        (refusal(500), "error", "5"),
        (refusal(401), "unauthorized", "5"),
        (refusal(403, "Forbidden"), "forbidden", "5"),
        (refusal(404, "NotFound"), "missing", None),
        (refusal(400, "BadRequest"), "error", None),
    ],
)
async def test_a_refusal_is_named_and_keeps_the_version_if_that_is_not_to_blame(
    refused: Response, reason: str, version: str | None
) -> None:
    world = World(refused, version="5")
    assert await world.session() == reason
    assert world.reflector.version == version


async def test_a_missing_right_is_told_once_and_by_name(caplog: pytest.LogCaptureFixture) -> None:
    world = World(handler=lambda request: refusal(403, "Forbidden"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            world.reflector.pause(await world.reflector.session())
    (message,) = (record.getMessage() for record in caplog.records)
    assert "403 Forbidden" in message
    assert "missing right: list and watch configmaps in namespace ns" in message


def pauses(*endings: Ending, jitter: Callable[[], float] = lambda: 0.0) -> list[float]:
    reflector = World().reflector
    reflector._jitter = jitter
    return [reflector.pause(ending) for ending in endings]


def test_a_server_that_ends_every_watch_at_once_is_left_alone_longer_each_time() -> None:
    at_once = pauses(*[Ending("ended", 0.1)] * 9, jitter=lambda: 1.0)
    assert at_once == [FIRST_PAUSE * factor for factor in (1, 2, 4, 8, 16, 32)] + [LONGEST_PAUSE] * 3


def test_pauses_are_spread_over_half_their_length() -> None:
    assert pauses(Ending("ended", 0.1), jitter=lambda: 0.0) == [FIRST_PAUSE / 2]


def test_a_healthy_watch_that_ended_in_order_goes_on_at_once() -> None:
    assert pauses(Ending("ended", HEALTHY)) == [0.0]


def test_a_healthy_stretch_resets_the_pause() -> None:
    trouble = Ending("unreachable", 0.1, Unreachable())
    assert pauses(trouble, trouble, Ending("unreachable", HEALTHY), trouble) == [0.25, 0.5, 0.25, 0.5]


def test_a_long_outage_does_not_overflow() -> None:
    assert pauses(*[Ending("unreachable", 0.0)] * 3000)[-1] == LONGEST_PAUSE / 2


async def test_a_throttled_watch_waits_as_long_as_it_was_told() -> None:
    world = World(refusal(429, headers={"retry-after": "7"}))
    assert world.reflector.pause(await world.reflector.session()) == 7.0


class Stop(Exception):
    """Ends a reflector that would run for ever."""


async def reflected(handler: Handler, *, sessions: int) -> tuple[list[str], list[float]]:
    reasons: list[str] = []
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == sessions:
            raise Stop

    with pytest.raises(Stop):
        await reflect(
            Client(MockTransport(handler), NoCredentials(), name="test"),
            CONFIGMAPS,
            MemorySink(),
            restarted=lambda resource, reason: reasons.append(f"{resource} {reason}"),
            sleep=sleep,
        )
    return reasons, naps


async def test_a_reflector_never_runs_hot() -> None:
    _, naps = await reflected(lambda request: Stream(), sessions=20)
    assert naps[0] >= FIRST_PAUSE / 2
    assert naps[-1] >= LONGEST_PAUSE / 2


async def test_every_restart_is_counted_with_its_reason() -> None:
    answers: Iterator[Answer] = iter([Stream(listing()), refusal(410, "Expired"), refusal(403)])
    reasons, _ = await reflected(lambda request: next(answers), sessions=3)
    assert reasons == ["configmaps ended", "configmaps expired", "configmaps forbidden"]


async def test_a_cancelled_reflector_leaves_no_stream_open() -> None:
    world = World(Stream([*listing(), SILENCE]))
    world.reflector._silence = 60.0
    task = asyncio.create_task(world.reflector.session())
    await world.sink.synced.wait()
    assert world.transport.open == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.transport.open == 0


async def test_only_a_few_watches_list_at_a_time() -> None:
    listing_now, most = 0, 0
    release = asyncio.Event()

    async def handler(request: Request) -> Answer:
        nonlocal listing_now, most
        listing_now += 1
        most = max(most, listing_now)
        await release.wait()
        listing_now -= 1
        return Stream([*listing(), SILENCE])

    client = Client(MockTransport(handler), NoCredentials(), name="test")
    sinks = [MemorySink() for _ in range(12)]
    tasks = [asyncio.create_task(reflect(client, CONFIGMAPS, sink)) for sink in sinks]
    for _ in range(20):
        await asyncio.sleep(0)
    release.set()
    for sink in sinks:
        await sink.synced.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 4


async def test_an_error_of_the_sink_is_not_hidden() -> None:
    class BrokenSink(MemorySink):
        def put(self, obj: object) -> None:
            raise ZeroDivisionError

    client = Client(MockTransport(lambda request: Stream(listing(configmap("a")))), NoCredentials(), name="test")
    with pytest.raises(ZeroDivisionError):
        await reflect(client, CONFIGMAPS, BrokenSink())
