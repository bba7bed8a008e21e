"""Which error an answer becomes."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from tests.unit.kube.doubles import failure, refusal


def error_of(status: int, reason: str = "", headers: dict[str, str] | None = None, **details: Any) -> ApiError:
    response = refusal(status, reason, "because", **details)
    return ApiError.from_status(status, response.body, headers or {})


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Gone", Gone),
        (410, "Expired", Gone),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerError),
        (504, "Timeout", ServerError),
        (400, "BadRequest", ApiError),
        (415, "UnsupportedMediaType", ApiError),
    ],
)
def test_each_refusal_has_its_class(status: int, reason: str, expected: type[ApiError]) -> None:
    assert type(error_of(status, reason)) is expected


def test_an_error_tells_what_the_server_said() -> None:
    error = error_of(404, "NotFound", name="web", kind="pods")
    assert (error.status, error.reason, error.message, error.details) == (
        404,
        "NotFound",
        "because",
        {"name": "web", "kind": "pods"},
    )
    assert str(error) == "404 NotFound: because"


def test_retry_after_comes_from_the_header() -> None:
    assert error_of(429, headers={"retry-after": "7"}).retry_after == 7.0


def test_retry_after_comes_from_the_details_where_no_header_names_it() -> None:
    assert error_of(504, "ServerTimeout", retryAfterSeconds=3).retry_after == 3.0


@pytest.mark.parametrize(("value", "seconds"), [("100000", 60.0), ("inf", 60.0), ("-1", 0.0), ("nan", 0.0)])
def test_retry_after_stays_within_a_minute(value: str, seconds: float) -> None:
    assert error_of(429, headers={"retry-after": value}).retry_after == seconds


def test_too_many_requests_without_a_time_waits_a_second() -> None:
    assert error_of(429).retry_after == 1.0


def test_an_unavailable_server_that_says_when_to_come_back_is_throttling() -> None:
    assert isinstance(error_of(503, headers={"retry-after": "1"}), TooManyRequests)


def test_an_unavailable_server_that_says_nothing_has_failed() -> None:
    assert isinstance(error_of(503), ServerError)


@pytest.mark.parametrize("value", ["soon", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
def test_a_retry_after_that_is_no_number_is_ignored(value: str) -> None:
    assert error_of(500, headers={"retry-after": value}).retry_after is None


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"[1]", b'"text"', b'{"kind":"Pod"}', b"\xff\xfe"])
def test_an_answer_that_is_no_status_is_told_by_its_text(body: bytes) -> None:
    error = ApiError.from_status(502, body, {})
    assert isinstance(error, ServerError)
    assert error.message == (body.decode(errors="replace") or "no message")


def test_a_long_answer_is_cut() -> None:
    assert len(ApiError.from_status(500, b"x" * 100_000, {}).message) == 500


def test_an_error_event_counts_by_its_own_code() -> None:
    assert isinstance(ApiError.from_object(failure(410, "Expired")), Gone)


def test_an_error_event_without_a_code_is_the_servers_fault() -> None:
    assert isinstance(ApiError.from_object({}), ServerError)


def test_a_missing_answer_is_no_api_error() -> None:
    assert issubclass(Unreachable, KubeError)
    assert not issubclass(Unreachable, ApiError)
