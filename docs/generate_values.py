"""Writes docs/values.md from the chart: its values, the rights behind each switch, and the keys of vcluster.yaml that it refuses.

A value is documented by a comment that begins with `# --` right above its key; what lies below that key belongs to it. Other comments
above a key that is not documented itself introduce its section.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "chart"
PAGE = Path(__file__).resolve().parent / "values.md"
_HEAD = """\
# Values

<!-- Made by docs/generate_values.py; do not edit. -->

The layout is that of vCluster's `vcluster.yaml`. The schema is closed: a key that is not here is refused. An image is a whole
reference, or a map of the parts that differ from `chart/files/images.yaml`: `registry`, `repository`, `tag`, `digest`."""
_RIGHTS = """\
## Rights

Each switch adds exactly these rules for the control plane's ServiceAccount: to its Role in the release's namespace, or to a
ClusterRole where the scope says so. The rows are `chart/files/rules.yaml`, which the syncer reads too. Beside them it may always
watch its owner ConfigMap, its Service and EndpointSlices, create Secrets, and read and change those of its certificates and
kubeconfigs by name."""
_REFUSED = """\
## Keys of vcluster.yaml that are refused

When one of these switches something on, the chart fails with its name and the remedy. Let through are values that
switch nothing on (`false`, `auto`, empty) or, where the last column names some, those."""
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z0-9_.-]+):( |$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One documented key: its dotted path, its default, and what the comment says."""

    path: str
    default: Any
    text: str


def documented(text: str) -> Iterator[Value]:
    """The documented keys of a values file, in its order."""
    defaults = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.lstrip("#").strip())
            continue
        match = _KEY.match(line)
        if match:
            depth = len(match["indent"])
            path = [*((indent, key) for indent, key in path if indent < depth), (depth, match["key"])]
            if comment and comment[0].startswith("-- "):
                keys = [key for _, key in path]
                yield Value(path=".".join(keys), default=at(defaults, keys), text=" ".join(comment)[3:])
        comment = []


def at(values: Any, keys: Sequence[str]) -> Any:
    """The value that `keys` lead to."""
    for key in keys:
        values = values[key]
    return values


def leaves(values: Any, path: str = "") -> Iterator[str]:
    """The dotted paths of everything in a values file that is no filled map."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path


def page() -> str:
    """The whole page."""
    parts = [
        _HEAD,
        *_sections(),
        _RIGHTS,
        _table(("Switch", "Default", "Scope", "Rules"), _rights()),
        _REFUSED,
        _table(("Key", "What to do", "Let through"), _refused()),
    ]
    return "\n\n".join(parts) + "\n"


def _sections() -> Iterator[str]:
    values = list(documented((CHART / "values.yaml").read_text()))
    for section in dict.fromkeys(value.path.partition(".")[0] for value in values):
        rows = [
            (f"`{value.path}`", f"`{_literal(value.default)}`", value.text)
            for value in values
            if value.path.partition(".")[0] == section
        ]
        yield f"## {section}"
        yield _table(("Key", "Default", "Meaning"), rows)


def _rights() -> Iterator[tuple[str, ...]]:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    for row in yaml.safe_load((CHART / "files" / "rules.yaml").read_text()):
        own = {"apiGroups": [row["group"]], "resources": [row["resource"]], "verbs": row["rights"]}
        rules = [
            f"{', '.join(_qualified(name, rule['apiGroups'][0]) for name in rule['resources'])}: {', '.join(rule['verbs'])}"
            for rule in (own, *row.get("moreRights", ()))
        ]
        default = "on" if at(defaults, row["toggle"].split(".")) else "off"
        scope = "Role" if row["scope"] == "Namespaced" else "ClusterRole"
        yield f"`{row['toggle']}`", default, scope, "<br>".join(rules)


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _refused() -> Iterator[tuple[str, ...]]:
    for row in yaml.safe_load((CHART / "files" / "unsupported.yaml").read_text()):
        yield f"`{row['path']}`", row["remedy"], ", ".join(f"`{_literal(value)}`" for value in row.get("accept", ()))


def _literal(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def wanted() -> dict[Path, str]:
    """The page."""
    return {PAGE: page()}
