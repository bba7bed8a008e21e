"""A scheduler of the virtual cluster's own on the host's nodes: what a tenant says of nodes counts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import toolchain
from syncer.names import host_name
from tests.e2e.objects import Object, claim, patient, plain, workload
from tests.e2e.tenancy import CHART, Kubectl, Release, becomes, eventually, install, pod, uninstall

pytestmark = pytest.mark.timeout(240)

VALUES = CHART / "ci" / "scheduler-values.yaml"
DATA = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
HOSTNAME = "kubernetes.io/hostname"
SCHEDULER = f"registry.k8s.io/kube-scheduler:{toolchain.version('kubernetes')}"


@pytest.fixture(scope="module")
def own(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A virtual cluster with a scheduler, and without DNS, which would only be one more pod."""
    folder: Path = tmp_path_factory.mktemp("own")
    arguments = ("--values", str(VALUES), "--set", "controlPlane.coredns.enabled=false")
    installed = install("vc", f"sched-{uuid.uuid4().hex[:6]}", folder, *arguments)
    yield installed
    uninstall(installed)


@pytest.fixture
def kubectl(own: Release) -> Iterator[Kubectl]:
    with own.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield own.tenant.within(name)
    for node in own.tenant.names("nodes"):
        own.tenant("uncordon", node)
        own.tenant("label", "node", node, "shelf-")
        own.tenant("taint", "node", node, "mine:NoSchedule-", "mine:NoExecute-")


@pytest.fixture
def two_nodes(own: Release) -> tuple[str, str]:
    first, second, *_ = sorted(eventually(lambda: own.tenant.names("nodes")))
    return first, second


def places(kubectl: Kubectl, app: str) -> list[str]:
    """Nodes of the pods of an app that run and are not on their way out."""
    found = kubectl.items("pods", "--selector", f"app={app}")
    running = [item for item in found if item["status"].get("phase") == "Running"]
    return sorted(item["spec"]["nodeName"] for item in running if "deletionTimestamp" not in item["metadata"])


def deployment(name: str, *, replicas: int = 2, **pods: Any) -> Object:
    return workload("Deployment", name, patient(), replicas=replicas, pods=pods)


def spread(app: str) -> list[Object]:
    selector = {"matchLabels": {"app": app}}
    return [{"maxSkew": 1, "topologyKey": HOSTNAME, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}]


