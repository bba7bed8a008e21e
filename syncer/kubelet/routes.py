"""From a request of the kubelet API to the host request that answers it.

    /exec/{namespace}/{pod}/{container}           -> .../pods/{host pod}/exec
    /attach/{namespace}/{pod}/{container}         -> .../pods/{host pod}/attach
    /portForward/{namespace}/{pod}                -> .../pods/{host pod}/portforward
    /containerLogs/{namespace}/{pod}/{container}  -> .../pods/{host pod}/log

What reaches the host is built from checked parts and never copied: names must be Kubernetes names, parameters and headers must be
on a list. A request that asks for more under our identity (impersonation, a second Host, a body) is refused, not cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

LOGS = "containerLogs"
HEALTH = "healthz"

Headers = Iterable[tuple[str, str]]
"""Header names in lower case, with values; a repeated header is a repeated pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLocation:
    """Where a virtual pod runs on the host, and the names of all its containers (init and ephemeral ones too)."""

    host_namespace: str
    host_name: str
    containers: frozenset[str]


Locate = Callable[[str, str], PodLocation | None]
"""From (virtual namespace, virtual pod) to its place; None when this cluster has no such pod on the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRequest:
    """What to send to the host API server. Host and Authorization are left to the connection."""

    route: str
    """The kubelet API's first path segment: exec, attach, portForward or containerLogs."""
    method: str
    target: str
    """Path and query."""
    headers: tuple[tuple[str, str], ...]
    namespace: str
    """The pod's virtual namespace and name, and where it is on the host: to translate errors back."""
    pod: str
    location: PodLocation


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that needs no host: HTTP status and text. `route` is as in HostRequest, or "unknown"; for metrics."""

    status: int
    text: str
    route: str = "unknown"


_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL = re.compile(rf"(?=.{{1,63}}\Z){_NAME}\Z")
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_NAME}(\.{_NAME})*\Z")


def _text(value: str) -> str:
    return value


def _flag(value: str) -> str:
    """The API server writes 1 towards a kubelet and reads true or false itself."""
    if value not in ("0", "1", "true", "false"):
        raise ValueError("must be 1 or 0")
    return "true" if value in ("1", "true") else "false"


def _port(value: str) -> str:
    ports = value.split(",")
    if not all(port.isdecimal() and port.isascii() and 1 <= int(port) <= 65535 for port in ports):
        raise ValueError("must be a port number, or several with commas between")
    return ",".join(ports)


@dataclass(frozen=True, slots=True)
class _Parameter:
    host: str
    """The parameter's name towards the host API server."""
    read: Callable[[str], str] = _text
    """Checks and converts a value; raises ValueError."""
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    subresource: str
    methods: frozenset[str]
    container: bool
    upgrade: bool
    parameters: Mapping[str, _Parameter] = field(default_factory=dict)


_UPGRADES = frozenset({"GET", "POST"})  # WebSocket comes as GET, SPDY as POST
_STREAMS = {
    "input": _Parameter("stdin", _flag),
    "output": _Parameter("stdout", _flag),
    "error": _Parameter("stderr", _flag),
    "tty": _Parameter("tty", _flag),
}
_ROUTES: dict[str, _Route] = {
    "exec": _Route(
        subresource="exec",
        methods=_UPGRADES,
        container=True,
        upgrade=True,
        parameters={"command": _Parameter("command", repeated=True), **_STREAMS},
    ),
    "attach": _Route(subresource="attach", methods=_UPGRADES, container=True, upgrade=True, parameters=_STREAMS),
    "portForward": _Route(
        subresource="portforward",
        methods=_UPGRADES,
        container=False,
        upgrade=True,
        parameters={"port": _Parameter("ports", _port, repeated=True)},
    ),
    LOGS: _Route(
        subresource="log",
        methods=frozenset({"GET"}),
        container=True,
        upgrade=False,
        parameters={
            "follow": _Parameter("follow", _flag),
            "previous": _Parameter("previous", _flag),
            "timestamps": _Parameter("timestamps", _flag),
            **{name: _Parameter(name) for name in ("sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream")},
        },
    ),
}

_NOT_OFFERED = frozenset(
    {"checkpoint", "configz", "cri", "debug", "logs", "metrics", "pods", "run", "runningpods", "spec", "stats"}
)
_PROTOCOLS = frozenset({"websocket", "spdy/3.1"})
_PASSED = frozenset(
    {
        "user-agent",
        "x-stream-protocol-version",
        "sec-websocket-key",  # unchanged: the far end answers with its hash
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    }
)
_ONCE = frozenset({"host", "content-length", "upgrade", "sec-websocket-key", "sec-websocket-version", "user-agent"})
_FORBIDDEN = re.compile(r"impersonate-|x-remote-|transfer-encoding\Z")
_BEARER = "base64url.bearer.authorization.k8s.io."


