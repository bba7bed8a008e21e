"""The engine between two real API servers: no kubelet, the tests speak for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import uuid
from collections.abc import AsyncIterator

import pytest

from syncer.names import Object, token_secret_name
from syncer.plan.services import MOVING
from syncer.rules.services import NOWHERE
from tests.integration.conftest import ApiServerPair
from tests.integration.syncing import (
    CLAIMS,
    CONFIGMAPS,
    EVENTS,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    VOLUMES,
    Running,
    Side,
    eventually,
    pod,
    running,
    sides,
)

RUNNING = {
    "phase": "Running",
    "hostIP": "192.0.2.7",
    "hostIPs": [{"ip": "192.0.2.7"}],
    "podIP": "10.1.2.3",
    "podIPs": [{"ip": "10.1.2.3"}],
    "startTime": "2026-01-01T00:00:00Z",
    "conditions": [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ],
    "containerStatuses": [
        {
            "name": "main",
            "image": "busybox",
            "imageID": "busybox@sha256:1",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
    ],
}


@pytest.fixture
async def sync(api_server_pair: ApiServerPair) -> AsyncIterator[Running]:
    space = f"t{uuid.uuid4().hex[:8]}"
    async with (
        sides(api_server_pair, space) as (host, virtual),
        running(api_server_pair, host, virtual) as it,
    ):
        yield it


async def bind(sync: Running, name: str, node: str = "node-1") -> None:
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name},
        "target": {"kind": "Node", "name": node},
    }
    await sync.host.client.post_subresource(PODS, sync.host.space, name, "binding", binding)


async def start(sync: Running, name: str) -> Object:
    """Creates a virtual pod and lets the host run it; returns the virtual pod, running."""
    await sync.virtual.make(PODS, pod(name))
    there = sync.host_name(name)
    await eventually(lambda: sync.host.get(PODS, there))
    await bind(sync, there)
    await sync.host.patch(PODS, there, {"status": RUNNING}, "status")

    async def is_running() -> Object | None:
        found = await sync.virtual.get(PODS, name)
        return found if found and found["status"].get("podIP") else None

    return await eventually(is_running)  # type: ignore[no-any-return]


async def gone(sync: Running, name: str) -> bool:
    return await sync.virtual.get(PODS, name) is None and await sync.host.get(PODS, sync.host_name(name)) is None


async def test_a_pod_runs_on_the_host_and_its_status_comes_back(sync: Running) -> None:
    found = await start(sync, "web")

    assert found["spec"]["nodeName"] == "node-1"
    assert found["status"]["podIP"] == "10.1.2.3"
    assert found["status"]["containerStatuses"][0]["state"]["running"]


async def test_a_node_stands_in_for_the_host_node_with_its_real_address(sync: Running) -> None:
    await start(sync, "web")

    async def address() -> Object | None:
        node = await sync.virtual.get(NODES, "node-1")
        addresses = {item["type"]: item["address"] for item in node["status"]["addresses"]} if node else {}
        return addresses if "InternalIP" in addresses else None

    found = await eventually(address)
    assert found == {"InternalDNS": "localhost", "Hostname": "node-1", "InternalIP": "192.0.2.7"}


async def test_a_deleted_pod_ends_on_both_sides(sync: Running) -> None:
    await start(sync, "web")
    await sync.virtual.delete(PODS, "web", grace_seconds=5)
    there = sync.host_name("web")

    async def ending() -> bool:
        found = await sync.host.get(PODS, there)
        return bool(found and found["metadata"].get("deletionGracePeriodSeconds") == 5)

    await eventually(ending)
    await sync.host.delete(PODS, there, grace_seconds=0)
    await eventually(lambda: gone(sync, "web"))


async def test_a_force_deleted_pod_does_not_stay_on_the_host(sync: Running) -> None:
    await start(sync, "web")
    await sync.virtual.delete(PODS, "web", grace_seconds=0)
    there = sync.host_name("web")

    async def ending() -> bool:
        found = await sync.host.get(PODS, there)
        return found is None or "deletionTimestamp" in found["metadata"]

    await eventually(ending)


async def test_a_pod_removed_on_the_host_is_removed_in_the_virtual_cluster(sync: Running) -> None:
    await start(sync, "web")
    await sync.host.delete(PODS, sync.host_name("web"), grace_seconds=0)
    await eventually(lambda: gone(sync, "web"))


async def test_a_pod_made_again_under_its_name_gets_a_host_pod_of_its_own(sync: Running) -> None:
    first = await start(sync, "web")
    there = sync.host_name("web")
    await sync.virtual.delete(PODS, "web", grace_seconds=0)
    again = await sync.virtual.make(PODS, pod("web"))

    async def renewed() -> bool:
        found = await sync.host.get(PODS, there)
        return bool(found and found["metadata"]["annotations"]["sublet.dev/uid"] == again["metadata"]["uid"])

    await eventually(renewed)
    assert first["metadata"]["uid"] != again["metadata"]["uid"]


async def test_only_used_config_maps_and_secrets_reach_the_host_and_edits_follow(sync: Running) -> None:
    await sync.virtual.make(CONFIGMAPS, {"metadata": {"name": "used"}, "data": {"a": "1"}})
    await sync.virtual.make(CONFIGMAPS, {"metadata": {"name": "unused"}, "data": {"a": "1"}})
    await sync.virtual.make(SECRETS, {"metadata": {"name": "used"}, "stringData": {"b": "2"}})
    container = {
        "name": "main",
        "image": "busybox",
        "envFrom": [{"configMapRef": {"name": "used"}}, {"secretRef": {"name": "used"}}],
    }
    await sync.virtual.make(PODS, pod("web", containers=[container]))
    await eventually(lambda: sync.host.get(PODS, sync.host_name("web")))

    assert await sync.host.names(CONFIGMAPS, ours=True) == {sync.host_name("used")}
    assert await sync.host.names(SECRETS, ours=True) == {sync.host_name("used")}

    await sync.virtual.patch(CONFIGMAPS, "used", {"data": {"a": None, "c": "3"}})

    async def followed() -> bool:
        found = await sync.host.get(CONFIGMAPS, sync.host_name("used"))
        return bool(found and found["data"] == {"c": "3"})

    await eventually(followed)


async def test_a_host_object_deleted_from_outside_is_made_again(sync: Running) -> None:
    await sync.virtual.make(CONFIGMAPS, {"metadata": {"name": "used"}, "data": {"a": "1"}})
    container = {"name": "main", "image": "busybox", "envFrom": [{"configMapRef": {"name": "used"}}]}
    await sync.virtual.make(PODS, pod("web", containers=[container]))
    first = await eventually(lambda: sync.host.get(CONFIGMAPS, sync.host_name("used")))
    await sync.host.delete(CONFIGMAPS, sync.host_name("used"))

    async def renewed() -> bool:
        found = await sync.host.get(CONFIGMAPS, sync.host_name("used"))
        return bool(found and found["metadata"]["uid"] != first["metadata"]["uid"])

    await eventually(renewed)


async def test_a_service_gets_the_hosts_address_while_it_is_created(sync: Running) -> None:
    made = await sync.virtual.make(
        SERVICES, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    )
    there = await sync.host.get(SERVICES, sync.host_name("web"))

    assert there is not None
    assert made["spec"]["clusterIP"] == there["spec"]["clusterIP"]
    assert there["spec"]["selector"] == {
        "app": "web",
        "sublet.dev/managed-by": "vc",
        "sublet.dev/namespace": sync.virtual.space,
    }
    await asyncio.sleep(0.5)
    again = await sync.virtual.get(SERVICES, "web")
    assert again is not None
    assert again["metadata"]["uid"] == made["metadata"]["uid"]


async def test_a_service_created_behind_the_webhook_ends_with_the_hosts_address(sync: Running) -> None:
    """generateName is such a case: admission does not know the name yet."""
    made = await sync.virtual.make(
        SERVICES, {"metadata": {"generateName": "web-"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    )
    name = made["metadata"]["name"]

    async def same() -> bool:
        here, there = await sync.virtual.get(SERVICES, name), await sync.host.get(SERVICES, sync.host_name(name))
        return bool(here and there and here["spec"]["clusterIP"] == there["spec"]["clusterIP"])

    await eventually(same)


async def test_node_ports_are_the_same_on_both_sides(sync: Running) -> None:
    made = await sync.virtual.make(
        SERVICES, {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    )
    there = await sync.host.get(SERVICES, sync.host_name("web"))

    assert there is not None
    assert made["spec"]["ports"][0]["nodePort"] == there["spec"]["ports"][0]["nodePort"]


async def test_a_service_that_becomes_a_node_port_service_ends_with_one_port_on_both_sides(sync: Running) -> None:
    await sync.virtual.make(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    blocker = await sync.host.make(
        SERVICES, {"metadata": {"name": "other"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    )
    taken = blocker["spec"]["ports"][0]["nodePort"]
    await sync.virtual.patch(
        SERVICES, "web", {"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP", "nodePort": taken}]}}
    )

    async def same() -> bool:
        here, there = await sync.virtual.get(SERVICES, "web"), await sync.host.get(SERVICES, sync.host_name("web"))
        port = here["spec"]["ports"][0].get("nodePort") if here else None
        return bool(there and port and port != taken and port == there["spec"]["ports"][0].get("nodePort"))

    await eventually(same)


@contextlib.asynccontextmanager
async def on_its_way(pair: ApiServerPair) -> AsyncIterator[tuple[Side, Side, Object]]:
    """Host, virtual side and a Service, as if the syncer had been killed while it gave that another address."""
    space = f"t{uuid.uuid4().hex[:8]}"
    async with sides(pair, space) as (host, virtual):
        async with running(pair, host, virtual):
            made = await virtual.make(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
        note = {"annotations": {MOVING: json.dumps({"type": "ClusterIP"})}}
        away = {"type": "ExternalName", "externalName": NOWHERE}
        await virtual.patch(SERVICES, "web", {"metadata": note, "spec": away})
        yield host, virtual, made


async def test_a_service_is_given_its_new_address_after_a_crash_and_stays_the_same(
    api_server_pair: ApiServerPair,
) -> None:
    async with on_its_way(api_server_pair) as (host, virtual, made), running(api_server_pair, host, virtual):

        async def back() -> Object | None:
            found = await virtual.get(SERVICES, "web")
            return found if found and found["spec"]["type"] == "ClusterIP" else None

        found = await eventually(back)

    assert found["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert MOVING not in found["metadata"].get("annotations", {})


async def test_a_service_deleted_while_its_address_changes_stays_deleted(api_server_pair: ApiServerPair) -> None:
    async with on_its_way(api_server_pair) as (host, virtual, _):
        await virtual.delete(SERVICES, "web")
        async with running(api_server_pair, host, virtual) as again:

            async def away() -> bool:
                return await host.get(SERVICES, again.host_name("web")) is None

            await eventually(away)
        assert await virtual.get(SERVICES, "web") is None


async def test_a_deleted_service_goes_on_the_host_too(sync: Running) -> None:
    await sync.virtual.make(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    await sync.virtual.delete(SERVICES, "web")

    async def away() -> bool:
        return await sync.host.get(SERVICES, sync.host_name("web")) is None

    await eventually(away)


async def test_a_claim_is_bound_as_on_the_host_with_a_volume_to_show(sync: Running) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await sync.virtual.make(CLAIMS, {"metadata": {"name": "data"}, "spec": spec})
    there = sync.host_name("data")
    await eventually(lambda: sync.host.get(CLAIMS, there))
    volume = f"pvc-{sync.virtual.space}"
    await sync.host.patch(CLAIMS, there, {"spec": {"volumeName": volume}})
    status = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    await sync.host.patch(CLAIMS, there, {"status": status}, "status")

    async def bound() -> bool:
        claim, shown = await sync.virtual.get(CLAIMS, "data"), await sync.virtual.get(VOLUMES, volume)
        return bool(
            claim
            and shown
            and claim["status"].get("phase") == "Bound"
            and claim["spec"].get("volumeName") == volume
            and shown["status"].get("phase") == "Bound"
        )

    await eventually(bound)


async def test_a_pods_token_comes_from_the_virtual_cluster_in_a_secret_of_its_own(sync: Running) -> None:
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600, "audience": "vault"}}
    volume = {"name": "token", "projected": {"sources": [source]}}
    await sync.virtual.make(PODS, pod("web", volumes=[volume]))
    name = token_secret_name("web", sync.virtual.space, "vc")
    secret = await eventually(lambda: sync.host.get(SECRETS, name))
    token = base64.b64decode(next(iter(secret["data"].values()))).decode()
    payload = base64.urlsafe_b64decode(token.split(".")[1] + "==").decode()

    assert '"aud":["vault"]' in payload
    assert '"name":"web"' in payload

    await sync.virtual.delete(PODS, "web", grace_seconds=0)

    async def away() -> bool:
        return await sync.host.get(SECRETS, name) is None and await sync.host.get(PODS, sync.host_name("web")) is None

    await eventually(away)


async def test_a_pod_that_the_hosts_quota_refuses_gets_an_event_in_the_tenants_names(sync: Running) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    from syncer.kube.resource import Resource

    quotas = Resource("", "v1", "resourcequotas", "ResourceQuota", namespaced=True)
    await sync.host.make(quotas, quota)
    await sync.host.patch(quotas, "none", {"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}, "status")
    await sync.virtual.make(PODS, pod("web"))

    async def warned() -> Object | None:
        found = await sync.virtual.client.list(EVENTS, sync.virtual.space)
        return next((event for event in found if event["reason"] == "SyncError"), None)

    event = await eventually(warned)
    assert "exceeded quota" in event["message"]
    assert sync.host_name("web") not in event["message"]
    assert sync.host.space not in event["message"]
    await sync.host.delete(quotas, "none")
    await eventually(lambda: sync.host.get(PODS, sync.host_name("web")))


async def test_host_events_about_a_pod_are_shown_in_the_tenants_names(sync: Running) -> None:
    await sync.virtual.make(PODS, pod("web"))
    there = await eventually(lambda: sync.host.get(PODS, sync.host_name("web")))
    event = {
        "metadata": {"name": f"{there['metadata']['name']}.17abc"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": there["metadata"]["name"],
            "namespace": sync.host.space,
            "uid": there["metadata"]["uid"],
        },
        "type": "Normal",
        "reason": "Scheduled",
        "message": f"Successfully assigned {sync.host.space}/{there['metadata']['name']} to node-1",
        "count": 1,
    }
    await sync.host.make(EVENTS, event)
    shown = await eventually(lambda: sync.virtual.get(EVENTS, "web.17abc"))

    assert shown["message"] == f"Successfully assigned {sync.virtual.space}/web to node-1"


async def test_after_a_restart_objects_without_a_virtual_one_are_swept_and_missing_ones_made(
    api_server_pair: ApiServerPair,
) -> None:
    space = f"t{uuid.uuid4().hex[:8]}"
    async with sides(api_server_pair, space) as (host, virtual):
        async with running(api_server_pair, host, virtual) as first:
            await virtual.make(PODS, pod("old"))
            await eventually(lambda: host.get(PODS, first.host_name("old")))
        await virtual.delete(PODS, "old", grace_seconds=0)
        await virtual.make(PODS, pod("new"))
        async with running(api_server_pair, host, virtual) as second:
            await eventually(lambda: host.get(PODS, second.host_name("new")))

            async def swept() -> bool:
                found = await host.get(PODS, second.host_name("old"))
                return found is None or "deletionTimestamp" in found["metadata"]

            await eventually(swept)


async def test_a_service_that_an_earlier_syncer_left_on_its_way_to_an_address_arrives(
    api_server_pair: ApiServerPair,
) -> None:
    space = f"t{uuid.uuid4().hex[:8]}"
    async with sides(api_server_pair, space) as (host, virtual):
        note = {MOVING: json.dumps({"type": "ClusterIP"})}
        spec = {"type": "ExternalName", "externalName": NOWHERE, "ports": [{"port": 80}]}
        await virtual.make(SERVICES, {"metadata": {"name": "web", "annotations": note}, "spec": spec})
        async with running(api_server_pair, host, virtual) as it:

            async def arrived() -> Object | None:
                found = await virtual.get(SERVICES, "web")
                return found if found and found["spec"].get("clusterIP") else None

            mine = await eventually(arrived)
            there = await host.get(SERVICES, it.host_name("web"))

    assert there is not None
    assert mine["spec"]["clusterIP"] == there["spec"]["clusterIP"]
    assert MOVING not in mine["metadata"].get("annotations", {})


async def test_a_quiet_cluster_needs_no_corrections(sync: Running, caplog: pytest.LogCaptureFixture) -> None:
    await start(sync, "web")
    await sync.virtual.make(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    engine = sync.syncer.engine
    assert engine is not None
    await asyncio.sleep(0.5)

    async def quiet() -> bool:
        return not len(engine.queue) and not engine.queue.busy

    await eventually(quiet)  # what other tests have left is synchronised too
    caplog.set_level("INFO", "syncer.engine.sync")
    corrections = await engine.compare()
    found = [(record.object, record.actions) for record in caplog.records if record.message == "corrected"]  # type: ignore[attr-defined]
    assert (corrections, found) == (0, [])


async def test_a_removed_webhook_configuration_is_put_back(sync: Running) -> None:
    from syncer.controlplane.admission import CONFIGURATIONS, NAME

    await sync.virtual.delete(CONFIGURATIONS, NAME)
    await eventually(lambda: sync.virtual.get(CONFIGURATIONS, NAME))
