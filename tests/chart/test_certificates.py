"""Certificates: who reads which files, what the syncer is told of them, and what is refused."""

import pytest

from tests.chart.rendering import Refused, nested, render

SECRET = "controlPlane.advanced.certificateAuthority.secretName"


def pki_mounts():
    """Who has the folder with certificates; True where it cannot be written."""
    return {
        container["name"]: mount.get("readOnly", False)
        for container in (*render().pod["initContainers"], *render().pod["containers"])
        for mount in container.get("volumeMounts") or ()
        if mount["name"] == "pki"
    }


def test_the_syncer_renews_the_files_that_others_read():
    assert pki_mounts() == {"pki": False, "syncer": False, "apiserver": True, "controller-manager": True}


def test_certificates_that_tenants_ask_for_are_signed_by_one_ca_even_while_two_are_trusted():
    assert "--cluster-signing-cert-file=/pki/ca-signing.crt" in render().container("controller-manager")["command"]


def test_by_default_the_ca_is_our_own_and_no_address_is_waited_for():
    assert render().config["certificates"] == {"authoritySecret": "", "followService": False}


def test_a_ca_can_come_from_a_secret():
    assert render(nested(SECRET, "company")).config["certificates"]["authoritySecret"] == "company"


def test_the_certificate_follows_the_addresses_of_a_load_balancer():
    rendered = render(nested("controlPlane.service.spec.type", "LoadBalancer"))
    assert rendered.config["certificates"]["followService"] is True


@pytest.mark.parametrize("name", ["alpha-certs", "vc-alpha"])
def test_a_secret_that_sublet_writes_cannot_be_the_source(name):
    with pytest.raises(Refused, match=f"{SECRET}: Secret {name} is written by Sublet itself; put the CA into another"):
        render(nested(SECRET, name))
