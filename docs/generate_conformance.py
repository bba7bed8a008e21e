"""Writes docs/conformance.md from the results in tests/conformance/results.json and the reasons beside them.

Every test that passes on the bare host and not in a virtual cluster needs a reason, and so does every one that the bare host fails;
a reason that nothing needs is as wrong as one that is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tests" / "conformance" / "results.json"
REASONS = ROOT / "tests" / "conformance" / "reasons.yaml"
PAGE = ROOT / "docs" / "conformance.md"
HOST = "host"
_COLUMNS = ("passed", "failed", "skipped")
_INTRODUCTION = """<!-- made by docs/generate_conformance.py; change that, tests/conformance/results.json or reasons.yaml -->
# Conformance

Kubernetes has tests that say what a Kubernetes cluster is: the `[Conformance]` specs of its own `e2e.test`. They run here against
the bare host cluster of the [lab](../lab/README.md) and, in the same way, against virtual clusters on it. What the bare host cannot
pass, the machine cannot do; what it passes and a virtual cluster does not, is our difference to a real cluster, listed below.

    make conformance                                            # host and default, what has no result yet
    make conformance ARGS="default --again"                     # what failed, too
    make conformance ARGS="--values FILE"                       # a virtual cluster with your values
    make conformance-publish docs                               # make this page of what was found on this machine
    make test-conformance                                       # the subset that is part of `make test`

- **host** is the bare lab: two nodes, everything of the release below, built from source.
- **default** is the chart with default values in a host namespace without Pod Security; the suite runs as the tenant's administrator. Such
  a cluster shows the nodes that run its pods, so one pod is kept on each node of the lab: conformance supposes two.
- **real-nodes** has the host's real nodes and a scheduler of its own ([values](../tests/conformance/real-nodes.yaml)). So far
  only those specs were run there that default does not pass, and all of scheduling.

The suite (`e2e.test`, `ginkgo`) is built from the modules of the release of the control planes. Its images are made from source or
from Debian packages and carry the references that the suite asks for ([catalogue](../lab/catalogue.py)). Specs that may run side by
side do so; one that fails there is run once more alone, and only that second result counts. Serial specs run one by one after them.

Specs are run again when something that they showed was mended, so several commits may stand below, each with the number of its specs; a
`+` says that chart or syncer were not quite as committed.
"""


def page(results: Mapping[str, Any], reasons: Mapping[str, Mapping[str, str]]) -> str:
    """The whole page. Raises ValueError when reasons are missing or superfluous."""
    check(results, reasons)
    parts = [_INTRODUCTION, *_versions(results), *_table(results)]
    for target in results["targets"]:
        parts += _explained(target, results, reasons.get(target) or {})
    return "\n".join([*parts, *_second_chances(results)]) + "\n"


def check(results: Mapping[str, Any], reasons: Mapping[str, Mapping[str, str]]) -> None:
    """Raises ValueError unless there is a reason for each difference and for nothing else."""
    for target in {*results["targets"], *reasons}:
        wanted, given = set(differences(target, results)), set(reasons.get(target) or {})
        if missing := sorted(wanted - given):
            raise ValueError(f"no reason in {REASONS.name} why these fail in {target}: {'; '.join(missing)}")
        if surplus := sorted(given - wanted):
            raise ValueError(f"{REASONS.name} has reasons for what does not fail in {target}: {'; '.join(surplus)}")


def differences(target: str, results: Mapping[str, Any]) -> list[str]:
    """What a virtual cluster does not pass although the host does; of the host what it does not pass."""
    specs = results["specs"].items()
    if target == HOST:
        return [name for name, ends in specs if ends.get(HOST) == "failed"]
    return [name for name, ends in specs if ends.get(target) in ("failed", "skipped") and passed(ends.get(HOST, ""))]


def passed(end: str) -> bool:
    """Whether a spec passed, at the first try or alone."""
    return end.startswith("passed")


def _versions(results: Mapping[str, Any]) -> Iterator[str]:
    targets = results["targets"]
    names = list(dict.fromkeys(name for about in targets.values() for name in about))
    yield f"| | {' | '.join(targets)} |"
    yield f"|---|{'---|' * len(targets)}"
    for name in names:
        yield f"| {name} | {' | '.join(about.get(name, '') for about in targets.values())} |"
    yield ""


def _table(results: Mapping[str, Any]) -> Iterator[str]:
    targets = list(results["targets"])
    groups: dict[str, list[Mapping[str, str]]] = {}
    for name, ends in results["specs"].items():
        groups.setdefault(_group(name), []).append(ends)
    yield "## Results\n"
    yield "| SIG | specs | " + " | ".join(f"{target}: passed | failed | skipped" for target in targets) + " |"
    yield "|---|--:|" + "--:|--:|--:|" * len(targets)
    for group in sorted(groups):
        yield _row(group, groups[group], targets)
    yield _row("**all**", list(results["specs"].values()), targets)
    yield ""


def _group(name: str) -> str:
    match = re.match(r"\[sig-([a-z-]+)\]", name)
    return match[1] if match else "other"


def _row(group: str, specs: list[Mapping[str, str]], targets: list[str]) -> str:
    cells = [
        str(sum(ends.get(target, "").startswith(column) for ends in specs)) for target in targets for column in _COLUMNS
    ]
    return f"| {group} | {len(specs)} | {' | '.join(cells)} |"


def _explained(target: str, results: Mapping[str, Any], reasons: Mapping[str, str]) -> Iterator[str]:
    if target == HOST:
        yield f"## What the bare host does not pass: {len(reasons) or 'nothing'}\n"
    else:
        yield f"## What the host passes and {target} does not: {len(reasons) or 'nothing'}\n"
    if reasons:
        yield "| Spec | Reason |\n|---|---|"
        for name in differences(target, results):
            yield f"| `{name}` | {' '.join(reasons[name].split())} |"
        yield ""


def _second_chances(results: Mapping[str, Any]) -> Iterator[str]:
    found = [
        (name, target) for name, ends in results["specs"].items() for target in ends if ends[target] == "passed alone"
    ]
    yield f"## What failed beside other specs and passed alone: {len(found) or 'nothing'}\n"
    if found:
        yield "| Spec | Target |\n|---|---|"
        for name, target in found:
            yield f"| `{name}` | {target} |"


def wanted() -> dict[Path, str]:
    """The page. Raises ValueError when a reason is missing, or not needed."""
    return {PAGE: page(json.loads(RESULTS.read_text()), yaml.safe_load(REASONS.read_text()) or {})}
