"""Lives of pods between two API servers in memory; the tests speak for the host's scheduler and kubelet."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.kube.errors import NotFound
from syncer.names import COPIED, TOKEN, Key, token_secret_name
from tests.unit.builders import CLUSTER, HOST_NAMESPACE, SPACE, merged, there
from tests.unit.engine.fakes import failing, forbidden, invalid
from tests.unit.engine.harness import Harness, engine_of, pod_key

STARTED = {
    "phase": "Running",
    "startTime": "2026-01-01T00:00:00Z",
    "hostIP": "192.0.2.7",
    "hostIPs": [{"ip": "192.0.2.7"}],
    "podIP": "10.1.2.3",
    "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
}
TOKEN_VOLUME = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
TOKEN_SECRET = token_secret_name("web", SPACE, CLUSTER)


def pod(name: str = "web", *, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "busybox"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE, "labels": {"app": name}, **(metadata or {})},
        "spec": {"containers": containers, "dnsPolicy": "Default", **spec},
        "status": {"phase": "Pending"},
    }


def schedule(it: Harness, node: str = "node-1", name: str = "web") -> None:
    it.host.change("pods", HOST_NAMESPACE, there(name), {"spec": {"nodeName": node}})


def run(it: Harness, status: dict[str, Any] | None = None, name: str = "web") -> None:
    it.host.change("pods", HOST_NAMESPACE, there(name), {"status": status or STARTED})


async def running(it: Harness, **fields: Any) -> None:
    """A virtual pod that the host runs."""
    it.virtual.put("pods", pod(**fields))
    it.start()
    await it.settle()
    schedule(it)
    await it.settle()
    run(it)
    await it.settle()


async def test_a_pod_costs_one_create_on_the_host_and_comes_back_bound_and_running():
    async with engine_of() as it:
        await running(it)
        assert it.host.said == [f"create pods/{there()}"]
        assert it.virtual.said == [
            "create nodes/node-1",
            "create pods/web/binding",
            "patch pods/web/status",
            "patch nodes/node-1/status",
        ]
        assert it.mine("pods")["spec"]["nodeName"] == "node-1"
        assert it.mine("pods")["status"]["podIP"] == "10.1.2.3"


def older(_: str, obj: dict[str, Any]) -> dict[str, Any]:
    """An API server that does not know a field of a pod's status."""
    status = {name: value for name, value in obj.get("status", {}).items() if name != "resources"}
    return {**obj, "status": status}


async def test_what_an_older_api_server_drops_of_a_status_is_not_written_again():
    async with engine_of() as it:
        it.virtual.mutate = older
        await running(it)
        run(it, {**STARTED, "resources": {"requests": {"cpu": "1"}}})
        await it.settle()
        assert await it.engine.compare() == 0
        reported = it.virtual.said.count("patch pods/web/status")
        run(it, {**STARTED, "podIP": "10.1.2.4", "resources": {"requests": {"cpu": "2"}}})
        await it.settle()
        assert await it.engine.compare() == 0
        assert it.virtual.said.count("patch pods/web/status") == reported + 1
        assert it.mine("pods")["status"]["podIP"] == "10.1.2.4"


async def test_a_pod_whose_status_is_dropped_in_part_follows_its_namespace():
    async with engine_of() as it:
        it.virtual.mutate = older
        it.virtual.put("namespaces", {"metadata": {"name": SPACE, "labels": {"env": "dev"}}})
        await running(it)
        run(it, {**STARTED, "resources": {"requests": {"cpu": "1"}}})
        await it.settle()
        await it.engine.compare()
        await it.settle()
        it.virtual.change("namespaces", "", SPACE, {"metadata": {"labels": {"env": "prod"}}})
        await it.settle()
        assert "prod" in it.theirs("pods")["metadata"]["labels"].values()
        assert await it.engine.compare() == 0


async def test_a_status_that_the_tenant_overwrites_while_it_is_written_is_put_right():
    async with engine_of() as it:
        await running(it)

        def meanwhile(_: str, obj: dict[str, Any]) -> dict[str, Any]:
            it.host.mutate = lambda _, unchanged: unchanged
            it.virtual.change("pods", SPACE, "web", {"status": {"podIP": "10.9.9.9"}})
            it.virtual.tell()
            return obj

        it.virtual.change("pods", SPACE, "web", {"metadata": {"labels": {"app": "other"}}})
        run(it, {**STARTED, "podIP": "10.1.2.4"})
        it.host.mutate = meanwhile
        await it.settle()
        assert it.theirs("pods")["metadata"]["labels"]["app"] == "other"
        assert it.mine("pods")["status"]["podIP"] == "10.1.2.4"


