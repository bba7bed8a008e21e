"""Which of a great many names have been seen lately, at some 100 bytes each."""

from __future__ import annotations


class Remembered:
    """The names noted last: at least `size` of them, at most twice as many.

    Only their hashes of 64 bits are kept, in two generations; when the younger is full, the older is forgotten. That two names share a
    hash is as good as impossible, and must do no more harm than that one of them is taken for seen.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._younger: set[int] = set()
        self._older: set[int] = set()

    def __contains__(self, name: str) -> bool:
        mark = hash(name)
        return mark in self._younger or mark in self._older

    def __len__(self) -> int:
        return len(self._younger | self._older)

    def add(self, name: str) -> None:
        """Notes a name."""
        if len(self._younger) >= self._size:
            self._younger, self._older = set(), self._younger
        self._younger.add(hash(name))

    def discard(self, name: str) -> None:
        """Forgets a name, if it is remembered."""
        self._younger.discard(hash(name))
        self._older.discard(hash(name))
