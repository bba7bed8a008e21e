"""Writes the table of what crosses the border into README.md, from the rows in chart/files/rules.yaml.

The table stands between two comments; what is around them is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "chart" / "files" / "rules.yaml"
VALUES = ROOT / "chart" / "values.yaml"
PAGE = ROOT / "README.md"
BEGIN, END = "<!-- border: made by docs/generate_border.py -->", "<!-- border: end -->"
_ARROWS = {"toHost": "virtual → host", "fromHost": "host → virtual", "both": "both ways"}

Row = Mapping[str, Any]


def table() -> str:
    """The table, one line per row of the rules."""
    values = yaml.safe_load(VALUES.read_text())
    lines = [
        "| Kind | Direction | Switch | Default | The tenant decides | The host decides | Translated besides its name |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(_cells(row, values)) + " |" for row in yaml.safe_load(RULES.read_text())]
    return "\n".join(lines)


def _cells(row: Row, values: Row) -> Iterator[str]:
    yield row["kind"] + (" (cluster-wide)" if row["scope"] == "Cluster" else "")
    yield _ARROWS[row["direction"]]
    yield f"`{row['toggle'].removesuffix('.enabled')}`"
    yield _default(row, values)
    yield _names(row["tenantOwns"])
    yield _names(row["hostOwns"])
    yield ", ".join(_translated(row))


def _default(row: Row, values: Row) -> str:
    if not _at(values, row["toggle"]):
        return "off"
    if _at(values, row["toggle"]) == "auto":
        return "with a scheduler"
    selection = row.get("selectionToggle")
    return "on, used ones" if selection and not _at(values, selection) else "on"


def _translated(row: Row) -> Iterator[str]:
    """References and selectors of the row; a handler stands for all that its module translates."""
    if row.get("handler"):
        yield "[more](docs/architecture.md#translation)"
    for reference in row.get("references") or ():
        yield f"`{reference['path']}`"
    for selector in row.get("selectors") or ():
        yield f"`{selector['path']}`"


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def wanted() -> dict[Path, str]:
    """README.md with the table in its place."""
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return {PAGE: f"{head}{BEGIN}\n{table()}\n{END}{tail}"}
