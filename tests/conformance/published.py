"""The results that stand in the repository, in short: docs/conformance.md is made of them by docs/generate_conformance.py."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.conformance import results, targets
from tests.conformance.results import Outcomes
from tests.conformance.targets import DEFAULT, HOST, Target

FILE = Path(__file__).with_name("results.json")
_ORDER = (HOST, DEFAULT)


Summary = dict[str, dict[str, dict[str, str]]]
"""`targets`: what each stood on. `specs`: how each ended, by target."""


def write() -> int:
    """Puts the results of all targets that ran on this machine into the repository, and leaves those of others; returns the exit code."""
    folders = [path.parent for path in targets.BUILD.glob("*/about.json") if path.parent.name != "subset"]
    names = sorted((path.name for path in folders), key=lambda name: (name not in _ORDER, name != HOST, name))
    known = {name: results.load(Target(name=name).results) for name in names}
    about = {name: json.loads((Target(name=name).folder / "about.json").read_text()) for name in names}
    FILE.write_text(json.dumps(merged(json.loads(FILE.read_text()), summary(known, about)), indent=1) + "\n")
    return 0


def merged(before: Summary, new: Summary) -> Summary:
    """Both, where a target of the new one replaces all that was known of it."""
    specs = {
        spec: {target: word for target, word in ends.items() if target not in new["targets"]}
        for spec, ends in before["specs"].items()
    }
    for spec, ends in new["specs"].items():
        specs[spec] = {**specs.get(spec, {}), **ends}
    return {
        "targets": {**before["targets"], **new["targets"]},
        "specs": {spec: specs[spec] for spec in sorted(specs) if specs[spec]},
    }


def summary(known: Mapping[str, Outcomes], about: Mapping[str, Mapping[str, str]]) -> Summary:
    """What is published: for each target what it stood on, and for each spec how it ended on each target."""
    specs = sorted({name for outcomes in known.values() for name in outcomes})
    return {
        "targets": {target: {**about[target], "Sublet": _commits(outcomes)} for target, outcomes in known.items()},
        "specs": {
            spec: {target: _word(known[target], spec) for target in known if spec in known[target]} for spec in specs
        },
    }


def _word(outcomes: Outcomes, spec: str) -> str:
    outcome = outcomes[spec]
    return f"{outcome.status} alone" if outcome.alone and outcome.status == results.PASSED else outcome.status


def _commits(outcomes: Outcomes) -> str:
    """The commits under test, the one of most specs first."""
    counts = Counter(outcome.commit for outcome in outcomes.values())
    return ", ".join(f"{commit} ({count})" if len(counts) > 1 else commit for commit, count in counts.most_common())