async def test_nothing_is_written_to_the_virtual_pod_before_the_kubelet_spoke():
    async with engine_of() as it:
        it.virtual.put("pods", pod())
        it.start()
        await it.settle()
        schedule(it)
        run(it, {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]})
        await it.settle()
        assert "patch pods/web/status" not in it.virtual.said
        assert "create pods/web/binding" in it.virtual.said


async def test_the_tenant_sees_why_a_pod_cannot_be_scheduled():
    async with engine_of() as it:
        it.virtual.put("pods", pod())
        it.start()
        await it.settle()
        reason = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
        run(it, {"phase": "Pending", "conditions": [reason]})
        await it.settle()
        assert it.mine("pods")["status"]["conditions"] == [reason]


async def test_a_quiet_pod_needs_no_requests_and_no_corrections():
    async with engine_of() as it:
        await running(it)
        before = len(it.host.calls), len(it.virtual.calls)
        await it.wait(600)
        assert (len(it.host.calls), len(it.virtual.calls)) == before
        assert await it.engine.compare() == 0


async def test_what_a_pod_uses_is_on_the_host_before_it():
    source = [
        {"configMapRef": {"name": "conf"}},
        {"secretRef": {"name": "creds"}},
        {"configMapRef": {"name": "absent"}},
    ]
    async with engine_of() as it:
        for kind, name in (("configmaps", "conf"), ("secrets", "creds"), ("configmaps", "unused")):
            it.virtual.put(kind, {"metadata": {"name": name, "namespace": SPACE}, "data": {}})
        it.start()
        await it.settle()
        assert it.host.said == []
        it.virtual.put("pods", pod(containers=[{"name": "main", "image": "i", "envFrom": source}]))
        await it.settle()
        assert sorted(it.host.said[:2]) == [f"create configmaps/{there('conf')}", f"create secrets/{there('creds')}"]
        assert it.host.said[2:] == [f"create pods/{there()}"]


async def test_what_the_last_user_left_goes_after_a_while():
    async with engine_of() as it:
        it.virtual.put("configmaps", {"metadata": {"name": "conf", "namespace": SPACE}, "data": {}})
        it.virtual.put("pods", pod(volumes=[{"name": "v", "configMap": {"name": "conf"}}]))
        it.start()
        await it.settle()
        it.virtual.remove("pods", SPACE, "web")
        await it.wait(20)
        assert it.theirs("configmaps", "conf")
        await it.wait(20)
        assert it.host.of("configmaps") == []


async def test_a_deleted_pod_ends_on_the_host_with_the_tenants_grace_and_then_goes():
    async with engine_of() as it:
        await running(it)
        it.virtual.change(
            "pods", SPACE, "web", {"metadata": {"deletionTimestamp": "now", "deletionGracePeriodSeconds": 7}}
        )
        await it.settle()
        assert it.theirs("pods")["metadata"]["deletionGracePeriodSeconds"] == 7
        assert it.host.said.count(f"delete pods/{there()}") == 1
        assert it.virtual.find("pods", SPACE, "web")
        it.host.remove("pods", HOST_NAMESPACE, there())
        await it.settle()
        assert it.virtual.find("pods", SPACE, "web") is None


async def test_a_shorter_grace_shortens_the_hosts():
    async with engine_of() as it:
        await running(it)
        for grace in (30, 2):
            ending = {"deletionTimestamp": "now", "deletionGracePeriodSeconds": grace}
            it.virtual.change("pods", SPACE, "web", {"metadata": ending})
            await it.settle()
        assert it.theirs("pods")["metadata"]["deletionGracePeriodSeconds"] == 2


async def test_a_force_deleted_pod_is_force_deleted_on_the_host():
    """Also on a node whose kubelet never answers again."""
    async with engine_of() as it:
        await running(it)
        it.virtual.remove("pods", SPACE, "web")
        await it.settle()
        assert it.host.of("pods") == []


async def test_a_force_deleted_pod_that_a_finalizer_holds_is_force_deleted_on_the_host():
    """As on a real cluster, where this frees the name of a pod on a node that is lost."""
    async with engine_of() as it:
        await running(it, metadata={"finalizers": ["x/y"]})
        it.virtual.change(
            "pods", SPACE, "web", {"metadata": {"deletionTimestamp": "now", "deletionGracePeriodSeconds": 0}}
        )
        await it.settle()
        assert it.host.of("pods") == []
        assert it.host.said.count(f"delete pods/{there()}") == 1


