"""Kubernetes' controllers do in the virtual cluster what they do anywhere: Deployments, Jobs, CronJobs, DaemonSets."""

from __future__ import annotations

import json

import pytest

from syncer.names import host_name
from tests.e2e.objects import Object, job, patient, plain, probe, workload
from tests.e2e.tenancy import Kubectl, Release, eventually, pod, shell

pytestmark = pytest.mark.timeout(180)


def ready_pods(kubectl: Kubectl, selector: str) -> list[Object]:
    """Pods that run and are not on their way out."""
    return [
        item
        for item in kubectl.items("pods", "--selector", selector)
        if "deletionTimestamp" not in item["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", ()))
    ]


# -- Deployments -------------------------------------------------------------------------------------------------------


def deployed(kubectl: Kubectl, name: str = "web", **spec: object) -> None:
    """A Deployment of two pods, rolled out."""
    kubectl.apply(workload("Deployment", name, patient(env=[{"name": "RELEASE", "value": "one"}]), replicas=2, **spec))
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")


def release_in(kubectl: Kubectl) -> str:
    """What the Deployment's container finds in its environment."""
    return kubectl.execute("deployment/web", "echo $RELEASE")


def test_a_deployment_is_scaled_up_and_down(release: Release, kubectl: Kubectl) -> None:
    deployed(kubectl)

    kubectl("scale", "deployment/web", "--replicas=4")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert len(ready_pods(kubectl, "app=web")) == 4

    kubectl("scale", "deployment/web", "--replicas=0")
    assert eventually(lambda: not kubectl.names("pods"), patience=30)
    there = release.host.names("pods", "-n", release.namespace, "-l", f"sublet.dev/namespace={kubectl.namespace}")
    assert there == set()


def test_a_rollout_can_be_followed_and_undone(kubectl: Kubectl) -> None:
    deployed(kubectl)

    kubectl("set", "env", "deployment/web", "RELEASE=two")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert release_in(kubectl) == "two"

    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert eventually(lambda: len(ready_pods(kubectl, "app=web")) == 2)
    assert release_in(kubectl) == "one"
    assert kubectl("rollout", "history", "deployment/web").split()[-4::2] == ["2", "3"]


def test_a_rollout_restart_replaces_all_pods(kubectl: Kubectl) -> None:
    deployed(kubectl)
    before = kubectl.names("pods")

    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")

    assert eventually(lambda: len(kubectl.names("pods")) == 2 and not kubectl.names("pods") & before, patience=30)


def test_a_rollout_that_cannot_succeed_leaves_the_old_pods_at_work(kubectl: Kubectl) -> None:
    deployed(kubectl, progressDeadlineSeconds=5)
    before = kubectl.names("pods")

    broken = {"spec": {"template": {"spec": {"containers": [{"name": "main", "readinessProbe": probe("false")}]}}}}
    kubectl("patch", "deployment", "web", "--patch", json.dumps(broken))

    failed = kubectl.run("rollout", "status", "deployment/web", "--timeout=40s")
    assert b"exceeded its progress deadline" in failed.stderr
    assert {item["metadata"]["name"] for item in ready_pods(kubectl, "app=web")} == before


def test_a_recreate_rollout_never_runs_both_releases(kubectl: Kubectl) -> None:
    deployed(kubectl, strategy={"type": "Recreate"})

    kubectl("set", "env", "deployment/web", "RELEASE=two")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")

    values = {item["spec"]["containers"][0]["env"][0]["value"] for item in ready_pods(kubectl, "app=web")}
    assert values == {"two"}


def test_a_deleted_pod_is_replaced(kubectl: Kubectl) -> None:
    deployed(kubectl)
    victim = min(kubectl.names("pods"))

    kubectl("delete", "pod", victim)

    assert eventually(lambda: len(ready_pods(kubectl, "app=web")) == 2)
    assert victim not in kubectl.names("pods")


def test_pods_go_with_their_deployment_and_stay_when_told_to(kubectl: Kubectl) -> None:
    deployed(kubectl, "gone")
    deployed(kubectl, "left")

    kubectl("delete", "deployment", "gone", "--cascade=foreground")
    kubectl("delete", "deployment", "left", "--cascade=orphan")

    assert eventually(lambda: not kubectl.items("pods", "-l", "app=gone"), patience=20)
    assert len(ready_pods(kubectl, "app=left")) == 2


