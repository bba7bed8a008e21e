"""A virtual cluster of the oldest version that the lab can build, upgraded minor version by minor version up to that of the host.

The control planes of older versions are built the first time, which takes a quarter of an hour or so for each of them.
"""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import catalogue, commands, toolchain
from syncer.engine.sync import COMPARE_EVERY
from tests.e2e import every_kind, processes
from tests.e2e.agreement import differing
from tests.e2e.objects import plain, service, workload
from tests.e2e.tenancy import CHART, Kubectl, Release, becomes, eventually, helm, install, pod, remove, shell, web

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
VERSIONS = [*(toolchain.version(f"kubernetes-{minor}") for minor in toolchain.OLDER_MINORS), catalogue.KUBERNETES]
VERSION = "controlPlane.distro.k8s.version"
SCHEDULER = ("controlPlane.distro.k8s.scheduler.enabled=true", "sync.fromHost.nodes.enabled=true")
SPACE = "kept"
MARK = "kept"
KINDS = (
    "configmaps,secrets,persistentvolumeclaims,services,serviceaccounts,pods,deployments,statefulsets,daemonsets,jobs,cronjobs,"
    "roles,rolebindings,ingresses,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,resourcequotas,limitranges,"
    f"widgets.{every_kind.group(MARK)}"
)
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
WHO = (
    f'curl -s --max-time 5 --cacert {ACCOUNT}/ca.crt -H "Authorization: Bearer $(cat {ACCOUNT}/token)" '
    "-H 'Content-Type: application/json' -d '{}' "
    "https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """A release that began with the oldest version, and who was who then: uids by kind and name, inside and on the host."""

    release: Release
    inside: dict[str, str]
    on_host: dict[str, str]

    @property
    def kubectl(self) -> Kubectl:
        """The tenant's kubectl in the namespace that is to be kept."""
        return self.release.tenant.within(SPACE)


@pytest.fixture(scope="module")
def images(lab: None) -> None:
    """The control planes of all versions, on the nodes."""
    commands.prepare_images([image.reference for image in catalogue.OLDER])


@pytest.fixture(scope="module")
def old(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    """A release of the oldest version with something of everything and a workload that runs."""
    release = of_version(VERSIONS[0], tmp_path_factory.mktemp("versions"))
    try:
        furnish(release)
        yield Old(release=release, inside=uids(release.tenant.within(SPACE), KINDS), on_host=pods_on_host(release))
    finally:
        remove(release.host, release.name, release.namespace)


@pytest.fixture(scope="module", params=VERSIONS)
def upgraded(old: Old, request: pytest.FixtureRequest) -> tuple[Old, str, str]:
    """The release upgraded to each version in turn, with a resourceVersion from before the upgrade."""
    before = old.kubectl.get("configmaps")["metadata"]["resourceVersion"]
    old.kubectl.apply(plain("ConfigMap", "counted", data={"before": request.param}))
    if request.param != VERSIONS[0]:
        upgrade(old.release, request.param)
    return old, request.param, before


def of_version(version: str, folder: Path, *settings: str) -> Release:
    """A release of its own."""
    pairs = [part for setting in (f"{VERSION}={version}", *settings) for part in ("--set", setting)]
    return install("vc", f"versions-{uuid.uuid4().hex[:6]}", folder, *pairs)


def upgrade(release: Release, version: str, *more: str) -> None:
    """Upgrades it to another version of Kubernetes."""
    wait = more or ("--wait", "--timeout", "180s")
    helm("upgrade", "vc", str(CHART), "--namespace", release.namespace, "--set", f"{VERSION}={version}", *wait)
    if not more:
        eventually(lambda: release.tenant("get", "--raw", "/readyz"))


def furnish(release: Release) -> None:
    """One object of every kind, a Deployment behind a Service, and a StatefulSet that has written to its volume."""
    release.tenant("create", "namespace", SPACE)
    release.tenant.apply(*every_kind.of_the_cluster(MARK))
    release.tenant("wait", "--for=condition=Established", f"crd/widgets.{every_kind.group(MARK)}", "--timeout=30s")
    kubectl = release.tenant.within(SPACE)
    eventually(lambda: kubectl("get", "serviceaccount", "default"))
    writing = shell(
        "echo $HOSTNAME > /data/name; trap exit TERM; sleep infinity & wait",
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
    )
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    template = {"metadata": {"name": "data"}, "spec": wanted}
    kubectl.apply(
        *every_kind.of_a_namespace(MARK),
        workload("Deployment", "page", web(), replicas=2),
        service("page", app="page"),
        service("keeper", app="keeper", clusterIP="None"),
        workload("StatefulSet", "keeper", writing, serviceName="keeper", volumeClaimTemplates=[template]),
    )
    for name in ("deployment/page", "deployment/web", "statefulset/keeper", "statefulset/db"):
        eventually(lambda name=name: kubectl("rollout", "status", name, "--timeout=20s"))
    eventually(lambda: len(kubectl.names("pods")) >= every_kind.PODS + 3)
    kubectl.ready()


def uids(kubectl: Kubectl, kinds: str) -> dict[str, str]:
    """Who is who."""
    return {f"{item['kind']} {item['metadata']['name']}": item["metadata"]["uid"] for item in kubectl.items(kinds)}


def pods_on_host(release: Release) -> dict[str, str]:
    """The tenant's pods on the host."""
    found = release.host.items("pods", "--namespace", release.namespace, f"--selector=sublet.dev/namespace={SPACE}")
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in found}


def page(kubectl: Kubectl) -> str:
    """A pod of the Deployment."""
    return min(kubectl.names("pods", "--selector=app=page"))


def refused(release: Release) -> str:
    """What the new control-plane pod says before it gives up."""
    return release.on_host("logs", release.pod, "--container=pki")


def test_the_api_server_is_of_the_version(upgraded: tuple[Old, str, str]) -> None:
    old, version, _ = upgraded
    told = json.loads(old.release.tenant("version", "--output=json"))
    certs = old.release.host.get("secret", "vc-certs", "--namespace", old.release.namespace)

    assert told["serverVersion"]["gitVersion"] == version
    assert certs["metadata"]["annotations"]["sublet.dev/kubernetes"] == version


def test_every_object_is_the_same_and_no_pod_of_the_tenants_has_started_again(upgraded: tuple[Old, str, str]) -> None:
    old, _, _ = upgraded
    found = uids(old.kubectl, KINDS)

    assert {name: found.get(name) for name in old.inside} == old.inside
    assert pods_on_host(old.release) == old.on_host
    assert old.kubectl.get(f"widgets.{every_kind.group(MARK)}", "widget")["spec"] == {"size": 1}
    restarts = [item["restartCount"] for pod in old.kubectl.items("pods") for item in processes.statuses(pod)]
    assert set(restarts) == {0}


def test_a_watch_goes_on_from_before_the_upgrade(upgraded: tuple[Old, str, str]) -> None:
    old, version, before = upgraded
    path = f"/api/v1/namespaces/{SPACE}/configmaps?watch=1&timeoutSeconds=2&resourceVersion={before}"
    seen = [json.loads(line)["object"] for line in old.kubectl("get", "--raw", path).splitlines()]

    assert version in [item.get("data", {}).get("before") for item in seen]


def test_what_ran_is_reached_and_answers(upgraded: tuple[Old, str, str]) -> None:
    old, _, _ = upgraded
    kubectl = old.kubectl

    eventually(lambda: "page-" in kubectl.execute(page(kubectl), "curl -s --max-time 2 http://page/hostname"))
    assert "Started HTTP server" in kubectl("logs", page(kubectl))
    assert kubectl.execute("keeper-0", "cat /data/name") == "keeper-0"
    eventually(lambda: f"system:serviceaccount:{SPACE}:default" in kubectl.execute(page(kubectl), WHO))


def test_something_new_runs_and_goes(upgraded: tuple[Old, str, str]) -> None:
    old, _, _ = upgraded
    kubectl = old.kubectl
    kubectl.apply(pod("new", web()), service("new", app="new"))
    kubectl.ready("new")
    # CoreDNS asks an API server that was away again after up to a minute: client-go's pauses grow until two minutes went well.
    answered = lambda: kubectl.execute(page(kubectl), "curl -s --max-time 2 http://new/hostname") == "new"  # noqa: E731
    eventually(answered, patience=120)
    address = kubectl.get("service", "new")["spec"]["clusterIP"]
    there = old.release.host.get("service", f"new-x-{SPACE}-x-vc", "--namespace", old.release.namespace)
    kubectl("delete", "pod/new", "service/new")

    assert there["spec"]["clusterIP"] == address
    becomes(old.on_host, lambda: pods_on_host(old.release))


def test_pods_follow_the_labels_of_their_namespace(upgraded: tuple[Old, str, str]) -> None:
    old, version, _ = upgraded
    old.release.tenant("label", "--overwrite", "namespace", SPACE, f"seen={version}")
    on_host = ("pod", f"{page(old.kubectl)}-x-{SPACE}-x-vc", "--namespace", old.release.namespace)
    eventually(lambda: version in old.release.host.get(*on_host)["metadata"]["labels"].values())


def test_both_sides_agree_and_nothing_had_to_be_corrected(upgraded: tuple[Old, str, str]) -> None:
    old, _, _ = upgraded
    becomes({}, lambda: differing(old.release, old.kubectl))
    (syncer,) = (it for it in processes.statuses(processes.pod_of(old.release)) if it["name"] == "syncer")
    started = dt.datetime.fromisoformat(syncer["state"]["running"]["startedAt"])
    time.sleep(max(0.0, COMPARE_EVERY + 5 - (dt.datetime.now(dt.UTC) - started).total_seconds()))
    proxy = f"/api/v1/namespaces/{old.release.namespace}/pods/{old.release.pod}:8080/proxy/metrics"
    figures = [line for line in old.release.host("get", "--raw", proxy).splitlines() if not line.startswith("#")]

    assert [line for line in figures if line.startswith("sublet_corrections_total{")] == []


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_a_scheduler_of_the_version_places_a_pod(images: None, tmp_path: Path, version: str) -> None:
    release = of_version(version, tmp_path, *SCHEDULER)
    try:
        with release.tenant_namespace("t") as space:
            kubectl = release.tenant.within(space)
            kubectl.apply(pod("one", shell("echo here; exec sleep infinity")))
            kubectl.ready("one")
            there = release.host.get("pod", f"one-x-{space}-x-vc", "--namespace", release.namespace)
            node = kubectl.get("pod", "one")["spec"]["nodeName"]
            assert kubectl("logs", "one") == "here\n"
        # So the choice made inside reaches the host; without a scheduler inside there is none.
        (term,) = there["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        assert term["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": [node]}]
    finally:
        remove(release.host, release.name, release.namespace)


def test_a_jump_and_a_step_back_are_refused_and_the_way_back_keeps_everything(images: None, tmp_path: Path) -> None:
    earlier, newest = VERSIONS[-2:]
    release = of_version(earlier, tmp_path)
    try:
        kubectl = release.tenant.within("default")
        eventually(lambda: kubectl("get", "serviceaccount", "default"))
        kubectl.apply(pod("one", shell("exec sleep infinity")), plain("ConfigMap", "kept"))
        kubectl.ready("one")
        one = ("pod", "one-x-default-x-vc", "--namespace", release.namespace)
        uid = release.host.get(*one)["metadata"]["uid"]
        # As if the version before had run, whether or not the lab has it.
        release.on_host("annotate", "secret", "vc-certs", "sublet.dev/kubernetes=v1.34.0", "--overwrite")

        for unreachable, told, reachable in (
            (newest, "passes over a minor version", earlier),
            (None, "", newest),
            (earlier, "is older than", newest),
        ):
            if unreachable:
                upgrade(release, unreachable, "--timeout=60s")
                eventually(lambda told=told: told in refused(release))
            upgrade(release, reachable)

            assert eventually(lambda: kubectl.get("configmap", "kept"))
            assert json.loads(release.tenant("version", "--output=json"))["serverVersion"]["gitVersion"] == reachable
            assert release.host.get(*one)["metadata"]["uid"] == uid
        eventually(lambda: kubectl("exec", "one", "--", "true") == "")
    finally:
        remove(release.host, release.name, release.namespace)
