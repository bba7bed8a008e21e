"""The figures of a run as Markdown. Pure: results in, text out."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.catalogue import FAMILIES, GOALS, MEASURES, Goal, goal_of
from tests.bench.figures import HOST, Figure, Results

REACHED, MISSED = "✓", "✗"


def page(results: Results) -> str:
    """Everything: about the run, the goals, and a table per family."""
    parts = [about(results), "### Goals", goals(results)]
    for family, heading in FAMILIES.items():
        if table := figures(results, family):
            parts += [f"### {heading}", table]
    return "\n\n".join(parts)


def about(results: Results) -> str:
    """When and on what the run was made."""
    told = results.about
    changed = f" with {count} changed files" if (count := told["changed files"]) else ""
    return (
        f"Run of {told['date']} UTC by `{told['command']}`, commit {told['commit']}{changed}: Kubernetes {told['kubernetes']}, "
        f"Python {told['python']} and aiohttp {told['aiohttp']} on the measuring side; {told['cores']} cores, {told['memory GiB']} GiB, "
        f"Linux {told['kernel']}, load {told['load at start']} at the start. Bursts are of {told['sizes']['burst']} pods."
    )


def goals(results: Results) -> str:
    """Each goal with what was found, for each virtual cluster."""
    targets = [name for name in results.targets if name != HOST]
    lines = [_row("Figure", "Goal", f"Bare {HOST}", *targets), _rule(3 + len(targets))]
    for goal in GOALS:
        found = [_judged(results, goal, target) for target in targets]
        if any(found):
            unit = MEASURES[goal.measure].unit
            base = _with_unit(results.value(goal.measure, goal.detail, HOST), unit)
            lines.append(_row(_name(goal), goal.words(), base, *found))
    return "\n".join(lines)


def figures(results: Results, family: str) -> str:
    """All figures of a family, with ratios to the bare host; nothing when none was taken."""
    targets = [name for name in results.targets if name != HOST]
    rows = list(_rows(results, family, targets))
    if not rows:
        return ""
    return "\n".join([_row("Figure", "", "Unit", f"Bare {HOST}", *targets), _rule(4 + len(targets)), *rows])


def _rows(results: Results, family: str, targets: list[str]) -> Iterator[str]:
    for name, measure in MEASURES.items():
        if measure.family != family:
            continue
        for detail in results.details(name):
            base = _number(results.value(name, detail, HOST))
            values = [_compared(results, name, detail, target) for target in targets]
            yield _row(measure.title, detail, measure.unit, base, *values)


def _compared(results: Results, measure: str, detail: str, target: str) -> str:
    value = results.value(measure, detail, target)
    if value is None:
        return ""
    ratio = results.ratio(Figure(measure=measure, detail=detail, target=target, value=value))
    goal = goal_of(measure, detail)
    mark = f" {_mark(results, goal, value)}" if goal else ""
    return _number(value) + (f" ({ratio:.2f} x)" if ratio is not None else "") + mark


def _judged(results: Results, goal: Goal, target: str) -> str:
    value = results.value(goal.measure, goal.detail, target)
    if value is None:
        return ""
    return f"{_with_unit(value, MEASURES[goal.measure].unit)} {_mark(results, goal, value)}"


def _mark(results: Results, goal: Goal, value: float) -> str:
    limit = goal.limit(results)
    return "" if limit is None else REACHED if value <= limit else MISSED


def _name(goal: Goal) -> str:
    measure = MEASURES[goal.measure]
    return f"{FAMILIES[measure.family]}: {measure.title} ({goal.detail})"


def _with_unit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{_number(value)} {unit}".rstrip()


def _number(value: float | None) -> str:
    """Three significant digits, or all before the point."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(count: int) -> str:
    return "|" + "---|" * count
