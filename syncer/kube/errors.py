"""What can go wrong with a request to an API server.

    KubeError
    ├── Unreachable            no answer came: refused, reset, timed out, TLS failed
    └── ApiError               an answer of 400 and above, or an ERROR event inside a watch
        ├── Unauthorized       401
        ├── Forbidden          403
        ├── NotFound           404
        ├── AlreadyExists      409, reason AlreadyExists
        ├── Conflict           409, any other reason
        ├── Gone               410, or reason Expired
        ├── Invalid            422
        ├── TooManyRequests    429, and 503 that says when to come back
        └── ServerError        5xx

An ApiError carries what the server said, as a Kubernetes Status; answers of proxies, which are no Status, are told by
their text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from syncer.names import Object

_LONGEST_TEXT = 500  # characters of an answer that is no Status
_LONGEST_WAIT = 60.0  # seconds; API servers ask for a few, and nothing on the way may stop us for good


class KubeError(Exception):
    """The request did not do what was asked."""


class Unreachable(KubeError):
    """No answer from the API server; whether the request took effect is unknown. The cause is chained."""


class ApiError(KubeError):
    """The API server refused: HTTP `status`, machine-readable `reason`, its `message`, and `details` of the Status."""

    def __init__(
        self, status: int, reason: str, message: str, details: Object | None = None, *, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {message}" if reason else f"{status}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.details: Object = details or {}
        self.retry_after = retry_after
        """Seconds the server asked to wait, at most a minute, or None."""

    @staticmethod
    def from_status(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
        """The error that an HTTP answer stands for; header names are in lower case."""
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict) or answer.get("kind") != "Status":
            answer = {"message": body[:_LONGEST_TEXT].decode(errors="replace").strip()}
        return ApiError.from_object(answer, status=status, retry_after=_seconds(headers.get("retry-after")))

    @staticmethod
    def from_object(answer: Object, *, status: int | None = None, retry_after: float | None = None) -> ApiError:
        """The error that a Status object stands for; its own `code` counts where there is no HTTP `status`."""
        details = answer.get("details")
        details = details if isinstance(details, dict) else {}
        if retry_after is None:
            retry_after = _seconds(details.get("retryAfterSeconds"))
        code = status or int(answer.get("code") or 500)
        reason, message = str(answer.get("reason") or ""), str(answer.get("message") or "no message")
        return _class_of(code, reason, retry_after)(code, reason, message, details, retry_after=retry_after)


class Unauthorized(ApiError):
    """401: the credentials are missing, wrong or expired."""


class Forbidden(ApiError):
    """403: no right to do this, or an admission plugin or quota said no."""


class NotFound(ApiError):
    """404: no such object, or no such kind on this server."""


class AlreadyExists(ApiError):
    """409 on create: an object of that name is there."""


class Conflict(ApiError):
    """409: the object is not in the state that the request assumed (resourceVersion, uid, field ownership)."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list afresh."""


class Invalid(ApiError):
    """422: the object or the parameters break a rule; `details["causes"]` names the fields."""


class TooManyRequests(ApiError):
    """429, or 503 with Retry-After: come back in `retry_after` seconds."""

    retry_after: float

    def __init__(
        self, status: int, reason: str, message: str, details: Object | None = None, *, retry_after: float | None = None
    ) -> None:
        super().__init__(status, reason, message, details, retry_after=1.0 if retry_after is None else retry_after)


class ServerError(ApiError):
    """5xx: the server, or a webhook or store behind it, failed."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def _class_of(status: int, reason: str, retry_after: float | None) -> type[ApiError]:
    if reason == "Expired":
        return Gone
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExists
    if status == 503 and retry_after is not None:
        return TooManyRequests
    return _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)


def _seconds(value: Any) -> float | None:
    try:
        return min(max(0.0, float(value)), _LONGEST_WAIT)
    except (TypeError, ValueError):
        return None
