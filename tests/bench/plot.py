"""The figures of a run as a picture: small bar charts of what a user waits for, and the memory by number of pods.

Written by hand as SVG: a dozen rectangles need no library, and the same results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tests.bench.catalogue import MEASURES, goal_of
from tests.bench.controlplane import ALL
from tests.bench.figures import HOST, Results

_CHARTS = (
    ("serial.object", "plain, p50", "one pod: accepted → on the host"),
    ("serial.running", "plain, p50", "one pod: create → Running"),
    ("serial.gone", "plain, p50", "one pod: delete → gone"),
    ("changes.status", "p50", "status on the host → seen"),
    ("burst.objects", "p50", "burst: all on the host"),
    ("burst.running", "p50", "burst: all Running"),
    ("streams.session", "p50", "exec of one command"),
    ("install.ready", "default values, p50", "helm install → ready"),
)
_WIDTH, _COLUMNS, _CELL, _HEIGHT, _BAR = 1000, 4, 250, 190, 110
_COLOURS = ("#9aa0a6", "#1a73e8", "#e8710a", "#12a150", "#9334e6", "#d93025")
_GOAL = "#d93025"


def svg(results: Results) -> str:
    """The whole picture."""
    charts = [chart for chart in _CHARTS if any(_value(results, chart, name) for name in results.targets)]
    rows = -(-len(charts) // _COLUMNS)
    body = list(_legend(results))
    for place, chart in enumerate(charts):
        left, top = place % _COLUMNS * _CELL, 40 + place // _COLUMNS * _HEIGHT
        body += _chart(results, chart, left, top)
    memory = list(_memory(results, 40 + rows * _HEIGHT))
    height = 40 + rows * _HEIGHT + (260 if memory else 0)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, _box(0, 0, _WIDTH, height, "#ffffff"), *body, *memory, "</svg>", ""])


def _legend(results: Results) -> Iterator[str]:
    for place, name in enumerate(results.targets):
        yield _box(20 + place * 160, 12, 12, 12, _COLOURS[place % len(_COLOURS)])
        yield _text(38 + place * 160, 22, f"bare {HOST}" if name == HOST else name)
    yield f'<line x1="860" y1="18" x2="880" y2="18" stroke="{_GOAL}" stroke-width="2" stroke-dasharray="4 3"/>'
    yield _text(886, 22, "goal, at most")


def _chart(results: Results, chart: tuple[str, str, str], left: int, top: int) -> Iterator[str]:
    measure, detail, title = chart
    goal = goal_of(measure, detail)
    limit = goal.limit(results) if goal else None
    values = [_value(results, chart, name) for name in results.targets]
    scale = _BAR / max([limit or 0.0, *(value or 0.0 for value in values)])
    bottom, width = top + 30 + _BAR, min(48, 180 // len(values))
    yield _text(left + 20, top + 12, title, weight="bold")
    for place, value in enumerate(values):
        if value is None:
            continue
        x, size = left + 30 + place * (width + 12), value * scale
        yield _box(x, bottom - size, width, size, _COLOURS[place % len(_COLOURS)])
        yield _text(x, bottom + 15, f"{value:.3g} {MEASURES[measure].unit}")
    if limit is not None:
        y = bottom - limit * scale
        yield (
            f'<line x1="{left + 20}" y1="{y:.1f}" x2="{left + 230}" y2="{y:.1f}" stroke="{_GOAL}"'
            ' stroke-width="2" stroke-dasharray="4 3"/>'
        )


def _memory(results: Results, top: int) -> Iterator[str]:
    """Stacked bars: containers of each virtual cluster, by number of pods."""
    read = [detail.rpartition(", ") for detail in results.details("memory.pods")]
    levels = list(dict.fromkeys(level for level, _, _ in read))
    parts = [part for part in dict.fromkeys(part for _, _, part in read) if part != ALL]
    targets = [name for name in results.targets if name != HOST]
    if not levels:
        return
    totals = [results.value("memory.pods", f"{level}, {ALL}", name) or 0.0 for level in levels for name in targets]
    scale, bottom = 150 / max(totals), top + 210
    yield _text(20, top + 12, "memory of the control plane, MiB", weight="bold")
    for place, part in enumerate(parts):
        yield _box(280 + place * 150, top + 2, 12, 12, _COLOURS[-1 - place % len(_COLOURS)])
        yield _text(298 + place * 150, top + 12, part)
    width = min(90, 800 // len(totals))
    for place, (level, name) in enumerate([(level, name) for level in levels for name in targets]):
        x, y = 40.0 + place * (width + 30), float(bottom)
        for number, part in enumerate(parts):
            size = (results.value("memory.pods", f"{level}, {part}", name) or 0.0) * scale
            y -= size
            yield _box(x, y, width, size, _COLOURS[-1 - number % len(_COLOURS)])
        yield _text(x, y - 5, f"{totals[place]:.0f}")
        yield _text(x, bottom + 15, level)
        yield _text(x, bottom + 30, name)


def _value(results: Results, chart: Sequence[str], target: str) -> float | None:
    return results.value(chart[0], chart[1], target)


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x: float, y: float, words: str, *, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}" fill="#202124">{escape(words)}</text>'
