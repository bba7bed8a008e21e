"""The order in which specs run, and what counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import campaign, results, suite, targets
from tests.conformance.campaign import Campaign, Teller
from tests.conformance.results import Outcome
from tests.conformance.targets import Target

SERIAL = "[sig-node] Taints [Serial] [Conformance]"


class Suite:
    """Stands in for e2e.test: `ends` says how each spec ends, one after the other."""

    def __init__(self, ends: dict[str, list[str]]) -> None:
        self.ends = ends
        self.runs: list[tuple[list[str], int]] = []
        self.last: dict[str, Outcome] = {}

    def start(self, run: suite.Run, _progress: object) -> None:
        self.runs.append((list(run.specs), run.side_by_side))
        self.last = {name: Outcome(status=self.ends[name].pop(0), seconds=1) for name in run.specs if self.ends[name]}

    def found(self, _run: suite.Run) -> dict[str, Outcome]:
        return self.last


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs specs to the ends that are given; returns what was started and what came of it."""
    monkeypatch.setattr(targets, "BUILD", tmp_path)
    monkeypatch.setattr(targets, "commit", lambda: "abc")

    def started(ends: dict[str, list[str]], *, second_chance: bool = True):
        stand_in = Suite(ends)
        monkeypatch.setattr(campaign, "suite", stand_in)
        stand_in.Run, stand_in.bound = suite.Run, suite.bound
        one = Campaign(target=Target(name="t"), kubeconfig=Path("k"), side_by_side=4, second_chance=second_chance)
        return stand_in.runs, one.run(list(ends))

    return started


def test_serial_specs_run_after_the_others_and_alone(run) -> None:
    runs, _ = run({SERIAL: ["passed"], "a": ["passed"], "b": ["passed"]})

    assert runs == [(["a", "b"], 4), ([SERIAL], 1)]


def test_a_serial_spec_that_failed_earlier_runs_once_more_and_not_twice(run) -> None:
    run({SERIAL: ["failed"]})

    runs, outcomes = run({SERIAL: ["passed"]})

    assert runs == [([SERIAL], 1)]
    assert not outcomes[SERIAL].alone


def test_what_failed_beside_others_counts_as_it_ends_alone(run) -> None:
    runs, outcomes = run({"a": ["failed", "passed"], "b": ["passed"]})

    assert runs == [(["a", "b"], 4), (["a"], 1)]
    assert outcomes["a"].status == "passed"
    assert outcomes["a"].alone


def test_what_fails_alone_too_is_not_tried_a_third_time(run) -> None:
    runs, outcomes = run({"a": ["failed", "failed"]})

    assert len(runs) == 2
    assert outcomes["a"].status == "failed"


def test_without_a_second_chance_the_first_end_counts(run) -> None:
    runs, outcomes = run({"a": ["failed", "passed"]}, second_chance=False)

    assert len(runs) == 1
    assert outcomes["a"].status == "failed"


def test_a_spec_that_was_cut_off_has_no_result(run) -> None:
    _, outcomes = run({"a": [], "b": ["passed"]})

    assert outcomes.keys() == {"b"}


def test_results_name_the_commit_under_test(run) -> None:
    run({"a": ["passed"]})

    assert results.load(Target(name="t").results)["a"].commit == "abc"


def test_progress_names_each_failure_once() -> None:
    lines: list[str] = []
    teller = Teller(total=3, tell=lines.append)
    known = {"bad": Outcome(status="failed", seconds=5), "good": Outcome(status="passed", seconds=5)}

    teller(known)
    teller(known)

    assert [line for line in lines if "bad" in line] == ["  failed after 5 s: bad"]
    assert "2 of 3, 1 failed" in lines[-1]
