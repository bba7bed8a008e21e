"""Paths name values, change exactly those, and are refused when they are none."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.rules.paths import Path
from syncer.values import InvalidValue

fields = st.sampled_from(["a", "b", "c", "x.y/z"])
values = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["", "s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=3),
    max_leaves=12,
)
paths = st.lists(st.sampled_from(["a", "b", "[*]", "[x.y/z]"]), min_size=1, max_size=4).map(
    lambda parts: "".join(f".{part}" if part[0] != "[" else part for part in parts).lstrip(".")
)


def path(text):
    return Path.parse(text, where="rules[0]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spec.name", ["x"]),
        ("spec.rules[*].name", ["p", "q"]),
        ("spec.map[*]", [1, 2]),
        ("spec.rules", [[{"name": "p"}, {"name": "q"}, {}]]),
        ("metadata.annotations[example.com/ref]", ["r"]),
        ("metadata.annotations['example.com/ref']", ["r"]),
        ('metadata.annotations["example.com/ref"]', ["r"]),
        ("spec.missing.name", []),
        ("spec.name.deeper", []),
        ("spec.name[*]", []),
        ("spec.nothing", []),
        ("spec.rules.name", []),
    ],
)
def test_a_path_names_values(text, expected):
    target = {
        "metadata": {"annotations": {"example.com/ref": "r"}},
        "spec": {"name": "x", "nothing": None, "rules": [{"name": "p"}, {"name": "q"}, {}], "map": {"k": 1, "l": 2}},
    }
    assert list(path(text).values(target)) == expected


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.", "a[", "a[]", "a]b", "a[*", "[", "a.[b].", None])
def test_what_is_no_path_is_refused_with_where_it_stands(text):
    with pytest.raises(InvalidValue) as caught:
        Path.parse(text, where="rules[7] (widgets)")
    assert caught.value.path == "rules[7] (widgets)"


@given(paths, values)
def test_changing_changes_what_the_path_names_and_nothing_else(text, target):
    before = copy.deepcopy(target)
    marked = path(text).mapped(target, lambda value: ["changed", value])
    assert target == before
    assert list(path(text).values(marked)) == [["changed", value] for value in path(text).values(target)]
    assert path(text).mapped(marked, lambda value: value[1]) == target


@given(paths, values)
def test_changing_nothing_gives_an_equal_object(text, target):
    assert path(text).mapped(target, lambda value: value) == target


@given(paths, values)
def test_an_odd_object_names_nothing_instead_of_failing(text, target):
    assert all(value is not None for value in path(text).values(target))
