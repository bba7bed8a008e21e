"""Which versions of Kubernetes a virtual cluster can have, and which of them go together."""

import base64

import pytest
import yaml

from tests.chart.rendering import Refused, nested, render

K8S = "controlPlane.distro.k8s"
DIGEST = "sha256:" + "0" * 64


def version(wanted, **components):
    """Values for a version, with images of the components."""
    return nested(K8S, {"version": wanted, **{name: {"image": image} for name, image in components.items()}})


def scheduled(values):
    """The same with a scheduler inside."""
    scheduler = values["controlPlane"]["distro"]["k8s"].setdefault("scheduler", {})
    scheduler["enabled"] = True
    return values | nested("sync.fromHost.nodes.enabled", True)


@pytest.mark.parametrize("wanted", ["v1.33.0", "v1.34.0", "1.35.4", "v1.36.3", "v1.37.0"])
def test_a_version_from_1_33_on_names_all_images(wanted):
    rendered = render(scheduled(version(wanted)))
    images = [rendered.container(name)["image"] for name in ("apiserver", "controller-manager", "scheduler")]
    assert {image.rpartition(":")[2] for image in images} == {f"v{wanted.removeprefix('v')}"}


@pytest.mark.parametrize(
    ("values", "path"),
    [
        (version("v1.32.9"), f"{K8S}.version"),
        (version("v1.36.3", apiServer={"tag": "v1.30.1"}), f"{K8S}.apiServer.image"),
        (version("v1.36.3", apiServer=f"mine/kube-apiserver:v1.30.1@{DIGEST}"), f"{K8S}.apiServer.image"),
    ],
)
def test_older_versions_are_refused(values, path):
    with pytest.raises(Refused, match=rf"{path} is of Kubernetes v1\.3.*; set 1\.33\.0 or newer"):
        render(values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (version("1.35.4"), "v1.35.4"),
        (version("v1.36.3", apiServer={"tag": "v1.35.1"}, controllerManager={"tag": "v1.35.1"}), "v1.35.1"),
        (version("v1.36.3", apiServer={"tag": "mine"}), "v1.36.3"),
        (version("v1.36.3", apiServer={"digest": DIGEST}), "v1.36.3"),
    ],
)
def test_the_syncer_is_told_the_version_of_the_api_server(values, told):
    assert render(values).config["cluster"]["kubernetes"] == told


@pytest.mark.parametrize(("wanted", "form"), [("v1.33.13", "v1beta1"), ("v1.34.0", "v1"), ("v1.36.3", "v1")])
def test_authentication_is_configured_in_a_form_that_the_version_reads(wanted, form):
    data = render(version(wanted)).get("Secret", "vc-config-alpha")["data"]["authentication.yaml"]
    assert yaml.safe_load(base64.b64decode(data))["apiVersion"] == f"apiserver.config.k8s.io/{form}"


@pytest.mark.parametrize("name", ["controllerManager", "scheduler"])
@pytest.mark.parametrize(
    ("server", "other", "accepted"),
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
def test_what_runs_beside_an_api_server_is_not_newer_and_one_minor_older_at_most(name, server, other, accepted):
    values = scheduled(version(server, **{name: {"tag": other}}))
    if accepted:
        assert render(values)
    else:
        with pytest.raises(Refused, match=rf"{name}.image is of .*; set it to that version"):
            render(values)


def test_the_image_of_a_scheduler_that_does_not_run_does_not_matter():
    assert render(version("v1.36.3", scheduler={"tag": "v1.30.0"}))
