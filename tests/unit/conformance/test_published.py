"""What is published of the results, and the page that is made of it."""

from __future__ import annotations

import pytest

from docs import generate_conformance
from tests.conformance import published
from tests.conformance.results import Outcome

RESULTS = {
    "targets": {"host": {"date": "2026-01-02"}, "default": {"date": "2026-01-03"}},
    "specs": {
        "[sig-node] Pods should run": {"host": "passed", "default": "passed alone"},
        "[sig-node] Nodes should obey": {"host": "passed", "default": "failed"},
        "[sig-storage] Disks should turn": {"host": "failed", "default": "failed"},
    },
}
REASONS = {
    "host": {"[sig-storage] Disks should turn": "There are no disks."},
    "default": {"[sig-node] Nodes should obey": "Nodes of a virtual cluster\nare not real."},
}


def test_a_summary_says_how_each_spec_ended_on_each_target() -> None:
    known = {
        "host": {
            "a": Outcome(status="passed", seconds=1, commit="c"),
            "b": Outcome(status="failed", seconds=1, commit="c"),
        },
        "default": {"a": Outcome(status="passed", seconds=1, alone=True, commit="d")},
    }

    summary = published.summary(known, {"host": {"date": "x"}, "default": {"date": "y"}})

    assert summary["specs"] == {"a": {"host": "passed", "default": "passed alone"}, "b": {"host": "failed"}}
    assert summary["targets"] == {"host": {"date": "x", "Sublet": "c"}, "default": {"date": "y", "Sublet": "d"}}


def test_a_summary_of_several_commits_counts_their_specs() -> None:
    outcomes = {
        name: Outcome(status="passed", seconds=1, commit=commit) for name, commit in zip("abc", "xyy", strict=True)
    }

    summary = published.summary({"host": outcomes}, {"host": {}})

    assert summary["targets"] == {"host": {"Sublet": "y (2), x (1)"}}


def test_what_ran_on_another_machine_stays_published() -> None:
    before = {
        "targets": {"host": {"date": "x"}, "default": {"date": "x"}},
        "specs": {"a": {"host": "passed", "default": "failed"}, "b": {"default": "passed"}},
    }
    new = {
        "targets": {"default": {"date": "y"}, "mine": {"date": "y"}},
        "specs": {"a": {"default": "passed", "mine": "passed"}},
    }

    assert published.merged(before, new) == {
        "targets": {"host": {"date": "x"}, "default": {"date": "y"}, "mine": {"date": "y"}},
        "specs": {"a": {"host": "passed", "default": "passed", "mine": "passed"}},
    }


def test_the_page_counts_per_group_and_target() -> None:
    lines = generate_conformance.page(RESULTS, REASONS).splitlines()

    assert "| node | 2 | 2 | 0 | 0 | 1 | 1 | 0 |" in lines
    assert "| **all** | 3 | 2 | 1 | 0 | 1 | 2 | 0 |" in lines


def test_the_page_gives_the_reason_of_each_difference_on_one_line() -> None:
    page = generate_conformance.page(RESULTS, REASONS)

    assert "| `[sig-node] Nodes should obey` | Nodes of a virtual cluster are not real. |" in page


def test_the_page_names_what_passed_only_alone() -> None:
    assert "| `[sig-node] Pods should run` | default |" in generate_conformance.page(RESULTS, REASONS)


@pytest.mark.parametrize("target", ["host", "default"])
def test_a_missing_reason_is_an_error(target) -> None:
    with pytest.raises(ValueError, match=f"no reason .* fail in {target}"):
        generate_conformance.page(RESULTS, {**REASONS, target: {}})


def test_a_reason_for_what_passes_is_an_error() -> None:
    surplus = {**REASONS, "default": {**REASONS["default"], "[sig-node] Pods should run": "It does."}}

    with pytest.raises(ValueError, match=r"does not fail in default: .*Pods should run"):
        generate_conformance.page(RESULTS, surplus)


def test_what_the_host_does_not_pass_needs_no_reason_elsewhere() -> None:
    assert generate_conformance.differences("default", RESULTS) == ["[sig-node] Nodes should obey"]
