"""A store in memory that answers as etcd and kine do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from syncer.snapshots.store import Pair, StoreError


@dataclass
class MemoryStore:
    """Everything below the prefix, with its history."""

    history: list[dict[bytes, Pair]] = field(default_factory=lambda: [{}])
    fails_after: int | None = None
    """So many writes are taken before the store is gone."""

    @property
    def now(self) -> dict[bytes, Pair]:
        return self.history[-1]

    def put(self, key: bytes, value: bytes, *, leased: bool = False) -> None:
        """Writes as somebody else would."""
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                raise StoreError("gone")
        self.history.append({**self.now, key: Pair(key, value, len(self.history), leased)})

    async def revision(self) -> int:
        return len(self.history) - 1

    async def pages(self, revision: int, *, keys_only: bool = False) -> AsyncIterator[list[Pair]]:
        pairs = [pair for _, pair in sorted(self.history[revision].items())]
        for start in range(0, len(pairs), 2):
            yield pairs[start : start + 2]

    async def get(self, key: bytes) -> Pair | None:
        return self.now.get(key)

    async def create(self, key: bytes, value: bytes) -> bool:
        if key in self.now:
            return False
        self.put(key, value)
        return True

    async def update(self, pair: Pair, value: bytes) -> bool:
        if self.now.get(pair.key) != pair:
            return False
        self.put(pair.key, value)
        return True

    async def delete(self, key: bytes) -> None:
        self.history.append({other: pair for other, pair in self.now.items() if other != key})

    async def compact(self, revision: int) -> None:
        pass
