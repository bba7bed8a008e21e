"""Client and reflector against real API servers, on etcd and on kine with SQLite."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from syncer.kube.client import Client
from syncer.kube.credentials import Credentials, tls_context
from syncer.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, Unauthorized
from syncer.kube.resource import Resource
from syncer.kube.watch import Reflector, reflect
from syncer.names import Object
from tests.integration.conftest import ApiServerPair
from tests.integration.eventually import eventually
from tests.integration.servers import ApiServer
from tests.unit.kube.doubles import CONFIGMAPS, MemorySink

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role", namespaced=True)
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", namespaced=True)

_numbers = count(1)


@pytest.fixture(params=["host", "virtual"])
def server(request: pytest.FixtureRequest, api_server_pair: ApiServerPair) -> ApiServer:
    chosen: ApiServer = getattr(api_server_pair, request.param)
    return chosen


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[Client]:
    client = Client.connect(Credentials.from_kubeconfig(server.kubeconfig, strict=True), name="test")
    yield client
    await client.close()


another = client  # with connections of its own


@pytest.fixture
async def namespace(client: Client) -> str:
    name = f"test-{next(_numbers)}"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    return name


@pytest.fixture
async def watches() -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Tasks that end with the test."""
    tasks: list[asyncio.Task[Any]] = []
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def configmap(name: str, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more.pop("metadata", {})}, **more}


