"""Every values file of the chart's CI and every vcluster.yaml that ours understands, installed: it runs a pod of the tenant."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.chart.rendering import CI_VALUES, VCLUSTER_FILES
from tests.e2e.objects import Object
from tests.e2e.tenancy import Release, eventually, host_kubectl, install, pod, remove, shell

FENCED = "fenced-values"
MOVED = [path for path in VCLUSTER_FILES if path.read_text().startswith("# installs")]
limited = pytest.mark.parametrize("installed", [FENCED], indirect=True, scope="module")
"""For what concerns the release alone that is limited and brings things along."""
FILES = {path.stem: path for path in (*CI_VALUES, *MOVED)}


@pytest.fixture(
    scope="module", params=[name if name == FENCED else pytest.param(name, marks=pytest.mark.long) for name in FILES]
)
def installed(lab: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release with one of the files."""
    namespace, folder = f"values-{uuid.uuid4().hex[:6]}", tmp_path_factory.mktemp(request.param)
    try:
        yield install("vc", namespace, folder, "--values", str(FILES[request.param]))
    finally:
        remove(host_kubectl(), "vc", namespace)


def test_the_control_plane_runs_a_pod(installed: Release) -> None:
    with installed.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as space:
        kubectl = installed.tenant.within(space)
        kubectl.apply(pod("one", shell("echo here; exec sleep infinity")), namespace=space)
        kubectl.ready("one")

        assert kubectl("logs", "one") == "here\n"


@limited
def test_added_containers_run_first_and_beside(installed: Release) -> None:
    status = installed.host.get("pod", installed.pod, "--namespace", installed.namespace)["status"]
    before = next(item for item in status["initContainerStatuses"] if item["name"] == "before")
    beside = next(item for item in status["containerStatuses"] if item["name"] == "beside")

    assert before["state"]["terminated"]["reason"] == "Completed"
    assert "running" in beside["state"]


@limited
def test_manifests_are_applied_on_the_host_and_in_the_virtual_cluster(installed: Release) -> None:
    assert installed.on_host("get", "configmap", "beside")
    kubectl = installed.tenant.within("shop")
    assert eventually(lambda: kubectl.get("configmap", "origin"))["data"] == {"release": "vc"}
    assert {"stock", "origin"} <= kubectl.names("configmaps")


@limited
def test_what_does_not_fit_the_quota_is_refused_with_its_reason_on_the_tenants_pod(installed: Release) -> None:
    with installed.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as space:
        kubectl = installed.tenant.within(space)
        kubectl.apply(*(pod(f"p-{number}", shell("exec sleep infinity")) for number in range(6)), namespace=space)

        assert "exceeded quota: vc-vc" in eventually(lambda: "\n".join(told(kubectl.items("events"))))


@limited
def test_containers_without_resources_get_those_of_the_limit_range(installed: Release) -> None:
    with installed.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as space:
        kubectl = installed.tenant.within(space)
        kubectl.apply(pod("plain", shell("exec sleep infinity")), namespace=space)
        kubectl.ready("plain")
        (found,) = installed.host.items(
            "pods", "--namespace", installed.namespace, f"--selector=sublet.dev/namespace={space}"
        )

    assert found["spec"]["containers"][0]["resources"]["limits"] == {
        "cpu": "1",
        "memory": "512Mi",
        "ephemeral-storage": "8Gi",
    }


def told(events: list[Object]) -> list[str]:
    """What events say."""
    return [event.get("message") or "" for event in events]
