"""Reads the host API server's audit log: who asked for what, for tests that count.

begin = audit.position()
...  # let something happen
writes = [request for request in audit.requests(since=begin, user="kubernetes-admin") if request.writes]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from lab import layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that the API server has answered (a watch: has begun to answer). `code` is the HTTP status.

    `resource` has its subresource behind a slash (pods/status), and is empty for requests that are not about a resource.
    """

    user: str
    verb: str
    resource: str
    group: str
    namespace: str
    name: str
    uri: str
    code: int
    agent: str
    time: str

    @property
    def writes(self) -> bool:
        """Whether it asked to change something."""
        return self.verb in ("create", "update", "patch", "delete", "deletecollection")

    @property
    def watches(self) -> bool:
        """Whether it stays open to hear of changes."""
        return self.verb == "watch"


def position() -> int:
    """Where the log ends now, in bytes."""
    return layout.audit_log().stat().st_size if layout.audit_log().exists() else 0


def requests(*, since: int = 0, user: str | None = None) -> Iterator[Request]:
    """Requests noted after a position, oldest first; of one user when named."""
    with layout.audit_log().open("rb") as log:
        log.seek(since)
        for line in log:
            if line.endswith(b"\n"):
                request = parse(line)
                if user is None or request.user == user:
                    yield request


def parse(line: bytes) -> Request:
    """One line of the log."""
    event = json.loads(line)
    target = event.get("objectRef", {})
    parts = (target.get("resource", ""), target.get("subresource", ""))
    return Request(
        user=event["user"].get("username", ""),  # nobody, when the credentials were refused
        verb=event["verb"],
        resource="/".join(part for part in parts if part),
        group=target.get("apiGroup", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        uri=event["requestURI"],
        code=event.get("responseStatus", {}).get("code", 0),
        agent=event.get("userAgent", ""),
        time=event["stageTimestamp"],
    )
