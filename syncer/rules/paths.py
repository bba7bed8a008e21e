"""Paths into objects, such as `spec.rules[*].http.paths[*].backend.service.name`, compiled once.

A path is field names joined by dots; `[*]` stands for every item of a list or every value of a map; `[key]` is a field whose name
holds dots. A path that an object does not have is no error: it simply names nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from syncer.values import InvalidValue

_EVERY = None
_PART = re.compile(r"\.?(?:(?P<field>[^.\[\]]+)|\[(?P<key>[^\]]+)\])")


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path; None in `parts` stands for every item."""

    text: str
    parts: tuple[str | None, ...]

    @classmethod
    def parse(cls, text: str, *, where: str) -> Path:
        """Compiles `text`; `where` is the values path that an error names. Raises InvalidValue."""
        parts: list[str | None] = []
        position = 0
        while isinstance(text, str) and position < len(text):
            match = _PART.match(text, position)
            if match is None:
                break
            key = match["key"]
            parts.append(_EVERY if key == "*" else (key.strip("'\"") if key else match["field"]))
            position = match.end()
        if not text or position != len(text):
            raise InvalidValue(where, f"{text!r} is not a path", "write field.list[*].field")
        return cls(text, tuple(parts))

    def values(self, target: Any) -> Iterator[Any]:
        """Every value that the path names in `target`."""
        return _values(target, self.parts)

    def mapped(self, target: Any, change: Callable[[Any], Any]) -> Any:
        """`target` with `change` applied to every value named; untouched parts are shared with the input."""
        return _mapped(target, self.parts, change)


def _values(target: Any, parts: tuple[str | None, ...]) -> Iterator[Any]:
    if not parts:
        if target is not None:
            yield target
        return
    head, rest = parts[0], parts[1:]
    if head is _EVERY:
        items = target if isinstance(target, list) else target.values() if isinstance(target, dict) else ()
        for item in items:
            yield from _values(item, rest)
    elif isinstance(target, dict) and head in target:
        yield from _values(target[head], rest)


def _mapped(target: Any, parts: tuple[str | None, ...], change: Callable[[Any], Any]) -> Any:
    if not parts:
        return target if target is None else change(target)
    head, rest = parts[0], parts[1:]
    if head is _EVERY:
        if isinstance(target, list):
            return [_mapped(item, rest, change) for item in target]
        if isinstance(target, dict):
            return {key: _mapped(value, rest, change) for key, value in target.items()}
        return target
    if isinstance(target, dict) and head in target:
        return {**target, head: _mapped(target[head], rest, change)}
    return target
