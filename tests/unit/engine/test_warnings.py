"""Warning events: about the tenant's object, valid whatever its name, and not more often than once a minute."""

from __future__ import annotations

import re

import pytest

from syncer.engine.warnings import Warnings, timestamp
from syncer.kube.errors import NotFound, Unreachable
from syncer.plan.actions import Warn
from tests.unit.builders import SUBDOMAIN, key, virtual
from tests.unit.engine.fakes import FakeServer, failing

POD = virtual("pods")
WARNING = Warn(key=key("pods"), reason="SyncError", message="the host refused it")


def told_by(server, **more):
    return Warnings(server, now=lambda: "2026-01-01T00:00:00Z", **more)


async def test_a_warning_is_an_event_on_the_tenants_object():
    server = FakeServer("virtual")
    await told_by(server).tell(WARNING, POD)
    (event,) = server.of("events")
    assert event["involvedObject"] == {
        "apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": "shop", "uid": "virtual-web",
    }  # fmt: skip
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "SyncError", "the host refused it")
    assert event["metadata"]["namespace"] == "shop"


async def test_the_same_warning_is_not_repeated_at_once_and_another_is_told():
    server = FakeServer("virtual")
    warnings = told_by(server)
    for _ in range(3):
        await warnings.tell(WARNING, POD)
    await warnings.tell(Warn(key=WARNING.key, reason="SyncError", message="another"), POD)
    await warnings.tell(WARNING, virtual("pods", metadata={"uid": "successor"}))
    assert len(server.said) == 3


async def test_a_warning_that_was_told_before_a_restart_is_counted_up():
    server = FakeServer("virtual")
    await told_by(server).tell(WARNING, POD)
    await told_by(server).tell(WARNING, POD)
    (event,) = server.of("events")
    assert event["count"] == 2


async def test_a_warning_about_nothing_is_not_told():
    server = FakeServer("virtual")
    await told_by(server).tell(WARNING, None)
    assert server.said == []


async def test_a_warning_about_an_object_without_a_namespace_lies_in_default():
    server = FakeServer("virtual")
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "u"}}
    await told_by(server).tell(WARNING, node)
    (event,) = server.of("events")
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"]["namespace"] == ""


@pytest.mark.parametrize("name", ["a" * 253, "a" * 199 + "-" + "b" * 53, "a" * 199 + ".b", "b." * 126 + "b"])
async def test_a_warning_about_an_object_with_a_long_name_has_a_valid_one(name):
    server = FakeServer("virtual")
    await told_by(server).tell(WARNING, virtual("pods", name))
    (event,) = server.of("events")
    assert SUBDOMAIN.fullmatch(event["metadata"]["name"])
    assert len(event["metadata"]["name"]) <= 253


async def test_a_long_message_is_cut():
    server = FakeServer("virtual")
    await told_by(server).tell(Warn(key=WARNING.key, reason="r", message="x" * 5000), POD)
    assert len(server.of("events")[0]["message"]) == 1024


@pytest.mark.parametrize("error", [NotFound(404, "NotFound", "namespace"), failing(500)])
async def test_a_warning_that_could_not_be_written_is_told_the_next_time(error):
    server = FakeServer("virtual")
    warnings = told_by(server)
    server.refuse("create", "events", error)
    await warnings.tell(WARNING, POD)
    await warnings.tell(WARNING, POD)
    assert len(server.of("events")) == 1


async def test_a_warning_that_met_no_server_is_told_the_next_time():
    server = FakeServer("virtual")
    warnings = told_by(server)
    server.refuse("create", "events", Unreachable("reset"))
    with pytest.raises(Unreachable):
        await warnings.tell(WARNING, POD)
    await warnings.tell(WARNING, POD)
    assert len(server.of("events")) == 1


def test_time_is_written_as_kubernetes_writes_it():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", timestamp())
