"""The rule table: one row per kind that crosses the border, parsed from the rows that the chart ships.

The chart's RBAC template reads the same rows, so that a kind, its direction, its references and its rights stay one piece of data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from syncer.rules.paths import Path
from syncer.values import InvalidValue

Direction = Literal["toHost", "fromHost", "both"]
Selection = Literal["all", "used"]
Form = Literal["labelSelector", "labels", "peer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A field that holds the name of another object of the same namespace."""

    path: Path
    resource: str
    """Rule key of the kind that is named."""
    carries: bool = False
    """Whether the named object must cross the border too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A field that selects pods: a labelSelector object, a plain map of labels, or a NetworkPolicy peer."""

    path: Path
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """A field value that reads differently on the host."""

    path: Path
    virtual: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind that crosses the border."""

    resource: str
    group: str
    version: str
    kind: str
    namespaced: bool
    direction: Direction
    selection: Selection = "all"
    handler: str = ""
    """The module that plans this kind where a row cannot say it; empty = the row says it all."""
    tenant_owns: tuple[str, ...] = ()
    """Top-level fields that go to the host and are followed there."""
    host_owns: tuple[str, ...] = ()
    """Top-level fields that come back into the virtual object."""
    references: tuple[Reference, ...] = ()
    selectors: tuple[Selector, ...] = ()
    substitutions: tuple[Substitution, ...] = ()

    @property
    def key(self) -> str:
        """`configmaps` in the core group, `ingresses.networking.k8s.io` elsewhere."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def api_version(self) -> str:
        """As in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version


Table = Mapping[str, Rule]
"""Rules by key."""


def parse_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Parses the rows of the config document. Raises InvalidValue for a row that makes no sense."""
    table: dict[str, Rule] = {}
    for index, row in enumerate(rows):
        rule = _parse_row(row, f"rules[{index}] ({row.get('resource') or '?'})")
        if rule.key in table:
            raise InvalidValue(f"rules[{index}]", f"{rule.key} stands in the table twice", "remove one of the rows")
        table[rule.key] = rule
    return table


def _parse_row(row: Mapping[str, Any], where: str) -> Rule:
    _require(row, ("resource", "version", "kind", "scope", "direction"), where)
    _choose("scope", row["scope"], ("Namespaced", "Cluster"), where)
    _choose("direction", row["direction"], get_args(Direction), where)
    selection: Selection = row.get("selection") or "all"
    _choose("selection", selection, get_args(Selection), where)
    return Rule(
        resource=row["resource"],
        group=row.get("group") or "",
        version=row["version"],
        kind=row["kind"],
        namespaced=row["scope"] == "Namespaced",
        direction=row["direction"],
        selection=selection,
        handler=row.get("handler") or "",
        tenant_owns=tuple(row.get("tenantOwns") or ()),
        host_owns=tuple(row.get("hostOwns") or ()),
        references=tuple(_parse_reference(item, where) for item in row.get("references") or ()),
        selectors=tuple(_parse_selector(item, where) for item in row.get("selectors") or ()),
        substitutions=tuple(_parse_substitution(item, where) for item in row.get("substitutions") or ()),
    )


def _parse_reference(item: Mapping[str, Any], where: str) -> Reference:
    _require(item, ("path", "resource"), f"{where}: references")
    path = Path.parse(item["path"], where=where)
    return Reference(path=path, resource=item["resource"], carries=bool(item.get("carries")))


def _parse_selector(item: Mapping[str, Any], where: str) -> Selector:
    _require(item, ("path", "form"), f"{where}: selectors")
    _choose("form", item["form"], get_args(Form), f"{where}: selectors")
    return Selector(path=Path.parse(item["path"], where=where), form=item["form"])


def _parse_substitution(item: Mapping[str, Any], where: str) -> Substitution:
    _require(item, ("path", "virtual", "host"), f"{where}: substitutions")
    return Substitution(path=Path.parse(item["path"], where=where), virtual=item["virtual"], host=item["host"])


def _require(item: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    missing = [name for name in names if not item.get(name)]
    if missing:
        raise InvalidValue(where, f"lacks {', '.join(missing)}", "add the missing keys to the row")


def _choose(name: str, value: Any, choices: Iterable[str], where: str) -> None:
    if value not in choices:
        raise InvalidValue(where, f"{name} {value!r} is unknown", f"use one of {', '.join(choices)}")
