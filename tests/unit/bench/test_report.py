"""The page and the picture of a benchmark run."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.bench import plot, report
from tests.bench.catalogue import FAMILIES, GOALS, MEASURES, Goal
from tests.bench.figures import Figure, Results
from tests.bench.sizes import QUICK

ABOUT = {
    "date": "2026-01-02 03:04",
    "command": "python -m tests.bench",
    "commit": "abc",
    "changed files": 0,
    "kubernetes": "v1.36.3",
    "python": "3.13.0",
    "aiohttp": "3.14.0",
    "cores": 2,
    "memory GiB": 23.5,
    "kernel": "6.18",
    "load at start": 0.1,
    "sizes": {"burst": QUICK.burst},
}


def results(*found: tuple[str, str, str, float]) -> Results:
    return Results(
        ABOUT, tuple(Figure(measure=name, detail=detail, target=of, value=value) for name, detail, of, value in found)
    )


RUN = results(
    ("serial.object", "plain, p50", "host", 0.5),
    ("serial.object", "plain, p50", "sublet", 2.0),
    ("serial.object", "plain, p50", "other", 18.0),
    ("serial.running", "plain, p50", "host", 30.0),
    ("serial.running", "plain, p50", "sublet", 45.0),
    ("memory.pods", "0 pods, syncer", "sublet", 40.0),
    ("memory.pods", "0 pods, all", "sublet", 400.0),
)


def test_every_measure_belongs_to_a_family_and_every_goal_to_a_measure():
    assert {measure.family for measure in MEASURES.values()} == set(FAMILIES)
    assert {goal.measure for goal in GOALS} <= set(MEASURES)


@pytest.mark.parametrize(
    ("goal", "limit", "words"),
    [
        (Goal(measure="serial.object", detail="plain, p50", at_most=3.0), 3.0, "≤ 3 ms"),
        (Goal(measure="serial.object", detail="plain, p50", times_host=1.5), 0.75, "≤ 1.5 times host"),
        (Goal(measure="serial.object", detail="plain, p50", above_host=10.0), 10.5, "≤ host + 10 ms"),
        (Goal(measure="burst.objects", detail="p50", times_host=1.5), None, "≤ 1.5 times host"),
    ],
)
def test_a_goal_is_a_number_or_relative_to_the_bare_host(goal: Goal, limit: float | None, words: str):
    assert (goal.limit(RUN), goal.words()) == (limit, words)


def test_goals_are_judged_for_each_virtual_cluster():
    lines = report.goals(RUN).splitlines()

    assert "| 0.5 ms | 2 ms ✓ | 18 ms ✗ |" in lines[2]
    assert "≤ host + 10 ms | 30 ms | 45 ms ✗ |  |" in lines[3]


def test_goals_without_a_figure_are_left_out():
    assert len(report.goals(RUN).splitlines()) == 4


def test_a_figure_stands_beside_the_bare_hosts_with_its_ratio():
    assert "| ms | 0.5 | 2 (4.00 x) ✓ | 18 (36.00 x) ✗ |" in report.figures(RUN, "serial")


def test_a_family_without_figures_has_no_table():
    assert report.figures(RUN, "burst") == ""
    assert FAMILIES["burst"] not in report.page(RUN)


def test_the_page_says_what_was_run_on_what():
    text = report.page(RUN)

    assert "by `python -m tests.bench`, commit abc: Kubernetes v1.36.3" in text
    assert "2 cores, 23.5 GiB" in text


def test_the_page_says_when_the_program_was_not_as_committed():
    assert "commit abc with 2 changed files" in report.about(Results({**ABOUT, "changed files": 2}, ()))


def test_the_picture_is_well_formed_and_shows_each_target():
    words = [node.text for node in ET.fromstring(plot.svg(RUN)).iter("{http://www.w3.org/2000/svg}text")]

    assert {"bare host", "sublet", "other", "2 ms", "18 ms", "0 pods", "400"} <= set(words)


def test_a_picture_of_no_figures_is_well_formed():
    assert ET.fromstring(plot.svg(results())) is not None
