"""What became of the tests ("specs") of one target: read from reports of a run, kept in a file, and what is still to be done.

A spec is named by its full text, as in Kubernetes' own list of conformance tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ALL = PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_STATUS = {PASSED: PASSED, FAILED: FAILED, "panicked": FAILED, "timedout": FAILED, SKIPPED: SKIPPED}
_LEAF = re.compile(r"^\[It\] ")
_RULE = "\n" + "-" * 30 + "\n"
_ENDED = re.compile(r"^• (\[[A-Z]+\] )?\[([0-9.]+) seconds\]$", re.MULTILINE)
_NAMED = re.compile(r"^(\[sig-.+) \[[^\[\]]*\]$", re.MULTILINE)
_MESSAGE_LENGTH = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The last word on one spec. `message` is empty when it passed; `commit` is that of the checkout when it ran."""

    status: str
    seconds: float
    message: str = ""
    alone: bool = False
    """It failed beside others, and this is what came of running it alone."""
    commit: str = ""


Outcomes = Mapping[str, Outcome]


def read_junit(text: str) -> dict[str, Outcome]:
    """The specs that a JUnit report of the suite tells of. Those that were not chosen or were interrupted are not among them."""
    found = {}
    for case in ET.fromstring(text).iter("testcase"):
        name, status = case.get("name", ""), _STATUS.get(case.get("status", ""))
        message = "\n".join(
            filter(None, (part for kind in ("failure", "error", "skipped") for part in _texts(case, kind)))
        )
        if not _LEAF.match(name) or status is None or (status == SKIPPED and not message):
            continue
        seconds = round(float(case.get("time", "0")), 1)
        found[_LEAF.sub("", name)] = Outcome(status=status, seconds=seconds, message=message[:_MESSAGE_LENGTH])
    return found


def _texts(case: ET.Element, kind: str) -> Iterable[str]:
    for element in case.iter(kind):
        yield element.get("message", "").removeprefix("skipped").removeprefix(" - ")
        yield element.text or ""


def read_output(text: str) -> dict[str, Outcome]:
    """The specs that ended so far, from what ginkgo prints while it runs: a section for each, with its name before or after its end."""
    found = {}
    for section in text.split(_RULE):
        ended, named = _ENDED.search(section), _NAMED.search(section)
        if ended and named:
            status = FAILED if ended[1] else PASSED
            found[named[1].replace(" [It] ", " ")] = Outcome(status=status, seconds=round(float(ended[2]), 1))
    return found


def load(file: Path) -> dict[str, Outcome]:
    """What is known so far; nothing when there is no file."""
    if not file.exists():
        return {}
    return {name: Outcome(**fields) for name, fields in json.loads(file.read_text()).items()}


def save(file: Path, outcomes: Outcomes) -> None:
    """Writes all, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps({name: asdict(outcomes[name]) for name in sorted(outcomes)}, indent=1) + "\n")
    unfinished.rename(file)


def remaining(specs: Iterable[str], known: Outcomes, *, again: bool = False) -> list[str]:
    """The specs without a result; with `again` also those that failed."""
    return [name for name in specs if name not in known or (again and known[name].status == FAILED)]


def is_serial(spec: str) -> bool:
    """Whether a spec must run with nothing beside it."""
    return "[Serial]" in spec


def pattern(specs: Iterable[str]) -> str:
    """A regular expression of Go's that exactly these specs match: the suite's own name stands before each."""
    return f"^Kubernetes e2e suite (?:{'|'.join(re.escape(name) for name in specs)})$"
