"""Whatever happens to its watches, a reflector's sink ends up equal to the server.

A model of an API server, with versions, compaction and backups, is changed at random. In between the reflector gets sessions that
break in every way a session can. Afterwards a few sessions without trouble must make both ends equal, objects and versions.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from syncer.kube.client import Client
from syncer.kube.watch import LONGEST_PAUSE, Reflector
from tests.unit.kube.doubles import (
    CONFIGMAPS,
    SILENCE,
    Answer,
    MemorySink,
    MockTransport,
    NoCredentials,
    Part,
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

Lines = list[bytes]
Fault = Callable[[Lines], list[bytes | Exception | Part]]
"""What becomes of a watch's lines."""

NAMES = st.sampled_from("abcd")
PLACES = st.integers(0, 12)


class ModelServer:
    """Objects as name -> version, the log of changes that a watch can go on from, and the oldest version it reaches back to."""

    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[str, int] = {}
        self.log: list[tuple[int, str, str]] = []
        self.oldest = 10
        self.watch_list = True
        self.refusal: Answer | None = None
        self.fault: Fault = list
        self.packed = False

    def write(self, kind: str, name: str) -> None:
        self.version += 1
        if kind == "DELETED":
            del self.objects[name]
        else:
            self.objects[name] = self.version
        self.log.append((self.version, kind, name))

    def compact(self) -> None:
        self.oldest = self.version
        self.log.clear()

    def restore(self, version: int, objects: dict[str, int]) -> None:
        self.version, self.objects, self.oldest, self.log = version, dict(objects), version, []

    def __call__(self, request: Request) -> Answer:
        if self.refusal is not None:
            refused, self.refusal = self.refusal, None
            return refused
        query = request.query
        if not request.watches:
            return self._page(query.get("continue"))
        if "sendInitialEvents" in query:
            if not self.watch_list:
                return refusal(422, "Invalid")
            return self._stream([*self._initial(), bookmark(self.version, ends_listing=True)])
        since = int(query["resourceVersion"])
        if since < self.oldest:
            return self._stream([event("ERROR", failure(410, "Expired"))])
        changes = [event(kind, configmap(name, version)) for version, kind, name in self.log if version > since]
        return self._stream([*changes, bookmark(self.version)])

    def _initial(self) -> Lines:
        return [event("ADDED", configmap(name, version)) for name, version in self.objects.items()]

    def _page(self, following: str | None) -> Answer:
        first = int(following or 0)
        items = [configmap(name, version) for name, version in sorted(self.objects.items())]
        metadata = {"resourceVersion": str(self.version)}
        if len(items) > first + 2:
            metadata["continue"] = str(first + 2)
        return answer({"metadata": metadata, "items": items[first : first + 2]})

    def _stream(self, lines: Lines) -> Stream:
        parts, self.fault = self.fault(lines), list
        if not self.packed:
            return Stream(parts)
        packed = [gzip.compress(part) if isinstance(part, bytes) else part for part in parts]
        return Stream(packed, headers={"content-encoding": "gzip"})


def cut_in_order(place: int) -> Fault:
    return lambda lines: [b"".join(lines)[: place * 37]]


def cut(place: int) -> Fault:
    return lambda lines: [b"".join(lines)[: place * 37], broken()]


def silent(place: int) -> Fault:
    return lambda lines: [*lines[:place], SILENCE]


def failed(place: int) -> Fault:
    return lambda lines: [*lines[:place], event("ERROR", failure(410 if place % 2 else 500, "Expired"))]


def repeated(place: int) -> Fault:
    return lambda lines: [*lines, lines[place % len(lines)]]


def swapped(place: int) -> Fault:
    def swap(lines: Lines) -> list[bytes | Exception | Part]:
        at = place % len(lines)
        return [*lines[:at], *reversed(lines[at : at + 2]), *lines[at + 2 :]]

    return swap


def crumbled(place: int) -> Fault:
    def crumble(lines: Lines) -> Iterator[bytes]:
        body, size = b"".join(lines), place + 1
        return (body[at : at + size] for at in range(0, len(body), size))

    return lambda lines: list(crumble(lines))


FAULTS = st.sampled_from([cut_in_order, cut, silent, failed, repeated, swapped, crumbled])


class ReflectorMachine(RuleBasedStateMachine):
    """The server, the reflector, and what may befall them."""

    def __init__(self) -> None:
        super().__init__()
        self.server = ModelServer()
        self.sink = MemorySink()
        self.runner = asyncio.Runner()
        client = Client(MockTransport(self.server), NoCredentials(), name="test")
        self.reflector = Reflector(
            client, CONFIGMAPS, self.sink, namespace="ns", query={}, silence=0.001, jitter=lambda: 0.5
        )
        self.backup = (self.server.version, dict(self.server.objects))

    @rule(name=NAMES)
    def write(self, name: str) -> None:
        self.server.write("MODIFIED" if name in self.server.objects else "ADDED", name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.server.objects:
            self.server.write("DELETED", name)

    @rule()
    def compact(self) -> None:
        self.server.compact()

    @rule(possible=st.booleans())
    def upgrade_or_downgrade(self, possible: bool) -> None:
        self.server.watch_list = possible

    @rule()
    def back_up(self) -> None:
        self.backup = (self.server.version, dict(self.server.objects))

    @rule()
    def restore_the_backup(self) -> None:
        self.server.restore(*self.backup)
        self.session()  # its bookmark betrays the old version; once the server has caught up nothing could

    @rule(fault=FAULTS, place=PLACES, packed=st.booleans())
    def break_a_session(self, fault: Callable[[int], Fault], place: int, packed: bool) -> None:
        self.server.fault, self.server.packed = fault(place), packed
        self.session()
        self.server.fault, self.server.packed = list, False

    @rule(status=st.sampled_from([401, 403, 404, 410, 429, 500, 503]))
    def refuse_a_session(self, status: int) -> None:
        self.server.refusal = refusal(status)
        self.session()

    @rule()
    def settle(self) -> None:
        for _ in range(4):
            if self.session() == "ended":
                break
        assert self.seen() == self.server.objects
        assert self.reflector.version == str(self.server.version)

    @invariant()
    def the_pause_is_bounded(self) -> None:
        assert self.last_pause <= LONGEST_PAUSE + 1

    def session(self) -> str:
        ending = self.runner.run(self.reflector.session())
        self.last_pause = self.reflector.pause(ending)
        return ending.reason

    last_pause = 0.0

    def seen(self) -> dict[str, int]:
        return {key[1]: int(obj["metadata"]["resourceVersion"]) for key, obj in self.sink.objects.items()}

    def teardown(self) -> None:
        self.settle()
        self.runner.close()


ReflectorMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestReflector: Any = ReflectorMachine.TestCase
