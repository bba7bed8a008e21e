"""The engine as a whole, with every kind but pods: what is followed, what is not fought, and what goes on when something fails."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.kube.errors import Conflict, TooManyRequests, Unreachable
from syncer.names import MANAGED_BY, Key, Object
from tests.unit.builders import HOST_NAMESPACE, SPACE, context, rule, stored, there
from tests.unit.engine.fakes import failing, forbidden, invalid
from tests.unit.engine.harness import Harness, engine_of


def config(name: str = "web", **fields: Any) -> Object:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": SPACE}, "data": {"a": "1"}, **fields,
    }  # fmt: skip


def ingress(name: str = "web", **fields: Any) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"rules": [{"host": "a.example"}]},
        **fields,
    }


def service(name: str = "web", ip: str = "10.0.0.5", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"type": "ClusterIP", "clusterIP": ip, "ports": [{"port": 80, "protocol": "TCP"}], **spec},
        "status": {"loadBalancer": {}},
    }


def engine_of_ingresses(**options: Any) -> Any:
    return engine_of("pods", "services", "ingresses", "secrets", **options)


INGRESSES = "ingresses.networking.k8s.io"


async def test_edits_follow_to_the_host_and_status_comes_back():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        it.virtual.change(INGRESSES, SPACE, "web", {"spec": {"rules": None, "ingressClassName": "nginx"}})
        status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
        it.host.change(INGRESSES, HOST_NAMESPACE, there(), {"status": status})
        await it.settle()
        assert it.theirs(INGRESSES)["spec"] == {"ingressClassName": "nginx"}
        assert it.mine(INGRESSES)["status"] == status
        assert await it.engine.compare() == 0


async def test_a_host_object_that_somebody_changed_or_removed_is_put_right():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        it.host.change(INGRESSES, HOST_NAMESPACE, there(), {"spec": {"rules": [{"host": "evil.example"}]}})
        await it.settle()
        assert it.theirs(INGRESSES)["spec"]["rules"] == [{"host": "a.example"}]
        it.host.remove(INGRESSES, HOST_NAMESPACE, there())
        await it.settle()
        assert it.theirs(INGRESSES)


async def test_marks_that_somebody_removed_on_the_host_are_put_back():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        before = it.theirs(INGRESSES)["metadata"]["annotations"]
        it.host.change(INGRESSES, HOST_NAMESPACE, there(), {"metadata": {"annotations": None}})
        await it.settle()
        assert it.theirs(INGRESSES)["metadata"]["annotations"] == before


async def test_what_the_tenant_brings_along_exists_before_what_refers_to_it():
    async with engine_of_ingresses() as it:
        it.virtual.put("secrets", {"metadata": {"name": "cert", "namespace": SPACE}, "type": "kubernetes.io/tls"})
        it.virtual.put(INGRESSES, ingress(spec={"tls": [{"secretName": "cert"}]}))
        it.start()
        await it.settle()
        assert it.host.said == [f"create secrets/{there('cert')}", f"create {INGRESSES}/{there()}"]


async def test_objects_of_a_tenant_that_left_while_the_syncer_was_down_are_swept():
    async with engine_of_ingresses() as it:
        from syncer.rules.generic import to_host

        row = rule("ingresses")
        body = to_host(
            row, Key(row.key, SPACE, "old"), {**ingress("old"), "metadata": {"name": "old", "uid": "u"}}, context()
        )
        it.host.put(INGRESSES, stored(body))
        foreign = {
            "metadata": {"name": "foreign", "namespace": HOST_NAMESPACE, "labels": {MANAGED_BY: "vc"}},
            "spec": {},
        }
        it.host.put(INGRESSES, foreign)
        it.start()
        await it.settle()
        assert [obj["metadata"]["name"] for obj in it.host.of(INGRESSES)] == ["foreign"]


async def test_an_object_on_its_way_out_is_not_brought_back_on_the_host():
    async with engine_of_ingresses() as it:
        it.virtual.put(
            INGRESSES,
            ingress(metadata={"name": "web", "namespace": SPACE, "deletionTimestamp": "now", "finalizers": ["a/b"]}),
        )
        it.start()
        await it.settle()
        assert it.host.said == []


async def test_an_object_made_again_under_its_name_gets_a_host_object_of_its_own():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        old = it.theirs(INGRESSES)["metadata"]["uid"]
        it.virtual.remove(INGRESSES, SPACE, "web")
        it.virtual.put(INGRESSES, ingress())
        await it.settle()
        assert it.theirs(INGRESSES)["metadata"]["uid"] != old


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_the_host_is_not_asked_again_and_again_for_what_it_insists_on():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()

        def insist(_: str, obj: Object) -> Object:
            return {**obj, "spec": {**obj["spec"], "ingressClassName": "the-hosts"}}

        it.host.mutate = insist
        it.host.change(INGRESSES, HOST_NAMESPACE, there(), {"spec": {"ingressClassName": "the-hosts"}})
        await it.settle()
        asked = it.host.said.count(f"patch {INGRESSES}/{there()}")
        for _ in range(3):
            await it.wait(60)
            await it.engine.compare()
        await it.settle()
        assert asked == 1
        assert it.host.said.count(f"patch {INGRESSES}/{there()}") == 1


async def test_after_a_patch_in_vain_the_tenants_next_edit_still_arrives():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        it.host.mutate = lambda _, obj: {**obj, "spec": {**obj["spec"], "ingressClassName": "the-hosts"}}
        it.host.change(INGRESSES, HOST_NAMESPACE, there(), {"spec": {"ingressClassName": "the-hosts"}})
        await it.settle()
        it.virtual.change(INGRESSES, SPACE, "web", {"spec": {"rules": [{"host": "b.example"}]}})
        await it.settle()
        assert it.theirs(INGRESSES)["spec"]["rules"] == [{"host": "b.example"}]


@pytest.mark.parametrize(
    "error", [forbidden(f"ingress {there()} in namespace {HOST_NAMESPACE}: no"), invalid(f"{there()} is no good")]
)
async def test_a_refusal_becomes_a_warning_in_the_tenants_names_and_is_tried_again(error):
    async with engine_of_ingresses() as it:
        it.host.refuse("create", INGRESSES, error, times=3)
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.wait(30)
        (event,) = it.virtual.of("events")
        assert event["type"] == "Warning"
        assert event["involvedObject"]["name"] == "web"
        assert there() not in event["message"]
        assert HOST_NAMESPACE not in event["message"]
        assert it.theirs(INGRESSES)


async def test_a_name_that_a_stranger_has_on_the_host_is_told_and_left_to_the_stranger():
    async with engine_of_ingresses() as it:
        stranger = {"metadata": {"name": there(), "namespace": HOST_NAMESPACE}, "spec": {"theirs": True}}
        it.host.put(INGRESSES, stranger)
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.wait(20)
        assert it.theirs(INGRESSES)["spec"] == {"theirs": True}
        assert "holds another Ingress" in it.warnings()[0]


@pytest.mark.parametrize(
    "error", [failing(500), failing(503), Unreachable("connection reset"), Conflict(409, "Conflict", "moved")]
)
async def test_a_passing_failure_is_tried_again_without_bothering_the_tenant(error):
    async with engine_of_ingresses() as it:
        it.host.refuse("create", INGRESSES, error, times=3)
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.wait(10)
        assert it.theirs(INGRESSES)
        assert it.warnings() == []


async def test_a_server_that_asks_for_patience_gets_it():
    async with engine_of_ingresses() as it:
        it.host.refuse("create", INGRESSES, TooManyRequests(429, "TooManyRequests", "slow down", retry_after=8.0))
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.wait(7)
        assert len(it.host.said) == 1
        await it.wait(3)
        assert it.theirs(INGRESSES)


async def test_an_object_that_cannot_be_planned_stops_no_other(monkeypatch):
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress("odd", spec={"tls": 5, "rules": "text"}))
        it.virtual.put(INGRESSES, ingress("web"))
        planned = it.engine.planner.plan

        def plan(key: Key) -> Any:
            if key.name == "odd":
                raise TypeError("odd")
            return planned(key)

        monkeypatch.setattr(it.engine.planner, "plan", plan)
        it.start()
        await it.wait(30)
        assert it.theirs(INGRESSES)
        assert it.counted("failures") >= 2


async def test_an_object_that_cannot_be_planned_stops_no_comparison(monkeypatch):
    async with engine_of_ingresses() as it:
        for name in ("a", "odd", "z"):
            it.virtual.put(INGRESSES, ingress(name))
        it.start()
        await it.settle()
        planned = it.engine.planner.plan

        def plan(key: Key) -> Any:
            if key.name == "odd":
                raise TypeError("odd")
            return planned(key)

        monkeypatch.setattr(it.engine.planner, "plan", plan)
        it.world.host[INGRESSES].deleted(it.theirs(INGRESSES, "z"))
        it.queue._queued.clear()
        await it.engine.compare()
        await it.wait(30)


async def test_a_refusal_that_cannot_be_told_stops_nothing(monkeypatch):
    async def fail(*_: object) -> None:
        raise TypeError("odd")

    async with engine_of_ingresses() as it:
        monkeypatch.setattr(it.engine.warnings, "tell", fail)
        it.host.refuse("create", INGRESSES, forbidden(), times=2)
        it.virtual.put(INGRESSES, ingress())
        it.start(workers=1)
        await it.wait(30)
        assert it.theirs(INGRESSES)


async def test_an_object_that_confuses_the_bookkeeping_does_not_end_its_watch():
    async with engine_of() as it:
        it.start()
        await it.settle()
        it.virtual.put(
            "pods",
            {"kind": "Pod", "metadata": {"name": "odd", "namespace": SPACE, "ownerReferences": [5]}, "spec": None},
        )
        it.virtual.put(
            "services", {"kind": "Service", "metadata": {"name": "odd", "namespace": SPACE}, "spec": {"ports": 5}}
        )
        it.virtual.put("namespaces", {"metadata": {"name": "odd", "labels": None}})
        await it.settle()
        it.virtual.put("services", service())
        await it.settle()
        assert it.theirs("services")


async def test_a_change_that_only_the_comparison_notices_is_counted_and_put_right():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        it.host.change(INGRESSES, HOST_NAMESPACE, there(), {"spec": {"rules": []}})
        index, started = it.world.host[INGRESSES], it.engine.started
        started.clear()
        it.host.tell()
        started.set()
        assert index.get(Key(INGRESSES, SPACE, "web"))["spec"]["rules"] == []
        assert await it.engine.compare() == 1
        await it.settle()
        assert it.theirs(INGRESSES)["spec"]["rules"]
        assert it.counted("corrections") == 1
        assert it.counted("orphans") == 0


async def test_an_orphan_that_only_the_comparison_notices_is_counted_as_one():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        it.engine.started.clear()
        it.virtual.remove(INGRESSES, SPACE, "web")
        it.virtual.tell()
        it.engine.started.set()
        assert await it.engine.compare() == 1
        await it.settle()
        assert it.host.of(INGRESSES) == []
        assert it.counted("orphans") == 1


async def test_a_retired_engine_writes_nothing():
    async with engine_of_ingresses() as it:
        it.virtual.put(INGRESSES, ingress())
        it.start()
        await it.settle()
        it.engine.retired = True
        it.host.remove(INGRESSES, HOST_NAMESPACE, there())
        it.virtual.put(INGRESSES, ingress("other"))
        await it.wait(120)
        await it.engine.compare()
        await it.settle()
        assert it.host.said == [f"create {INGRESSES}/{there()}"]


async def test_an_engine_is_synced_when_every_index_is():
    async with engine_of() as it:
        assert not it.engine.synced
        it.start()
        assert it.engine.synced


# -- services ----------------------------------------------------------------------------------------------------------


async def test_a_service_has_one_address_on_both_sides():
    async with engine_of() as it:
        it.virtual.put("services", service())
        it.start()
        await it.settle()
        assert it.theirs("services")["spec"]["clusterIP"] == "10.0.0.5"
        assert await it.engine.compare() == 0


async def test_a_service_whose_address_the_host_cannot_give_takes_the_hosts_and_stays_the_same():
    async with engine_of() as it:
        it.host.refuse("create", "services", invalid("provided IP is already allocated"), times=2)
        it.host.mutate = lambda _, obj: {
            **obj,
            "spec": {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], **obj["spec"]},
        }
        old = it.virtual.put("services", service(sessionAffinity="None"))
        it.start()
        await it.wait(5)
        assert it.mine("services")["spec"]["clusterIP"] == "10.0.0.9"
        assert it.mine("services")["metadata"]["uid"] == old["metadata"]["uid"]
        assert it.mine("services")["spec"]["type"] == "ClusterIP"
        assert await it.engine.compare() == 0


async def test_a_service_deleted_on_the_host_waits_until_its_address_is_free_again():
    async with engine_of() as it:
        mine = it.virtual.put("services", service())
        it.start()
        await it.settle()
        it.host.refuse("create", "services", invalid("provided IP is already allocated"))
        it.host.remove("services", HOST_NAMESPACE, there())
        await it.wait(5)
        assert it.theirs("services")["spec"]["clusterIP"] == mine["spec"]["clusterIP"]
        assert it.mine("services")["metadata"]["uid"] == mine["metadata"]["uid"]


async def test_a_crash_while_a_service_is_made_again_loses_nothing():
    async with engine_of() as it:
        it.host.refuse("create", "services", invalid("provided IP is already allocated"), times=2)
        it.host.mutate = lambda _, obj: {
            **obj,
            "spec": {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], **obj["spec"]},
        }
        it.virtual.refuse("create", "services", Unreachable("killed"), times=1)
        it.virtual.put("services", service())
        it.start()
        await it.wait(5)
        assert it.mine("services")["spec"]["clusterIP"] == "10.0.0.9"
        assert await it.engine.compare() == 0


async def test_a_node_port_that_the_host_has_given_away_is_replaced_on_both_sides():
    def hosts_port(_: str, obj: Object) -> Object:
        ports = [{"nodePort": 31111, **port} for port in obj["spec"]["ports"]]
        return {**obj, "spec": {**obj["spec"], "ports": ports}}

    async with engine_of() as it:
        it.virtual.put("services", service())
        it.start()
        await it.settle()
        it.host.refuse("patch", "services", invalid("provided port is already allocated"))
        it.host.mutate = hosts_port
        ports = [{"port": 80, "protocol": "TCP", "nodePort": 30000}]
        it.virtual.change("services", SPACE, "web", {"spec": {"type": "NodePort", "ports": ports}})
        await it.wait(5)
        assert it.mine("services")["spec"]["ports"][0]["nodePort"] == 31111
        assert it.theirs("services")["spec"]["ports"][0]["nodePort"] == 31111
        assert await it.engine.compare() == 0


async def test_a_service_made_again_as_another_kind_at_once_gets_a_new_host_service():
    async with engine_of() as it:
        it.virtual.put("services", service())
        it.start()
        await it.settle()
        it.host.refuse("patch", "services", invalid("spec.clusterIPs[0]: may not change once set"), times=None)
        it.virtual.remove("services", SPACE, "web")
        it.virtual.put("services", service(ip="None"))
        await it.wait(5)
        assert it.theirs("services")["spec"]["clusterIP"] == "None"
        it.virtual.remove("services", SPACE, "web")
        it.virtual.put("services", service(ip="10.0.0.7"))
        await it.wait(5)
        assert it.theirs("services")["spec"]["clusterIP"] == "10.0.0.7"


async def test_a_promised_service_is_no_orphan_until_the_promise_is_over():
    async with engine_of() as it:
        it.start()
        await it.settle()
        from syncer.rules.services import to_host

        key = Key("services", SPACE, "web")
        it.world.promise(key, 20.0)
        it.host.put("services", to_host(rule("services"), key, service(), context()))
        await it.wait(10)
        assert it.theirs("services")
        await it.wait(15)
        assert it.host.of("services") == []


# -- endpoints ---------------------------------------------------------------------------------------------------------

SLICES = "endpointslices.discovery.k8s.io"


def slice_() -> Object:
    return {
        "metadata": {"name": "db-1", "namespace": SPACE, "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.9"]}],
        "ports": [{"port": 5432}],
    }


async def test_endpoints_reach_the_host_only_while_their_service_has_no_selector():
    async with engine_of() as it:
        it.virtual.put(SLICES, slice_())
        it.virtual.put("services", service("db", selector={"app": "db"}))
        it.start()
        await it.settle()
        assert it.host.of(SLICES) == []
        it.virtual.change("services", SPACE, "db", {"spec": {"selector": None}})
        await it.settle()
        assert it.theirs(SLICES, "db-1")["endpoints"] == [{"addresses": ["192.0.2.9"]}]
        it.virtual.change("services", SPACE, "db", {"spec": {"selector": {"app": "db"}}})
        await it.settle()
        assert it.host.of(SLICES) == []


# -- claims ------------------------------------------------------------------------------------------------------------

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"


def claim(**spec: Any) -> Object:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": SPACE}, "spec": asked,
        "status": {"phase": "Pending"},
    }  # fmt: skip


async def bound(it: Harness) -> None:
    it.virtual.put(CLAIMS, claim())
    it.start()
    await it.settle()
    done = {
        "spec": {"volumeName": "pv-1"},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]},
    }
    it.host.change(CLAIMS, HOST_NAMESPACE, there("data"), done)
    await it.settle()


async def test_a_claim_is_bound_to_a_volume_to_look_at():
    async with engine_of() as it:
        await bound(it)
        assert it.mine(CLAIMS, "data")["spec"]["volumeName"] == "pv-1"
        assert it.mine(CLAIMS, "data")["status"]["phase"] == "Bound"
        assert it.mine(VOLUMES, "pv-1", "")["status"]["phase"] == "Bound"
        assert await it.engine.compare() == 0


async def test_a_volume_to_look_at_goes_with_its_claim():
    async with engine_of() as it:
        await bound(it)
        it.virtual.remove(CLAIMS, SPACE, "data")
        await it.settle()
        assert it.virtual.of(VOLUMES) == []
        assert it.host.of(CLAIMS) == []


async def test_a_volume_to_look_at_that_a_tenant_removed_comes_back():
    async with engine_of() as it:
        await bound(it)
        it.virtual.remove(VOLUMES, "", "pv-1")
        await it.settle()
        assert it.mine(VOLUMES, "pv-1", "")


async def test_a_tenants_own_volume_is_left_alone():
    async with engine_of() as it:
        it.virtual.put(
            VOLUMES, {"metadata": {"name": "mine"}, "spec": {"claimRef": None}, "status": {"phase": "Available"}}
        )
        it.start()
        await it.settle()
        assert it.virtual.said == []


async def test_a_claim_grows_with_the_tenants_wish():
    async with engine_of() as it:
        await bound(it)
        it.virtual.change(CLAIMS, SPACE, "data", {"spec": {"resources": {"requests": {"storage": "5Gi"}}}})
        await it.settle()
        assert it.theirs(CLAIMS, "data")["spec"]["resources"]["requests"] == {"storage": "5Gi"}
        it.host.change(CLAIMS, HOST_NAMESPACE, there("data"), {"status": {"capacity": {"storage": "5Gi"}}})
        await it.settle()
        assert it.mine(VOLUMES, "pv-1", "")["spec"]["capacity"] == {"storage": "5Gi"}


# -- namespaces --------------------------------------------------------------------------------------------------------


async def test_pods_carry_their_namespaces_labels_as_they_change():
    from syncer.names import namespace_label

    async with engine_of() as it:
        it.virtual.put("namespaces", {"metadata": {"name": SPACE, "labels": {"env": "dev"}}})
        spec = {"containers": [{"name": "a", "image": "i"}], "dnsPolicy": "Default"}
        it.virtual.put("pods", {"kind": "Pod", "metadata": {"name": "web", "namespace": SPACE}, "spec": spec})
        it.start()
        await it.settle()
        assert it.theirs("pods")["metadata"]["labels"][namespace_label("env")] == "dev"
        it.virtual.change("namespaces", "", SPACE, {"metadata": {"labels": {"env": "prod", "tier": "x"}}})
        await it.settle()
        labels = it.theirs("pods")["metadata"]["labels"]
        assert (labels[namespace_label("env")], labels[namespace_label("tier")]) == ("prod", "x")


async def test_pods_that_need_cluster_dns_wait_until_its_service_has_an_address():
    async with engine_of(manifests="kube-dns") as it:
        spec = {"containers": [{"name": "a", "image": "i"}]}
        it.virtual.put(
            "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": SPACE}, "spec": spec}
        )
        it.start()
        await it.settle()
        assert it.host.of("pods") == []
        dns = service("kube-dns", "10.0.0.10")
        it.virtual.put("services", {**dns, "metadata": {"name": "kube-dns", "namespace": "kube-system"}})
        await it.settle()
        assert it.theirs("pods")["spec"]["dnsConfig"]["nameservers"] == ["10.0.0.10"]
