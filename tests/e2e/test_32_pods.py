"""The life of a pod: start, readiness, restarts, changes while it runs, placement, end."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from syncer.names import host_name
from tests.e2e.objects import Object, patient, plain, probe, workload
from tests.e2e.tenancy import AGNHOST, Kubectl, Release, eventually, pod, restricted, shell

pytestmark = pytest.mark.timeout(180)


def hardened(*containers: Object) -> list[Object]:
    """Containers that a restricted namespace accepts, for the lists that `pod` knows nothing of."""
    made: list[Object] = restricted(*containers)["containers"]
    return made


def condition(kubectl: Kubectl, name: str, kind: str) -> str | None:
    """A condition's status."""
    found = kubectl.get("pod", name)["status"].get("conditions", ())
    return next((item["status"] for item in found if item["type"] == kind), None)


def status_of(kubectl: Kubectl, name: str, container: str = "main", *, kind: str = "containerStatuses") -> Object:
    """What is known of a container; empty when it is not known yet."""
    found = kubectl.get("pod", name)["status"].get(kind, ())
    return next((item for item in found if item["name"] == container), {})


def on_host(release: Release, kubectl: Kubectl, name: str) -> Object:
    """The host's pod."""
    return release.host.get(
        "pod", host_name(name, str(kubectl.namespace), release.name), "--namespace", release.namespace
    )


# -- start -------------------------------------------------------------------------------------------------------------


def test_init_containers_run_one_after_the_other_before_the_main_one(kubectl: Kubectl) -> None:
    notes = {"volumeMounts": [{"name": "notes", "mountPath": "/notes"}]}
    kubectl.apply(
        pod(
            "ordered",
            patient(**notes),
            initContainers=hardened(
                shell("echo one >> /notes/all", name="one", **notes),
                shell("echo two >> /notes/all", name="two", **notes),
            ),
            volumes=[{"name": "notes", "emptyDir": {}}],
        )
    )
    kubectl.ready("ordered")

    assert kubectl.execute("ordered", "cat /notes/all") == "one\ntwo"
    done = [
        status_of(kubectl, "ordered", name, kind="initContainerStatuses")["state"]["terminated"]
        for name in ("one", "two")
    ]
    assert [state["reason"] for state in done] == ["Completed", "Completed"]


def test_a_failing_init_container_keeps_the_pod_from_starting(kubectl: Kubectl) -> None:
    kubectl.apply(pod("stuck", patient(), initContainers=hardened(shell("exit 3", name="one")), restartPolicy="Never"))

    kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/stuck", "--timeout=30s")
    assert status_of(kubectl, "stuck", "one", kind="initContainerStatuses")["state"]["terminated"]["exitCode"] == 3
    assert "Init:Error" in kubectl("get", "pod", "stuck")


def test_a_sidecar_starts_before_and_ends_after_the_main_container(kubectl: Kubectl) -> None:
    sidecar = shell(
        "touch /notes/up; trap 'exit 0' TERM; sleep infinity & wait", name="sidecar", restartPolicy="Always"
    )
    notes = {"volumeMounts": [{"name": "notes", "mountPath": "/notes"}]}
    main = shell("cat /notes/up && echo the sidecar was first; exit 0", **notes)
    kubectl.apply(
        pod(
            "accompanied",
            main,
            initContainers=hardened({**sidecar, **notes, "startupProbe": probe("test -e /notes/up")}),
            volumes=[{"name": "notes", "emptyDir": {}}],
            restartPolicy="Never",
        )
    )

    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/accompanied", "--timeout=30s")

    assert kubectl("logs", "accompanied", "-c", "main") == "the sidecar was first\n"
    sidecar_state = status_of(kubectl, "accompanied", "sidecar", kind="initContainerStatuses")
    assert sidecar_state["state"]["terminated"]["exitCode"] == 0


def test_a_start_hook_runs_with_the_container(kubectl: Kubectl) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo hooked > /tmp/hooked"]}}}
    kubectl.apply(pod("hooked", patient(lifecycle=hook)))
    kubectl.ready("hooked")

    assert kubectl.execute("hooked", "cat /tmp/hooked") == "hooked"


