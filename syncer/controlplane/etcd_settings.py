"""etcd's command-line flags as the settings file that it reads instead, since an etcd with a file takes no flags.

The file is needed because how a member starts is known only when it starts, and etcd's image has no shell. What etcd does not know in a
file it ignores without a word; so every flag has to be in a list here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from syncer.values import InvalidValue

EXTRA_ARGUMENTS = "controlPlane.backingStore.etcd.deploy.statefulSet.extraArgs"

_TEXTS = (
    *("auth-token", "auto-compaction-mode", "auto-compaction-retention", "backend-bbolt-freelist-type", "cors"),
    *("data-dir", "distributed-tracing-address", "distributed-tracing-instance-id", "distributed-tracing-service-name"),
    *(
        "feature-gates",
        "host-whitelist",
        "initial-cluster-token",
        "log-format",
        "log-level",
        "log-rotation-config-json",
    ),
    *("logger", "metrics", "name", "tls-max-version", "tls-min-version", "wal-dir"),
)
_NUMBERS = (
    *("auth-token-ttl", "backend-batch-limit", "bcrypt-cost", "bootstrap-defrag-threshold-megabytes"),
    *("compaction-batch-limit", "distributed-tracing-sampling-rate", "election-timeout", "heartbeat-interval"),
    *("max-concurrent-streams", "max-learners", "max-request-bytes", "max-snapshots", "max-txn-ops", "max-wals"),
    *("quota-backend-bytes", "self-signed-cert-validity", "snapshot-catchup-entries", "snapshot-count"),
)
_SWITCHES = (
    *("enable-distributed-tracing", "enable-grpc-gateway", "enable-log-rotation", "enable-pprof"),
    *("initial-election-tick-advance", "memory-mlock", "pre-vote", "strict-reconfig-check", "unsafe-no-fsync"),
)
_TIMES = (
    *("backend-batch-interval", "compact-hash-check-time", "compaction-sleep-interval", "corrupt-check-time"),
    *("downgrade-check-time", "grpc-keepalive-interval", "grpc-keepalive-min-time", "grpc-keepalive-timeout"),
    *("warning-apply-duration", "warning-unary-request-duration", "watch-progress-notify-interval"),
)
_LISTS = ("cipher-suites", "log-outputs")
_CLIENT, _PEER, _SOCKET = "client-transport-security", "peer-transport-security", "socket-options"
_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")

Path = tuple[str, ...]
"""Where a setting lies in the file."""


def settings(flags: Sequence[str]) -> dict[str, Any]:
    """The document for `--name=value` flags, of which the last of a name wins. Raises InvalidValue."""
    document: dict[str, Any] = {}
    for flag in flags:
        name, equals, text = flag.partition("=")
        known = _KNOWN.get(name.lstrip("-"))
        if known is None or not name.startswith("-"):
            raise InvalidValue(EXTRA_ARGUMENTS, f"{name} is no flag that can be set here", "correct or remove it")
        (*above, last), read = known
        if not equals and read is _switch:
            text = "true"
        try:
            value = read(text)
        except ValueError as error:
            raise InvalidValue(
                EXTRA_ARGUMENTS, f"{flag} cannot be read: {error}", "write it as --name=value"
            ) from error
        place = document
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return document


def nanoseconds(text: str) -> int:
    """A span of time as Go writes it, such as 1m30s. Raises ValueError."""
    if text == "0":
        return 0
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no time with a unit, such as 10s")
    return round(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts))


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _transport(prefix: str, section: str, clients: str) -> dict[str, tuple[Path, Callable[[str], Any]]]:
    """The flags of one of both sides of TLS; `clients`: how the flags begin that are about certificates of clients."""
    own: dict[str, tuple[Path, Callable[[str], Any]]] = {
        f"{prefix}{name}": ((section, name), str)
        for name in ("cert-file", "key-file", "client-cert-file", "client-key-file", "trusted-ca-file")
    }
    own[f"{prefix}client-cert-auth"] = (section, "client-cert-auth"), _switch
    own[f"{clients}cert-allowed-hostname"] = (section, "allowed-hostname"), _list
    return own


_KNOWN: dict[str, tuple[Path, Callable[[str], Any]]] = {
    **{name: ((name,), str) for name in _TEXTS},
    **{name: ((name,), int) for name in _NUMBERS},
    **{name: ((name,), _switch) for name in _SWITCHES},
    **{name: ((name,), nanoseconds) for name in _TIMES},
    **{name: ((name,), _list) for name in _LISTS},
    **_transport("", _CLIENT, "client-"),
    **_transport("peer-", _PEER, "peer-"),
    "peer-cert-allowed-cn": ((_PEER, "allowed-cn"), _list),
    "peer-skip-client-san-verification": ((_PEER, "skip-client-san-verification"), _switch),
    "socket-reuse-address": ((_SOCKET, "reuse-address"), _switch),
    "socket-reuse-port": ((_SOCKET, "reuse-port"), _switch),
}
