"""What the client sends, gives back and refuses, against a server that is a function."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from syncer.kube.client import PAGE, Client
from syncer.kube.credentials import Credentials, tls_context
from syncer.kube.errors import AlreadyExists, ApiError, Gone, TooManyRequests, Unauthorized, Unreachable
from syncer.kube.resource import Resource
from syncer.kube.transport import Response
from tests.unit.kube.doubles import (
    CONFIGMAPS,
    Handler,
    MockTransport,
    NoCredentials,
    Request,
    Stream,
    answer,
    broken,
    configmap,
    refusal,
)

PODS = Resource("", "v1", "pods", "Pod", namespaced=True)


class Asleep:
    """Notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.naps: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.naps.append(seconds)


def client_of(handler: Handler, **more: Any) -> tuple[Client, MockTransport]:
    transport = MockTransport(handler)
    return Client(transport, more.pop("credentials", NoCredentials()), name="test", **more), transport


def in_turn(*answers: Response) -> Callable[[Request], Response]:
    waiting = list(answers)
    return lambda request: waiting.pop(0)


async def test_get_asks_for_one_object() -> None:
    client, transport = client_of(lambda request: answer(configmap("a")))
    assert (await client.get(CONFIGMAPS, "ns", "a"))["metadata"]["name"] == "a"
    (sent,) = transport.requests
    assert (sent.method, sent.path, sent.body) == ("GET", "/api/v1/namespaces/ns/configmaps/a", None)


async def test_answers_come_without_managed_fields() -> None:
    obj = configmap("a")
    obj["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    client, _ = client_of(lambda request: answer(obj))
    assert "managedFields" not in (await client.get(CONFIGMAPS, "ns", "a"))["metadata"]


async def test_requests_ask_for_plain_bodies_and_carry_the_token() -> None:
    client, transport = client_of(lambda request: answer({}), credentials=NoCredentials("secret"))
    await client.get(CONFIGMAPS, "ns", "a")
    headers = transport.requests[0].headers
    assert (headers["Accept-Encoding"], headers["Authorization"]) == ("identity", "Bearer secret")


async def test_create_posts_the_object_as_it_is() -> None:
    client, transport = client_of(lambda request: answer(configmap("a"), 201))
    await client.create(CONFIGMAPS, configmap("a", data={"k": "v"}), namespace="ns")
    (sent,) = transport.requests
    assert (sent.method, sent.path, sent.query) == ("POST", "/api/v1/namespaces/ns/configmaps", {})
    assert sent.json == configmap("a", data={"k": "v"})
    assert sent.headers["Content-Type"] == "application/json"


async def test_a_dry_run_says_so() -> None:
    client, transport = client_of(lambda request: answer({}))
    await client.create(CONFIGMAPS, {}, namespace="ns", dry_run=True)
    assert transport.requests[0].query == {"dryRun": "All"}


@pytest.mark.parametrize(
    ("patch", "more", "content_type"),
    [
        ({"data": {}}, {}, "application/merge-patch+json"),
        ([{"op": "remove", "path": "/data"}], {}, "application/json-patch+json"),
        ({"data": {}}, {"content_type": "apply", "field_manager": "me"}, "application/apply-patch+yaml"),
    ],
)
async def test_the_form_of_a_patch_is_told_by_its_content_type(
    patch: Any, more: dict[str, Any], content_type: str
) -> None:
    client, transport = client_of(lambda request: answer({}))
    await client.patch(CONFIGMAPS, "ns", "a", patch, **more)
    (sent,) = transport.requests
    assert (sent.method, sent.headers["Content-Type"], sent.json) == ("PATCH", content_type, patch)


async def test_apply_names_its_manager_and_takes_fields_by_force() -> None:
    client, transport = client_of(lambda request: answer({}))
    await client.patch(PODS, "ns", "a", {}, subresource="status", content_type="apply", field_manager="me", force=True)
    (sent,) = transport.requests
    assert sent.path.endswith("/pods/a/status")
    assert sent.query == {"fieldManager": "me", "force": "true"}


async def test_replace_puts_the_object() -> None:
    client, transport = client_of(lambda request: answer({}))
    await client.replace(PODS, "ns", "a", {"x": 1}, subresource="status")
    (sent,) = transport.requests
    assert (sent.method, sent.path, sent.json) == ("PUT", "/api/v1/namespaces/ns/pods/a/status", {"x": 1})


async def test_delete_names_grace_uid_and_propagation() -> None:
    client, transport = client_of(lambda request: answer(configmap("a")))
    await client.delete(CONFIGMAPS, "ns", "a", grace_seconds=0, uid="u", propagation="Background")
    assert transport.requests[0].json == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
        "propagationPolicy": "Background",
    }