def test_labels_taints_and_spread_of_the_tenants_own_decide_and_pods_run_there(
    own: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    kubectl("label", "node", first, "shelf=top")
    kubectl("taint", "node", first, "mine:NoSchedule")
    tolerant = {"tolerations": [{"key": "mine", "operator": "Exists"}]}
    kubectl.apply(
        deployment("top", nodeSelector={"shelf": "top"}, **tolerant),
        deployment("away"),
        deployment("even", topologySpreadConstraints=spread("even"), **tolerant),
    )
    becomes([first, first], lambda: places(kubectl, "top"))
    becomes([second, second], lambda: places(kubectl, "away"))
    becomes([first, second], lambda: places(kubectl, "even"))
    name = next(iter(kubectl.names("pods", "--selector", "app=top")))
    assert kubectl.execute(name, "echo here") == "here"
    there = own.host.get("pod", host_name(name, str(kubectl.namespace), own.name), "--namespace", own.namespace)
    assert there["spec"]["nodeName"] == first
    assert "shelf" not in own.host.get("node", first)["metadata"]["labels"]


def test_a_volume_is_made_where_its_pod_was_scheduled_and_the_pod_comes_back_to_it(
    kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    kubectl("label", "node", second, "shelf=top")
    claims = [claim("data")]
    pods = {"nodeSelector": {"shelf": "top"}}
    kubectl.apply(
        workload("StatefulSet", "db", patient(**DATA), pods=pods, serviceName="db", volumeClaimTemplates=claims)
    )
    becomes([second], lambda: places(kubectl, "db"), patience=120)
    kubectl.execute("db-0", "echo kept > /data/file")

    kubectl("label", "node", second, "shelf-")
    kubectl("label", "node", first, "shelf=top")
    kubectl("patch", "statefulset", "db", "--type=merge", "-p", '{"spec":{"template":{"spec":{"nodeSelector":null}}}}')
    kubectl("rollout", "status", "statefulset/db", "--timeout=90s", timeout=100)
    becomes([second], lambda: places(kubectl, "db"))
    assert kubectl.execute("db-0", "cat /data/file") == "kept"


@pytest.mark.long
def test_a_node_is_drained_from_inside_and_the_host_never_hears_of_it(
    own: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    kubectl.apply(deployment("web", replicas=2, topologySpreadConstraints=[]))
    eventually(lambda: len(places(kubectl, "web")) == 2)
    own.tenant("drain", first, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=60s")
    becomes([second, second], lambda: places(kubectl, "web"))
    assert kubectl.get("node", first)["spec"]["unschedulable"] is True
    assert "unschedulable" not in own.host.get("node", first)["spec"]


@pytest.mark.long
def test_a_taint_that_evicts_moves_pods_to_another_node(kubectl: Kubectl, two_nodes: tuple[str, str]) -> None:
    first, second = two_nodes
    kubectl.apply(
        deployment("web", topologySpreadConstraints=[{**spread("web")[0], "whenUnsatisfiable": "ScheduleAnyway"}])
    )
    becomes([first, second], lambda: places(kubectl, "web"))
    kubectl("taint", "node", first, "mine:NoExecute")
    becomes([second, second], lambda: places(kubectl, "web"))


@pytest.mark.long
def test_what_the_host_says_of_its_nodes_is_seen_inside_beside_what_the_tenant_says(
    own: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    kubectl("taint", "node", first, "mine:NoSchedule")
    own.host("cordon", second)
    try:
        eventually(lambda: kubectl.get("node", second)["spec"].get("unschedulable"))
        kubectl.apply(deployment("web", replicas=1))
        eventually(lambda: "FailedScheduling" in kubectl("get", "events"))
        assert not places(kubectl, "web")
    finally:
        own.host("uncordon", second)
    becomes([second], lambda: places(kubectl, "web"))
    assert [taint["key"] for taint in kubectl.get("node", first)["spec"]["taints"]] == ["mine"]


@pytest.mark.long
def test_the_host_has_the_last_word_and_the_tenant_hears_it(
    own: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    own.host("cordon", first)
    try:
        eventually(lambda: kubectl.get("node", first)["spec"].get("unschedulable"))
        kubectl("uncordon", first)
        kubectl("cordon", second)
        kubectl.apply(deployment("web", replicas=1))
        name = next(iter(eventually(lambda: kubectl.names("pods", "--selector", "app=web"))))

        def refusal() -> list[str]:
            conditions = kubectl.get("pod", name)["status"].get("conditions") or ()
            return [
                item["message"] for item in conditions if item["type"] == "PodScheduled" and item["status"] == "False"
            ]

        (message,) = eventually(refusal)
        assert "unschedulable" in message
        assert kubectl.get("pod", name)["spec"]["nodeName"] == first
    finally:
        own.host("uncordon", first)
    becomes([first], lambda: places(kubectl, "web"))


@pytest.mark.long
def test_a_second_scheduler_of_the_tenants_schedules_the_pods_that_name_it(kubectl: Kubectl) -> None:
    kubectl.apply(pod("orphan", patient(), schedulerName="mine"))
    account = {"kind": "ServiceAccount", "name": "default", "namespace": kubectl.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "profiles": [{"schedulerName": "mine"}],
    }
    command = ["kube-scheduler", "--config=/etc/scheduler/config.yaml", "--secure-port=0"]
    mount = {"name": "config", "mountPath": "/etc/scheduler"}
    binding = f"scheduler-{kubectl.namespace}"
    api = "rbac.authorization.k8s.io/v1"
    kubectl.apply(
        plain("ClusterRoleBinding", binding, api=api, subjects=[account], roleRef=role),
        plain("ConfigMap", "scheduler", data={"config.yaml": yaml.safe_dump(config)}),
        pod(
            "scheduler",
            {"name": "main", "image": SCHEDULER, "command": command, "volumeMounts": [mount]},
            volumes=[{"name": "config", "configMap": {"name": "scheduler"}}],
        ),
    )
    try:
        kubectl.ready("orphan")
        scheduled = [item for item in kubectl.items("events") if item["reason"] == "Scheduled"]
        assert "mine" in {item.get("reportingComponent") or item["source"]["component"] for item in scheduled}
    finally:
        kubectl("delete", "clusterrolebinding", binding)
