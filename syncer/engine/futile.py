"""Patches in vain: parts of them that a server drops, refuses, or keeps as it wants them itself.

An older API server drops fields that it does not know, admission on the host may insist on a value. To send such a patch again would
be a request for nothing, with each look at the object. So it is remembered, for as long as both objects stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from syncer.names import Key
from syncer.plan.actions import Action, Attempt, Patch

Versions = tuple[str, str]
"""resourceVersions of the virtual and the host object, "" for one that is not there."""


class Futile:
    """What was patched in vain. `versions` says how the objects of a key stand."""

    def __init__(self, versions: Callable[[Key], Versions]) -> None:
        self._versions = versions
        self._known: dict[Key, tuple[Versions, list[Action]]] = {}

    def without(self, key: Key, actions: Sequence[Action]) -> list[Action]:
        """The actions that are worth the while."""
        versions, vain = self._known.get(key, (None, []))
        if versions != self._versions(key):
            self._known.pop(key, None)  # these objects do not come back
            return list(actions)
        return [action for action in actions if action not in vain]

    def learn(self, key: Key, planned: Sequence[Action], again: Sequence[Action]) -> None:
        """`planned` was carried out, `again` is what a plan wants after that: what is in both was in vain."""
        vain = [action for action in again if any(_is_part(action, of) for of in planned)]
        if vain:
            self._known[key] = (self._versions(key), vain)
        else:
            self._known.pop(key, None)


def patch_in(action: Action) -> Patch | None:
    """The patch that an action is, or tries."""
    inner = action.action if isinstance(action, Attempt) else action
    return inner if isinstance(inner, Patch) else None


def _is_part(action: Action, of: Action) -> bool:
    part, whole = patch_in(action), patch_in(of)
    if part is None or whole is None:
        return False
    one, other = ((it.side, it.subresource, it.uid, it.strategic) for it in (part, whole))
    return one == other and _holds(whole.body, part.body)


def _holds(whole: object, part: object) -> bool:
    """Whether a patch says all that another one says."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(name in whole and _holds(whole[name], value) for name, value in part.items())
    return whole == part
