"""A virtual cluster with a scheduler and a DNS server of its own, in the control plane's pod, on the host's nodes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import layout, toolchain
from syncer.names import host_name
from tests.e2e.objects import Object, claim, patient, plain, service, toolbox, workload
from tests.e2e.tenancy import (
    CHART,
    Kubectl,
    Release,
    becomes,
    eventually,
    helm,
    host_kubectl,
    install,
    pod,
    uninstall,
    web,
)

pytestmark = pytest.mark.timeout(240)

DATA = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
HOSTNAME = "kubernetes.io/hostname"
SCHEDULER = f"registry.k8s.io/kube-scheduler:{toolchain.version('kubernetes')}"


@pytest.fixture(scope="module")
def contained(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A virtual cluster with a scheduler and a DNS server in its control plane, on the lab's real nodes."""
    namespace = f"own-{uuid.uuid4().hex[:6]}"
    nodes = [node.name for node in layout.nodes(2)]
    host_kubectl()("label", "nodes", *nodes, f"{namespace}=yes")
    chosen = ("--set-string", f"sync.fromHost.nodes.selector.labels.{namespace}=yes")
    values = ("--values", str(CHART / "ci" / "contained-values.yaml"), *chosen)
    installed = install("vc", namespace, tmp_path_factory.mktemp("contained"), *values)
    yield installed
    uninstall(installed)
    host_kubectl()("label", "nodes", *nodes, f"{namespace}-")


@pytest.fixture
def kubectl(contained: Release) -> Iterator[Kubectl]:
    with contained.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield contained.tenant.within(name)
    for node in contained.tenant.names("nodes"):
        contained.tenant("uncordon", node)
        contained.tenant("label", "node", node, "shelf-")
        contained.tenant.run("taint", "node", node, "mine-")


@pytest.fixture
def two_nodes(contained: Release) -> tuple[str, str]:
    first, second, *_ = sorted(eventually(lambda: contained.tenant.names("nodes")))
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


