"""A release that installs a chart into its virtual cluster, as the example says."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from lab import catalogue, commands
from tests.chart.examples import EXAMPLES
from tests.e2e.tenancy import CHART, eventually, helm, install, remove

pytestmark = pytest.mark.long
VALUES = str(EXAMPLES / "helm" / "values.yaml")


def test_a_chart_is_installed_with_the_release_and_upgraded_with_it(lab: None, tmp_path: Path) -> None:
    commands.prepare_images([catalogue.HELM])
    release = install("vc", f"charts-{uuid.uuid4().hex[:6]}", tmp_path, "--values", VALUES)
    try:
        kubectl = release.tenant.within("hello")
        release.on_host("wait", "--for=condition=Complete", "job/vc-charts-1", "--timeout=60s")
        assert kubectl.get("configmap", "hello")["data"] == {"from": "helm"}

        kubectl("delete", "configmap", "hello")
        helm("upgrade", "vc", str(CHART), "--namespace", release.namespace, "--values", VALUES)
        release.on_host("wait", "--for=condition=Complete", "job/vc-charts-2", "--timeout=60s")
        assert eventually(lambda: kubectl.get("configmap", "hello"))
        assert "job.batch/vc-charts-1" not in release.on_host("get", "jobs", "--output=name").split()
        assert "sh.helm.release.v1.hello.v2" in kubectl.names("secrets")
    finally:
        remove(release.host, release.name, release.namespace)
