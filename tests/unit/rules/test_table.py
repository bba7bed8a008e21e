"""Rows become rules; a row that makes no sense is refused by its number and name."""

from __future__ import annotations

import pytest

from syncer.plan import check
from syncer.rules.table import parse_table
from syncer.values import InvalidValue
from tests.unit.builders import rows, table

ROW = {
    "resource": "widgets",
    "group": "example.com",
    "version": "v1",
    "kind": "Widget",
    "scope": "Namespaced",
    "direction": "toHost",
}


def test_the_charts_own_table_can_be_read_and_planned():
    check(table())


def test_a_key_has_the_group_behind_it_except_in_the_core_group():
    assert parse_table([ROW, {**ROW, "group": ""}]).keys() == {"widgets.example.com", "widgets"}


def test_the_least_row_copies_nothing():
    (rule,) = parse_table([ROW]).values()
    assert (rule.tenant_owns, rule.host_owns, rule.references, rule.selectors, rule.substitutions) == (
        (),
        (),
        (),
        (),
        (),
    )
    assert (rule.api_version, rule.selection, rule.namespaced) == ("example.com/v1", "all", True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": None}, "lacks kind"),
        ({"version": "", "scope": None}, "lacks version, scope"),
        ({"direction": "sideways"}, "direction 'sideways' is unknown"),
        ({"scope": "Galaxy"}, "scope 'Galaxy' is unknown"),
        ({"selection": "some"}, "selection 'some' is unknown"),
        ({"references": [{"path": "spec..a", "resource": "secrets"}]}, "'spec..a' is not a path"),
        ({"references": [{"path": "spec.a"}]}, "lacks resource"),
        ({"references": [{"resource": "secrets"}]}, "lacks path"),
        ({"selectors": [{"path": "spec.a", "form": "wishful"}]}, "form 'wishful' is unknown"),
        ({"selectors": [{"path": "spec.a"}]}, "lacks form"),
        ({"substitutions": [{"path": "type", "virtual": "a"}]}, "lacks host"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_by_its_place_and_name(change, message):
    with pytest.raises(InvalidValue) as caught:
        parse_table([ROW | {"resource": "gadgets"}, {**ROW, **change}])
    assert caught.value.path.startswith("rules[1] (widgets)")
    assert message in str(caught.value)


def test_a_row_without_a_name_is_refused_by_its_place():
    with pytest.raises(InvalidValue, match=r"rules\[0\] \(\?\): lacks resource"):
        parse_table([{**ROW, "resource": None}])


def test_a_kind_that_stands_in_the_table_twice_is_refused():
    with pytest.raises(InvalidValue, match=r"widgets\.example\.com stands in the table twice"):
        parse_table([ROW, ROW])


def test_a_handler_that_does_not_exist_is_refused():
    with pytest.raises(InvalidValue, match="handler 'widgets' is unknown"):
        check(parse_table([*rows(), {**ROW, "handler": "widgets"}]))


@pytest.mark.parametrize(
    ("direction", "handler"), [("both", ""), ("both", "pods"), ("fromHost", ""), ("fromHost", "pods")]
)
def test_a_direction_that_nothing_carries_out_is_refused_instead_of_ignored(direction, handler):
    with pytest.raises(InvalidValue, match=f"unknown for direction {direction}"):
        check(parse_table([*rows(), {**ROW, "direction": direction, "handler": handler}]))


@pytest.mark.parametrize("kind", ["pods", "services"])
def test_a_table_without_a_kind_that_all_others_rest_on_is_refused_by_its_value(kind):
    with pytest.raises(InvalidValue) as caught:
        check(parse_table(row for row in rows() if row["resource"] != kind))
    assert caught.value.path == f"sync.toHost.{kind}.enabled"