async def test_delete_gives_the_object_if_the_server_does() -> None:
    client, _ = client_of(in_turn(answer(configmap("a")), answer({"kind": "Status", "status": "Success"})))
    first = await client.delete(CONFIGMAPS, "ns", "a")
    assert first is not None
    assert await client.delete(CONFIGMAPS, "ns", "a") is None


async def test_a_binding_is_posted_to_its_subresource() -> None:
    client, transport = client_of(lambda request: answer({"kind": "Status"}, 201))
    await client.post_subresource(PODS, "ns", "a", "binding", {"target": {"name": "node"}})
    (sent,) = transport.requests
    assert (sent.method, sent.path) == ("POST", "/api/v1/namespaces/ns/pods/a/binding")


async def test_a_list_is_read_page_by_page() -> None:
    def handler(request: Request) -> Response:
        last = request.query.get("continue") == "more"
        metadata = {"resourceVersion": "7"} | ({} if last else {"continue": "more"})
        return answer({"metadata": metadata, "items": [{"metadata": {"name": "b" if last else "a"}}]})

    client, transport = client_of(handler)
    items = await client.list(CONFIGMAPS, "ns", "app=x", "metadata.name!=y")
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]
    assert transport.requests[0].query == {
        "limit": str(PAGE),
        "labelSelector": "app=x",
        "fieldSelector": "metadata.name!=y",
    }
    assert transport.requests[1].query["labelSelector"] == "app=x"


async def test_listed_objects_carry_their_kind_and_no_managed_fields() -> None:
    items = [{"metadata": {"name": "a", "managedFields": []}}]
    client, _ = client_of(lambda request: answer({"metadata": {"resourceVersion": "7"}, "items": items}))
    assert await client.list(CONFIGMAPS) == [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]


async def test_a_list_of_nothing_is_empty() -> None:
    client, _ = client_of(lambda request: answer({"metadata": {"resourceVersion": "7"}, "items": None}))
    assert await client.list(CONFIGMAPS) == []


async def test_a_list_that_outlived_its_version_is_gone() -> None:
    client, _ = client_of(lambda request: refusal(410, "Expired"))
    with pytest.raises(Gone):
        await client.list(CONFIGMAPS)


async def test_a_refusal_raises_its_error() -> None:
    client, _ = client_of(lambda request: refusal(409, "AlreadyExists"))
    with pytest.raises(AlreadyExists):
        await client.create(CONFIGMAPS, {}, namespace="ns")


async def test_a_redirect_is_refused() -> None:
    client, _ = client_of(lambda request: Response(302, {"location": "https://elsewhere"}, b"Found"))
    with pytest.raises(ApiError, match="Found"):
        await client.get(CONFIGMAPS, "ns", "a")


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'"text"'])
async def test_an_answer_that_is_no_object_is_no_answer(body: bytes) -> None:
    client, _ = client_of(lambda request: Response(200, {}, body))
    with pytest.raises(Unreachable):
        await client.get(CONFIGMAPS, "ns", "a")


async def test_an_answer_that_somebody_packed_is_unpacked() -> None:
    packed = gzip.compress(orjson.dumps(configmap("a")))
    client, _ = client_of(lambda request: Response(200, {"content-encoding": "gzip"}, packed))
    assert (await client.get(CONFIGMAPS, "ns", "a"))["metadata"]["name"] == "a"


async def test_raw_gives_any_status_back() -> None:
    client, transport = client_of(lambda request: Response(503, {}, b"starting"))
    response = await client.raw("GET", "/readyz", query={"verbose": ""})
    assert (response.status, response.body) == (503, b"starting")
    assert transport.requests[0].path == "/readyz"


def rotating(folder: Path, handler: Handler) -> tuple[Client, MockTransport]:
    (folder / "token").write_text("old")
    return client_of(handler, credentials=Credentials("https://server", tls_context(), token=folder / "token"))


