"""Host names are valid and never shared, and a host object is believed only when its name recomputes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.names import (
    KIND,
    MANAGED_BY,
    MAX_LABEL,
    NAME,
    NAMESPACE,
    TOKEN,
    UID,
    Key,
    host_name,
    identify,
    marks,
    namespace_label,
    token_secret_name,
)
from tests.unit.builders import SUBDOMAIN

# Few letters and the separator itself: most examples are near misses of each other.
_label = st.lists(st.sampled_from(["a", "b", "x", "0", "-x-", "-"]), min_size=1, max_size=8).map("".join)
labels = _label.map(lambda text: text.strip("-")).filter(bool)
long_labels = st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
namespaces = labels | long_labels
names = namespaces | st.lists(namespaces, min_size=2, max_size=4).map(".".join)
triples = st.tuples(names, namespaces, namespaces)


@given(triples, triples)
def test_two_objects_never_share_a_host_name(one, other):
    assert (host_name(*one) == host_name(*other)) is (one == other)


@given(triples)
def test_a_host_name_is_a_valid_name_of_at_most_63_characters(triple):
    name = host_name(*triple)
    assert SUBDOMAIN.fullmatch(name)
    assert len(name) <= MAX_LABEL


@given(triples, triples)
def test_a_token_secret_never_has_the_name_of_a_tenants_secret(pod, secret):
    name = token_secret_name(*pod)
    assert name != host_name(*secret)
    assert SUBDOMAIN.fullmatch(name)
    assert len(name) <= MAX_LABEL


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("web", "shop", "alpha"), "web-x-shop-x-alpha"),
        (("web.v1", "shop", "alpha"), "web.v1-x-shop-x-alpha"),
    ],
)
def test_an_ordinary_name_can_be_read_by_people(parts, expected):
    assert host_name(*parts) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-x-b", "c", "vc"), ("a", "b-x-c", "vc")),
        (("a", "b", "c-x-d"), ("a", "b-x-c", "d")),
        (("a-x", "x-b", "vc"), ("a", "x-x-b", "vc")),
        (("x", "x", "x"), ("x-x-x", "x", "x")),
    ],
)
def test_parts_that_hold_the_separator_are_told_apart(one, other):
    assert host_name(*one) != host_name(*other)


@pytest.mark.parametrize(
    "name", ["a" * 253, "a." * 126 + "a", ("a" * 51) + ".b", ("a" * 50) + "-.b", "-x-".join("ab" * 60)]
)
def test_a_long_name_is_cut_to_a_valid_one(name):
    cut = host_name(name, "n" * 63, "vc")
    assert SUBDOMAIN.fullmatch(cut)
    assert len(cut) <= MAX_LABEL


def host_object(key, *, cluster="vc", name=None):
    labels, annotations = marks(key, uid="u", cluster=cluster)
    named = name or host_name(key.name, key.namespace, cluster)
    return {"metadata": {"name": named, "labels": labels, "annotations": annotations}}


@given(names, namespaces, namespaces)
def test_a_host_object_proves_the_identity_that_it_was_made_for(name, namespace, cluster):
    key = Key("secrets", namespace, name)
    assert identify(host_object(key, cluster=cluster), "secrets", cluster) == key


@given(names, namespaces, names)
def test_marks_copied_to_another_name_prove_nothing(name, namespace, other):
    key = Key("secrets", namespace, name)
    copied = host_object(key, name=host_name(other, namespace, "vc"))
    assert identify(copied, "secrets", "vc") == (key if other == name else None)


KEY = Key("secrets", "shop", "db")


@pytest.mark.parametrize(
    ("field", "mark", "value"),
    [
        ("labels", MANAGED_BY, "other"),
        ("labels", MANAGED_BY, None),
        ("annotations", NAME, "db2"),
        ("annotations", NAME, ""),
        ("annotations", NAME, None),
        ("annotations", NAMESPACE, "shop2"),
        ("annotations", NAMESPACE, None),
        ("annotations", KIND, "configmaps"),
        ("annotations", KIND, TOKEN),
        ("annotations", KIND, None),
    ],
)
def test_an_object_with_a_mark_changed_is_not_ours(field, mark, value):
    host = host_object(KEY)
    if value is None:
        del host["metadata"][field][mark]
    else:
        host["metadata"][field][mark] = value
    assert identify(host, "secrets", "vc") is None


def test_an_object_of_another_cluster_is_not_ours():
    assert identify(host_object(KEY, cluster="other"), "secrets", "vc") is None


def test_an_object_of_another_kind_is_not_ours():
    assert identify(host_object(KEY), "configmaps", "vc") is None


@pytest.mark.parametrize("metadata", [{"name": "a"}, {"name": "a", "labels": None, "annotations": None}])
def test_an_object_without_marks_is_not_ours(metadata):
    assert identify({"metadata": metadata}, "secrets", "vc") is None


def token_secret(pod="db", name=None):
    return host_object(Key(TOKEN, "shop", pod), name=name or token_secret_name(pod, "shop", "vc"))


def test_a_token_secret_proves_its_pod():
    assert identify(token_secret(), TOKEN, "vc") == Key(TOKEN, "shop", "db")


def test_a_token_secret_under_the_name_of_a_tenants_secret_is_not_ours():
    assert identify(token_secret(name=host_name("db", "shop", "vc")), TOKEN, "vc") is None


def test_a_token_secret_is_not_taken_for_a_tenants_secret():
    assert identify(token_secret(), "secrets", "vc") is None


def test_a_tenants_secret_is_not_taken_for_a_token_secret():
    assert identify(host_object(KEY), TOKEN, "vc") is None


def test_token_secrets_can_be_selected_by_a_label():
    assert marks(Key(TOKEN, "shop", "db"), uid="u", cluster="vc")[0][KIND] == TOKEN
    assert KIND not in marks(KEY, uid="u", cluster="vc")[0]


def test_the_uid_is_marked_only_when_there_is_one():
    assert UID in marks(KEY, uid="u", cluster="vc")[1]
    assert UID not in marks(KEY, uid=None, cluster="vc")[1]


@pytest.mark.parametrize(("key", "text"), [(KEY, "secrets/shop/db"), (Key("nodes", "", "node-1"), "nodes/node-1")])
def test_a_key_prints_as_a_path(key, text):
    assert str(key) == text


def test_a_namespace_label_fits_into_a_label_key_however_long_its_own_is():
    assert len(namespace_label("a" * 253 + "/" + "b" * 63).partition("/")[2]) <= MAX_LABEL