# -- readiness ---------------------------------------------------------------------------------------------------------


def test_readiness_follows_the_probe_both_ways(kubectl: Kubectl) -> None:
    kubectl.apply(pod("moody", patient(readinessProbe=probe("test -e /tmp/ready", failureThreshold=1))))
    assert eventually(lambda: condition(kubectl, "moody", "Ready") == "False")

    eventually(lambda: kubectl.run("exec", "moody", "--", "touch", "/tmp/ready").returncode == 0)
    kubectl.ready("moody", timeout=20)

    kubectl.execute("moody", "rm /tmp/ready")
    kubectl("wait", "--for=condition=Ready=False", "pod/moody", "--timeout=20s")


def test_a_readiness_gate_waits_for_its_condition(kubectl: Kubectl) -> None:
    kubectl.apply(pod("gated", patient(), readinessGates=[{"conditionType": "example.com/approved"}]))
    assert eventually(lambda: condition(kubectl, "gated", "ContainersReady") == "True")
    assert condition(kubectl, "gated", "Ready") == "False"

    for value in ("True", "False"):
        approved = {"type": "example.com/approved", "status": value}
        kubectl(
            "patch",
            "pod",
            "gated",
            "--subresource=status",
            "--patch",
            json.dumps({"status": {"conditions": [approved]}}),
        )
        kubectl("wait", f"--for=condition=Ready={value}", "pod/gated", "--timeout=20s")
        assert condition(kubectl, "gated", "example.com/approved") == value


def test_a_slow_start_is_given_its_time(kubectl: Kubectl) -> None:
    slow = shell("sleep 3; touch /tmp/up; trap exit TERM; sleep infinity & wait")
    probes = {
        "startupProbe": probe("test -e /tmp/up", failureThreshold=20),
        "livenessProbe": probe("test -e /tmp/up", failureThreshold=1),
    }
    kubectl.apply(pod("slow", {**slow, **probes}))

    kubectl.ready("slow", timeout=30)

    state = status_of(kubectl, "slow")
    assert (state["started"], state["restartCount"]) == (True, 0)


# -- restarts ----------------------------------------------------------------------------------------------------------


def test_a_container_that_does_not_live_is_started_again_and_counted(kubectl: Kubectl) -> None:
    sick = shell(
        "touch /tmp/well; trap 'exit 7' TERM; sleep infinity & wait",
        livenessProbe=probe("test -e /tmp/well", failureThreshold=1),
    )
    kubectl.apply(pod("sick", sick))
    kubectl.ready("sick")

    kubectl.execute("sick", "rm /tmp/well")

    assert eventually(lambda: status_of(kubectl, "sick")["restartCount"] == 1, patience=30)
    assert eventually(lambda: "Liveness probe failed" in kubectl("describe", "pod", "sick"), patience=20)
    assert status_of(kubectl, "sick")["lastState"]["terminated"]["exitCode"] == 7
    kubectl.ready("sick", timeout=30)


def test_a_container_that_ends_is_started_again_as_its_policy_says(kubectl: Kubectl) -> None:
    kubectl.apply(
        pod("always", shell("exit 0"), restartPolicy="Always"),
        pod("on-failure", shell("exit 0"), restartPolicy="OnFailure"),
        pod("failing", shell("exit 4"), restartPolicy="OnFailure"),
        pod("never", shell("exit 5"), restartPolicy="Never"),
    )

    assert eventually(lambda: status_of(kubectl, "always").get("restartCount", 0) >= 1)
    assert eventually(lambda: status_of(kubectl, "failing").get("restartCount", 0) >= 1)
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/on-failure", "--timeout=20s")
    kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/never", "--timeout=20s")
    assert status_of(kubectl, "never")["restartCount"] == 0


