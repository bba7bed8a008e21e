"""The volume on which a store of the control plane's own pod lies."""

import pytest

from tests.chart.rendering import Refused, nested, render

AT = "controlPlane.statefulSet.persistence"
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Gi"}}},
}
VOLUME = {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}
ELSEWHERE = {"etcd": {"external": {"enabled": True, "endpoint": "https://etcd.example:2379"}}}


def data(rendered):
    """What the pod's own volume for data is, and the claims that the StatefulSet makes."""
    own = [volume for volume in rendered.pod["volumes"] if volume["name"] == "data"]
    return own, rendered.get("StatefulSet")["spec"].get("volumeClaimTemplates")


def test_by_default_it_is_a_claim():
    own, (claim,) = data(render())
    assert own == []
    assert claim["metadata"]["name"] == "data"


def test_claims_of_the_users_take_its_place():
    rendered = render(nested(f"{AT}.volumeClaimTemplates", [CLAIM]))
    assert data(rendered) == ([], [CLAIM])
    assert rendered.get("StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


def test_a_volume_of_the_users_takes_its_place():
    assert data(render(nested(f"{AT}.dataVolume", [VOLUME]))) == ([VOLUME], None)


def test_without_a_claim_it_ends_with_the_pod():
    assert data(render(nested(f"{AT}.volumeClaim.enabled", False))) == ([{"name": "data", "emptyDir": {}}], None)


def test_there_is_none_when_the_store_is_elsewhere():
    assert data(render(nested("controlPlane.backingStore", ELSEWHERE))) == ([], None)


@pytest.mark.parametrize(
    ("persistence", "remedy"),
    [
        ({"dataVolume": [VOLUME], "volumeClaimTemplates": [CLAIM]}, "unset one"),
        ({"dataVolume": [VOLUME | {"name": "other"}]}, "dataVolume .* call one of them data"),
        ({"volumeClaimTemplates": [CLAIM | {"metadata": {"name": "other"}}]}, "Templates .* call one of them data"),
        ({"volumeClaimTemplates": [CLAIM], "volumeClaim": {"enabled": False}}, "unset one"),
    ],
)
def test_what_names_no_place_or_two_is_refused(persistence, remedy):
    with pytest.raises(Refused, match=remedy):
        render(nested(AT, persistence))


@pytest.mark.parametrize("persistence", [{"dataVolume": [VOLUME]}, {"volumeClaimTemplates": [CLAIM]}])
def test_a_place_for_data_that_lie_elsewhere_is_refused(persistence):
    with pytest.raises(Refused, match="lies elsewhere"):
        render({"controlPlane": {"backingStore": ELSEWHERE, "statefulSet": {"persistence": persistence}}})
