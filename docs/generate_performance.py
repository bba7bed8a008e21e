"""Writes the figures of a benchmark run into docs/performance.md, and the picture docs/performance.svg.

The run is tests/bench/results.json, which `make bench` wrote there. The figures stand between two comments; what is around them is
written by hand.
"""

from __future__ import annotations

from pathlib import Path

from tests.bench import plot, report
from tests.bench.figures import load

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tests" / "bench" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.svg"
BEGIN, END = "<!-- figures: made by docs/generate_performance.py -->", "<!-- figures: end -->"


def wanted() -> dict[Path, str]:
    """File -> what it should hold."""
    results = load(RESULTS)
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    figures = f"![The figures in pictures]({PICTURE.name})\n\n{report.page(results)}"
    return {PAGE: f"{head}{BEGIN}\n{figures}\n{END}{tail}", PICTURE: plot.svg(results)}
