"""Every values file of the chart's CI, installed: the control plane comes up and runs a pod of the tenant."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.e2e.objects import Object
from tests.e2e.tenancy import CHART, Release, eventually, install, pod, remove, shell

FENCED = "fenced-values"
FILES = {path.stem: path for path in sorted((CHART / "ci").glob("*-values.yaml"))}


@pytest.fixture(
    scope="module", params=[name if name == FENCED else pytest.param(name, marks=pytest.mark.long) for name in FILES]
)
def installed(lab: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release with one of the files."""
    namespace, folder = f"values-{uuid.uuid4().hex[:6]}", tmp_path_factory.mktemp(request.param)
    found = install("vc", namespace, folder, "--values", str(FILES[request.param]))
    yield inside(found)
    remove(found.host, found.name, namespace)


def inside(release: Release) -> Release:
    """The release with its Service's address in the tenant's kubeconfig, which may name one outside."""
    service = release.host.get("service", release.name, "--namespace", release.namespace)
    file = release.tenant.kubeconfig
    file.write_text(re.sub(r"server: \S+", f"server: https://{service['spec']['clusterIP']}", file.read_text()))
    return replace(release, tenant=replace(release.tenant, kubeconfig=file))


def test_the_control_plane_runs_a_pod(installed: Release) -> None:
    with installed.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as space:
        kubectl = installed.tenant.within(space)
        kubectl.apply(pod("one", shell("echo here; exec sleep infinity")), namespace=space)
        kubectl.ready("one")

        assert kubectl("logs", "one") == "here\n"


@pytest.fixture
def fenced(installed: Release, request: pytest.FixtureRequest) -> Release:
    """The release that is limited and brings things along."""
    if request.node.callspec.params["installed"] != FENCED:
        pytest.skip("belongs to another values file")
    return installed


def test_added_containers_run_first_and_beside(fenced: Release) -> None:
    status = fenced.host.get("pod", fenced.pod, "--namespace", fenced.namespace)["status"]
    before = next(item for item in status["initContainerStatuses"] if item["name"] == "before")
    beside = next(item for item in status["containerStatuses"] if item["name"] == "beside")

    assert before["state"]["terminated"]["reason"] == "Completed"
    assert "running" in beside["state"]


def test_manifests_are_applied_on_the_host_and_in_the_virtual_cluster(fenced: Release) -> None:
    assert fenced.on_host("get", "configmap", "beside")
    kubectl = fenced.tenant.within("shop")
    assert eventually(lambda: kubectl.get("configmap", "origin"))["data"] == {"release": "vc"}
    assert {"stock", "origin"} <= kubectl.names("configmaps")


def test_what_does_not_fit_the_quota_is_refused_with_its_reason_on_the_tenants_pod(fenced: Release) -> None:
    with fenced.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as space:
        kubectl = fenced.tenant.within(space)
        kubectl.apply(*(pod(f"p-{number}", shell("exec sleep infinity")) for number in range(6)), namespace=space)

        assert "exceeded quota: vc-vc" in eventually(lambda: "\n".join(told(kubectl.items("events"))))


def test_containers_without_resources_get_those_of_the_limit_range(fenced: Release) -> None:
    with fenced.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as space:
        kubectl = fenced.tenant.within(space)
        kubectl.apply(pod("plain", shell("exec sleep infinity")), namespace=space)
        kubectl.ready("plain")
        (found,) = fenced.host.items(
            "pods", "--namespace", fenced.namespace, f"--selector=sublet.dev/namespace={space}"
        )

    assert found["spec"]["containers"][0]["resources"]["limits"] == {
        "cpu": "1",
        "memory": "512Mi",
        "ephemeral-storage": "8Gi",
    }


def told(events: list[Object]) -> list[str]:
    """What events say."""
    return [event.get("message") or "" for event in events]
