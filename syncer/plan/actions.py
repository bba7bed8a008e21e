"""What a plan may ask for: plain values that print, compare and say all there is to do.

`resource` is a rule key (`pods`, `ingresses.networking.k8s.io`) on the side named; the engine knows the paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from syncer.names import Key, Object


class Side(StrEnum):
    """Which API server an action goes to."""

    HOST = "host"
    VIRTUAL = "virtual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """POST `body`; an object that exists already and is the same one (by its marks) counts as success."""

    side: Side
    resource: str
    body: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """PATCH with a JSON merge patch, on the object with this `uid` only."""

    side: Side
    resource: str
    namespace: str
    name: str
    uid: str
    body: Object
    subresource: str | None = None
    strategic: bool = False
    """Use a strategic merge patch: lists are merged by their key (built-in kinds only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """DELETE the object with this `uid` only; `grace` in seconds, None = the object's own."""

    side: Side
    resource: str
    namespace: str
    name: str
    uid: str
    grace: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """Say in the virtual cluster on which node the host runs a pod; the node is made first if it is new."""

    key: Key
    uid: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueTokens:
    """Ask the virtual API server for the pod's tokens and write them into its token Secret on the host."""

    key: Key
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """Bring these objects up to date before going on: what follows refers to them."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Independent actions, to be sent at the same time."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Do `action`; when the server calls it invalid, do `otherwise`. A Warn among it goes on with what the server said."""

    action: Action
    otherwise: tuple[Action, ...]
    forbidden: bool = False
    """Whether being forbidden (by an admission plugin, a policy, a quota) counts like being invalid."""
    again: float = 0.0
    """When not 0, try `action` once more after so many seconds first: what stands in the way may be on its way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warn:
    """Tell the tenant, by a Warning event on the virtual object, why it does not come into being."""

    key: Key
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Look at the key again after `seconds`."""

    seconds: float


Action = Create | Patch | Delete | Bind | IssueTokens | First | Together | Attempt | Warn | Later
