"""Reading what the conformance suite reports, and choosing what is still to be done."""

from __future__ import annotations

import re

import pytest

from tests.conformance import results
from tests.conformance.results import Outcome

WORKS = "[sig-node] Pods should work [Conformance]"
BREAKS = "[sig-network] DNS should break [Serial] [Conformance]"
JUNIT = f"""<?xml version="1.0"?>
<testsuites><testsuite>
  <testcase name="[SynchronizedBeforeSuite]" status="passed" time="0.1"/>
  <testcase name="[It] {WORKS}" status="passed" time="4.123"/>
  <testcase name="[It] {BREAKS}" status="failed" time="61.55">
    <failure message="timed out" type="failed">[FAILED] no answer</failure><system-err>long log</system-err>
  </testcase>
  <testcase name="[It] cut off" status="interrupted" time="3"><error message="interrupted by user"/></testcase>
  <testcase name="[It] not chosen" status="skipped" time="0"><skipped message="skipped"/></testcase>
  <testcase name="[It] not for this cluster" status="skipped" time="0.2"><skipped message="skipped - needs 3 nodes"/></testcase>
</testsuite></testsuites>"""
SIDE_BY_SIDE = f"""
SSSSS
------------------------------
• [4.123 seconds]
{WORKS} [sig-node, Conformance]
k8s.io/kubernetes@v1.36.3/test/e2e/node/pods.go:90
------------------------------
• [FAILED] [61.550 seconds]
[sig-network] DNS [It] should break [Serial] [Conformance] [sig-network, Serial, Conformance]
k8s.io/kubernetes@v1.36.3/test/e2e/network/dns.go:62
"""
ONE_BY_ONE = f"""
------------------------------
{WORKS} [sig-node, Conformance]
k8s.io/kubernetes@v1.36.3/test/e2e/node/pods.go:90
  STEP: Creating a kubernetes client
• [4.123 seconds]
------------------------------
{BREAKS} [sig-network, Serial, Conformance]
k8s.io/kubernetes@v1.36.3/test/e2e/network/dns.go:62
  STEP: Creating a kubernetes client
• [FAILED] [61.550 seconds]
[sig-network] DNS [It] should break [Serial] [Conformance] [sig-network, Serial, Conformance]
------------------------------
[sig-node] Pods should be under way [Conformance] [sig-node, Conformance]
k8s.io/kubernetes@v1.36.3/test/e2e/node/pods.go:99
"""


@pytest.fixture
def report() -> dict[str, Outcome]:
    return results.read_junit(JUNIT)


def test_a_report_gives_status_and_seconds_of_each_spec(report) -> None:
    assert report[WORKS] == Outcome(status="passed", seconds=4.1)


def test_a_failure_keeps_what_the_suite_said_but_not_its_log(report) -> None:
    assert report[BREAKS].status == "failed"
    assert report[BREAKS].message == "timed out\n[FAILED] no answer"


def test_specs_that_were_not_chosen_or_cut_off_have_no_result(report) -> None:
    assert report.keys() == {WORKS, BREAKS, "not for this cluster"}


def test_a_spec_that_excused_itself_keeps_the_excuse(report) -> None:
    assert report["not for this cluster"] == Outcome(status="skipped", seconds=0.2, message="needs 3 nodes")


@pytest.mark.parametrize("output", [SIDE_BY_SIDE, ONE_BY_ONE], ids=["side by side", "one by one"])
def test_output_of_a_running_suite_tells_the_same_names_and_ends_as_its_report(report, output) -> None:
    seen = results.read_output(output)

    assert {name: outcome.status for name, outcome in seen.items()} == {
        name: report[name].status for name in (WORKS, BREAKS)
    }


def test_only_specs_without_a_result_remain(report) -> None:
    assert results.remaining([WORKS, BREAKS, "new"], report) == ["new"]


def test_failed_ones_run_again_on_request(report) -> None:
    assert results.remaining([WORKS, BREAKS, "new"], report, again=True) == [BREAKS, "new"]


def test_results_come_back_from_their_file_as_they_were(tmp_path, report) -> None:
    results.save(tmp_path / "new" / "results.json", report)

    assert results.load(tmp_path / "new" / "results.json") == report


def test_without_a_file_nothing_is_known(tmp_path) -> None:
    assert results.load(tmp_path / "results.json") == {}


def test_the_pattern_matches_the_named_specs_alone() -> None:
    pattern = re.compile(results.pattern([WORKS]))

    assert pattern.search(f"Kubernetes e2e suite {WORKS}")
    assert not pattern.search(f"Kubernetes e2e suite {WORKS} twice")
    assert not pattern.search(f"Kubernetes e2e suite {BREAKS}")