def test_all_of_a_namespace_goes_with_it_on_both_sides(release: Release) -> None:
    with release.tenant_namespace("short-lived") as name:
        kubectl = release.tenant.within(name)
        deployed(kubectl)
        kubectl.apply(plain("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}))

        release.tenant("delete", "namespace", name, "--timeout=60s")

        kinds = "pods,services,configmaps,secrets,persistentvolumeclaims,endpointslices"
        mark = f"--selector=sublet.dev/namespace={name},sublet.dev/managed-by={release.name}"
        assert eventually(lambda: not release.host.items(kinds, "--namespace", release.namespace, mark), patience=40)


# -- Jobs --------------------------------------------------------------------------------------------------------------


def test_a_job_completes(kubectl: Kubectl) -> None:
    kubectl.apply(job("work", shell("echo the work is done"), completions=3, parallelism=2))

    kubectl("wait", "--for=condition=Complete", "job/work", "--timeout=60s")

    assert kubectl.get("job", "work")["status"]["succeeded"] == 3
    assert kubectl("logs", "job/work") == "the work is done\n"


def test_a_job_gives_up_after_its_last_retry(kubectl: Kubectl) -> None:
    kubectl.apply(job("hopeless", shell("echo no; exit 1"), backoffLimit=0))

    kubectl("wait", "--for=condition=Failed", "job/hopeless", "--timeout=60s")

    status = kubectl.get("job", "hopeless")["status"]
    assert status["failed"] == 1
    assert status["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    assert kubectl("logs", "job/hopeless") == "no\n"


def test_a_job_knows_which_failures_are_final(kubectl: Kubectl) -> None:
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]
    kubectl.apply(job("hopeless", shell("exit 42"), backoffLimit=5, podFailurePolicy={"rules": rules}))

    kubectl("wait", "--for=condition=Failed", "job/hopeless", "--timeout=60s")

    assert kubectl.get("job", "hopeless")["status"]["failed"] == 1


def test_the_pods_of_an_indexed_job_know_their_number(kubectl: Kubectl) -> None:
    kubectl.apply(
        job(
            "shards",
            shell("echo $HOSTNAME is $JOB_COMPLETION_INDEX"),
            completions=2,
            parallelism=2,
            completionMode="Indexed",
        )
    )

    kubectl("wait", "--for=condition=Complete", "job/shards", "--timeout=60s")

    assert set(kubectl("logs", "--selector=app=shards").splitlines()) == {"shards-0 is 0", "shards-1 is 1"}


def test_a_job_past_its_deadline_is_ended(kubectl: Kubectl) -> None:
    kubectl.apply(job("slow", patient(), activeDeadlineSeconds=3))

    kubectl("wait", "--for=condition=Failed", "job/slow", "--timeout=60s")

    assert kubectl.get("job", "slow")["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    assert eventually(lambda: not kubectl.names("pods"), patience=20)


def test_a_finished_job_is_cleaned_up_when_it_says_so(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(job("brief", shell("exit 0"), ttlSecondsAfterFinished=1))

    kubectl("wait", "--for=delete", "job/brief", "--timeout=60s")

    mark = f"--selector=sublet.dev/namespace={kubectl.namespace}"
    assert eventually(lambda: not release.host.items("pods", "--namespace", release.namespace, mark), patience=20)


def test_a_suspended_job_starts_when_it_is_let(kubectl: Kubectl) -> None:
    kubectl.apply(job("later", shell("exit 0"), suspend=True))
    assert eventually(lambda: "Suspended" in kubectl("describe", "job", "later"))
    assert not kubectl.names("pods")

    kubectl("patch", "job", "later", "--patch", '{"spec": {"suspend": false}}')

    kubectl("wait", "--for=condition=Complete", "job/later", "--timeout=60s")


def cron_job(schedule: str) -> Object:
    template = {"spec": job("x", shell("echo the work is done"))["spec"]}
    return plain("CronJob", "chime", api="batch/v1", spec={"schedule": schedule, "jobTemplate": template})


def test_a_cron_job_can_be_run_by_hand(kubectl: Kubectl) -> None:
    kubectl.apply(cron_job("0 0 1 1 *"))

    kubectl("create", "job", "now", "--from=cronjob/chime")

    kubectl("wait", "--for=condition=Complete", "job/now", "--timeout=60s")
    assert kubectl("logs", "job/now") == "the work is done\n"


@pytest.mark.slow
def test_a_cron_job_runs_each_minute(kubectl: Kubectl) -> None:
    kubectl.apply(cron_job("* * * * *"))

    (name,) = eventually(lambda: kubectl.names("jobs"), patience=80, every=1)

    kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    assert kubectl.get("cronjob", "chime")["status"]["lastSuccessfulTime"]


# -- DaemonSets --------------------------------------------------------------------------------------------------------


def test_a_daemon_runs_on_every_node(kubectl: Kubectl) -> None:
    kubectl.apply(workload("DaemonSet", "agent", patient()))

    def everywhere() -> bool:
        places = sorted(item["spec"]["nodeName"] for item in ready_pods(kubectl, "app=agent"))
        return places == sorted(kubectl.names("nodes"))

    assert eventually(everywhere)
    status = kubectl.get("daemonset", "agent")["status"]
    assert status["desiredNumberScheduled"] == len(kubectl.names("nodes"))


def test_a_daemon_comes_to_a_node_when_its_first_pod_does(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(workload("DaemonSet", "agent", patient()))
    spread = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [spread]}}
    kubectl.apply(workload("Deployment", "web", patient(), replicas=2, pods={"affinity": apart}))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    nodes = {item["spec"]["nodeName"] for item in ready_pods(kubectl, "app=web")}

    assert len(nodes) == 2
    assert eventually(lambda: nodes <= {item["spec"]["nodeName"] for item in ready_pods(kubectl, "app=agent")})


def test_a_daemon_rolls_out(kubectl: Kubectl) -> None:
    at_once = {"rollingUpdate": {"maxUnavailable": "100%"}}
    kubectl.apply(workload("DaemonSet", "agent", patient(), updateStrategy=at_once))
    kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")

    kubectl("set", "env", "daemonset/agent", "RELEASE=two")
    kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")

    assert {
        kubectl.execute(item["metadata"]["name"], "echo $RELEASE") for item in ready_pods(kubectl, "app=agent")
    } == {"two"}


# -- disruption --------------------------------------------------------------------------------------------------------


def evict(kubectl: Kubectl, name: str) -> tuple[bool, str]:
    """Asks for an eviction, as `kubectl drain` does."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": kubectl.namespace}}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}/eviction"
    done = kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
    return done.returncode == 0, done.stderr.decode()


def test_an_eviction_respects_the_disruption_budget(kubectl: Kubectl) -> None:
    deployed(kubectl)
    budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    kubectl.apply(plain("PodDisruptionBudget", "web", api="policy/v1", spec=budget))
    eventually(lambda: kubectl.get("poddisruptionbudget", "web")["status"].get("currentHealthy") == 2)
    victim = min(kubectl.names("pods"))

    done, reason = evict(kubectl, victim)
    assert not done
    assert "disruption budget" in reason

    kubectl("delete", "poddisruptionbudget", "web")
    assert evict(kubectl, victim)[0]
    assert eventually(
        lambda: victim not in kubectl.names("pods") and len(ready_pods(kubectl, "app=web")) == 2, patience=30
    )


def test_a_replica_set_adopts_pods_that_match(kubectl: Kubectl) -> None:
    kubectl.apply(pod("stray", patient(), labels={"app": "set"}))
    kubectl.ready("stray")

    kubectl.apply(workload("ReplicaSet", "set", patient(), replicas=1))

    owners = eventually(lambda: kubectl.get("pod", "stray")["metadata"].get("ownerReferences"))
    assert [owner["name"] for owner in owners] == ["set"]
    assert kubectl.names("pods") == {"stray"}


def test_the_host_keeps_no_controller_of_the_tenant(release: Release, kubectl: Kubectl) -> None:
    deployed(kubectl)
    name = host_name(min(kubectl.names("pods")), str(kubectl.namespace), release.name)
    found = release.host.get("pod", name, "--namespace", release.namespace)

    assert [(owner["kind"], owner["name"]) for owner in found["metadata"]["ownerReferences"]] == [
        ("ConfigMap", f"vc-owner-{release.name}")
    ]


def test_a_pod_of_a_template_without_a_name_gets_one(kubectl: Kubectl) -> None:
    made = pod("unnamed", shell("exit 0"), restartPolicy="Never")
    made["metadata"] = {"generateName": "run-"}
    name = kubectl("create", "-f", "-", "-o", "name", stdin=json.dumps(made)).strip()

    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", name, "--timeout=30s")