def test_the_last_message_of_a_container_is_shown(kubectl: Kubectl) -> None:
    kubectl.apply(
        pod("spoken", shell("echo it is over > /dev/termination-log; exit 1"), restartPolicy="Never"),
        pod(
            "logged",
            shell("echo the log says it; exit 1", terminationMessagePolicy="FallbackToLogsOnError"),
            restartPolicy="Never",
        ),
    )

    def message(name: str) -> str:
        state: Object = status_of(kubectl, name).get("state", {})
        return str(state.get("terminated", {}).get("message", "")).strip()

    assert eventually(lambda: message("spoken")) == "it is over"
    assert eventually(lambda: message("logged")) == "the log says it"


def test_a_pod_that_takes_too_long_is_ended(kubectl: Kubectl) -> None:
    kubectl.apply(pod("slow", patient(), activeDeadlineSeconds=3))

    kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/slow", "--timeout=30s")
    assert kubectl.get("pod", "slow")["status"]["reason"] == "DeadlineExceeded"


def test_a_container_that_eats_its_memory_is_killed_and_says_why(kubectl: Kubectl) -> None:
    hungry = shell("x=a; while :; do x=$x$x; done", resources={"limits": {"memory": "16Mi"}})
    kubectl.apply(pod("hungry", hungry, restartPolicy="Never"))

    kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/hungry", "--timeout=40s")
    assert status_of(kubectl, "hungry")["state"]["terminated"]["reason"] == "OOMKilled"


# -- changes while it runs ----------------------------------------------------------------------------------------------


def test_resources_are_changed_in_place(kubectl: Kubectl) -> None:
    given = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}}
    kubectl.apply(pod("elastic", patient(resources=given)))
    kubectl.ready("elastic")
    before = status_of(kubectl, "elastic")["containerID"]

    wanted: dict[str, Any] = {"requests": {"cpu": "20m"}, "limits": {"cpu": "200m", "memory": "48Mi"}}
    change = {"spec": {"containers": [{"name": "main", "resources": wanted}]}}
    kubectl("patch", "pod", "elastic", "--subresource=resize", "--patch", json.dumps(change))

    expected = {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "48Mi"}}
    assert eventually(lambda: status_of(kubectl, "elastic")["resources"] == expected, patience=40)
    assert kubectl.execute(
        "elastic", "cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    ) == str(48 << 20)
    after = status_of(kubectl, "elastic")
    assert (after["containerID"], after["restartCount"]) == (before, 0)
    assert eventually(lambda: condition(kubectl, "elastic", "PodResizeInProgress") is None, patience=20)


def test_a_size_that_no_node_has_is_refused_and_the_rest_goes_on(kubectl: Kubectl) -> None:
    kubectl.apply(pod("elastic", patient(resources={"requests": {"cpu": "10m"}})))
    kubectl.ready("elastic")

    change = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "60"}}}]}}
    kubectl("patch", "pod", "elastic", "--subresource=resize", "--patch", json.dumps(change))
    kubectl("set", "image", "pod/elastic", f"main={AGNHOST}")

    assert eventually(
        lambda: "node didn't have enough allocatable resources: cpu" in kubectl("describe", "pod", "elastic"),
        patience=20,
    )
    assert eventually(lambda: status_of(kubectl, "elastic")["restartCount"] == 1, patience=30)


def test_another_image_restarts_the_container_in_place(kubectl: Kubectl) -> None:
    kubectl.apply(pod("dressed", patient()))
    kubectl.ready("dressed")

    kubectl("set", "image", "pod/dressed", f"main={AGNHOST}")

    assert eventually(lambda: status_of(kubectl, "dressed")["restartCount"] == 1, patience=30)
    assert eventually(lambda: kubectl.execute("dressed", "cat /etc/debian_version"), patience=20).startswith("13")
    assert kubectl.get("pod", "dressed")["metadata"]["generation"] == 2


def test_the_observed_generation_follows(kubectl: Kubectl) -> None:
    kubectl.apply(pod("observed", patient()))
    kubectl.ready("observed")

    kubectl("set", "image", "pod/observed", f"main={AGNHOST}")

    assert eventually(lambda: kubectl.get("pod", "observed")["status"]["observedGeneration"] == 2, patience=20)


# -- placement ---------------------------------------------------------------------------------------------------------