def translate(method: str, target: str, headers: Headers, locate: Locate) -> HostRequest | Refusal:
    """The host request for a kubelet request, or why there is none. `target` is the raw request target: path and query."""
    path, _, query = target.partition("?")
    first, *names = path[1:].split("/")
    if not path.startswith("/") or "#" in target:
        return Refusal(400, "the request target must be a path")
    route = _ROUTES.get(first)
    if route is None:
        return _without_pod(method, path, first)
    try:
        if method not in route.methods:
            return Refusal(405, f"{method} is not allowed for /{first}", first)
        namespace, pod, container = _names(names, route)
        parameters = _parameters(query, route)
        passed = _headers(list(headers), route)
    except ValueError as error:
        return Refusal(400, str(error), first)
    location = locate(namespace, pod)
    if location is None:
        return Refusal(
            404, f'pod "{pod}" in namespace "{namespace}" is not on the host cluster (any more, or not yet)', first
        )
    if container is not None:
        if container not in location.containers:
            return Refusal(404, f'container "{container}" not found in pod "{pod}"', first)
        parameters.insert(0, ("container", container))
    host_path = (
        f"/api/v1/namespaces/{quote(location.host_namespace, safe='')}/pods/{quote(location.host_name, safe='')}"
    )
    return HostRequest(
        route=first,
        method=method,
        target=f"{host_path}/{route.subresource}?{urlencode(parameters, encoding='latin-1')}".rstrip("?"),
        headers=tuple(passed),
        namespace=namespace,
        pod=pod,
        location=location,
    )


def _without_pod(method: str, path: str, first: str) -> Refusal:
    """Answers to paths that concern no pod. Health is one too: it is a text that needs no host."""
    if path == f"/{HEALTH}" and method in ("GET", "HEAD"):
        return Refusal(200, "ok", HEALTH)
    if first in _NOT_OFFERED:
        return Refusal(404, f"/{first} is not offered by the nodes of a virtual cluster")
    return Refusal(404, "no such path in the kubelet API")


def _names(names: list[str], route: _Route) -> tuple[str, str, str | None]:
    """Namespace, pod and container. Names need no escapes, so that none is understood: `%2e` or `..` are just no names."""
    if len(names) != (3 if route.container else 2):
        raise ValueError(f"the path must be /{{namespace}}/{{pod}}{'/{container}' if route.container else ''}")
    kinds = (("namespace", _LABEL), ("pod", _SUBDOMAIN), ("container", _LABEL))
    for name, (kind, pattern) in zip(names, kinds, strict=False):
        if not pattern.match(name):
            raise ValueError(f"{name[:80]!r} is not the name of a {kind}")
    return names[0], names[1], names[2] if route.container else None


def _parameters(query: str, route: _Route) -> list[tuple[str, str]]:
    """The host's parameters, in the order in which they came: that of `command` matters.

    Latin-1 stands for "bytes": the arguments of a command need not be UTF-8.
    """
    found: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, value in parse_qsl(query, keep_blank_values=True, encoding="latin-1"):
        parameter = route.parameters.get(name)
        if parameter is None:
            continue
        if name in seen and not parameter.repeated:
            raise ValueError(f"parameter {name!r} is given twice")
        seen.add(name)
        try:
            found.append((parameter.host, parameter.read(value)))
        except ValueError as error:
            raise ValueError(f"parameter {name!r} {error}") from error
    if ("tty", "true") in found:  # a terminal has one output; kubelets ignore the flag as well
        found = [item for item in found if item[0] != "stderr"]
    return [item for item in found if item != ("stream", "All")]  # the default, which older hosts do not know by name


def _headers(headers: list[tuple[str, str]], route: _Route) -> list[tuple[str, str]]:
    seen: set[str] = set()
    for name, _ in headers:
        if _FORBIDDEN.match(name):
            raise ValueError(f"header {name!r} is not accepted")
        if name in _ONCE and name in seen:
            raise ValueError(f"header {name!r} is given twice")
        seen.add(name)
    values = dict(headers)
    if values.get("content-length", "0").strip() != "0":
        raise ValueError("the request must have no body")
    passed = [pair for pair in map(_passed, headers) if pair]
    if not route.upgrade:
        return [("connection", "close"), *(pair for pair in passed if pair[0] == "user-agent")]
    protocol = values.get("upgrade", "").strip()
    tokens = {token.strip().lower() for name, value in headers if name == "connection" for token in value.split(",")}
    if "upgrade" not in tokens or protocol.lower() not in _PROTOCOLS:
        raise ValueError("an upgrade to SPDY/3.1 or WebSocket is required")
    return [("connection", "Upgrade"), ("upgrade", protocol), *passed]


def _passed(header: tuple[str, str]) -> tuple[str, str] | None:
    """The header as it goes on to the host. A bearer token hidden among WebSocket sub-protocols does not."""
    name, value = header
    if name not in _PASSED:
        return None
    if name == "sec-websocket-protocol":
        protocols = [protocol.strip() for protocol in value.split(",")]
        value = ", ".join(protocol for protocol in protocols if not protocol.lower().startswith(_BEARER))
    return (name, value) if value else None
