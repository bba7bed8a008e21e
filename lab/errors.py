"""The lab's one error: what went wrong and what to do about it."""

from __future__ import annotations


class LabError(Exception):
    """Shown to the user as two lines, without a traceback."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n  -> {remedy}")
