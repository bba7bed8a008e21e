"""What the kubelet API is asked, and what the host is asked for it."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.kubelet.routes import HostRequest, PodLocation, Refusal, translate

SPDY = [
    ("host", "localhost:10250"),
    ("connection", "Upgrade"),
    ("upgrade", "SPDY/3.1"),
    ("x-stream-protocol-version", "v5.channel.k8s.io"),
    ("x-stream-protocol-version", "v4.channel.k8s.io"),
    ("content-length", "0"),
]
WEBSOCKET = [
    ("host", "virtual.example"),
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "v5.channel.k8s.io"),
    ("user-agent", "kubectl/v1.36.3"),
]
PLAIN = [("host", "localhost:10250"), ("user-agent", "kube-apiserver"), ("accept-encoding", "gzip")]
WEB = PodLocation(host_namespace="tenant", host_name="web-x-shop-x-alpha", containers=frozenset({"app", "init"}))
POD = "/api/v1/namespaces/tenant/pods/web-x-shop-x-alpha"


def locate(namespace: str, pod: str) -> PodLocation | None:
    return WEB if (namespace, pod) == ("shop", "web") else None


def ask(target, method="GET", headers=PLAIN):
    return translate(method, target, headers, locate)


def host_request(target, method="GET", headers=PLAIN) -> HostRequest:
    outcome = ask(target, method, headers)
    assert isinstance(outcome, HostRequest), outcome
    return outcome


def refusal(target, method="GET", headers=PLAIN) -> Refusal:
    outcome = ask(target, method, headers)
    assert isinstance(outcome, Refusal), outcome
    return outcome


@pytest.mark.parametrize(
    ("target", "method", "headers", "expected"),
    [
        (
            "/exec/shop/web/app?command=sh&command=-c&command=ls+-l&error=1&input=1&output=1",
            "POST",
            SPDY,
            f"{POD}/exec?container=app&command=sh&command=-c&command=ls+-l&stderr=true&stdin=true&stdout=true",
        ),
        (
            "/exec/shop/web/app?command=sh&error=1&input=1&output=1&tty=1",
            "GET",
            WEBSOCKET,
            f"{POD}/exec?container=app&command=sh&stdin=true&stdout=true&tty=true",
        ),
        (
            "/attach/shop/web/app?input=0&output=1&error=1",
            "POST",
            SPDY,
            f"{POD}/attach?container=app&stdin=false&stdout=true&stderr=true",
        ),
        ("/portForward/shop/web", "POST", SPDY, f"{POD}/portforward"),
        ("/portForward/shop/web?port=80%2C443", "GET", WEBSOCKET, f"{POD}/portforward?ports=80%2C443"),
        ("/portForward/shop/web?port=80&port=443", "GET", WEBSOCKET, f"{POD}/portforward?ports=80&ports=443"),
        ("/containerLogs/shop/web/init", "GET", PLAIN, f"{POD}/log?container=init"),
        (
            (
                "/containerLogs/shop/web/app?follow=true&previous=true&timestamps=true&sinceSeconds=5&tailLines=0"
                "&limitBytes=10&sinceTime=2026-11-23T10%3A00%3A00%2B01%3A00&stream=Stderr"
            ),
            "GET",
            PLAIN,
            (
                f"{POD}/log?container=app&follow=true&previous=true&timestamps=true&sinceSeconds=5&tailLines=0"
                "&limitBytes=10&sinceTime=2026-11-23T10%3A00%3A00%2B01%3A00&stream=Stderr"
            ),
        ),
    ],
)
def test_a_kubelet_request_becomes_a_request_for_the_host_pod(target, method, headers, expected):
    assert host_request(target, method, headers).target == expected


def test_the_default_log_stream_is_not_named_since_older_hosts_refuse_it():
    assert "stream" not in host_request("/containerLogs/shop/web/app?stream=All").target


def test_unknown_parameters_are_left_out():
    assert host_request("/containerLogs/shop/web/app?pretty=1&container=other").target == f"{POD}/log?container=app"


arguments = st.lists(st.text(st.characters(max_codepoint=255)), min_size=1, max_size=8)


@given(arguments)
def test_the_words_of_a_command_keep_order_and_bytes(words):
    query = "&".join(f"command={quote_plus(word, encoding='latin-1')}" for word in words)
    target = host_request(f"/exec/shop/web/app?input=1&{query}", "POST", SPDY).target
    sent = parse_qsl(urlsplit(target).query, keep_blank_values=True, encoding="latin-1")
    assert [value for name, value in sent if name == "command"] == words


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_no_target_leads_out_of_the_pod(target):
    outcome = translate("POST", f"/exec/{target}", SPDY, lambda namespace, pod: WEB)
    if isinstance(outcome, HostRequest):
        assert outcome.target.partition("?")[0] == f"{POD}/exec"


@pytest.mark.parametrize(
    ("target", "method", "headers", "status", "text"),
    [
        ("/exec/shop/gone/app", "POST", SPDY, 404, 'pod "gone" in namespace "shop" is not on the host'),
        ("/exec/other/web/app", "POST", SPDY, 404, 'pod "web" in namespace "other" is not on the host'),
        ("/exec/shop/web/sidecar", "POST", SPDY, 404, 'container "sidecar" not found in pod "web"'),
        ("/exec/shop/web/app", "PUT", SPDY, 405, "PUT is not allowed"),
        ("/containerLogs/shop/web/app", "POST", PLAIN, 405, "POST is not allowed"),
        ("/exec/shop/web/app", "GET", PLAIN, 400, "an upgrade to SPDY/3.1 or WebSocket is required"),
        ("/exec/shop/web/app", "POST", [("connection", "Upgrade"), ("upgrade", "h2c")], 400, "an upgrade to"),
        ("/exec/shop/web", "POST", SPDY, 400, "the path must be"),
        ("/exec/shop/web/6f1e/app", "POST", SPDY, 400, "the path must be"),
        ("/portForward/shop/web/app", "POST", SPDY, 400, "the path must be"),
        ("/exec/shop/../app", "POST", SPDY, 400, "'..' is not the name of a pod"),
        ("/exec/shop/%2e%2e/app", "POST", SPDY, 400, "'%2e%2e' is not the name of a pod"),
        ("/exec/shop/web%2Fexec/app", "POST", SPDY, 400, "is not the name of a pod"),
        ("/exec//web/app", "POST", SPDY, 400, "'' is not the name of a namespace"),
        ("/exec/shop/Web/app", "POST", SPDY, 400, "is not the name of a pod"),
        ("/exec/shop/web/app\n", "POST", SPDY, 400, "is not the name of a container"),
        ("/exec/a.b/web/app", "POST", SPDY, 400, "is not the name of a namespace"),
        (f"/exec/{'a' * 64}/web/app", "POST", SPDY, 400, "is not the name of a namespace"),
        ("https://localhost/exec/shop/web/app", "POST", SPDY, 400, "must be a path"),
        ("/exec/shop/web/app#x", "POST", SPDY, 400, "must be a path"),
        ("/exec/shop/web/app?tty=1&tty=0", "POST", SPDY, 400, "'tty' is given twice"),
        ("/exec/shop/web/app?tty=maybe", "POST", SPDY, 400, "'tty' must be 1 or 0"),
        ("/portForward/shop/web?port=0", "POST", SPDY, 400, "'port' must be a port number"),
        ("/portForward/shop/web?port=80,x", "POST", SPDY, 400, "'port' must be a port number"),
        ("/run/shop/web/app", "POST", PLAIN, 404, "/run is not offered"),
        ("/metrics/cadvisor", "GET", PLAIN, 404, "/metrics is not offered"),
        ("/stats/summary", "GET", PLAIN, 404, "/stats is not offered"),
        ("/pods", "GET", PLAIN, 404, "/pods is not offered"),
        ("/runningpods/", "GET", PLAIN, 404, "/runningpods is not offered"),
        ("/healthz/../exec", "GET", PLAIN, 404, "no such path"),
        ("/api/v1/secrets", "GET", PLAIN, 404, "no such path"),
        ("/", "GET", PLAIN, 404, "no such path"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused_with_a_reason(target, method, headers, status, text):
    outcome = refusal(target, method, headers)
    assert outcome.status == status
    assert text in outcome.text


@pytest.mark.parametrize(
    "header",
    [
        ("impersonate-user", "system:admin"),
        ("impersonate-extra-scopes", "all"),
        ("x-remote-user", "system:admin"),
        ("x-remote-group", "system:masters"),
        ("transfer-encoding", "chunked"),
        ("host", "other"),
        ("upgrade", "websocket"),
        ("content-length", "0"),
    ],
)
def test_a_header_that_could_smuggle_something_is_refused(header):
    assert refusal("/exec/shop/web/app", "POST", [*SPDY, header]).status == 400


def test_a_body_is_refused():
    headers = [pair for pair in SPDY if pair[0] != "content-length"] + [("content-length", "5")]
    assert refusal("/exec/shop/web/app", "POST", headers).text == "the request must have no body"


def test_only_listed_headers_go_on():
    extra = [("authorization", "Bearer x"), ("cookie", "a=b"), ("x-forwarded-for", "1.2.3.4"), ("origin", "https://x")]
    assert host_request("/exec/shop/web/app", "POST", [*SPDY, *extra]).headers == (
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", "v5.channel.k8s.io"),
        ("x-stream-protocol-version", "v4.channel.k8s.io"),
    )


def test_the_websocket_handshake_goes_on_unchanged():
    assert host_request("/exec/shop/web/app", "GET", WEBSOCKET).headers == (
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ("user-agent", "kubectl/v1.36.3"),
    )


def test_a_bearer_token_among_the_sub_protocols_is_taken_out():
    protocols = "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0, v4.channel.k8s.io"
    headers = [*WEBSOCKET[:5], ("sec-websocket-protocol", protocols)]
    passed = dict(host_request("/exec/shop/web/app", "GET", headers).headers)
    assert passed["sec-websocket-protocol"] == "v5.channel.k8s.io, v4.channel.k8s.io"


def test_logs_are_asked_for_on_a_connection_of_their_own():
    assert host_request("/containerLogs/shop/web/app").headers == (
        ("connection", "close"),
        ("user-agent", "kube-apiserver"),
    )


def test_health_needs_no_host():
    assert refusal("/healthz") == Refusal(200, "ok", "healthz")
