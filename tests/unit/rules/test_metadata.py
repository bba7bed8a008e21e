"""Labels and annotations on their way to the host: renamed alike in labels and selectors, ours never the tenant's, host's left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.names import COPIED, HASHED_LABEL, MANAGED_BY, NAMESPACE, PREFIX, UID, Key, namespace_label
from syncer.rules.metadata import MetadataRules, metadata_patch
from syncer.rules.selectors import matches
from syncer.values import Metadata
from tests.unit.builders import merged

KEY = Key("configmaps", "shop", "web")
RULES = MetadataRules(
    "vc", Metadata(deny_labels=("team", "argocd.argoproj.io/*"), deny_annotations=("secret", "x.io/*"))
)

keys = st.sampled_from(
    [
        "app",
        "team",
        "teams",
        "argocd.argoproj.io/instance",
        "secret",
        "x.io/a",
        MANAGED_BY,
        NAMESPACE,
        COPIED,
        PREFIX + "label-0",
    ]
)
maps = st.dictionaries(keys, st.sampled_from(["", "a", "b"]), max_size=5)
nullable_maps = maps | st.none()


def virtual(labels=None, annotations=None, uid="u"):
    return {"metadata": {"name": "web", "namespace": "shop", "uid": uid, "labels": labels, "annotations": annotations}}


@pytest.mark.parametrize("key", ["app", "teams", "argocd.argoproj.io", "example.com/team"])
def test_a_label_that_means_nothing_on_the_host_keeps_its_key(key):
    assert RULES.label_key(key) == key


@pytest.mark.parametrize("key", ["team", "argocd.argoproj.io/instance", "sublet.dev/managed-by", "sublet.dev/anything"])
def test_a_denied_label_and_one_of_ours_are_renamed_to_a_valid_key(key):
    renamed = RULES.label_key(key)
    assert renamed.startswith(HASHED_LABEL)
    assert len(renamed.partition("/")[2]) <= 63


def test_two_denied_labels_never_become_one():
    assert len(RULES.labels({f"argocd.argoproj.io/{number}": "" for number in range(100)})) == 100


@given(maps, maps)
def test_a_selector_matches_on_the_host_what_it_matches_in_the_virtual_cluster(selector, labels):
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in selector.items()]
    here = {"matchLabels": selector, "matchExpressions": expressions}
    host_labels, _ = RULES.for_host(KEY, virtual(labels))
    assert matches(RULES.narrowed(here, "shop"), host_labels) is matches(here, labels)


@given(maps)
def test_a_narrowed_selector_matches_no_other_namespace_and_no_other_cluster(labels):
    selector = RULES.narrowed({"matchLabels": labels}, "shop")
    elsewhere, _ = RULES.for_host(Key("pods", "other", "web"), virtual(labels))
    foreign, _ = MetadataRules("vc2", RULES.settings).for_host(KEY, virtual(labels))
    assert not matches(selector, elsewhere)
    assert not matches(selector, foreign)


@pytest.mark.parametrize("empty", [{}, {"matchLabels": None}, {"matchLabels": {}, "matchExpressions": None}])
def test_an_empty_selector_becomes_one_for_the_whole_virtual_namespace(empty):
    assert RULES.narrowed(empty, "shop") == {"matchLabels": {MANAGED_BY: "vc", NAMESPACE: "shop"}}


def test_narrowing_leaves_the_tenants_selector_as_it_was():
    selector = {"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "team", "operator": "Exists"}]}
    RULES.narrowed(selector, "shop")
    assert selector == {"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "team", "operator": "Exists"}]}


@given(nullable_maps, nullable_maps)
def test_nothing_that_a_tenant_writes_passes_for_our_marks(labels, annotations):
    host_labels, host_annotations = RULES.for_host(KEY, virtual(labels, annotations))
    plain_labels, plain_annotations = RULES.for_host(KEY, virtual())
    ours = {key: value for key, value in host_labels.items() if key.startswith(PREFIX)}
    assert {key: value for key, value in ours.items() if not key.startswith(HASHED_LABEL)} == plain_labels
    assert {
        key: value for key, value in host_annotations.items() if key.startswith(PREFIX) and key != COPIED
    } == plain_annotations


def test_denied_annotations_stay_in_the_virtual_cluster():
    annotations = {"secret": "1", "x.io/a": "2", "sublet.dev/uid": "3", "note": "ünïcode\n\x00🎈"}
    _, there = RULES.for_host(KEY, virtual(annotations=annotations))
    assert "secret" not in there
    assert "x.io/a" not in there
    assert there[UID] == "u"
    assert there["note"] == "ünïcode\n\x00🎈"


def test_a_deny_list_of_a_star_alone_keeps_everything_back():
    rules = MetadataRules("vc", Metadata(deny_labels=("*",), deny_annotations=("*",)))
    assert all(key.startswith(HASHED_LABEL) for key in rules.labels({"a": "", "b/c": ""}))
    assert rules.annotations({"a": ""}) == {}


def host_of(labels, annotations):
    there, notes = RULES.for_host(KEY, virtual(labels, annotations))
    return {"name": "web-x-shop-x-vc", "labels": there, "annotations": notes}


@given(maps, maps)
def test_an_object_as_wanted_needs_no_patch(labels, annotations):
    assert metadata_patch(host_of(labels, annotations), host_of(labels, annotations)) == {}


@given(maps, maps, maps, maps)
def test_a_patch_makes_the_host_as_wanted_at_once(labels, annotations, new_labels, new_annotations):
    wanted, host = host_of(new_labels, new_annotations), host_of(labels, annotations)
    after = merged(host, metadata_patch(wanted, host))
    assert after == wanted
    assert metadata_patch(wanted, after) == {}


@given(maps, maps, maps, maps)
def test_what_the_host_added_survives_every_patch(labels, annotations, new_labels, new_annotations):
    host = host_of(labels, annotations)
    host["labels"]["injected.example/a"] = host["annotations"]["injected.example/a"] = "host"
    after = merged(host, metadata_patch(host_of(new_labels, new_annotations), host))
    assert after["labels"]["injected.example/a"] == after["annotations"]["injected.example/a"] == "host"


def test_a_key_that_the_tenant_removed_goes_though_the_syncer_was_restarted():
    assert metadata_patch(host_of({}, {}), host_of({"app": "a"}, {"note": "b"})) == {
        "labels": {"app": None},
        "annotations": {"note": None, COPIED: None},
    }


@pytest.mark.parametrize(
    "note", ["", "|", "sublet.dev/managed-by sublet.dev/namespace|sublet.dev/uid", "no-bar", "a|b|c"]
)
def test_a_note_that_was_tampered_with_never_removes_our_marks(note):
    host = host_of({"app": "a"}, {})
    host["annotations"][COPIED] = note
    wanted = host_of({"app": "a"}, {})
    assert merged(host, metadata_patch(wanted, host)) == wanted


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_marks_that_somebody_removed_come_back(field):
    wanted, host = host_of({"app": "a"}, {}), host_of({"app": "a"}, {})
    host[field] = None
    assert merged(host, metadata_patch(wanted, host)) == wanted


def test_a_network_peer_is_narrowed_to_the_tenants_pods():
    assert RULES.peer({"podSelector": {"matchLabels": {"team": "a"}}}, "shop") == {
        "podSelector": {"matchLabels": {RULES.label_key("team"): "a", MANAGED_BY: "vc", NAMESPACE: "shop"}}
    }


def test_a_network_peer_with_a_namespace_selector_becomes_a_pod_selector():
    peer = {
        "namespaceSelector": {
            "matchLabels": {"env": "prod"},
            "matchExpressions": [{"key": "zone", "operator": "Exists"}],
        },
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
    }
    assert RULES.peer(peer, "shop") == {
        "podSelector": {
            "matchLabels": {MANAGED_BY: "vc", namespace_label("env"): "prod"},
            "matchExpressions": [
                {"key": "app", "operator": "Exists"},
                {"key": namespace_label("zone"), "operator": "Exists"},
            ],
        }
    }


def test_a_network_peer_for_all_namespaces_means_all_of_this_cluster():
    assert RULES.peer({"namespaceSelector": {}}, "shop") == {"podSelector": {"matchLabels": {MANAGED_BY: "vc"}}}


def test_a_network_peer_that_is_a_range_of_addresses_stays():
    peer = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}
    assert RULES.peer(peer, "shop") == peer