async def test_a_pod_that_ends_on_the_host_is_deleted_for_the_tenant_with_the_same_grace():
    async with engine_of() as it:
        await running(it)
        ending = {"deletionTimestamp": "now", "deletionGracePeriodSeconds": 12}
        it.host.change("pods", HOST_NAMESPACE, there(), {"metadata": ending})
        await it.settle()
        assert it.mine("pods")["metadata"]["deletionGracePeriodSeconds"] == 12
        it.host.remove("pods", HOST_NAMESPACE, there())
        await it.settle()
        assert it.virtual.find("pods", SPACE, "web") is None


async def test_a_pod_that_vanished_on_the_host_is_not_revived_but_left_to_its_controller():
    async with engine_of() as it:
        await running(it)
        it.host.remove("pods", HOST_NAMESPACE, there())
        await it.settle()
        assert it.virtual.find("pods", SPACE, "web") is None
        assert it.host.said.count(f"create pods/{there()}") == 1


async def test_a_pod_that_vanished_before_it_was_placed_is_made_again():
    async with engine_of() as it:
        it.virtual.put("pods", pod())
        it.start()
        await it.settle()
        it.host.remove("pods", HOST_NAMESPACE, there())
        await it.settle()
        assert it.theirs("pods")


async def test_a_pod_with_a_finalizer_keeps_the_last_that_was_known_of_it():
    async with engine_of() as it:
        await running(it, metadata={"finalizers": ["batch.kubernetes.io/job-tracking"]})
        last = {**STARTED, "phase": "Succeeded"}
        it.host.objects["pods", HOST_NAMESPACE, there()]["status"] = last
        it.host.remove("pods", HOST_NAMESPACE, there())
        await it.settle()
        assert it.mine("pods")["status"]["phase"] == "Succeeded"
        assert it.mine("pods")["metadata"]["deletionTimestamp"]
        assert it.virtual.said.count("delete pods/web") == 1


async def test_a_pod_made_again_under_its_name_takes_the_place_of_the_old_one():
    async with engine_of() as it:
        await running(it)
        it.virtual.remove("pods", SPACE, "web")
        it.virtual.put("pods", pod())
        await it.settle()
        mark = it.theirs("pods")["metadata"]["annotations"]["sublet.dev/uid"]
        assert mark == it.mine("pods")["metadata"]["uid"]
        assert it.virtual.find("pods", SPACE, "web")


async def test_a_pod_that_asks_for_a_known_node_is_not_taken_for_an_evicted_one():
    async with engine_of() as it:
        await running(it)
        it.virtual.put("pods", pod("pinned", nodeName="node-1"))
        await it.settle()
        assert it.theirs("pods", "pinned")["spec"]["nodeName"] == "node-1"
        assert it.virtual.find("pods", SPACE, "pinned")


async def test_a_pod_that_asks_for_an_unknown_node_waits_and_the_tenant_is_told_once_a_minute_at_most():
    async with engine_of() as it:
        it.virtual.put("pods", pod(nodeName="mars"))
        it.start()
        await it.wait(40)
        assert it.host.of("pods") == []
        assert "mars" in it.warnings()[0]
        assert len(it.warnings()) == 1


async def test_a_pod_that_waits_for_something_is_no_correction():
    async with engine_of() as it:
        it.virtual.put("pods", pod(nodeName="mars"))
        it.start()
        await it.settle()
        assert await it.engine.compare() == 0


async def test_a_pod_that_is_bound_elsewhere_by_hand_is_deleted_on_both_sides():
    async with engine_of() as it:
        it.virtual.put("pods", pod())
        it.start()
        await it.settle()
        it.virtual.change("pods", SPACE, "web", {"spec": {"nodeName": "other"}})
        schedule(it)
        await it.settle()
        assert it.virtual.find("pods", SPACE, "web") is None
        assert it.host.of("pods") == []


async def test_a_pod_with_a_finalizer_that_is_bound_elsewhere_ends_on_the_host_too():
    async with engine_of() as it:
        it.virtual.put("pods", pod(metadata={"finalizers": ["x/y"]}))
        it.start()
        await it.settle()
        it.virtual.change("pods", SPACE, "web", {"spec": {"nodeName": "other"}})
        schedule(it)
        await it.settle()
        assert it.host.of("pods") == []
        assert it.virtual.said.count("delete pods/web") == 1


