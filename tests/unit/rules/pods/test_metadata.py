"""Name, labels, annotations and owner of a host pod, and who it is there."""

from __future__ import annotations

import pytest

from syncer.names import identify, namespace_label
from syncer.rules.pods import to_host
from tests.unit.builders import FakeWorld
from tests.unit.rules.pods.samples import KEY, OWNER, context, pod

SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DAEMON_SET = "cluster-autoscaler.kubernetes.io/daemonset-pod"


def owned_by(kind, **metadata):
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": "u", "controller": True}
    return {"ownerReferences": [owner], **metadata}


def metadata(virtual, **arguments):
    return to_host(KEY, virtual, context(**arguments))["metadata"]


def test_a_host_pod_proves_whose_it_is():
    host = to_host(KEY, pod(), context())
    assert identify(host, "pods", "alpha") == KEY
    assert host["metadata"]["namespace"] == "tenants"


def test_nothing_of_the_virtual_identity_remains():
    virtual = pod({"finalizers": ["x"], "generateName": "web-", "managedFields": [{}], "resourceVersion": "7"})
    assert metadata(virtual).keys() == {"name", "namespace", "labels", "annotations", "ownerReferences"}


def test_status_stays_behind():
    assert to_host(KEY, pod(), context()).keys() == {"apiVersion", "kind", "metadata", "spec"}


def test_labels_and_annotations_are_copied():
    host = metadata(pod({"annotations": {"note": "hi"}}))
    assert (host["labels"]["app"], host["annotations"]["note"]) == ("web", "hi")


@pytest.mark.parametrize("key", ["sublet.dev/managed-by", "sublet.dev/namespace", "sublet.dev/ns-label-0123456789"])
def test_a_label_with_a_key_of_ours_does_not_reach_the_host_under_it(key):
    labels = metadata(pod({"labels": {key: "forged"}}))["labels"]
    assert labels.get(key) != "forged"


@pytest.mark.parametrize("key", ["sublet.dev/uid", "sublet.dev/asked", "sublet.dev/labels", "sublet.dev/copied"])
def test_an_annotation_with_a_key_of_ours_does_not_reach_the_host(key):
    assert metadata(pod({"annotations": {key: "forged"}}))["annotations"].get(key) != "forged"


def test_a_pod_carries_the_labels_of_its_namespace():
    world = FakeWorld(all_namespaces={"shop": {"team": "red"}, "other": {"tier": "x"}})
    labels = metadata(pod(), world=world)["labels"]
    assert labels[namespace_label("team")] == "red"
    assert namespace_label("tier") not in labels


def test_a_pod_without_controller_has_none_on_the_host():
    assert metadata(pod())["ownerReferences"] == [OWNER]


def test_a_controlled_pod_is_controlled_on_the_host_so_that_nodes_can_be_drained():
    assert metadata(pod(owned_by("ReplicaSet")))["ownerReferences"] == [{**OWNER, "controller": True}]


def test_a_mere_owner_is_no_controller():
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
    assert metadata(pod({"ownerReferences": [owner]}))["ownerReferences"] == [OWNER]


@pytest.mark.parametrize(
    ("virtual", "expected"),
    [
        (pod(owned_by("ReplicaSet")), "true"),
        (pod(), None),
        (pod(owned_by("ReplicaSet"), volumes=[{"name": "v", "emptyDir": {}}]), None),
        (pod(owned_by("ReplicaSet"), volumes=[{"name": "v", "hostPath": {"path": "/"}}]), None),
        (pod(owned_by("ReplicaSet", annotations={SAFE_TO_EVICT: "false"})), "false"),
    ],
    ids=["controlled", "bare", "scratch data", "node data", "tenant's word"],
)
def test_the_autoscaler_may_move_what_it_might_move_on_a_real_cluster(virtual, expected):
    assert metadata(virtual)["annotations"].get(SAFE_TO_EVICT) == expected


@pytest.mark.parametrize(("kind", "expected"), [("DaemonSet", "true"), ("ReplicaSet", None)])
def test_the_autoscaler_is_told_of_daemon_set_pods(kind, expected):
    assert metadata(pod(owned_by(kind)))["annotations"].get(DAEMON_SET) == expected


def test_a_host_pod_runs_as_the_workload_account_without_a_token_of_the_host():
    spec = to_host(KEY, pod(serviceAccountName="build", serviceAccount="build"), context())["spec"]
    assert spec["serviceAccountName"] == "vc-workload-alpha"
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccount" not in spec


def test_pull_secrets_get_their_host_names_and_empty_ones_go():
    spec = to_host(KEY, pod(imagePullSecrets=[{"name": "registry"}, {}, {"name": ""}]), context())["spec"]
    assert spec["imagePullSecrets"] == [{"name": "registry-x-shop-x-alpha"}]


def test_a_preset_node_is_kept():
    assert to_host(KEY, pod(nodeName="node-1"), context())["spec"]["nodeName"] == "node-1"


def test_all_other_fields_are_kept():
    fields = {
        "activeDeadlineSeconds": 60,
        "readinessGates": [{"conditionType": "example.org/ready"}],
        "schedulingGates": [{"name": "example.org/quota"}],
        "securityContext": {"runAsNonRoot": True, "fsGroup": 7},
        "hostPID": True,
        "shareProcessNamespace": True,
        "resources": {"requests": {"cpu": "1"}},
        "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}],
        "os": {"name": "linux"},
        "hostUsers": False,
        "schedulerName": "mine",
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
    }
    spec = to_host(KEY, pod(**fields), context())["spec"]
    assert {name: spec[name] for name in fields} == fields


def test_an_unknown_field_of_a_newer_kubernetes_is_kept():
    assert to_host(KEY, pod(brandNew={"x": 1}), context())["spec"]["brandNew"] == {"x": 1}
