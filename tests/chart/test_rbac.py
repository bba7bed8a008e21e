"""The rights that the chart asks for: whole rule lists, by default and for each switch."""

import pytest
import yaml

from tests.chart.rendering import CHART, Object, Refused, nested, render

ALL = ["create", "delete", "get", "list", "patch", "update", "watch"]


def rule(group: str, resources: str | list[str], verbs: list[str], *, names: list[str] | None = None) -> Object:
    resources = [resources] if isinstance(resources, str) else resources
    found: Object = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return found | ({"resourceNames": names} if names else {})


OWN = [
    rule("", "configmaps", ["get", "list", "watch"], names=["vc-owner-alpha"]),
    rule("", "services", ["get", "list", "watch"], names=["alpha"]),
    rule("discovery.k8s.io", "endpointslices", ["get", "list", "watch"]),
    rule("", "secrets", ["get", "patch", "update"], names=["alpha-certs", "vc-alpha"]),
    rule("", "secrets", ["create"]),
    rule("", "secrets", ["get", "list", "watch"], names=["alpha-certs"]),
]
PODS = [
    rule("", "pods", ALL),
    rule("", "pods/status", ["patch"]),
    rule("", "pods/ephemeralcontainers", ["patch", "update"]),
    rule("", "pods/resize", ["patch"]),
    rule("", "pods/log", ["get"]),
    rule("", ["pods/attach", "pods/exec", "pods/portforward"], ["create", "get"]),
    rule("", "secrets", ALL),
]
BY_TOGGLE = {
    "sync.toHost.pods.enabled": PODS,
    "sync.toHost.services.enabled": [rule("", "services", ALL)],
    "sync.toHost.endpointSlices.enabled": [rule("discovery.k8s.io", "endpointslices", ALL)],
    "sync.toHost.configMaps.enabled": [rule("", "configmaps", ALL)],
    "sync.toHost.secrets.enabled": [rule("", "secrets", ALL)],
    "sync.toHost.persistentVolumeClaims.enabled": [rule("", "persistentvolumeclaims", ALL)],
    "sync.fromHost.events.enabled": [rule("", "events", ["list", "watch"])],
}
ALWAYS_ON = {"sync.toHost.pods.enabled", "sync.toHost.services.enabled"}
OFF_BY_DEFAULT = {
    "sync.toHost.ingresses.enabled": rule("networking.k8s.io", "ingresses", ALL),
    "sync.toHost.networkPolicies.enabled": rule("networking.k8s.io", "networkpolicies", ALL),
    "sync.toHost.podDisruptionBudgets.enabled": rule("policy", "poddisruptionbudgets", ALL),
    "sync.toHost.serviceAccounts.enabled": rule("", "serviceaccounts", ALL),
}
DEFAULT = [*OWN, *(item for rules in BY_TOGGLE.values() for item in rules)]
NODES = {"sync": {"fromHost": {"nodes": {"enabled": True}}}}


def test_the_default_role_is_exactly_this():
    assert render().get("Role", "vc-alpha")["rules"] == DEFAULT


def test_the_default_install_has_no_cluster_wide_right():
    assert not render().of("ClusterRole")
    assert not render().of("ClusterRoleBinding")


@pytest.mark.parametrize("toggle", [toggle for toggle in BY_TOGGLE if toggle not in ALWAYS_ON])
def test_switching_a_kind_off_takes_away_exactly_its_rules(toggle):
    rules = render(nested(toggle, False)).get("Role", "vc-alpha")["rules"]
    expected = list(reversed(DEFAULT))
    for item in BY_TOGGLE[toggle]:
        expected.remove(item)  # the last one: pods need Secrets for themselves
    assert rules == list(reversed(expected))


@pytest.mark.parametrize("toggle", OFF_BY_DEFAULT)
def test_switching_a_kind_on_adds_exactly_its_rule(toggle):
    rendered = render(nested(toggle, True))
    rules = rendered.get("Role", "vc-alpha")["rules"]
    assert [item for item in rules if item not in DEFAULT] == [OFF_BY_DEFAULT[toggle]]
    assert [item for item in DEFAULT if item not in rules] == []
    assert not rendered.of("ClusterRole")


def test_a_ca_from_a_secret_may_be_read_and_nothing_else():
    rules = render(nested("controlPlane.advanced.certificateAuthority.secretName", "company")).get("Role", "vc-alpha")[
        "rules"
    ]
    changed = rule("", "secrets", ["get", "list", "watch"], names=["alpha-certs", "company"])
    assert [item for item in rules if item not in DEFAULT] == [changed]


def test_real_nodes_are_what_needs_a_cluster_role():
    rendered = render(NODES)
    assert rendered.get("ClusterRole", "vc-alpha-v-tenant")["rules"] == [rule("", "nodes", ["get", "list", "watch"])]
    assert rendered.get("Role", "vc-alpha")["rules"] == DEFAULT


