"""Starts Kubernetes' `e2e.test`: side by side with ginkgo, in the network of a node, as a user inside the cluster would."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import kwok, toolchain
from tests.conformance import results
from tests.conformance.results import Outcomes
from tests.e2e import tenancy

PROGRAMS = ("ginkgo", "e2e.test", "kubectl")
_POLL = 2.0
# A test that waits for a cluster which never does it gives up by itself, after 5 minutes mostly and 15 at most.
_SECONDS_PER_SPEC = 900
_GRACE = 120

Progress = Callable[[Outcomes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of the suite. Everything it writes is in `folder`: output.log and junit_01.xml."""

    kubeconfig: Path
    specs: Sequence[str]
    side_by_side: int
    seconds: float
    folder: Path


def conformance_specs() -> list[str]:
    """All specs of the suite that are part of conformance."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(toolchain.path("e2e.test")),
            *("--ginkgo.dry-run", r"--ginkgo.focus=\[Conformance\]"),
            *("--provider=skeleton", "--kubeconfig=/dev/null", f"--report-dir={folder}"),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return sorted(results.read_junit(Path(folder, "junit_01.xml").read_text()))


def command(run: Run) -> list[str]:
    """The whole command line."""
    return [
        *tenancy.inside(),
        str(toolchain.path("ginkgo")),
        "run",
        "-v",
        "--no-color",
        f"--procs={run.side_by_side}",
        f"--timeout={run.seconds:.0f}s",
        f"--focus={results.pattern(run.specs)}",
        str(toolchain.path("e2e.test")),
        "--",
        f"--kubeconfig={run.kubeconfig}",
        f"--kubectl-path={toolchain.path('kubectl')}",
        "--provider=skeleton",
        f"--report-dir={run.folder}",
        "--disable-log-dump",
        f"--non-blocking-taints=node-role.kubernetes.io/control-plane,{kwok.ANNOTATION}",
    ]


def bound(specs: Sequence[str], *, side_by_side: int) -> float:
    """Seconds after which a run is ended, whatever it waits for. Far more than one that works needs."""
    return _SECONDS_PER_SPEC + 60 * len(specs) / side_by_side


def start(run: Run, progress: Progress) -> None:
    """Runs the suite to its end, or to the end of its time. `progress` gets what is known so far, again and again."""
    run.folder.mkdir(parents=True, exist_ok=True)
    with _log(run).open("w") as output:
        process = subprocess.Popen(
            command(run), stdout=output, stderr=subprocess.STDOUT, cwd=run.folder, start_new_session=True
        )
    deadline = time.monotonic() + run.seconds + _GRACE
    try:
        while process.poll() is None and time.monotonic() < deadline:
            progress(results.read_output(_log(run).read_text()))
            time.sleep(_POLL)
    finally:
        _end(process)
        progress(found(run))


def found(run: Run) -> Outcomes:
    """What became of the specs of a run that has ended. Those that were cut off are missing."""
    report = run.folder / "junit_01.xml"
    outcomes = results.read_junit(report.read_text()) if report.exists() else results.read_output(_log(run).read_text())
    return {name: outcome for name, outcome in outcomes.items() if name in set(run.specs)}


def _log(run: Run) -> Path:
    return run.folder / "output.log"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Lets a suite that still runs clear up and write its report, and ends it when it does not."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)  # ginkgo does not hand it on
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
