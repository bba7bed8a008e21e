"""Affinity, spreading, node selection, tolerations, priority."""

from __future__ import annotations

import pytest

from syncer.names import namespace_label
from syncer.rules.pods import to_host
from syncer.values import Nodes, Pods, Toleration
from tests.unit.builders import FakeWorld
from tests.unit.rules.pods.samples import KEY, context, not_ready, pod

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
APP = {"matchLabels": {"app": "web"}}
MINE = {"app": "web", "sublet.dev/managed-by": "alpha"}
HERE = {**MINE, "sublet.dev/namespace": "shop"}
HOST = "kubernetes.io/hostname"


def translated(term, world=None, labels=None):
    """The host's form of one required affinity term."""
    affinity = {"podAffinity": {REQUIRED: [term]}}
    virtual = pod({"labels": labels} if labels else None, affinity=affinity)
    return to_host(KEY, virtual, context(world))["spec"]["affinity"]["podAffinity"][REQUIRED][0]


def namespaces(*names):
    return [{"key": "sublet.dev/namespace", "operator": "In", "values": list(names)}]


@pytest.mark.parametrize("kind", ["podAffinity", "podAntiAffinity"])
def test_a_term_selects_pods_of_its_own_namespace(kind):
    affinity = {
        kind: {
            REQUIRED: [{"labelSelector": APP, "topologyKey": HOST}],
            PREFERRED: [{"weight": 7, "podAffinityTerm": {"labelSelector": APP, "topologyKey": HOST}}],
        }
    }
    expected = {"labelSelector": {"matchLabels": HERE}, "topologyKey": HOST}
    assert to_host(KEY, pod(affinity=affinity), context())["spec"]["affinity"] == {
        kind: {REQUIRED: [expected], PREFERRED: [{"weight": 7, "podAffinityTerm": expected}]}
    }


def test_a_term_with_namespaces_selects_pods_of_those():
    term = translated({"labelSelector": APP, "topologyKey": HOST, "namespaces": ["db", "cache", "db"]})
    assert term == {
        "labelSelector": {"matchLabels": MINE, "matchExpressions": namespaces("cache", "db")},
        "topologyKey": HOST,
    }


def test_a_namespace_selector_becomes_one_over_the_labels_that_pods_have_of_their_namespace():
    selector = {
        "matchLabels": {"team": "red"},
        "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["test"]}],
    }
    term = translated({"labelSelector": APP, "topologyKey": HOST, "namespaceSelector": selector})
    assert term["labelSelector"] == {
        "matchLabels": {**MINE, namespace_label("team"): "red"},
        "matchExpressions": [{"key": namespace_label("tier"), "operator": "NotIn", "values": ["test"]}],
    }


def test_an_empty_namespace_selector_means_all_namespaces_of_this_cluster():
    term = translated({"labelSelector": APP, "topologyKey": HOST, "namespaceSelector": {}})
    assert term == {"labelSelector": {"matchLabels": MINE}, "topologyKey": HOST}


def test_namespaces_and_a_selector_together_mean_their_union():
    world = FakeWorld(all_namespaces={"shop": {}, "a": {"team": "red"}, "b": {"team": "blue"}, "c": {"team": "red"}})
    selector = {"matchLabels": {"team": "red"}}
    term = translated(
        {"labelSelector": APP, "topologyKey": HOST, "namespaces": ["b"], "namespaceSelector": selector}, world
    )
    assert term["labelSelector"] == {"matchLabels": MINE, "matchExpressions": namespaces("a", "b", "c")}


def test_a_term_without_label_selector_still_matches_no_pod():
    assert translated({"topologyKey": HOST, "namespaces": ["db"]}) == {"topologyKey": HOST}


def test_an_empty_label_selector_still_matches_every_pod_of_the_namespace():
    term = translated({"topologyKey": HOST, "labelSelector": {}})
    assert term["labelSelector"]["matchLabels"] == {
        "sublet.dev/managed-by": "alpha",
        "sublet.dev/namespace": "shop",
    }


def test_a_tenant_cannot_select_pods_of_another_cluster():
    selector = {"matchLabels": {"sublet.dev/managed-by": "beta"}}
    labels = translated({"topologyKey": HOST, "labelSelector": selector})["labelSelector"]["matchLabels"]
    assert labels["sublet.dev/managed-by"] == "alpha"


def test_own_label_keys_are_merged_into_the_selector():
    term = {
        "labelSelector": APP,
        "topologyKey": HOST,
        "matchLabelKeys": ["hash", "missing"],
        "mismatchLabelKeys": ["tenant"],
    }
    assert translated(term, labels={"hash": "1", "tenant": "t"}) == {
        "labelSelector": {
            "matchLabels": HERE,
            "matchExpressions": [
                {"key": "hash", "operator": "In", "values": ["1"]},
                {"key": "tenant", "operator": "NotIn", "values": ["t"]},
            ],
        },
        "topologyKey": HOST,
    }


