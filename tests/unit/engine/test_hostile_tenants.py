"""Objects as only a hostile or careless tenant makes them: each is contained, and the others go on."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.names import MANAGED_BY, MAX_LABEL, NAME, NAMESPACE, PREFIX, UID, Object, identify
from tests.unit.builders import CLUSTER, HOST_NAMESPACE, SPACE, there
from tests.unit.engine.harness import Harness, engine_of

INGRESSES = "ingresses.networking.k8s.io"
ALL = (
    INGRESSES,
    "pods",
    "services",
    "endpointslices.discovery.k8s.io",
    "persistentvolumeclaims",
    "secrets",
    "nodes",
    "persistentvolumes",
    "namespaces",
)
ODD_VALUES = [None, "text", 5, True, [], {}, [None], {"a": None}, {"": ""}, "\u202e☃🎈", "x" * 100_000]


def config(name: str = "web", **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": SPACE, **metadata},
        "data": {"a": "b"},
    }


def ingress(name: str = "web", spec: Any = None, **metadata: Any) -> Object:
    named = {"name": name, "namespace": SPACE, **metadata}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": named, "spec": spec}


def pod(name: str = "web", **metadata: Any) -> Object:
    spec = {"containers": [{"name": "a", "image": "i"}], "dnsPolicy": "Default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SPACE, **metadata}, "spec": spec}


def everything(**options: Any) -> Any:
    return engine_of(
        "pods", "services", "ingresses", "secrets", "configmaps", "endpointslices", "persistentvolumeclaims", **options
    )


async def others_go_on(it: Harness) -> None:
    """The engine still works: a well-behaved pod reaches the host."""
    it.virtual.put("pods", pod("good"))
    await it.wait(20)
    assert it.theirs("pods", "good")


@pytest.mark.parametrize("field", ["labels", "annotations", "ownerReferences", "finalizers", "generateName"])
async def test_odd_metadata_is_contained(field):
    async with everything() as it:
        for number, odd in enumerate(ODD_VALUES):
            it.virtual.put("pods", pod(f"odd-{number}", **{field: odd}))
            it.virtual.put(INGRESSES, ingress(f"odd-{number}", **{field: odd}))
        it.start()
        await others_go_on(it)


@pytest.mark.parametrize("field", ["spec", "status", "data"])
@pytest.mark.parametrize("resource", ALL)
async def test_odd_fields_are_contained(resource, field):
    async with everything() as it:
        for number, odd in enumerate(ODD_VALUES):
            metadata = {"name": f"odd-{number}", "namespace": SPACE}
            it.virtual.put(resource, {"apiVersion": "v1", "kind": "Odd", "metadata": metadata, field: odd})
        it.start()
        await others_go_on(it)


async def test_marks_that_a_tenant_writes_on_an_object_of_their_own_make_it_no_other():
    claimed = {MANAGED_BY: CLUSTER, NAMESPACE: "other"}
    notes = {NAME: "victim", NAMESPACE: "other", UID: "victim-uid", PREFIX + "kind": "pods"}
    async with everything() as it:
        it.virtual.put("pods", pod(labels=claimed, annotations=notes))
        it.start()
        await it.settle()
        made = it.theirs("pods")
        key = identify(made, "pods", CLUSTER)
        assert key is not None
        assert (key.namespace, key.name) == (SPACE, "web")
        assert made["metadata"]["labels"][NAMESPACE] == SPACE
        assert made["metadata"]["annotations"][UID] == it.mine("pods")["metadata"]["uid"]


async def test_objects_with_names_that_look_alike_on_the_host_do_not_meet():
    pairs = [("a-x-b", "c"), ("a", "b-x-c"), ("a-x-b-x-c", "x"), ("a", "b-x-c-x-x")]
    async with everything() as it:
        for name, namespace in pairs:
            it.virtual.put("pods", {**pod(name), "metadata": {"name": name, "namespace": namespace}})
        it.start()
        await it.settle()
        assert len({obj["metadata"]["name"] for obj in it.host.of("pods")}) == len(pairs)


@pytest.mark.parametrize("name", ["a" * 253, ("a" * 60 + ".") * 4 + "b", "0.1.2", "x", "x-x-x"])
async def test_any_valid_name_lives_and_dies_on_the_host(name):
    async with everything() as it:
        it.virtual.put("pods", pod(name))
        it.start()
        await it.settle()
        (made,) = it.host.of("pods")
        assert len(made["metadata"]["name"]) <= MAX_LABEL
        it.virtual.remove("pods", SPACE, name)
        await it.settle()
        assert it.host.of("pods") == []


async def test_a_secret_named_like_a_token_secret_is_another():
    from syncer.names import token_secret_name

    volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    fake = token_secret_name("web", SPACE, CLUSTER)
    async with everything() as it:
        it.virtual.put(
            "secrets",
            {"kind": "Secret", "metadata": {"name": fake, "namespace": SPACE}, "type": "Opaque", "data": {"v.0": "x"}},
        )
        made = pod()
        made["spec"]["volumes"] = [volume, {"name": "s", "secret": {"secretName": fake}}]
        it.virtual.put("pods", made)
        it.start()
        await it.settle()
        names = sorted(obj["metadata"]["name"] for obj in it.host.of("secrets"))
        assert names == sorted([fake, there(fake)])
        assert it.host.find("secrets", HOST_NAMESPACE, fake)["data"] != {"v.0": "x"}


async def test_a_node_that_a_tenant_readdressed_is_addressed_rightly_again():
    from tests.unit.engine.test_pods import running

    async with engine_of() as it:
        await running(it)
        before = it.mine("nodes", "node-1", "")["status"]
        evil = {
            "addresses": [{"type": "InternalDNS", "address": "evil"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 22}},
        }
        it.virtual.change("nodes", "", "node-1", {"status": evil})
        await it.settle()
        after = it.mine("nodes", "node-1", "")["status"]
        assert (after["addresses"], after["daemonEndpoints"]) == (before["addresses"], before["daemonEndpoints"])


async def test_a_tenant_who_says_that_their_pod_ended_does_not_end_it():
    from tests.unit.engine.test_pods import STARTED, running

    async with engine_of() as it:
        await running(it)
        it.virtual.change("pods", SPACE, "web", {"status": {"phase": "Succeeded", "podIP": "192.0.2.99"}})
        await it.settle()
        assert it.mine("pods")["status"]["phase"] == STARTED["phase"]
        assert it.mine("pods")["status"]["podIP"] == STARTED["podIP"]


async def test_an_object_of_a_megabyte_passes_like_any_other():
    async with everything() as it:
        made = pod()
        made["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "big"}}]
        it.virtual.put("configmaps", {**config("big"), "data": {"a": "x" * 1_000_000}})
        it.virtual.put("pods", made)
        it.start()
        await it.settle()
        assert len(it.theirs("configmaps", "big")["data"]["a"]) == 1_000_000
