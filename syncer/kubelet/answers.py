"""Errors as a kubelet tells them: a status and one plain text.

The virtual API server wraps such a text into what kubectl prints, as it does with a real kubelet's. The host's own errors speak of
the host pod; their texts are given the virtual names, since a tenant neither knows the others nor should.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

import orjson

from syncer.kubelet.routes import LOGS, HostRequest

MAX_ERROR = 64 * 1024
"""Bytes of a host's error that are looked at; the API server reads 50 000 of ours."""

_HIDDEN_FOR_LOGS = (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)


def plain(status: int, text: str, *, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A complete HTTP/1.1 answer that ends the connection."""
    body = text.encode()
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        "Content-Type: text/plain; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def shown(route: str, status: int) -> int:
    """The status that makes the virtual API server show our text.

    For logs it drops the text of a 404 or 422 and prints a generic one. Kubelets report a lost log as 400 too.
    """
    return 400 if route == LOGS and status in _HIDDEN_FOR_LOGS else status


def explain(request: HostRequest, status: int, body: bytes) -> tuple[int, str]:
    """Status and text for a host's answer that is neither 2xx nor 101."""
    text = with_virtual_names(_message(body), request) or "no reason given"
    if status == 401:
        return 502, "the host API server does not accept the syncer's credentials"
    if status < 400:
        return 502, f"the host API server gave an answer that cannot be used: {status}"
    if status == 403:
        return 403, f"the host cluster refused: {text}"
    return shown(request.route, status), text


def with_virtual_names(text: str, request: HostRequest) -> str:
    """`text` with the host pod's name and namespace replaced by the virtual ones, where they stand as whole names."""
    virtual = {request.location.host_namespace: request.namespace, request.location.host_name: request.pod}
    either = "|".join(re.escape(name) for name in sorted(virtual, key=len, reverse=True))
    whole = rf"(?<![A-Za-z0-9-])(?<![A-Za-z0-9]\.)(?:{either})(?!\.?[A-Za-z0-9-])"
    return re.sub(whole, lambda match: virtual[match[0]], text)


def _message(body: bytes) -> str:
    """What a person should read: the message of a Status, or all of a text."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("message"), str):
        message: str = answer["message"]
        return message
    return body[:MAX_ERROR].decode(errors="replace").strip()