def test_own_label_keys_that_the_api_server_merged_are_not_merged_again():
    merged = {**APP, "matchExpressions": [{"key": "hash", "operator": "In", "values": ["1"]}]}
    term = {"labelSelector": merged, "topologyKey": HOST, "matchLabelKeys": ["hash"]}
    assert len(translated(term, labels={"hash": "1"})["labelSelector"]["matchExpressions"]) == 1


def test_spreading_counts_pods_of_the_namespace_only():
    constraint = {
        "maxSkew": 1,
        "topologyKey": HOST,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": APP,
        "matchLabelKeys": ["app"],
        "minDomains": 2,
        "nodeTaintsPolicy": "Honor",
    }
    host = to_host(KEY, pod(topologySpreadConstraints=[constraint]), context())
    assert host["spec"]["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": HOST,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {
                "matchLabels": HERE,
                "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}],
            },
            "minDomains": 2,
            "nodeTaintsPolicy": "Honor",
        }
    ]


def test_spreading_without_selector_still_counts_no_pod():
    constraint = {"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway"}
    host = to_host(KEY, pod(topologySpreadConstraints=[constraint]), context())
    assert host["spec"]["topologySpreadConstraints"] == [constraint]


def test_node_affinity_and_node_selector_are_kept():
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": []}]}}}
    spec = to_host(KEY, pod(affinity=affinity, nodeSelector={"disk": "ssd"}), context())["spec"]
    assert (spec["affinity"], spec["nodeSelector"]) == (affinity, {"disk": "ssd"})


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (Nodes(from_host=True, labels={"pool": "tenants"}), {"disk": "ssd", "pool": "tenants"}),
        (Nodes(from_host=False, labels={"pool": "tenants"}), {"disk": "ssd"}),
        (Nodes(from_host=True, all=True), {"disk": "ssd"}),
    ],
)
def test_pods_stay_on_the_mirrored_nodes(nodes, expected):
    spec = to_host(KEY, pod(nodeSelector={"disk": "ssd"}), context(nodes=nodes))["spec"]
    assert spec["nodeSelector"] == expected


def test_enforced_tolerations_follow_the_pods_own():
    enforced = Toleration(key="dedicated", value="tenants", effect="NoSchedule")
    spec = to_host(KEY, pod(), context(pods=Pods(enforce_tolerations=(enforced,))))["spec"]
    assert spec["tolerations"] == [
        not_ready(),
        {"key": "dedicated", "operator": "Equal", "value": "tenants", "effect": "NoSchedule"},
    ]


def test_an_enforced_toleration_that_the_pod_has_is_not_repeated():
    enforced = Toleration(key="dedicated", value="", effect="NoSchedule")
    own = [enforced.as_object()]
    spec = to_host(KEY, pod(tolerations=own), context(pods=Pods(enforce_tolerations=(enforced,))))["spec"]
    assert spec["tolerations"] == own


def test_a_virtual_priority_means_nothing_on_the_host():
    virtual = pod(priority=1000, priorityClassName="high", preemptionPolicy="Never", overhead={"cpu": "1"})
    spec = to_host(KEY, virtual, context())["spec"]
    assert not {"priority", "priorityClassName", "preemptionPolicy", "overhead"} & spec.keys()


def test_a_priority_class_of_the_host_can_be_forced():
    spec = to_host(KEY, pod(priorityClassName="high"), context(pods=Pods(priority_class_name="tenants")))["spec"]
    assert spec["priorityClassName"] == "tenants"


@pytest.mark.parametrize(("forced", "expected"), [("gvisor", "gvisor"), ("", "kata")])
def test_a_runtime_class_can_be_forced(forced, expected):
    virtual = pod(runtimeClassName="kata")
    assert to_host(KEY, virtual, context(pods=Pods(runtime_class_name=forced)))["spec"]["runtimeClassName"] == expected


def placed(**spec):
    """A pod that the virtual cluster's scheduler has put on a node."""
    return pod(nodeName="node-1", **spec)


def test_what_the_virtual_scheduler_has_weighed_is_not_weighed_again_only_its_node_stays():
    weighed = {
        "schedulerName": "mine",
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"podAntiAffinity": {REQUIRED: [{"labelSelector": APP, "topologyKey": HOST}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "DoNotSchedule"}],
    }
    spec = to_host(KEY, placed(**weighed), context(schedules=True))["spec"]
    (term,) = spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert term == {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}
    assert spec["affinity"].keys() == {"nodeAffinity"}
    assert not {"nodeName", "schedulerName", "nodeSelector", "topologySpreadConstraints"} & spec.keys()


def test_whoever_schedules_pods_stay_on_the_selected_nodes_with_the_tolerations_they_have():
    enforced = Toleration(key="dedicated", value="", effect="NoSchedule")
    settings = {"nodes": Nodes(from_host=True, labels={"pool": "a"}), "pods": Pods(enforce_tolerations=(enforced,))}
    spec = to_host(KEY, placed(), context(schedules=True, **settings))["spec"]
    assert spec["nodeSelector"] == {"pool": "a"}
    assert spec["tolerations"] == [not_ready(), enforced.as_object()]
