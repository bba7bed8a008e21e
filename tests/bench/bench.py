"""What the measurements share: the targets, how much to do, and where figures go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import catalogue
from tests.bench.figures import HOST, Figure, Results, percentile, rounded
from tests.bench.sizes import Sizes
from tests.bench.targets import Target

MILLI = 1000.0
"""Milliseconds in a second."""


@dataclass
class Bench:
    """One run. Figures are told as they are found."""

    targets: Sequence[Target]
    """The bare host first, so that ratios to it can be told."""
    sizes: Sizes
    about: dict[str, object]
    file: Path
    figures: list[Figure] = field(default_factory=list)

    @property
    def virtual(self) -> Sequence[Target]:
        """All but the bare host."""
        return [target for target in self.targets if not target.bare]

    def results(self) -> Results:
        """All that was found so far."""
        return Results(self.about, tuple(self.figures))

    def keep(self) -> None:
        """Writes all that was found so far."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(self.results().text())

    def tell(self, line: str) -> None:
        """Says something to whoever waits."""
        print(line, flush=True)

    def record(self, measure: str, detail: str, target: str, value: float) -> None:
        """Keeps a number, in the unit of its measure."""
        figure = Figure(measure=measure, detail=detail, target=target, value=rounded(value))
        self.figures.append(figure)
        ratio = self.results().ratio(figure)
        compared = f"  ({ratio:.2f} times {HOST})" if ratio is not None else ""
        title, unit = catalogue.MEASURES[measure].title, catalogue.MEASURES[measure].unit
        self.tell(f"  {title} [{detail}]  {target}: {figure.value:g} {unit}{compared}")

    def record_latencies(self, measure: str, detail: str, samples: dict[str, list[float]]) -> None:
        """Keeps p50 and p90 of seconds, by target, as milliseconds."""
        for percent in (50, 90):
            words = f"{detail}, p{percent}" if detail else f"p{percent}"
            for target, values in samples.items():
                self.record(measure, words, target, percentile(values, percent) * MILLI)