def required(app: str) -> Object:
    """On a node with pods of this app, or on none with them."""
    term = {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": app}}}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def test_labels_taints_and_spread_of_the_tenants_own_decide_and_pods_run_there(
    contained: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
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
    there = contained.host.get(
        "pod", host_name(name, str(kubectl.namespace), contained.name), "--namespace", contained.namespace
    )
    assert there["spec"]["nodeName"] == first
    assert "shelf" not in contained.host.get("node", first)["metadata"]["labels"]


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
def test_affinity_between_pods_is_weighed_inside_and_host_pods_carry_none(
    contained: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    kubectl("label", "node", first, "shelf=top")
    kubectl.apply(
        deployment("leader", replicas=1, nodeSelector={"shelf": "top"}),
        deployment("near", affinity={"podAffinity": required("leader")}),
        deployment("apart", replicas=3, affinity={"podAntiAffinity": required("apart")}),
    )
    becomes([first, first], lambda: places(kubectl, "near"))
    becomes([first, second], lambda: places(kubectl, "apart"))
    eventually(lambda: "didn't match pod anti-affinity rules" in kubectl("get", "events"))
    own = f"--selector=sublet.dev/namespace={kubectl.namespace}"
    there = contained.host.items("pods", "--namespace", contained.namespace, own)
    assert len(there) == 5
    assert {key for item in there for key in item["spec"]["affinity"]} == {"nodeAffinity"}


@pytest.mark.long
def test_a_node_is_drained_from_inside_and_the_host_never_hears_of_it(
    contained: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    kubectl.apply(deployment("web", replicas=2, topologySpreadConstraints=[]))
    eventually(lambda: len(places(kubectl, "web")) == 2)
    contained.tenant("drain", first, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=60s")
    becomes([second, second], lambda: places(kubectl, "web"))
    assert kubectl.get("node", first)["spec"]["unschedulable"] is True
    assert "unschedulable" not in contained.host.get("node", first)["spec"]


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
    contained: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    kubectl("taint", "node", first, "mine:NoSchedule")
    contained.host("cordon", second)
    try:
        eventually(lambda: kubectl.get("node", second)["spec"].get("unschedulable"))
        kubectl.apply(deployment("web", replicas=1))
        eventually(lambda: "FailedScheduling" in kubectl("get", "events"))
        assert not places(kubectl, "web")
    finally:
        contained.host("uncordon", second)
    becomes([second], lambda: places(kubectl, "web"))
    assert [taint["key"] for taint in kubectl.get("node", first)["spec"]["taints"]] == ["mine"]


@pytest.mark.long
def test_the_host_has_the_last_word_and_the_tenant_hears_it(
    contained: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, second = two_nodes
    contained.host("taint", "node", first, "theirs:NoSchedule")
    try:
        eventually(lambda: kubectl.get("node", first)["spec"].get("taints"))
        kubectl("taint", "node", first, "theirs-")
        kubectl("cordon", second)
        kubectl.apply(deployment("web", replicas=1))
        name = next(iter(eventually(lambda: kubectl.names("pods", "--selector", "app=web"))))

        def refusal() -> list[str]:
            conditions = kubectl.get("pod", name)["status"].get("conditions") or ()
            return [
                item["message"] for item in conditions if item["type"] == "PodScheduled" and item["status"] == "False"
            ]

        (message,) = eventually(refusal)
        assert "untolerated taint" in message
        assert kubectl.get("pod", name)["spec"]["nodeName"] == first
    finally:
        contained.host("taint", "node", first, "theirs-")
    becomes([first], lambda: places(kubectl, "web"))


@pytest.mark.long
def test_a_resource_that_the_tenant_gives_to_a_node_is_counted_and_the_more_important_pod_gets_it(
    contained: Release, kubectl: Kubectl, two_nodes: tuple[str, str]
) -> None:
    first, _ = two_nodes
    one = {"tenant.example/licence": "1"}
    status = json.dumps({"status": {"capacity": one, "allocatable": one}})
    kubectl("patch", "node", first, "--subresource=status", "--type=merge", "-p", status)
    importance = f"high-{kubectl.namespace}"
    resources = {"requests": one, "limits": one}
    kubectl.apply(plain("PriorityClass", importance, api="scheduling.k8s.io/v1", value=1000))
    try:
        kubectl.apply(pod("low", patient(resources=resources)))
        kubectl.ready("low")
        kubectl.apply(pod("high", patient(resources=resources), priorityClassName=importance))
        kubectl.ready("high")
        assert kubectl.get("pod", "high")["spec"]["nodeName"] == first
        eventually(lambda: "low" not in kubectl.names("pods"))
        assert "tenant.example/licence" not in contained.host.get("node", first)["status"]["capacity"]
    finally:
        kubectl("delete", "priorityclass", importance)
        nothing = json.dumps({"status": dict.fromkeys(("capacity", "allocatable"), dict.fromkeys(one))})
        kubectl("patch", "node", first, "--subresource=status", "--type=merge", "-p", nothing)


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


def resolved(kubectl: Kubectl, name: str) -> list[str]:
    return kubectl.execute("client", f"dig +short +search +tries=1 +time=2 {name}").split()


def control_plane_ip(release: Release) -> str:
    found = release.host.get("pod", release.pod, "--namespace", release.namespace)
    return str(found["status"]["podIP"])


def test_names_of_the_virtual_cluster_and_of_the_host_are_answered_by_the_control_plane(
    contained: Release, kubectl: Kubectl
) -> None:
    kubectl.apply(service("shop", app="shop"), pod("client", toolbox()), workload("Deployment", "shop", web()))
    kubectl.ready("client")
    assert not contained.tenant.names("pods", "--namespace=kube-system")
    for name in ("shop", "kubernetes.default"):
        space = "default" if "." in name else str(kubectl.namespace)
        address = kubectl.get("service", name.partition(".")[0], "--namespace", space)["spec"]["clusterIP"]
        assert eventually(lambda name=name: resolved(kubectl, name), patience=20) == [address]
    there = contained.host.get("service", "kube-dns", "--namespace=kube-system")["spec"]["clusterIP"]
    assert resolved(kubectl, "kube-dns.kube-system.svc.cluster.local.") != [there]
    assert knows_the_hosts_names(contained, kubectl)


def knows_the_hosts_names(contained: Release, kubectl: Kubectl) -> bool:
    """Whether a name that only the host has is answered too."""
    outside = contained.host.get("service", contained.name, "--namespace", contained.namespace)["spec"]["clusterIP"]
    return resolved(kubectl, f"{contained.name}.{contained.namespace}.svc.cluster.local.") == [outside]


@pytest.mark.long
def test_names_are_answered_again_when_the_control_plane_has_moved(contained: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("client", toolbox()))
    kubectl.ready("client")
    before = control_plane_ip(contained)
    contained.on_host("delete", "pod", contained.pod)
    contained.on_host("wait", "--for=condition=Ready", f"pod/{contained.pod}", "--timeout=60s")
    assert control_plane_ip(contained) != before
    assert eventually(lambda: resolved(kubectl, "kubernetes.default"), patience=30)


@pytest.mark.long
def test_a_cluster_changes_from_one_form_to_the_other_and_back(contained: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("client", toolbox()))
    kubectl.ready("client")
    values = ("--namespace", contained.namespace, "--reuse-values", "--wait")
    slices = ("endpointslices", "--namespace=kube-system", "--selector=kubernetes.io/service-name=kube-dns")
    helm("upgrade", contained.name, str(CHART), *values, "--set", "controlPlane.coredns.embedded=false")
    try:
        contained.tenant("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=60s")
        eventually(lambda: "kube-dns-control-plane" not in contained.tenant.names(*slices))
        assert eventually(lambda: resolved(kubectl, "kubernetes.default"), patience=30)
        assert knows_the_hosts_names(contained, kubectl)
    finally:
        helm("upgrade", contained.name, str(CHART), *values, "--set", "controlPlane.coredns.embedded=true")
    eventually(lambda: contained.tenant.names(*slices) == {"kube-dns-control-plane"})
    assert eventually(lambda: resolved(kubectl, "kubernetes.default"), patience=30)
    assert "coredns" not in contained.tenant.names("deployments", "--namespace=kube-system")
