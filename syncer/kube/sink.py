"""What a reflector feeds: the interface between a watch and the index that it fills."""

from __future__ import annotations

from typing import Protocol

from syncer.names import Object


class Sink(Protocol):
    """What receives the objects. Calls come from the event loop's thread, in order, and must not block.

    Objects belong to the sink, come without managedFields, and carry apiVersion and kind.
    """

    def begin(self) -> None:
        """A complete listing starts. Comes again without an `end` when a listing broke off: the earlier one is void."""

    def put(self, obj: Object) -> None:
        """An object of the listing, known to the sink or not, changed or not."""

    def end(self) -> None:
        """The listing is complete: whatever the sink holds and was not `put` since `begin` is deleted."""

    def changed(self, obj: Object) -> None:
        """The object is new or has changed."""

    def deleted(self, obj: Object) -> None:
        """The object, given in its last state, is gone or no longer selected; may come during a listing."""

    def bookmark(self, resource_version: str) -> None:
        """Everything up to this version has been told."""
