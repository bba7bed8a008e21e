"""The config document: what the syncer is told, and the rows of the rule table in it."""

import pytest
import yaml

from syncer import plan, values
from syncer.rules.table import parse_table
from tests.chart.rendering import CHART, CI_VALUES, nested, render

ROWS = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
CHART_ONLY = {"toggle", "selectionToggle", "rights", "moreRights"}


def test_the_default_document_says_who_and_where_the_cluster_is():
    assert render().config["cluster"] == {
        "name": "alpha",
        "namespace": "tenant",
        "domain": "cluster.local",
        "service": "alpha",
        "owner": {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-alpha"},
        "workloadServiceAccount": "vc-workload-alpha",
        "store": "database.embedded",
        "distro": "k8s",
        "kubernetes": "v1.36.3",
        "serviceCIDR": "",
        "extraSANs": [],
    }


def test_the_owner_that_the_document_names_is_an_object_of_the_chart():
    assert render().get("ConfigMap", render().config["cluster"]["owner"]["name"])


def test_the_document_has_these_parts_and_no_others():
    assert set(render().config) == {
        "cluster",
        "store",
        "restore",
        "certificates",
        "kubeconfigs",
        "pods",
        "scheduler",
        "nodes",
        "metadata",
        "logging",
        "events",
        "rules",
        "dns",
        "manifests",
    }


def test_the_rules_are_the_switched_on_rows_without_what_only_the_chart_reads():
    rules = render().config["rules"]
    expected = [row for row in ROWS if row["toggle"] not in OFF]
    assert [rule["resource"] for rule in rules] == [row["resource"] for row in expected]
    for rule, row in zip(rules, expected, strict=True):
        assert {key: value for key, value in rule.items() if key != "selection"} == {
            key: value for key, value in row.items() if key not in CHART_ONLY
        }


OFF = {
    "sync.toHost.ingresses.enabled",
    "sync.toHost.networkPolicies.enabled",
    "sync.toHost.podDisruptionBudgets.enabled",
    "sync.toHost.serviceAccounts.enabled",
    "sync.fromHost.nodes.enabled",
    "sync.fromHost.storageClasses.enabled",
    "controlPlane.distro.k8s.scheduler.enabled",
}


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["resource"] not in ("pods", "services")], ids=lambda row: row["resource"]
)
def test_a_switch_turns_its_row_on_and_off(row):
    nodes = nested("sync.fromHost.nodes.enabled", True) if row["resource"] == "persistentvolumes" else {}
    on, off = (render(nodes | nested(row["toggle"], state)).config["rules"] for state in (True, False))
    assert row["resource"] in [rule["resource"] for rule in on]
    assert row["resource"] not in [rule["resource"] for rule in off]


@pytest.mark.parametrize("kind", ["configMaps", "secrets"])
def test_only_used_objects_are_selected_unless_all_are_asked_for(kind):
    def selection(rendered):
        return next(rule["selection"] for rule in rendered.config["rules"] if rule["resource"] == kind.lower())

    assert selection(render()) == "used"
    assert selection(render(nested(f"sync.toHost.{kind}.all", True))) == "all"


def test_rows_without_a_selection_switch_select_all():
    assert {
        rule["selection"] for rule in render().config["rules"] if rule["resource"] not in ("configmaps", "secrets")
    } == {"all"}


def test_every_row_has_its_own_switch():
    assert len({row["toggle"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("file", CI_VALUES, ids=lambda path: path.stem)
def test_the_syncer_accepts_the_document(file):
    document = render(yaml.safe_load(file.read_text())).config
    settings = values.parse(document)
    plan.check(parse_table(settings.rules))


def test_the_syncer_sees_what_the_values_say_about_pods():
    pods = {
        "translateImage": {"a:1": "b:2"},
        "enforceTolerations": ["key=value:NoSchedule", ":NoExecute"],
        "runtimeClassName": "gvisor",
        "priorityClassName": "low",
        "rewriteHosts": {"enabled": False},
    }
    settings = values.parse(render({"sync": {"toHost": {"pods": pods}}}).config).pods
    assert settings.translate_image == {"a:1": "b:2"}
    assert [item.as_object()["operator"] for item in settings.enforce_tolerations] == ["Equal", "Exists"]
    assert (settings.runtime_class_name, settings.priority_class_name) == ("gvisor", "low")
    assert settings.rewrite_hosts.enabled is False


def test_the_first_kubeconfig_is_reached_by_the_service_inside_the_host():
    assert render().config["kubeconfigs"] == [
        {
            "secret": "vc-alpha",
            "namespace": "tenant",
            "context": "",
            "server": "https://alpha.tenant.svc",
            "insecure": False,
            "serviceAccount": None,
        }
    ]


def test_further_kubeconfigs_have_their_own_server_and_account():
    export = {
        "server": "https://outside.example.com",
        "additionalSecrets": [
            {"name": "far", "namespace": "other", "context": "c", "insecure": True},
            {"name": "robot", "serviceAccount": {"name": "bot", "clusterRole": "view"}},
        ],
    }
    first, far, robot = render({"exportKubeConfig": export}).config["kubeconfigs"]
    assert first["server"] == "https://outside.example.com"
    assert (far["namespace"], far["context"], far["insecure"], far["server"]) == (
        "other",
        "c",
        True,
        "https://alpha.tenant.svc",
    )
    assert robot["serviceAccount"] == {"name": "bot", "namespace": "kube-system", "clusterRole": "view"}


def test_a_change_of_the_document_restarts_the_pod_and_nothing_else_does():
    def checksum(values):
        return render(values).get("StatefulSet")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum(nested("logging.level", "debug")) != checksum({})
    assert checksum(nested("controlPlane.service.labels", {"a": "b"})) == checksum({})