async def test_a_pod_that_is_going_is_not_bound_any_more():
    async with engine_of() as it:
        it.virtual.put("pods", pod(metadata={"finalizers": ["x/y"]}))
        it.start()
        await it.settle()
        ending = {"deletionTimestamp": "now", "deletionGracePeriodSeconds": 30}
        it.virtual.change("pods", SPACE, "web", {"metadata": ending})
        schedule(it)
        run(it)
        await it.settle()
        assert "create pods/web/binding" not in it.virtual.said
        assert it.mine("pods")["status"]["phase"] == "Running"


async def test_a_finished_pod_that_was_never_on_the_host_is_left_alone():
    async with engine_of() as it:
        it.virtual.put("pods", {**pod(), "status": {"phase": "Failed"}})
        it.start()
        await it.settle()
        assert it.host.said == it.virtual.said == []


async def test_a_pod_that_is_refused_is_explained_in_the_tenants_words_and_tried_again():
    async with engine_of() as it:
        it.host.refuse("create", "pods", forbidden(f'pods "{there()}" is forbidden: exceeded quota'), times=2)
        it.virtual.put("pods", pod())
        it.start()
        await it.settle()
        assert it.warnings() == ['the host cluster refused this object: pods "web" is forbidden: exceeded quota']
        await it.wait(10)
        assert it.theirs("pods")
        assert len(it.warnings()) == 1


async def test_one_refused_pod_holds_up_no_other():
    async with engine_of() as it:
        it.host.refuse("create", "pods", forbidden(), times=1)
        it.virtual.put("pods", pod("a"))
        it.virtual.put("pods", pod("b"))
        it.start()
        await it.settle()
        assert len(it.host.of("pods")) == 1


async def test_a_label_that_the_host_takes_off_again_is_not_put_on_again_and_again():
    async with engine_of() as it:
        await running(it)
        it.host.mutate = lambda _, obj: merged(
            obj, {"metadata": {"labels": {"new": None}, "annotations": {COPIED: "app|"}}}
        )
        it.virtual.change("pods", SPACE, "web", {"metadata": {"labels": {"new": "label"}}})
        for _ in range(4):
            await it.wait(60)
            await it.engine.compare()
        assert it.host.said.count(f"patch pods/{there()}") == 1
        assert it.counted("corrections") == 0


async def test_a_change_that_the_host_refuses_is_told_once_and_not_asked_for_again_and_again():
    async with engine_of() as it:
        await running(it)
        it.host.refuse("patch", "pods", invalid(), times=None)
        it.virtual.change("pods", SPACE, "web", {"metadata": {"labels": {"new": "label"}}})
        for _ in range(4):
            await it.wait(60)
            await it.engine.compare()
        assert it.host.said.count(f"patch pods/{there()}") == 1
        assert it.warnings() == ["the host cluster refused the change to this pod: not valid"]


# -- tokens ------------------------------------------------------------------------------------------------------------


def secrets(it: Harness) -> list[str]:
    return [secret["metadata"]["name"] for secret in it.host.of("secrets")]


async def test_a_pod_with_a_token_costs_one_secret_more():
    async with engine_of() as it:
        await running(it, volumes=[TOKEN_VOLUME])
        assert sorted(it.host.said) == [f"create pods/{there()}", f"create secrets/{TOKEN_SECRET}"]


async def test_a_token_secret_that_is_written_before_its_pod_stays():
    """The pod's own create may take longer, for instance when the host has admission webhooks."""
    async with engine_of() as it:
        it.host.refuse("create", "pods", failing(503), times=1)
        it.virtual.put("pods", pod(volumes=[TOKEN_VOLUME]))
        it.start()
        await it.wait(5)
        assert secrets(it) == [TOKEN_SECRET]
        assert f"delete secrets/{TOKEN_SECRET}" not in it.host.said


async def test_a_pod_that_the_host_refuses_again_and_again_does_not_ask_for_tokens_each_time():
    async with engine_of() as it:
        it.host.refuse("create", "pods", forbidden(), times=None)
        it.virtual.put("pods", pod(volumes=[TOKEN_VOLUME]))
        it.start()
        await it.wait(60)
        assert it.host.said.count(f"create pods/{there()}") > 3
        assert it.virtual.said.count("create serviceaccounts/default/token") <= 1
        assert it.host.said.count(f"create secrets/{TOKEN_SECRET}") <= 1


async def test_the_token_secret_of_a_pod_that_never_came_into_being_goes_with_the_pod():
    async with engine_of() as it:
        it.host.refuse("create", "pods", forbidden(), times=None)
        it.virtual.put("pods", pod(volumes=[TOKEN_VOLUME]))
        it.start()
        await it.settle()
        it.virtual.remove("pods", SPACE, "web")
        await it.settle()
        assert secrets(it) == []


