"""Reading the audit log."""

from __future__ import annotations

import json

import pytest

from lab import audit, layout


def event(**changes) -> bytes:
    fields = {
        "stageTimestamp": "2026-01-01T00:00:00Z",
        "requestURI": "/api/v1/namespaces/a/pods/p/status",
        "verb": "patch",
        "user": {"username": "tenant"},
        "userAgent": "test",
        "objectRef": {"resource": "pods", "subresource": "status", "namespace": "a", "name": "p"},
        "responseStatus": {"code": 200},
    }
    return json.dumps(fields | changes).encode() + b"\n"


@pytest.fixture
def log(tmp_path, monkeypatch):
    file = tmp_path / "audit.log"
    monkeypatch.setattr(layout, "audit_log", lambda: file)
    return file


def test_a_subresource_is_part_of_the_resource() -> None:
    assert audit.parse(event()).resource == "pods/status"


def test_a_request_about_no_object_has_no_resource() -> None:
    fields = json.loads(event())
    del fields["objectRef"]

    assert audit.parse(json.dumps(fields).encode()).resource == ""


def test_a_request_with_refused_credentials_is_nobodys() -> None:
    assert audit.parse(event(user={}, responseStatus={"code": 401})).user == ""


@pytest.mark.parametrize(
    ("verb", "writes"), [("create", True), ("deletecollection", True), ("get", False), ("watch", False)]
)
def test_verbs_that_change_something_are_writes(verb, writes) -> None:
    assert audit.parse(event(verb=verb)).writes is writes


def test_only_requests_after_a_position_are_returned(log) -> None:
    log.write_bytes(event(verb="get"))
    begin = audit.position()
    with log.open("ab") as file:
        file.write(event(verb="create"))

    assert [request.verb for request in audit.requests(since=begin)] == ["create"]


def test_a_line_that_is_still_being_written_is_left_out(log) -> None:
    log.write_bytes(event() + event()[:-20])

    assert len(list(audit.requests())) == 1


def test_requests_of_one_user_can_be_picked(log) -> None:
    log.write_bytes(event() + event(user={"username": "other"}))

    assert [request.user for request in audit.requests(user="other")] == ["other"]


def test_before_the_first_request_the_position_is_zero(log) -> None:
    assert audit.position() == 0
