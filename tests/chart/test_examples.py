"""The examples give whole releases."""

import pytest
import yaml

from lab import catalogue
from tests.chart.examples import EXAMPLES, NAMES, objects
from tests.chart.rendering import CHART, render


@pytest.mark.parametrize("name", NAMES)
def test_an_example_gives_a_namespace_and_a_control_plane_in_it(name, tmp_path):
    found = objects(name, tmp_path)
    (namespace,) = (item for item in found if item["kind"] == "Namespace")
    inside = [item for item in found if item is not namespace]
    assert {item["kind"] for item in inside} >= {"StatefulSet", "Service", "Secret", "Role"}
    assert {item["metadata"]["namespace"] for item in inside} == {namespace["metadata"]["name"]}
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_the_same_each_time(name, tmp_path):
    assert objects(name, tmp_path / "one") == objects(name, tmp_path / "two")


def test_an_overlay_reaches_what_the_chart_renders(tmp_path):
    (found,) = (item for item in objects("kustomize", tmp_path) if item["kind"] == "StatefulSet")
    assert found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 20


def test_examples_name_the_version_of_the_chart():
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    (chart,) = yaml.safe_load((EXAMPLES / "kustomize" / "kustomization.yaml").read_text())["helmCharts"]
    application = yaml.safe_load((EXAMPLES / "argocd" / "application.yaml").read_text())
    assert (chart["version"], application["spec"]["source"]["targetRevision"]) == (version, version)


def test_the_example_with_helm_runs_the_helm_of_the_lab_with_the_exported_kubeconfig_and_no_token_of_the_hosts():
    rendered = render(yaml.safe_load((EXAMPLES / "helm" / "values.yaml").read_text()))
    (job,) = rendered.of("Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == catalogue.HELM
    assert {"name": "kubeconfig", "secret": {"secretName": "vc-alpha"}} in pod["volumes"]
    assert pod["automountServiceAccountToken"] is False