async def test_a_token_that_could_not_be_had_at_first_is_asked_for_again():
    async with engine_of() as it:
        it.virtual.refuse("create", "serviceaccounts", failing(503), times=1)
        await running(it, volumes=[TOKEN_VOLUME])
        await it.wait(5)
        assert secrets(it) == [TOKEN_SECRET]


async def test_a_pod_whose_service_account_is_gone_learns_why_it_does_not_start():
    message = 'serviceaccounts "default" not found'
    gone = NotFound(404, "NotFound", message, {"kind": "serviceaccounts", "name": "default"})
    async with engine_of() as it:
        it.virtual.refuse("create", "serviceaccounts", gone, times=None)
        await running(it, volumes=[TOKEN_VOLUME])
        assert it.warnings() == [f"the pod gets no token: {message}"]
        it.virtual.accept()
        await it.wait(120)
        assert secrets(it) == [TOKEN_SECRET]


async def test_a_pod_that_goes_while_its_token_is_asked_for_is_not_complained_about():
    gone = NotFound(404, "NotFound", 'pods "web" not found', {"kind": "pods", "name": "web"})
    async with engine_of() as it:
        it.virtual.refuse("create", "serviceaccounts", gone, times=2)
        await running(it, volumes=[TOKEN_VOLUME])
        assert it.warnings() == []


async def test_a_crash_between_a_pod_and_its_token_is_made_good_at_the_next_start():
    async with engine_of() as first:
        await running(first, volumes=[TOKEN_VOLUME])
        host, virtual = first.host.objects, first.virtual.objects
    async with engine_of() as second:
        second.host.objects, second.virtual.objects = dict(host), dict(virtual)
        second.host.remove("secrets", HOST_NAMESPACE, TOKEN_SECRET)
        second.start()
        await second.settle()
        assert secrets(second) == [TOKEN_SECRET]


async def test_a_token_secret_is_written_anew_before_the_tokens_expire():
    async with engine_of() as it:
        await running(it, volumes=[TOKEN_VOLUME])
        await it.wait(0.8 * 3600 - 10)
        assert it.host.said.count(f"patch secrets/{TOKEN_SECRET}") == 0
        await it.wait(60)
        assert it.host.said.count(f"patch secrets/{TOKEN_SECRET}") == 1


async def test_a_token_secret_that_somebody_removed_is_written_again():
    async with engine_of() as it:
        await running(it, volumes=[TOKEN_VOLUME])
        it.host.remove("secrets", HOST_NAMESPACE, TOKEN_SECRET)
        await it.settle()
        assert secrets(it) == [TOKEN_SECRET]


@pytest.mark.parametrize("end", ["deleted", "force deleted", "finished"])
async def test_a_token_secret_goes_with_its_pod(end):
    async with engine_of() as it:
        await running(it, volumes=[TOKEN_VOLUME])
        if end == "finished":
            run(it, {**STARTED, "phase": "Succeeded"})
        elif end == "deleted":
            ending = {"deletionTimestamp": "now", "deletionGracePeriodSeconds": 7}
            it.virtual.change("pods", SPACE, "web", {"metadata": ending})
            await it.settle()
            assert secrets(it) == [TOKEN_SECRET]
            it.host.remove("pods", HOST_NAMESPACE, there())
        else:
            it.virtual.remove("pods", SPACE, "web")
        await it.settle()
        assert secrets(it) == []
        assert Key(TOKEN, SPACE, "web") not in it.world.host[TOKEN]


# -- nodes -------------------------------------------------------------------------------------------------------------


async def test_a_node_goes_some_time_after_its_last_pod():
    async with engine_of() as it:
        await running(it)
        it.virtual.remove("pods", SPACE, "web")
        await it.wait(20)
        assert it.virtual.find("nodes", "", "node-1")
        await it.wait(20)
        assert it.virtual.find("nodes", "", "node-1") is None


async def test_a_node_that_the_tenant_removed_comes_back_while_pods_run_on_it():
    async with engine_of() as it:
        await running(it)
        it.virtual.remove("nodes", "", "node-1")
        await it.settle()
        assert it.virtual.find("nodes", "", "node-1")


async def test_pods_that_were_there_at_the_start_get_their_node_and_nothing_else():
    async with engine_of() as first:
        await running(first)
        host, virtual = first.host.objects, first.virtual.objects
    async with engine_of() as second:
        second.host.objects, second.virtual.objects = dict(host), dict(virtual)
        second.start()
        await second.settle()
        assert second.host.said == second.virtual.said == []
        assert pod_key() in second.world.host["pods"]