def test_the_cluster_role_is_bound_to_the_control_plane():
    binding = render(NODES).get("ClusterRoleBinding", "vc-alpha-v-tenant")
    assert binding["roleRef"]["name"] == "vc-alpha-v-tenant"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "vc-alpha", "namespace": "tenant"}]


def test_a_cluster_role_that_is_refused_is_not_rendered():
    assert not render(NODES | {"rbac": {"clusterRole": {"enabled": False}}}).of("ClusterRole")


@pytest.mark.parametrize("kind", ["role", "clusterRole"])
def test_extra_rules_come_last(kind):
    extra = rule("example.com", "widgets", ["get"])
    rendered = render({"rbac": {kind: {"extraRules": [extra]}}})
    found = rendered.of("Role" if kind == "role" else "ClusterRole")[0]["rules"]
    assert found == ([*DEFAULT, extra] if kind == "role" else [extra])


@pytest.mark.parametrize("kind", ["role", "clusterRole"])
def test_overwriting_rules_leaves_no_other(kind):
    only = rule("example.com", "widgets", ["get"])
    rendered = render(NODES | {"rbac": {kind: {"overwriteRules": [only]}}})
    assert rendered.of("Role" if kind == "role" else "ClusterRole")[0]["rules"] == [only]


def test_the_role_can_be_left_to_others():
    rendered = render({"rbac": {"role": {"enabled": False}}})
    assert not rendered.of("Role")
    assert not rendered.of("RoleBinding")


def test_the_role_is_bound_to_an_account_of_another_name():
    account = {"enabled": False, "name": "somebody"}
    binding = render({"controlPlane": {"advanced": {"serviceAccount": account}}}).get("RoleBinding", "vc-alpha")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "somebody", "namespace": "tenant"}]


def secrets(*entries: Object) -> Object:
    return {"exportKubeConfig": {"additionalSecrets": list(entries)}}


def test_a_further_kubeconfig_at_home_is_a_name_more():
    rules = render(secrets({"name": "further"})).get("Role", "vc-alpha")["rules"]
    assert rule("", "secrets", ["get", "patch", "update"], names=["alpha-certs", "vc-alpha", "further"]) in rules
    assert len(rules) == len(DEFAULT)


def test_a_kubeconfig_elsewhere_is_an_empty_secret_of_the_chart_with_rights_on_its_name_only():
    rendered = render(secrets({"name": "far", "namespace": "other"}, {"name": "away", "namespace": "other"}))
    role, binding = rendered.get("Role", "vc-alpha-v-tenant"), rendered.get("RoleBinding", "vc-alpha-v-tenant")
    assert role["rules"] == [rule("", "secrets", ["get", "patch", "update"], names=["far", "away"])]
    assert {item["metadata"]["namespace"] for item in (role, binding)} == {"other"}
    assert binding["subjects"][0]["namespace"] == "tenant"
    for name in ("far", "away"):
        secret = rendered.get("Secret", name)
        assert secret["metadata"]["namespace"] == "other"
        assert "data" not in secret
    assert rendered.get("Role", "vc-alpha")["rules"] == DEFAULT


@pytest.mark.parametrize("name", ["vc-alpha", "alpha-certs", "vc-config-alpha"])
def test_a_kubeconfig_may_not_take_the_name_of_another_secret(name):
    with pytest.raises(Refused, match=f"tenant/{name} is already taken"):
        render(secrets({"name": name}))


SCHEDULER = nested("controlPlane.distro.k8s.scheduler.enabled", True) | NODES
READ = ["list", "watch"]


@pytest.mark.parametrize(
    "path", ["controlPlane.distro.k8s.scheduler.enabled", "controlPlane.advanced.virtualScheduler.enabled"]
)
def test_a_scheduler_inside_must_know_nodes_classes_and_volumes(path):
    rendered = render(NODES | nested(path, True))
    assert rendered.get("ClusterRole", "vc-alpha-v-tenant")["rules"] == [
        rule("", "nodes", ["get", *READ]),
        rule("storage.k8s.io", "storageclasses", READ),
        rule("", "persistentvolumes", READ),
    ]
    assert rendered.get("Role", "vc-alpha")["rules"] == DEFAULT


@pytest.mark.parametrize(("base", "wanted", "shown"), [({}, True, True), ({}, "true", True), (SCHEDULER, False, False)])
def test_storage_classes_can_be_shown_or_not_whoever_schedules(base, wanted, shown):
    sync = {"fromHost": {**base.get("sync", {}).get("fromHost", {}), "storageClasses": {"enabled": wanted}}}
    rules = [item["rules"] for item in render(base | {"sync": sync}).of("ClusterRole")]
    assert any(rule("storage.k8s.io", "storageclasses", READ) in found for found in rules) is shown


def test_every_switch_of_the_rule_table_has_its_rules_here():
    cluster_wide = {
        "sync.fromHost.nodes.enabled",
        "sync.fromHost.storageClasses.enabled",
        "controlPlane.distro.k8s.scheduler.enabled",
    }
    rows = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    assert {row["toggle"] for row in rows} == {*BY_TOGGLE, *OFF_BY_DEFAULT, *cluster_wide}
