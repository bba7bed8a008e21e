"""Claims on their way to the host, and the stand-in volumes that show where they are bound."""

from __future__ import annotations

import pytest

from syncer.names import MANAGED_BY
from syncer.rules.claims import to_host, volume
from tests.unit.builders import context, key, rule, stored, there, virtual

SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"}


def claim(**spec):
    return virtual("persistentvolumeclaims", "data", spec={**SPEC, **spec})


def translated(**spec):
    return to_host(rule("persistentvolumeclaims"), key("persistentvolumeclaims", "data"), claim(**spec), context())


def bound(status=None, **spec):
    body = translated(volumeMode="Filesystem")
    body["spec"] |= {"volumeName": "pv-1", **spec}
    return stored(body, status={"phase": "Bound", "capacity": {"storage": "2Gi"}, **(status or {})})


def test_a_claim_asks_the_host_for_what_the_tenant_asked():
    assert translated()["spec"] == SPEC


def test_the_host_chooses_the_volume():
    assert "volumeName" not in translated(volumeName="pv-tenant")["spec"]


@pytest.mark.parametrize("field", ["dataSource", "dataSourceRef"])
def test_a_claim_made_from_another_names_the_hosts(field):
    made = translated(**{field: {"kind": "PersistentVolumeClaim", "name": "old"}})["spec"][field]
    assert made == {"kind": "PersistentVolumeClaim", "name": there("old")}


def test_a_claim_made_from_one_in_another_namespace_names_that_one():
    source = {"kind": "PersistentVolumeClaim", "name": "old", "namespace": "other"}
    assert translated(dataSourceRef=source)["spec"]["dataSourceRef"] == {
        "kind": "PersistentVolumeClaim", "name": there("old", "other"),
    }  # fmt: skip


@pytest.mark.parametrize("source", [None, {}, {"kind": "VolumeSnapshot", "name": "s"}])
def test_other_sources_stay(source):
    assert translated(dataSource=source)["spec"]["dataSource"] == source


def test_a_stand_in_volume_shows_name_size_and_owner_of_the_claim():
    made = volume(claim(), bound(), "vc")
    assert made["metadata"] == {"name": "pv-1", "labels": {MANAGED_BY: "vc"}}
    assert made["spec"]["capacity"] == {"storage": "2Gi"}
    assert made["spec"]["claimRef"]["uid"] == "virtual-data"
    assert made["spec"]["storageClassName"] == "fast"
    assert made["spec"]["volumeMode"] == "Filesystem"


def test_a_stand_in_volume_of_a_claim_without_details_still_has_what_kubernetes_demands():
    host = stored(translated(storageClassName=None), status={"phase": "Bound"})
    host["spec"]["volumeName"] = "pv-1"
    del host["spec"]["accessModes"]
    made = volume(claim(), host, "vc")["spec"]
    assert made["accessModes"] == ["ReadWriteOnce"]
    assert made["capacity"] == {"storage": "1Gi"}
    assert "storageClassName" not in made


@pytest.mark.parametrize(
    "name",
    [
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.kubernetes.io/selected-node",
        "volume.beta.kubernetes.io/storage-provisioner",
    ],
)
def test_notes_of_volume_controllers_stay_on_their_side(name):
    mine = claim()
    mine["metadata"]["annotations"] = {name: "yes", "volume.beta.kubernetes.io/storage-class": "fast"}
    made = to_host(rule("persistentvolumeclaims"), key("persistentvolumeclaims", "data"), mine, context())
    assert name not in made["metadata"]["annotations"]
    assert name not in made["metadata"]["annotations"]["sublet.dev/copied"]
    assert made["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"] == "fast"


def test_a_bound_claim_keeps_its_volumes_name_when_the_host_takes_another():
    assert volume(claim(volumeName="pv-0"), bound(), "vc")["metadata"]["name"] == "pv-0"
