"""values.yaml, its page in the docs, its schema and the templates tell the same story."""

import json
import re
import subprocess
import sys

import pytest
import yamale
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from docs.generate_values import documented, leaves
from tests.chart.rendering import CHART, CI_VALUES, Refused, helm, pod_specs, put, render

TEXT = (CHART / "values.yaml").read_text()
VALUES = yaml.safe_load(TEXT)
ROOT = CHART.parent


def at(path):
    value = VALUES
    for key in path.split("."):
        value = value[key]
    return value


def another(path, value):
    """A value of the same form that differs."""
    special = {
        "controlPlane.distro.k8s.version": "v1.36.9",
        "controlPlane.distro.k0s.config": "spec: {telemetry: {enabled: true}}",
        "controlPlane.backingStore.database.embedded.dataSource": "sqlite:///data/other.db",
        "controlPlane.statefulSet.dnsPolicy": "Default",
        "controlPlane.statefulSet.persistence.dataVolume": [{"name": "data", "emptyDir": {}}],
        "controlPlane.statefulSet.persistence.volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        "controlPlane.tlsRoute.apiVersion": "gateway.networking.k8s.io/v1alpha3",
        "controlPlane.statefulSet.persistence.volumeClaim.retentionPolicy": "Delete",
        "controlPlane.statefulSet.scheduling.podManagementPolicy": "OrderedReady",
        "controlPlane.statefulSet.highAvailability.replicas": 0,
        "exportKubeConfig.server": "https://other.example.com",
        "networking.serviceCIDR": "10.0.0.0/16",
        "exportKubeConfig.additionalSecrets": [{"name": "other"}],
        "sync.toHost.pods.enforceTolerations": [":NoExecute"],
        "controlPlane.statefulSet.persistence.volumeClaim.accessModes": ["ReadWriteMany"],
        "controlPlane.statefulSet.persistence.volumeClaim.enabled": False,
        "logging.level": "debug",
        "policies.networkPolicy.workload.publicEgress.cidr": "::/0",
        "policies.networkPolicy.workload.publicEgress.except": ["10.0.0.0/8"],
        "controlPlane.statefulSet.initContainers": [{"name": "other", "image": "other"}],
        "controlPlane.statefulSet.sidecarContainers": [{"name": "other", "image": "other"}],
    }
    if path in special:
        return special[path]
    if value == "auto":
        return True
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if path.endswith("File"):
        return "/other/file"
    if isinstance(value, str):
        return {"IfNotPresent": "Always", "ClusterIP": "NodePort"}.get(value, "other")
    if isinstance(value, list):
        strings = re.search(r"(Args|SANs|forward|scopes|denyLabels|denyAnnotations|drop)$", path)
        return ["other"] if strings else [{"name": "other"}]
    return {"other": "thing"}


SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FORMS = {"resources", "image"}
"""Definitions of Kubernetes' own forms, of which values need not name all fields."""
FREE = ("controlPlane.ingress.spec.", "controlPlane.service.spec.", "controlPlane.tlsRoute.spec.")
"""Hold whatever the specs of these kinds may have."""
STORES = "controlPlane.backingStore"
QUOTA = "policies.resourceQuota.quota"
PATHS = [QUOTA, *(path for path in leaves(VALUES) if path != "global" and not path.startswith(f"{QUOTA}."))]
"""What is set one by one; the quota as a whole, since its keys have dots."""
SWITCHES = {
    "controlPlane.statefulSet.highAvailability.": {
        f"{STORES}.database.external.enabled": True,
        f"{STORES}.database.external.connector": "database",
        "controlPlane.statefulSet.highAvailability.replicas": 2,
    },
    "controlPlane.advanced.podDisruptionBudget.": {"controlPlane.advanced.podDisruptionBudget.enabled": True},
    "sync.fromHost.nodes.selector.": {"sync.fromHost.nodes.enabled": True},
    "controlPlane.distro.k3s.": {"controlPlane.distro.k3s.enabled": True},
    "controlPlane.distro.k0s.": {"controlPlane.distro.k0s.enabled": True},
    "controlPlane.distro.k8s.enabled": {"controlPlane.distro.k3s.enabled": True},
    "controlPlane.distro.k8s.scheduler.": {
        "controlPlane.distro.k8s.scheduler.enabled": True,
        "sync.fromHost.nodes.enabled": True,
    },
    "controlPlane.ingress.": {"controlPlane.ingress.enabled": True, "controlPlane.ingress.host": "api.example.com"},
    "controlPlane.tlsRoute.": {
        "controlPlane.tlsRoute.enabled": True,
        "controlPlane.tlsRoute.host": "api.example.com",
        "controlPlane.tlsRoute.parentRefs": [{"name": "outer"}],
    },
    "controlPlane.serviceMonitor.": {"controlPlane.serviceMonitor.enabled": True},
    "policies.resourceQuota.": {"policies.resourceQuota.enabled": True},
    "policies.limitRange.": {"policies.limitRange.enabled": True},
    "policies.networkPolicy.": {"policies.networkPolicy.enabled": True},
    "exportKubeConfig.serviceAccount.": {"exportKubeConfig.serviceAccount.name": "robot"},
    f"{STORES}.database.embedded.enabled": {f"{STORES}.etcd.embedded.enabled": True},
    f"{STORES}.database.external.": {
        f"{STORES}.database.external.enabled": True,
        f"{STORES}.database.external.connector": "database",
    },
    f"{STORES}.etcd.deploy.": {f"{STORES}.etcd.deploy.enabled": True},
    f"{STORES}.etcd.embedded.": {f"{STORES}.etcd.embedded.enabled": True},
    f"{STORES}.etcd.external.": {
        f"{STORES}.etcd.external.enabled": True,
        f"{STORES}.etcd.external.endpoint": "https://etcd.example:2379",
    },
}
"""What has to be set for the values below a path, or one of them, to matter."""


