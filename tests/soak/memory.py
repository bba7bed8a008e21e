"""Resident memory of the control plane's processes over time, and whether the syncer's grows."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WARM = 120.0
"""Seconds after which a process has seen all that it usually sees."""
SHORTEST = 180.0
"""A process must be watched for so many seconds beyond that, or its slope tells nothing."""
GROWTH = 0.25
"""MiB per minute that a syncer's memory may grow while pods come and go: beyond it, a day of churn would be 360 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One process at one moment: seconds since the soak began, bytes resident."""

    time: float
    container: str
    pid: int
    resident: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process from its first sample to its last; memory in MiB, slope in MiB per minute after it was warm.

    The slope is the lesser one of both halves: a leak shows in both, one great backlog leaves a step in one.
    """

    container: str
    pid: int
    seconds: float
    highest: float
    last: float
    slope: float | None
    """None when it did not live long enough to tell."""


def lives(samples: Iterable[Sample]) -> list[Life]:
    """Every process that was seen, in the order of their first sample."""
    grouped: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        if sample.resident:
            grouped.setdefault((sample.container, sample.pid), []).append(sample)
    return [_life(group) for group in grouped.values()]


def growing(all_lives: Iterable[Life]) -> list[str]:
    """Syncers whose memory grows, as sentences."""
    return [
        f"the syncer's memory grows by {life.slope:.2f} MiB a minute over {life.seconds / 60:.0f} minutes"
        for life in all_lives
        if life.container == "syncer" and life.slope is not None and life.slope > GROWTH
    ]


def _slope(samples: Sequence[Sample]) -> float:
    times, sizes = [sample.time / 60 for sample in samples], [sample.resident / 2**20 for sample in samples]
    return statistics.linear_regression(times, sizes).slope


def _life(samples: Sequence[Sample]) -> Life:
    first, last = samples[0], samples[-1]
    warm = [sample for sample in samples if sample.time - first.time >= WARM]
    slope = None
    if warm and warm[-1].time - warm[0].time >= SHORTEST:
        middle = len(warm) // 2
        slope = min(_slope(warm[:middle]), _slope(warm[middle:]))
    return Life(
        container=first.container,
        pid=first.pid,
        seconds=last.time - first.time,
        highest=max(sample.resident for sample in samples) / 2**20,
        last=last.resident / 2**20,
        slope=slope,
    )
