"""Writes the figures of a benchmark run into docs/performance.md, and the picture docs/performance.svg.

    python docs/generate_performance.py            # write
    python docs/generate_performance.py --verify   # exit 1 when page or picture are not what they would be

The run is tests/bench/results.json, which `make bench` wrote there. The figures stand between two comments; what is around them is
written by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench import plot, report  # noqa: E402
from tests.bench.figures import load  # noqa: E402

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


def main() -> int:
    """Writes or verifies both files; returns the exit code."""
    parser = argparse.ArgumentParser(description="the figures of docs/performance.md from tests/bench/results.json")
    parser.add_argument("--verify", action="store_true", help="only say whether they are up to date")
    options = parser.parse_args()
    code = 0
    for file, text in wanted().items():
        if not options.verify:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            sys.stderr.write(f"{file} is out of date: run make docs\n")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