def quickly(client: Client, sink: MemorySink, namespace: str, **more: Any) -> asyncio.Task[Any]:
    """A reflector whose pauses are short."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))

    return asyncio.create_task(reflect(client, CONFIGMAPS, sink, namespace=namespace, sleep=nap, **more))


async def test_an_object_lives_its_life(client: Client, namespace: str) -> None:
    created = await client.create(CONFIGMAPS, configmap("a", data={"k": "1"}), namespace=namespace)
    merged = await client.patch(CONFIGMAPS, namespace, "a", {"data": {"l": "2"}})
    listed = await client.patch(CONFIGMAPS, namespace, "a", [{"op": "remove", "path": "/data/k"}])
    applied = await client.patch(
        CONFIGMAPS, namespace, "a", configmap("a", data={"m": "3"}), content_type="apply", field_manager="test"
    )
    replaced = await client.replace(CONFIGMAPS, namespace, "a", applied | {"data": {"n": "4"}})
    data = [obj["data"] for obj in (created, merged, listed, applied, replaced)]
    assert data == [{"k": "1"}, {"k": "1", "l": "2"}, {"l": "2"}, {"l": "2", "m": "3"}, {"n": "4"}]
    assert await client.get(CONFIGMAPS, namespace, "a") == replaced
    await client.delete(CONFIGMAPS, namespace, "a", uid=created["metadata"]["uid"])
    with pytest.raises(NotFound):
        await client.get(CONFIGMAPS, namespace, "a")


async def test_refusals_have_their_class(client: Client, namespace: str) -> None:
    created = await client.create(CONFIGMAPS, configmap("a"), namespace=namespace)
    with pytest.raises(AlreadyExists):
        await client.create(CONFIGMAPS, configmap("a"), namespace=namespace)
    with pytest.raises(Conflict):
        await client.delete(CONFIGMAPS, namespace, "a", uid="another")
    await client.patch(CONFIGMAPS, namespace, "a", {"data": {"k": "v"}})
    with pytest.raises(Conflict):
        await client.replace(CONFIGMAPS, namespace, "a", created)
    with pytest.raises(Invalid) as raised:
        await client.create(CONFIGMAPS, configmap("Not_a_name"), namespace=namespace)
    assert raised.value.details["causes"][0]["field"] == "metadata.name"


async def test_a_dry_run_creates_nothing(client: Client, namespace: str) -> None:
    await client.create(CONFIGMAPS, configmap("a"), namespace=namespace, dry_run=True)
    assert await client.list(CONFIGMAPS, namespace) == []


async def test_lists_agree_with_the_official_client(
    client: Client, namespace: str, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncer.kube.client.PAGE", 3)
    for number in range(10):
        await client.create(
            CONFIGMAPS, configmap(f"c{number}", metadata={"labels": {"odd": str(number % 2)}}), namespace=namespace
        )
    ours = await client.list(CONFIGMAPS, namespace, "odd in (1)", "metadata.name!=c3")
    official: Any = kubernetes
    with official.config.new_client_from_config(str(server.kubeconfig)) as api:
        answer = official.client.CoreV1Api(api).list_namespaced_config_map(
            namespace, label_selector="odd in (1)", field_selector="metadata.name!=c3"
        )
        theirs = api.sanitize_for_serialization(answer)["items"]
    for obj in theirs:
        del obj["metadata"]["managedFields"]
    assert [obj["metadata"]["name"] for obj in ours] == ["c1", "c5", "c7", "c9"]
    assert [obj["metadata"]["uid"] for obj in ours] == [obj["metadata"]["uid"] for obj in theirs]
    assert all("managedFields" not in obj["metadata"] and obj["kind"] == "ConfigMap" for obj in ours)


async def test_the_listing_and_what_follows_arrive(
    client: Client, namespace: str, watches: list[asyncio.Task[Any]]
) -> None:
    sink = MemorySink()
    await client.create(CONFIGMAPS, configmap("a"), namespace=namespace)
    watches.append(quickly(client, sink, namespace))
    await sink.synced.wait()
    assert sink.names == ["a"]
    await client.create(CONFIGMAPS, configmap("b"), namespace=namespace)
    await client.delete(CONFIGMAPS, namespace, "a")
    await eventually(lambda: sink.names == ["b"])
    assert sink.objects[namespace, "b"] == await client.get(CONFIGMAPS, namespace, "b")


async def test_both_ways_to_list_give_the_same_and_go_on(
    client: Client, namespace: str, watches: list[asyncio.Task[Any]]
) -> None:
    for name in "abc":
        await client.create(CONFIGMAPS, configmap(name), namespace=namespace)
    sinks = []
    for watch_list in (True, False):
        client.watch_list = watch_list
        sinks.append(MemorySink())
        watches.append(quickly(client, sinks[-1], namespace))
        await sinks[-1].synced.wait()
    assert sinks[0].objects == sinks[1].objects
    await client.create(CONFIGMAPS, configmap("d"), namespace=namespace)
    await eventually(lambda: sinks[0].names == sinks[1].names == list("abcd"))


async def test_an_object_that_leaves_the_selection_is_deleted(
    client: Client, namespace: str, watches: list[asyncio.Task[Any]]
) -> None:
    sink = MemorySink()
    await client.create(CONFIGMAPS, configmap("a", metadata={"labels": {"app": "x"}}), namespace=namespace)
    await client.create(CONFIGMAPS, configmap("b"), namespace=namespace)
    watches.append(quickly(client, sink, namespace, label_selector="app=x"))
    await sink.synced.wait()
    assert sink.names == ["a"]
    await client.patch(CONFIGMAPS, namespace, "a", {"metadata": {"labels": None}})
    await eventually(lambda: not sink.names)


async def test_an_event_of_the_largest_size_arrives(
    client: Client, namespace: str, watches: list[asyncio.Task[Any]]
) -> None:
    sink = MemorySink()
    watches.append(quickly(client, sink, namespace))
    await sink.synced.wait()
    await client.create(CONFIGMAPS, configmap("big", data={"k": "x" * 1_040_000}), namespace=namespace)
    await eventually(lambda: sink.names == ["big"])
    assert len(sink.objects[namespace, "big"]["data"]["k"]) == 1_040_000


async def test_watches_that_are_cut_again_and_again_miss_nothing(
    client: Client, another: Client, namespace: str, watches: list[asyncio.Task[Any]]
) -> None:
    sink = MemorySink()
    reasons: list[str] = []
    watches.append(quickly(another, sink, namespace, restarted=lambda resource, reason: reasons.append(reason)))

    async def write(worker: int) -> None:
        for turn in range(12):
            name = f"w{worker}-{turn % 3}"
            await client.create(CONFIGMAPS, configmap(name), namespace=namespace)
            await client.patch(CONFIGMAPS, namespace, name, {"data": {"turn": str(turn)}})
            if turn < 9:
                await client.delete(CONFIGMAPS, namespace, name)

    async def cut() -> None:
        while True:
            await asyncio.sleep(0.05)
            await another.close()  # the next session connects again

    watches.append(asyncio.create_task(cut()))
    await asyncio.gather(*(write(worker) for worker in range(8)))
    wanted = {obj["metadata"]["name"]: obj for obj in await client.list(CONFIGMAPS, namespace)}
    assert len(wanted) == 24
    await eventually(lambda: {name: obj for (_, name), obj in sink.objects.items()} == wanted)
    assert set(reasons) == {"unreachable"}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture
async def guest(client: Client, namespace: str, server: ApiServer, token_file: Path) -> AsyncIterator[Client]:
    """A service account without any right; its token is in `token_file`."""
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "guest"}}, namespace=namespace)
    write(token_file, await new_token(client, namespace))
    credentials = Credentials(server.url, tls_context(), token=token_file, authority=server.ca.certificate)
    guest = Client.connect(credentials, name="guest")
    yield guest
    await guest.close()


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def new_token(client: Client, namespace: str) -> str:
    request: Object = {"spec": {"expirationSeconds": 600}}
    answer = await client.post_subresource(SERVICE_ACCOUNTS, namespace, "guest", "token", request)
    token: str = answer["status"]["token"]
    return token


async def grant(client: Client, namespace: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch", "create"]}]
    await client.create(ROLES, {"metadata": {"name": "guest"}, "rules": rules}, namespace=namespace)
    binding = {
        "metadata": {"name": "guest"},
        "roleRef": {"apiGroup": ROLES.group, "kind": "Role", "name": "guest"},
        "subjects": [{"kind": "ServiceAccount", "name": "guest", "namespace": namespace}],
    }
    await client.create(BINDINGS, binding, namespace=namespace)


async def test_a_rotated_token_is_picked_up_without_a_failed_request(
    client: Client, guest: Client, namespace: str, token_file: Path
) -> None:
    await grant(client, namespace)
    write(token_file, "expired")
    with pytest.raises(Unauthorized):
        await guest.list(CONFIGMAPS, namespace)
    write(token_file, await new_token(client, namespace))
    assert await guest.list(CONFIGMAPS, namespace) == []


async def test_a_watch_waits_for_its_rights(
    client: Client,
    guest: Client,
    namespace: str,
    watches: list[asyncio.Task[Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = MemorySink()
    reasons: list[str] = []
    with caplog.at_level(logging.WARNING):
        watches.append(quickly(guest, sink, namespace, restarted=lambda resource, reason: reasons.append(reason)))
        await eventually(lambda: len(reasons) >= 2)
        assert set(reasons) == {"forbidden"}
        with pytest.raises(Forbidden):
            await guest.list(CONFIGMAPS, namespace)
        await grant(client, namespace)
        await sink.synced.wait()
    assert f"missing right: list and watch configmaps in namespace {namespace}" in caplog.text


async def test_a_crash_of_the_server_loses_nothing(
    client: Client, namespace: str, server: ApiServer, watches: list[asyncio.Task[Any]]
) -> None:
    sink = MemorySink()
    for name in "ab":
        await client.create(CONFIGMAPS, configmap(name), namespace=namespace)
    watches.append(quickly(client, sink, namespace))
    await sink.synced.wait()
    server.kill9()
    await asyncio.to_thread(server.restart)
    await client.delete(CONFIGMAPS, namespace, "a")
    await client.create(CONFIGMAPS, configmap("c"), namespace=namespace)
    await eventually(lambda: sink.names == ["b", "c"])


async def test_deletions_during_a_gap_that_the_server_forgot_are_told(
    namespace: str, client: Client, server: ApiServer
) -> None:
    sink = MemorySink()
    reflector = Reflector(client, CONFIGMAPS, sink, namespace=namespace, query={})
    for name in "ab":
        await client.create(CONFIGMAPS, configmap(name), namespace=namespace)
    listed = asyncio.create_task(reflector.session())
    await sink.synced.wait()
    listed.cancel()
    await asyncio.gather(listed, return_exceptions=True)
    await client.delete(CONFIGMAPS, namespace, "a")
    await client.create(CONFIGMAPS, configmap("c"), namespace=namespace)
    server.kill9()
    await asyncio.to_thread(server.restart)  # its memory of changes starts now
    assert (await reflector.session()).reason == "expired"
    again = asyncio.create_task(reflector.session())
    await eventually(lambda: sink.names == ["b", "c"])
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert "gone a" in sink.calls
