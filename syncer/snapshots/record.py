"""What a restore leaves in the store itself: that it has begun, or that it is done. It lies with the data that it speaks of."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson

KEY = b"sublet.dev/restore"
"""Of two parts, and hence of no object: those of a resource of a group have three at least."""
OWN = frozenset({KEY, b"health"})
"""Keys that are no objects; kine makes the second for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The last restore into a store."""

    id: str
    """What the values call it (controlPlane.backingStore.restore.id)."""
    done: bool

    def encode(self) -> bytes:
        """As the store keeps it."""
        return orjson.dumps(asdict(self))

    @staticmethod
    def decode(value: bytes) -> Record:
        """From what the store keeps."""
        return Record(**orjson.loads(value))
