"""What users add to the control plane's pod, to the release and to the virtual cluster."""

import pytest

from tests.chart.rendering import nested, render
from tests.chart.test_security import violations

SET = "controlPlane.statefulSet"
CONTAINER = {"name": "mine", "image": "example.com/mine:1"}
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: added}\ndata: {from: '{{ .Release.Name }}'}\n"


def test_init_containers_run_before_ours():
    pod = render(nested(f"{SET}.initContainers", [CONTAINER])).pod
    assert [item["name"] for item in pod["initContainers"]][:2] == ["mine", "pki"]


def test_sidecars_run_beside_ours():
    pod = render(nested(f"{SET}.sidecarContainers", [CONTAINER])).pod
    assert [item["name"] for item in pod["containers"]] == ["controller-manager", "mine"]


@pytest.mark.parametrize("key", ["initContainers", "sidecarContainers"])
def test_added_containers_are_as_restricted_as_ours_unless_they_say_otherwise(key):
    assert violations(render(nested(f"{SET}.{key}", [CONTAINER])).pod) == []
    own = CONTAINER | {"securityContext": {"readOnlyRootFilesystem": False}}
    context = render(nested(f"{SET}.{key}", [own])).container("mine")["securityContext"]
    assert context["readOnlyRootFilesystem"] is False
    assert context["allowPrivilegeEscalation"] is False


def test_added_containers_get_no_credential_for_the_host():
    rendered = render(nested(f"{SET}.sidecarContainers", [CONTAINER]))
    assert "volumeMounts" not in rendered.container("mine")
    assert rendered.pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("key", "found"), [("manifests", "{{ .Release.Name }}"), ("manifestsTemplate", "alpha")])
def test_manifests_for_the_host_are_part_of_the_release(key, found):
    rendered = render(nested(f"experimental.deploy.host.{key}", MANIFEST))
    assert rendered.get("ConfigMap", "added")["data"] == {"from": found}


@pytest.mark.parametrize(("key", "found"), [("manifests", "{{ .Release.Name }}"), ("manifestsTemplate", "alpha")])
def test_manifests_for_the_virtual_cluster_are_what_the_syncer_applies_last(key, found):
    rendered = render(nested(f"experimental.deploy.vcluster.{key}", MANIFEST))
    assert rendered.manifests[-1]["data"] == {"from": found}
    assert rendered.manifests[:-1] == render().manifests


def test_both_forms_go_together():
    other = MANIFEST.replace("added", "other")
    for place in ("host", "vcluster"):
        rendered = render(nested(f"experimental.deploy.{place}", {"manifests": MANIFEST, "manifestsTemplate": other}))
        objects = list(rendered.objects) if place == "host" else rendered.manifests
        assert {"added", "other"} <= {item["metadata"]["name"] for item in objects}


def test_a_manifest_without_dns_stands_alone():
    values = nested("experimental.deploy.vcluster.manifests", MANIFEST) | nested("controlPlane.coredns.enabled", False)
    assert [item["metadata"]["name"] for item in render(values).manifests] == ["added"]
