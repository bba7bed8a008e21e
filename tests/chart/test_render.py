"""The objects as a whole: names, namespaces, labels, the same text every time."""

import re

import pytest
import yaml

from tests.chart.rendering import CHART, CI_VALUES, helm, nested, pod_specs, render, template

SELECTOR = {
    "app.kubernetes.io/name": "sublet",
    "app.kubernetes.io/instance": "alpha",
    "app.kubernetes.io/component": "control-plane",
}


def test_the_default_install_is_these_objects():
    assert {(item["kind"], item["metadata"]["name"]) for item in render().objects} == {
        ("ConfigMap", "vc-owner-alpha"),
        ("Pod", "alpha-test"),
        ("Role", "vc-alpha"),
        ("RoleBinding", "vc-alpha"),
        ("Secret", "vc-config-alpha"),
        ("Service", "alpha"),
        ("Service", "alpha-headless"),
        ("ServiceAccount", "vc-alpha"),
        ("ServiceAccount", "vc-workload-alpha"),
        ("StatefulSet", "alpha"),
    }


@pytest.mark.parametrize("file", CI_VALUES, ids=lambda path: path.stem)
def test_two_renders_are_byte_equal(file):
    text = file.read_text()
    assert template(text, "alpha", "tenant") == template(text, "alpha", "tenant")


@pytest.mark.parametrize("file", CI_VALUES, ids=lambda path: path.stem)
def test_helm_3_and_helm_4_render_the_same(file):
    texts = [template(file.read_text(), "alpha", "tenant", program=program) for program in ("helm3", "helm")]
    assert documents(texts[0]) == documents(texts[1])
    assert len(documents(texts[0])) > 8


def documents(text):
    """The objects of a render by kind and name; helm's versions order them and end lines differently."""
    return {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text) if item}


def test_the_render_does_not_depend_on_the_cluster():
    plain = template("{}", "alpha", "tenant")
    arguments = ("--kube-version", "1.31.9", "--api-versions", "monitoring.coreos.com/v1", "--is-upgrade")
    assert helm("template", "alpha", str(CHART), "--namespace", "tenant", *arguments) == plain


def test_no_template_asks_the_cluster_or_rolls_dice():
    for file in (CHART / "templates").rglob("*"):
        if file.is_file() and file.parent.name != "tests":
            assert not re.search(
                r"\b(lookup|gen[A-Z]\w+|rand\w+|now|uuidv4|\.Capabilities)\b|helm\.sh/hook", file.read_text()
            ), file


def test_one_helper_alone_names_the_releases_namespace():
    uses = [
        line for file in (CHART / "templates").rglob("*") if file.is_file() for line in file.read_text().splitlines()
    ]
    assert sum(".Release.Namespace" in line for line in uses) == 1


def test_no_template_is_longer_than_300_lines():
    assert [
        file for file in (CHART / "templates").rglob("*") if file.is_file() and len(file.read_text().splitlines()) > 300
    ] == []
    assert len((CHART / "values.yaml").read_text().splitlines()) < 700


@pytest.mark.parametrize("file", CI_VALUES, ids=lambda path: path.stem)
def test_every_namespaced_object_names_its_namespace(file):
    for item in render(yaml.safe_load(file.read_text())).objects:
        assert ("namespace" in item["metadata"]) != item["kind"].startswith("ClusterRole")


def test_every_object_carries_the_recommended_labels():
    for item in render().objects:
        labels = item["metadata"]["labels"]
        assert (
            labels.items()
            >= {
                "app.kubernetes.io/name": "sublet",
                "app.kubernetes.io/instance": "alpha",
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": "sublet-0.1.0",
            }.items()
        )


def test_selectors_are_name_instance_and_component_only():
    rendered = render()
    assert rendered.get("StatefulSet")["spec"]["selector"]["matchLabels"] == SELECTOR
    assert rendered.get("StatefulSet")["spec"]["template"]["metadata"]["labels"] == SELECTOR
    for name in ("alpha", "alpha-headless"):
        assert rendered.get("Service", name)["spec"]["selector"] == SELECTOR


def test_no_empty_or_null_field_is_rendered_that_the_api_server_would_drop():
    def empty(value, path=""):
        if value is None or value in ({}, []):
            yield path
        elif isinstance(value, dict):
            for key, below in value.items():
                yield from empty(below, f"{path}.{key}")
        elif isinstance(value, list):
            for number, below in enumerate(value):
                yield from empty(below, f"{path}[{number}]")

    found = [f"{item['kind']}{path}" for item in render().objects for path in empty(item)]
    assert [path for path in found if not path.endswith(".emptyDir")] == []


def test_global_annotations_reach_every_object():
    for item in render(nested("controlPlane.advanced.globalMetadata.annotations", {"a": "b"})).objects:
        assert item["metadata"]["annotations"]["a"] == "b"


def test_no_key_is_rendered_twice():
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            return super().construct_mapping(node, deep)

    for file in CI_VALUES:
        for text in (
            template(file.read_text(), "alpha", "tenant"),
            render(yaml.safe_load(file.read_text())).config["manifests"],
        ):
            list(yaml.load_all(text, Loader=Strict))


# -- images ----------------------------------------------------------------------------------------------------------


