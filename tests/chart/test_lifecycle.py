"""What an upgrade with changed values replaces, and which versions of Kubernetes go together."""

import pytest

from tests.chart.rendering import Refused, nested, render

K8S = "controlPlane.distro.k8s"
ASIDE = [
    ("controlPlane.service", {"annotations": {"a": "b"}, "spec": {"type": "NodePort"}}),
    ("controlPlane.statefulSet.labels", {"a": "b"}),
    ("controlPlane.statefulSet.annotations", {"a": "b"}),
    ("controlPlane.statefulSet.highAvailability.replicas", 0),
    ("controlPlane.advanced.globalMetadata.annotations", {"a": "b"}),
    ("controlPlane.advanced.serviceAccount.annotations", {"a": "b"}),
    ("controlPlane.advanced.workloadServiceAccount.imagePullSecrets", [{"name": "pull"}]),
    ("policies", {"resourceQuota": {"enabled": True}, "networkPolicy": {"enabled": True}}),
    ("rbac.role.extraRules", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]),
    ("experimental.deploy.host.manifests", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
]
"""Values that do not concern what runs in the control plane's pod."""
WITHIN = [
    ("logging.level", "debug"),
    ("sync.toHost.ingresses.enabled", True),
    ("controlPlane.proxy.extraSANs", ["other.example.com"]),
    ("controlPlane.coredns.deployment.replicas", 2),
    ("controlPlane.statefulSet.env", [{"name": "A", "value": "b"}]),
    (f"{K8S}.version", "v1.36.2"),
]


def template(values):
    return render(values).get("StatefulSet")["spec"]["template"]


@pytest.mark.parametrize(("path", "value"), ASIDE, ids=[path for path, _ in ASIDE])
def test_the_pod_stays_when_a_value_beside_it_changes(path, value):
    values = nested(path, value)
    assert render(values).text != render().text
    assert template(values) == template({})


@pytest.mark.parametrize(("path", "value"), WITHIN, ids=[path for path, _ in WITHIN])
def test_the_pod_is_replaced_when_what_it_reads_changes(path, value):
    assert template(nested(path, value)) != template({})


@pytest.mark.parametrize("version", ["v1.34.0", "1.35.4", "v1.36.3"])
def test_older_versions_of_kubernetes_are_accepted(version):
    assert render(nested(f"{K8S}.version", version))


@pytest.mark.parametrize(
    ("server", "manager", "accepted"),
    [
        ("v1.36.3", "v1.36.3", True),
        ("v1.36.3", "v1.36.1", True),
        ("v1.36.3", "v1.35.4", True),
        ("v1.36.3", "v1.34.4", False),
        ("v1.35.4", "v1.36.3", False),
        ("v1.36.1", "v1.36.3", False),
        ("v1.36.3", "mine", True),
    ],
)
def test_a_controller_manager_is_not_newer_than_its_api_server_and_one_minor_older_at_most(server, manager, accepted):
    values = nested(K8S, {"version": server, "controllerManager": {"image": {"tag": manager}}})
    if accepted:
        assert render(values)
    else:
        with pytest.raises(Refused, match=r"controllerManager.image is of .*; set it to that version"):
            render(values)
