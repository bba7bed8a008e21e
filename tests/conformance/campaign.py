"""Runs specs against one target: those that may run side by side, then the others one by one.

Results are kept when a run has ended, also when it was cut short: the next start goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.conformance import results, suite, targets
from tests.conformance.results import FAILED, PASSED, Outcomes
from tests.conformance.suite import Run
from tests.conformance.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One target with what it takes to run specs against it."""

    target: Target
    kubeconfig: Path
    side_by_side: int
    second_chance: bool = True
    """A spec that failed beside others is run once more with nothing beside it."""

    def run(self, specs: Sequence[str]) -> Outcomes:
        """Runs the specs and returns what became of them."""
        parallel = [name for name in specs if not results.is_serial(name)]
        self._phase("parallel", parallel, side_by_side=self.side_by_side)
        if self.second_chance:
            known = self._known(parallel)
            self._phase("alone", [name for name in known if known[name].status == FAILED and not known[name].alone])
        self._phase("serial", [name for name in specs if results.is_serial(name)])
        return self._known(specs)

    def _known(self, specs: Sequence[str]) -> Outcomes:
        known = results.load(self.target.results)
        return {name: known[name] for name in specs if name in known}

    def _phase(self, phase: str, specs: Sequence[str], *, side_by_side: int = 1) -> None:
        if not specs:
            return
        run = Run(
            kubeconfig=self.kubeconfig,
            specs=specs,
            side_by_side=side_by_side,
            seconds=suite.bound(specs, side_by_side=side_by_side),
            folder=self.target.folder / "runs" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{phase}",
        )
        commit = targets.commit()
        print(
            f"{self.target.name}, {phase}: {len(specs)} specs, {side_by_side} at a time; see {run.folder}", flush=True
        )
        try:
            suite.start(run, Teller(total=len(specs)))
        finally:
            found = {
                name: replace(outcome, alone=phase == "alone", commit=commit)
                for name, outcome in suite.found(run).items()
            }
            results.save(self.target.results, results.load(self.target.results) | found)


@dataclass(slots=True)
class Teller:
    """Tells what came in since it was last asked: a line for each spec that did not pass, and one for all."""

    total: int
    tell: Callable[[str], None] = print
    began: float = field(default_factory=time.monotonic)
    told: set[str] = field(default_factory=set)

    def __call__(self, outcomes: Outcomes) -> None:
        new = {name: outcome for name, outcome in outcomes.items() if name not in self.told}
        if not new:
            return
        self.told.update(new)
        for name, outcome in new.items():
            if outcome.status != PASSED:
                self.tell(f"  {outcome.status} after {outcome.seconds:.0f} s: {name}")
        failed = sum(outcome.status == FAILED for outcome in outcomes.values())
        minutes = (time.monotonic() - self.began) / 60
        self.tell(f"[{minutes:5.1f} min] {len(self.told)} of {self.total}, {failed} failed")
