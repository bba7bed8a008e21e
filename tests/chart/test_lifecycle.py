"""What an upgrade with changed values replaces."""

import pytest

from tests.chart.rendering import nested, render

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
    ("experimental.deploy.vcluster.manifests", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
    ("controlPlane.coredns.deployment.replicas", 2),
    ("controlPlane.coredns.deployment.pods.labels", {"a": "b"}),
    ("controlPlane.coredns.deployment.image", "example.com/coredns:1"),
    ("controlPlane.coredns.overwriteConfig", ".:1053 {}"),
    ("controlPlane.coredns.priorityClassName", "high"),
    ("controlPlane.advanced.podDisruptionBudget", {"enabled": True}),
    ("controlPlane.service.labels", {"a": "b"}),
    ("controlPlane.ingress", {"enabled": True, "spec": {"rules": [{"host": "api.example.com"}]}}),
    ("policies", {"limitRange": {"enabled": True}}),
    ("rbac.role.enabled", False),
]
"""Values that do not concern what runs in the control plane's pod."""
WITHIN = [
    ("logging.level", "debug"),
    ("sync.toHost.ingresses.enabled", True),
    ("controlPlane.proxy.extraSANs", ["other.example.com"]),
    ("controlPlane.coredns.enabled", False),
    ("controlPlane.coredns.embedded", True),
    ("controlPlane.ingress", {"enabled": True, "host": "api.example.com"}),
    ("controlPlane.serviceMonitor.enabled", True),
    ("controlPlane.statefulSet.image", "example.com/syncer:1"),
    ("controlPlane.distro.k8s.apiServer.extraArgs", ["--v=2"]),
    ("sync.fromHost.nodes.enabled", True),
    ("exportKubeConfig.server", "https://api.example.com"),
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
