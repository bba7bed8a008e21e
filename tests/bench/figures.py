"""What a run has found: figures, their statistics, and the file they are kept in. Pure but for the file.

A figure is one number of one target. Its name is `measure` (a key of the catalogue) and `detail` (which variant, statistic or
container); the same name of the bare host in the same run is what it is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HOST = "host"
"""The target that all others are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number, in the unit of its measure."""

    measure: str
    detail: str
    target: str
    value: float


@dataclass(frozen=True, slots=True)
class Results:
    """Figures in the order they were found, and what is to be known about the run (versions, machine, sizes)."""

    about: dict[str, Any]
    figures: tuple[Figure, ...]

    @property
    def targets(self) -> list[str]:
        """The bare host, then the others in the order they appear."""
        others = dict.fromkeys(figure.target for figure in self.figures if figure.target != HOST)
        return [HOST, *others]

    def value(self, measure: str, detail: str, target: str) -> float | None:
        """One number; None when it was not taken."""
        wanted = (measure, detail, target)
        found = (item.value for item in self.figures if (item.measure, item.detail, item.target) == wanted)
        return next(found, None)

    def ratio(self, figure: Figure) -> float | None:
        """How many times the bare host's; None when that was not taken or is nothing."""
        base = self.value(figure.measure, figure.detail, HOST)
        return figure.value / base if base and base > 0 and figure.target != HOST else None

    def details(self, measure: str) -> list[str]:
        """The details a measure was taken in, in the order they appear."""
        return list(dict.fromkeys(item.detail for item in self.figures if item.measure == measure))

    def text(self) -> str:
        """As JSON, one figure per line, with ratios."""
        lines = ",\n".join(f"  {json.dumps(asdict(item) | {'ratio': self.ratio(item)})}" for item in self.figures)
        return f'{{"about": {json.dumps(self.about, indent=1)},\n"figures": [\n{lines}\n]}}\n'


def load(file: Path) -> Results:
    """Results that `text` gave."""
    found = json.loads(file.read_text())
    kept = [{name: value for name, value in item.items() if name != "ratio"} for item in found["figures"]]
    return Results(found["about"], tuple(Figure(**item) for item in kept))


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that `percent` of all are at or below, between the two nearest ones. Raises ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 50)


def rounded(value: float) -> float:
    """Four significant digits: more would only be noise."""
    return float(f"{value:.4g}")
