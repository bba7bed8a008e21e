"""The host's StorageClasses in the virtual cluster."""

from __future__ import annotations

import pytest

from syncer.names import MANAGED_BY
from syncer.plan.actions import Create, Delete
from syncer.plan.storageclasses import plan
from tests.unit.builders import CLUSTER, merged, rule

ROW = rule("storageclasses")
DEFAULT = "storageclass.kubernetes.io/is-default-class"


def real(**fields):
    metadata = {"name": "fast", "uid": "h", "annotations": {DEFAULT: "true", "note": "of the host"}}
    return {
        "metadata": metadata,
        "provisioner": "example.com/disks",
        "parameters": {"secretName": "of-the-host"},
        "volumeBindingMode": "WaitForFirstConsumer",
        **fields,
    }


def planned(virtual, host):
    return plan(ROW, virtual=virtual, host=host, cluster=CLUSTER)


def shown(host):
    (create,) = planned(None, host)
    assert isinstance(create, Create)
    return merged(create.body, {"metadata": {"uid": "v"}})


def test_a_class_is_shown_without_what_only_the_host_has():
    made = shown(real())
    assert made["volumeBindingMode"] == "WaitForFirstConsumer"
    assert made["metadata"]["annotations"][DEFAULT] == "true"
    assert "parameters" not in made
    assert "note" not in made["metadata"]["annotations"]
    assert planned(made, real()) == []


def test_what_may_change_in_a_class_follows():
    changed = real(allowVolumeExpansion=True, metadata={"name": "fast", "uid": "h"})
    (patch,) = planned(shown(real()), changed)
    assert patch.body == {"allowVolumeExpansion": True, "metadata": {"annotations": {DEFAULT: None}}}
    assert planned(merged(shown(real()), patch.body), changed) == []


@pytest.mark.parametrize("host", [None, real(metadata={"name": "fast", "uid": "another"})])
def test_a_class_goes_with_the_hosts_and_for_another_of_its_name(host):
    (delete,) = planned(shown(real()), host)
    assert isinstance(delete, Delete)


def test_a_class_of_the_tenants_own_is_left_alone():
    own = merged(shown(real()), {"metadata": {"labels": {MANAGED_BY: None}}})
    assert planned(own, real(provisioner="other")) == []
    assert planned(own, None) == []


def test_a_class_that_never_was_needs_nothing():
    assert planned(None, None) == []
