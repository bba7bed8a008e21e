"""Label selectors as the API server evaluates them."""

from __future__ import annotations

import pytest

from syncer.rules.selectors import matches

LABELS = {"team": "red", "tier": "front"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": None, "matchExpressions": None}, True),
        ({"matchLabels": {"team": "red"}}, True),
        ({"matchLabels": {"team": "blue"}}, False),
        ({"matchLabels": {"team": "red", "zone": "a"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["red", "blue"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["blue"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["blue"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Resembles", "values": ["f"]}]}, False),
    ],
)
def test_a_selector_matches_as_in_kubernetes(selector, expected):
    assert matches(selector, LABELS) is expected


def test_labels_and_expressions_must_both_match():
    selector = {
        "matchLabels": {"team": "red"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["back"]}],
    }
    assert not matches(selector, LABELS)