def test_a_scheduling_gate_holds_the_pod_back(kubectl: Kubectl) -> None:
    kubectl.apply(pod("held", patient(), schedulingGates=[{"name": "example.com/quota"}]))
    assert eventually(lambda: "SchedulingGated" in kubectl("get", "pod", "held"))

    kubectl("patch", "pod", "held", "--type=json", "--patch", '[{"op": "remove", "path": "/spec/schedulingGates"}]')

    kubectl.ready("held", timeout=30)


def apart(app: str) -> Object:
    """Affinity that keeps pods of an application on different nodes."""
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def nodes_of(kubectl: Kubectl, app: str) -> list[str]:
    """The nodes of an application's pods."""
    return [item["spec"]["nodeName"] for item in kubectl.items("pods", "--selector", f"app={app}")]


def test_pods_that_repel_each_other_get_a_node_each(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(workload("Deployment", "lone", patient(), replicas=2, pods={"affinity": apart("lone")}))
    kubectl("rollout", "status", "deployment/lone", "--timeout=60s")

    assert len(set(nodes_of(kubectl, "lone"))) == 2


def test_pods_of_other_namespaces_do_not_repel(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(workload("Deployment", "lone", patient(), replicas=2, pods={"affinity": apart("lone")}))
    kubectl("rollout", "status", "deployment/lone", "--timeout=60s")

    with release.tenant_namespace(f"{kubectl.namespace}-b") as name:
        other = release.tenant.within(name)
        other.apply(workload("Deployment", "lone", patient(), replicas=2, pods={"affinity": apart("lone")}))
        other("rollout", "status", "deployment/lone", "--timeout=60s")
        assert len(set(nodes_of(other, "lone"))) == 2


def test_one_pod_too_many_waits_and_says_why(kubectl: Kubectl) -> None:
    kubectl.apply(workload("Deployment", "lone", patient(), replicas=3, pods={"affinity": apart("lone")}))

    eventually(lambda: kubectl.get("deployment", "lone")["status"].get("readyReplicas") == 2)
    (waiting,) = [item for item in kubectl.items("pods") if item["status"]["phase"] == "Pending"]
    assert eventually(
        lambda: "anti-affinity rules" in kubectl("describe", "pod", waiting["metadata"]["name"]), patience=20
    )
    (told,) = [item for item in waiting["status"]["conditions"] if item["type"] == "PodScheduled"]
    assert (told["status"], told["reason"]) == ("False", "Unschedulable")


def test_pods_follow_each_other_to_a_node(kubectl: Kubectl) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "leader"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    kubectl.apply(pod("leader", patient()), pod("follower", patient(), affinity=affinity))
    kubectl.ready("leader", "follower")

    assert nodes_of(kubectl, "leader") == nodes_of(kubectl, "follower")


def test_pods_are_spread_over_nodes(kubectl: Kubectl) -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "even"}},
        "nodeTaintsPolicy": "Honor",
    }
    kubectl.apply(workload("Deployment", "even", patient(), replicas=4, pods={"topologySpreadConstraints": [spread]}))
    kubectl("rollout", "status", "deployment/even", "--timeout=60s")

    places = nodes_of(kubectl, "even")
    assert sorted(places.count(node) for node in set(places)) == [2, 2]


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_a_pod_may_ask_for_a_node_by_its_name_label(kubectl: Kubectl, node: str) -> None:
    kubectl.apply(pod("picky", patient(), nodeSelector={"kubernetes.io/hostname": node}))
    kubectl.ready("picky")

    assert kubectl.get("pod", "picky")["spec"]["nodeName"] == node


def test_a_pod_that_no_node_suits_waits_and_says_why(kubectl: Kubectl) -> None:
    kubectl.apply(pod("picky", patient(), nodeSelector={"example.com/disk": "golden"}))

    assert eventually(
        lambda: "didn't match Pod's node affinity/selector" in kubectl("describe", "pod", "picky"), patience=30
    )