async def test_a_refused_token_is_renewed_and_the_request_repeated(tmp_path: Path) -> None:
    def handler(request: Request) -> Response:
        if request.headers["Authorization"] == "Bearer new":
            return answer(configmap("a"))
        (tmp_path / "token").write_text("new")
        return refusal(401, "Unauthorized")

    client, transport = rotating(tmp_path, handler)
    await client.get(CONFIGMAPS, "ns", "a")
    await client.get(CONFIGMAPS, "ns", "a")
    assert [request.headers["Authorization"] for request in transport.requests] == [
        "Bearer old",
        "Bearer new",
        "Bearer new",
    ]


async def test_a_token_that_stays_refused_is_tried_once(tmp_path: Path) -> None:
    client, transport = rotating(tmp_path, lambda request: refusal(401, "Unauthorized"))
    with pytest.raises(Unauthorized):
        await client.get(CONFIGMAPS, "ns", "a")
    assert len(transport.requests) == 1


async def test_a_token_is_renewed_once_per_request(tmp_path: Path) -> None:
    def handler(request: Request) -> Response:
        (tmp_path / "token").write_text(f"token {len(transport.requests)}")
        return refusal(401, "Unauthorized")

    client, transport = rotating(tmp_path, handler)
    with pytest.raises(Unauthorized):
        await client.get(CONFIGMAPS, "ns", "a")
    assert len(transport.requests) == 2


async def test_a_watch_renews_its_token_too(tmp_path: Path) -> None:
    def handler(request: Request) -> Response | Stream:
        if request.headers["Authorization"] == "Bearer new":
            return Stream()
        (tmp_path / "token").write_text("new")
        return refusal(401, "Unauthorized")

    client, transport = rotating(tmp_path, handler)
    async with client.stream(CONFIGMAPS, "ns", {"watch": "true"}) as stream:
        assert stream.status == 200
    assert len(transport.requests) == 2


async def test_a_throttled_request_waits_up_to_a_second_once() -> None:
    asleep = Asleep()
    throttled = refusal(429, "TooManyRequests", headers={"retry-after": "1"})
    client, _ = client_of(in_turn(throttled, answer(configmap("a"))), sleep=asleep)
    await client.get(CONFIGMAPS, "ns", "a")
    assert asleep.naps == [1.0]


async def test_a_request_that_stays_throttled_is_left_to_the_caller() -> None:
    asleep = Asleep()
    client, transport = client_of(
        lambda request: refusal(429, "TooManyRequests", headers={"retry-after": "1"}), sleep=asleep
    )
    with pytest.raises(TooManyRequests):
        await client.get(CONFIGMAPS, "ns", "a")
    assert len(transport.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_longer_wait_is_left_to_the_caller(status: int) -> None:
    asleep = Asleep()
    client, _ = client_of(lambda request: refusal(status, headers={"retry-after": "5"}), sleep=asleep)
    with pytest.raises(TooManyRequests) as raised:
        await client.create(CONFIGMAPS, {}, namespace="ns")
    assert (raised.value.retry_after, asleep.naps) == (5.0, [])


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    running, most = 0, 0

    async def handler(request: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return answer(configmap("a"))

    client, _ = client_of(handler, max_in_flight=3)
    await asyncio.gather(*(client.get(CONFIGMAPS, "ns", "a") for _ in range(20)))
    assert most == 3


async def test_each_request_is_observed() -> None:
    seen: list[tuple[str, str, int]] = []
    client, _ = client_of(
        in_turn(answer(configmap("a")), refusal(404, "NotFound")),
        observe=lambda verb, resource, status, seconds: seen.append((verb, resource, status)),
    )
    await client.get(CONFIGMAPS, "ns", "a")
    with pytest.raises(ApiError):
        await client.delete(PODS, "ns", "a")
    assert seen == [("get", "configmaps", 200), ("delete", "pods", 404)]


async def test_a_request_without_an_answer_is_observed_as_zero() -> None:
    def handler(request: Request) -> Response:
        raise broken()

    seen: list[int] = []
    client, _ = client_of(handler, observe=lambda verb, resource, status, seconds: seen.append(status))
    with pytest.raises(Unreachable):
        await client.get(CONFIGMAPS, "ns", "a")
    assert seen == [0]


class Renewed(NoCredentials):
    """Credentials whose certificate has just changed."""

    def refresh(self) -> bool:
        return True


async def test_renewed_certificates_take_new_connections() -> None:
    client, transport = client_of(lambda request: answer({}), credentials=Renewed())
    await client.refresh()
    assert transport.reconnected == 1


async def test_unchanged_certificates_keep_the_connections() -> None:
    client, transport = client_of(lambda request: answer({}))
    await client.refresh()
    assert transport.reconnected == 0