def outcome(values):
    """What is rendered, or why nothing is."""
    try:
        return render(values).text
    except Refused as refused:
        return str(refused)


def test_every_value_is_documented():
    known = [value.path for value in documented(TEXT)]
    assert [
        leaf for leaf in leaves(VALUES) if not any(leaf == path or leaf.startswith(f"{path}.") for path in known)
    ] == []


@pytest.mark.parametrize("path", PATHS)
def test_every_value_changes_something(path):
    base, setting = {}, {}
    for beginning, switches in SWITCHES.items():
        if path.startswith(beginning) and path != f"{beginning}enabled":
            for values in (base, setting):
                for switch, value in switches.items():
                    put(values, switch, value)
    put(setting, path, another(path, at(path)))
    assert outcome(setting) != outcome(base)


def reads(text):
    """The paths below .Values that a template reads, by name or by a variable that holds a part of them."""
    held = {"root.Values": "", "Values": ""}
    for name, start, path in re.findall(r"\$(\w+) := \$?\.?([A-Za-z.]*?Values|\w+)\.([A-Za-z0-9.]+) -?}}", text):
        if start in held:
            held[name] = f"{held[start]}{path}."
    for name, above in held.items():
        written = rf"\.{re.escape(name)}" if name.endswith("Values") else rf"\${name}"
        for path in re.findall(rf"{written}\.([A-Za-z0-9.]+)", text):
            yield f"{above}{path}"


def test_every_value_that_a_template_reads_is_there():
    read = set()
    for file in [*(CHART / "templates").rglob("*"), *(CHART / "files").iterdir()]:
        if file.is_file():
            read |= set(reads(file.read_text()))
    assert {"controlPlane.statefulSet.scheduling.nodeSelector", "rbac.role.extraRules"} <= read
    assert [path for path in read if not present(path) and not path.startswith(FREE)] == []


def test_the_schema_describes_the_values_and_no_others():
    def described(schema, path=""):
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = SCHEMA["definitions"][name] | {"name": name}
        if schema.get("name") == "notYet":
            return
        if "properties" not in schema or schema.get("name") in FORMS:
            yield path
        else:
            for key, below in schema["properties"].items():
                yield from described(below, f"{path}.{key}" if path else key)

    paths = set(described(SCHEMA))
    assert {path for path in paths if not present(path)} == set()
    assert {leaf for leaf in leaves(VALUES) if not any(f"{leaf}.".startswith(f"{path}.") for path in paths)} == set()


def present(path):
    """Whether values.yaml has a value at that path."""
    try:
        at(path)
    except (KeyError, TypeError):
        return False
    return True


def test_every_switch_of_the_rule_table_is_there():
    for row in yaml.safe_load((CHART / "files" / "rules.yaml").read_text()):
        assert isinstance(at(row["toggle"]), bool) or at(row["toggle"]) == "auto"
        assert isinstance(at(row["selectionToggle"]), bool) if "selectionToggle" in row else True


def test_the_generated_pages_are_up_to_date():
    result = subprocess.run(
        [sys.executable, "-m", "docs", "--verify"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("file", CI_VALUES, ids=lambda path: path.stem)
def test_helm_lint_is_content_with_every_values_file_of_the_ci(file):
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), "--values", str(file))


@pytest.mark.parametrize(
    "file", [CHART / "Chart.yaml", CHART / "values.yaml", ROOT / "ct.yaml", *CI_VALUES], ids=lambda path: path.name
)
def test_yamllint_is_content_as_ct_runs_it(file):
    assert [
        str(problem) for problem in linter.run(file.read_text(), YamlLintConfig(file=str(ROOT / "lintconf.yaml")))
    ] == []


def test_yamale_is_content_as_ct_runs_it():
    schema = yamale.make_schema(ROOT / "chart_schema.yaml")
    assert all(result.isValid() for result in yamale.validate(schema, yamale.make_data(CHART / "Chart.yaml")))


def test_ct_finds_the_chart_and_its_configuration():
    settings = yaml.safe_load((ROOT / "ct.yaml").read_text())
    assert any((ROOT / folder / "chart" / "Chart.yaml").exists() for folder in settings["chart-dirs"])
    assert (ROOT / settings["lint-conf"]).is_file()
    assert (ROOT / settings["chart-yaml-schema"]).is_file()


CHANGES = {"added", "changed", "deprecated", "fixed", "removed", "security"}
"""Kinds of change that Artifact Hub knows."""


def test_the_chart_tells_artifact_hub_what_it_is():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"].endswith("-0")
    notes = chart["annotations"]
    assert {change["kind"] for change in yaml.safe_load(notes["artifacthub.io/changes"])} <= CHANGES
    assert all(link["url"].startswith("https://") for link in yaml.safe_load(notes["artifacthub.io/links"]))


def test_artifact_hub_looks_through_the_images_that_run():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    listed = {item["image"] for item in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])}
    nodes, scheduler = "sync.fromHost.nodes.enabled", "controlPlane.distro.k8s.scheduler.enabled"
    values = {}
    for path in (nodes, scheduler):
        put(values, path, True)
    rendered = render(values)
    run = {
        item["image"]
        for _, spec in pod_specs(rendered)
        for item in (*spec.get("initContainers", ()), *spec["containers"])
    }
    assert run | {rendered.config["pods"]["rewriteHosts"]["image"]} <= listed