def test_the_priority_class_of_the_tenant_does_not_reach_the_host(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("vip", patient(), priorityClassName="system-cluster-critical"))
    kubectl.ready("vip")

    assert kubectl.get("pod", "vip")["spec"]["priority"] == 2_000_000_000
    assert on_host(release, kubectl, "vip")["spec"]["priority"] == 0


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_pod_may_finish_its_work_before_it_goes(kubectl: Kubectl) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hooked > /notes/hook; sleep 1"]}}}
    notes = {"volumeMounts": [{"name": "notes", "mountPath": "/notes"}]}
    worker = shell("trap 'cat /notes/hook; echo farewell; exit 0' TERM; sleep infinity & wait", lifecycle=hook, **notes)
    kubectl.apply(pod("worker", worker, volumes=[{"name": "notes", "emptyDir": {}}], terminationGracePeriodSeconds=20))
    kubectl.ready("worker")

    log = kubectl.start("logs", "--follow", "worker")
    eventually(lambda: kubectl.run("logs", "worker").returncode == 0)
    began = time.monotonic()
    kubectl("delete", "pod", "worker", "--timeout=30s")

    assert log.communicate(timeout=30)[0] == b"hooked\nfarewell\n"
    assert 1 <= time.monotonic() - began < 15


def test_a_pod_that_does_not_listen_is_killed_after_its_grace(kubectl: Kubectl) -> None:
    deaf = shell("trap '' TERM; while :; do sleep 1; done")
    kubectl.apply(pod("deaf", deaf, terminationGracePeriodSeconds=3))
    kubectl.ready("deaf")

    began = time.monotonic()
    kubectl("delete", "pod", "deaf", "--wait=false")
    assert "Terminating" in kubectl("get", "pod", "deaf")
    kubectl("wait", "--for=delete", "pod/deaf", "--timeout=30s")

    assert 2.5 <= time.monotonic() - began < 15


def test_a_forced_deletion_is_immediate(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("deaf", shell("trap '' TERM; while :; do sleep 1; done"), terminationGracePeriodSeconds=60))
    kubectl.ready("deaf")

    kubectl("delete", "pod", "deaf", "--force", "--grace-period=0", "--timeout=10s")

    name = host_name("deaf", str(kubectl.namespace), release.name)
    assert eventually(lambda: name not in release.host.names("pods", "--namespace", release.namespace), patience=20)


def test_a_name_may_be_used_again_at_once(kubectl: Kubectl) -> None:
    kubectl.apply(
        pod("phoenix", shell("trap '' TERM; echo first; while :; do sleep 1; done"), terminationGracePeriodSeconds=2)
    )
    kubectl.ready("phoenix")
    kubectl("delete", "pod", "phoenix", "--force", "--grace-period=0")

    kubectl.apply(pod("phoenix", shell("echo second; trap exit TERM; sleep infinity & wait")))

    kubectl.ready("phoenix", timeout=40)
    assert kubectl("logs", "phoenix") == "second\n"


def test_a_finalizer_holds_a_pod_that_has_ended(release: Release, kubectl: Kubectl) -> None:
    held = pod("held", patient())
    held["metadata"]["finalizers"] = ["example.com/accounting"]
    kubectl.apply(held)
    kubectl.ready("held")

    kubectl("delete", "pod", "held", "--wait=false")

    def ended() -> bool:
        return "terminated" in status_of(kubectl, "held").get("state", {})

    assert eventually(ended, patience=20)
    name = host_name("held", str(kubectl.namespace), release.name)
    assert eventually(lambda: name not in release.host.names("pods", "--namespace", release.namespace), patience=20)
    kubectl("patch", "pod", "held", "--type=json", "--patch", '[{"op": "remove", "path": "/metadata/finalizers"}]')
    kubectl("wait", "--for=delete", "pod/held", "--timeout=20s")


def test_a_pod_with_a_config_of_another_kind_of_name_lives_as_well(kubectl: Kubectl) -> None:
    name = "a-very.long-x-name." + "with-many-letters." * 9 + "end"
    kubectl.apply(
        plain("ConfigMap", name, data={"greeting": "hello"}),
        pod(name, patient(envFrom=[{"configMapRef": {"name": name}}]), labels={"app": "long"}),
    )
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

    assert kubectl.execute(name, "echo $greeting") == "hello"
    assert kubectl.execute(name, "hostname") == name[:63].rstrip("-.")