def images(values=None):
    rendered = render(values)
    found = {
        container["name"]: container["image"]
        for _, spec in pod_specs(rendered)
        for container in spec.get("initContainers", []) + spec["containers"]
    }
    return found | {"rewrite-hosts": rendered.config["pods"]["rewriteHosts"]["image"]}


def test_the_default_images_are_public_ones_with_a_fixed_tag():
    assert images() == {
        "pki": "ghcr.io/sublet/syncer:0.1.0",
        "store": "docker.io/rancher/kine:v0.17.2",
        "apiserver": "registry.k8s.io/kube-apiserver:v1.36.3",
        "syncer": "ghcr.io/sublet/syncer:0.1.0",
        "controller-manager": "registry.k8s.io/kube-controller-manager:v1.36.3",
        "coredns": "docker.io/coredns/coredns:1.15.0",
        "rewrite-hosts": "docker.io/library/busybox:1.37",
    }


def test_the_kubernetes_version_is_the_tag_of_its_images_with_or_without_the_v():
    for version in ("1.35.2", "v1.35.2"):
        found = images(nested("controlPlane.distro.k8s.version", version))
        assert found["apiserver"].endswith(":v1.35.2")
        assert found["controller-manager"].endswith(":v1.35.2")


def test_one_registry_can_replace_all_others():
    found = images(nested("controlPlane.advanced.defaultImageRegistry", "registry.example.com/mirror/"))
    assert all(image.startswith("registry.example.com/mirror/") for image in found.values())
    assert found["store"] == "registry.example.com/mirror/rancher/kine:v0.17.2"


IMAGES = {
    "controlPlane.statefulSet.image": "syncer",
    "controlPlane.distro.k8s.apiServer.image": "apiserver",
    "controlPlane.distro.k8s.controllerManager.image": "controller-manager",
    "controlPlane.backingStore.database.image": "store",
    "controlPlane.coredns.deployment.image": "coredns",
    "sync.toHost.pods.rewriteHosts.initContainer.image": "rewrite-hosts",
}


@pytest.mark.parametrize("path", IMAGES)
def test_an_image_can_be_given_whole(path):
    assert images(nested(path, "example.com/own/image:1"))[IMAGES[path]] == "example.com/own/image:1"


@pytest.mark.parametrize("path", IMAGES)
def test_an_image_can_be_given_in_parts(path):
    before = images()[IMAGES[path]].rpartition(":")[0]
    assert images(nested(path, {"tag": "other"}))[IMAGES[path]] == f"{before}:other"


@pytest.mark.parametrize("path", IMAGES)
def test_a_digest_wins_over_a_tag(path):
    digest = "sha256:" + "0" * 64
    image = images(nested(path, {"registry": "example.com", "tag": "other", "digest": digest}))[IMAGES[path]]
    assert image.startswith("example.com/")
    assert image.endswith(f"@{digest}")


# -- notes -----------------------------------------------------------------------------------------------------------


def notes(*arguments):
    command = ("install", "alpha", str(CHART), "--namespace", "tenant", "--dry-run=client", *arguments)
    return helm(*command).partition("NOTES:")[2]


def test_the_notes_say_how_to_get_in():
    text = notes()
    assert "secret vc-alpha" in text
    assert "port-forward service/alpha 8443:443" in text
    assert "v1.36.3" in text
    assert len(text.splitlines()) < 20


def test_the_notes_warn_when_nothing_is_kept():
    assert "Nothing is kept" not in notes()
    assert "Nothing is kept" in notes("--set", "controlPlane.statefulSet.persistence.volumeClaim.enabled=false")


def test_the_notes_say_what_a_database_under_several_pods_needs():
    store = (
        "controlPlane.backingStore.database.external.enabled=true",
        "controlPlane.backingStore.database.external.dataSource=postgres://a/b",
    )
    several = "controlPlane.statefulSet.highAvailability.replicas=2"
    said = "docs/postgresql-order.sql"
    assert said in notes(*(part for setting in (*store, several) for part in ("--set", setting)))
    assert said not in notes(*(part for setting in store for part in ("--set", setting)))


def test_the_notes_say_how_to_begin_with_an_empty_cluster_where_the_claim_is_kept():
    claim = "delete persistentvolumeclaim data-alpha-0"
    assert claim in notes()
    assert claim not in notes("--set", "controlPlane.statefulSet.persistence.volumeClaim.retentionPolicy=Delete")


def test_the_notes_say_nothing_of_what_is_kept_elsewhere():
    external = "controlPlane.backingStore.database.external"
    text = notes("--set", f"{external}.enabled=true,{external}.connector=database")
    assert "Nothing is kept" not in text
    assert "persistentvolumeclaim" not in text


def test_the_notes_say_how_a_paused_cluster_comes_back():
    text = notes("--set", "controlPlane.statefulSet.highAvailability.replicas=0")
    assert "is paused" in text
    assert "highAvailability.replicas=1" in text
    assert "port-forward" not in text


@pytest.mark.parametrize(("version", "warned"), [("v1.36.9", False), ("v1.37.0", True)])
def test_the_notes_warn_of_a_version_that_has_not_been_run(version, warned):
    assert ("is newer than" in notes("--set", f"controlPlane.distro.k8s.version={version}")) is warned
