"""What a member of the release's own etcd has to do before its etcd starts: pure rules over what it sees.

Two things must never happen. A member that has lost its data must not take part again as if it had never promised anything: it is
taken out of the cluster and joins as a new one. And nobody may form a second cluster beside one that is only out of reach: an etcd
is formed by members of which every one says that it holds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from syncer.values import Cluster

CLIENT_PORT, PEER_PORT = 2379, 2380


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A place for a member, and the URLs under which clients and other members reach whoever sits there."""

    name: str
    client: str
    peer: str


def service_of(cluster: Cluster) -> str:
    """The headless Service by which each member has a name. Without the host's domain, which nobody knows; resolvers add it."""
    return f"{cluster.name}-etcd-headless.{cluster.namespace}.svc"


def seats_of(cluster: Cluster) -> list[Seat]:
    """All seats."""
    return seats(f"{cluster.name}-etcd-0", cluster.etcd_members, service_of(cluster))


def seats(own: str, count: int, service: str) -> list[Seat]:
    """The seat of pod `own` first, then those of the other `count - 1` of its StatefulSet; `service` is the headless one."""
    found = []
    for number in range(count):
        host = f"{own.rpartition('-')[0]}-{number}.{service}"
        seat = Seat(
            name=host.partition(".")[0], client=f"https://{host}:{CLIENT_PORT}", peer=f"https://{host}:{PEER_PORT}"
        )
        found.append(seat)
    return sorted(found, key=lambda seat: seat.name != own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member as the cluster knows it."""

    id: str
    peer: str
    """Its peer URL, by which it is told from others: one that has been added and not started yet has no name."""
    started: bool
    """Whether it has ever been at work."""


class Word(Enum):
    """What another seat says for itself when the cluster as a whole does not answer."""

    EMPTY = "waits with nothing on its disk"
    NEW = "has started, in a cluster of which nobody has ever been at work"
    OTHER = "holds data, or does not answer"


class Do(Enum):
    """What comes next."""

    WAIT = "wait"
    SET_ASIDE = "set its data aside"
    REMOVE = "take itself out of the cluster"
    ADD = "add itself to the cluster"
    RESUME = "go on with its data"
    JOIN = "join the cluster"
    FORM = "form a cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do and why; `cluster` are the peer URLs by name with which etcd is to start, `member` whom to remove."""

    do: Do
    why: str
    cluster: Mapping[str, str] = field(default_factory=dict)
    member: Member | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a member sees of the others."""

    members: Sequence[Member] | None = None
    """The cluster's, as a majority of it knows them; None when none answers."""
    told: Sequence[Member] | None = None
    """As one member knows them, which may be at work without a majority."""
    words: Mapping[str, Word] = field(default_factory=dict)
    """By name, what those say who have been asked."""


def decide(own: Seat, others: Sequence[Seat], view: View, *, data: bool) -> Decision:
    """What the member at `own` does next; `data`: whether there is a log on its disk."""
    if view.members is not None:
        return _beside(own, others, data=data, members=view.members, words=view.words)
    if data and view.told is not None and all(member.peer != own.peer for member in view.told):
        # Starting with data of a member that was removed, etcd would end, again and again.
        return Decision(do=Do.WAIT, why="a member that is at work does not know this one, and no majority answers")
    if data:
        return Decision(do=Do.RESUME, why="there are data, and no majority that could have removed this member")
    if view.told is not None and len(view.told) == 2 and _awaits(own, view.told):
        # A cluster of one that has added a second has no majority until that starts, and nothing is agreed on without it.
        return _join(own, others, view.told)
    unsure = [other.name for other in others if view.words.get(other.name) not in (Word.EMPTY, Word.NEW)]
    if unsure:
        return Decision(do=Do.WAIT, why=f"no majority answers, and {', '.join(unsure)} may hold data")
    everybody = {seat.name: seat.peer for seat in (own, *others)}
    return Decision(do=Do.FORM, why="no member holds anything", cluster=everybody)


def _beside(
    own: Seat, others: Sequence[Seat], *, data: bool, members: Sequence[Member], words: Mapping[str, Word]
) -> Decision:
    """What to do beside a cluster that answers. Members come one after the other: each has to start with the list as it is."""
    mine = next((member for member in members if member.peer == own.peer), None)
    if data and mine:
        return Decision(do=Do.RESUME, why="the cluster knows this member")
    if data:
        return Decision(do=Do.SET_ASIDE, why="the cluster has removed this member; its data are of no use")
    coming = [member.peer for member in members if not member.started and member is not mine]
    if mine and not mine.started:
        if any(peer < own.peer for peer in coming):
            return Decision(do=Do.WAIT, why=f"{min(coming)} has been added too and starts first")
        return _join(own, others, members)
    if coming:
        return Decision(do=Do.WAIT, why=f"{', '.join(coming)} has been added and has to start first")
    if mine:
        return Decision(do=Do.REMOVE, why="the data of this member are gone", member=mine)
    known = {member.peer for member in members}
    for other in others:
        # A cluster of one grants both when two ask in one moment. One would start with a list that is too short, and end; the other wait.
        if other.peer < own.peer and other.peer not in known and words.get(other.name) is Word.EMPTY:
            return Decision(do=Do.WAIT, why=f"the cluster does not know {other.name} either, which is added first")
    return Decision(do=Do.ADD, why="the cluster does not know this member")


def _awaits(own: Seat, members: Sequence[Member]) -> bool:
    return any(member.peer == own.peer and not member.started for member in members)


def _join(own: Seat, others: Sequence[Seat], members: Sequence[Member]) -> Decision:
    names = {seat.peer: seat.name for seat in (own, *others)}
    cluster = {names.get(member.peer, f"member-{member.id}"): member.peer for member in members}
    return Decision(do=Do.JOIN, why="the cluster waits for this member", cluster=cluster)
