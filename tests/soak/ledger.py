"""What the tenant has been promised: every change that the API server has acknowledged, and nothing else.

A request without an answer is repeated until it has one, so that once the load rests nothing is left in doubt. A name is used once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random


@dataclass
class Ledger:
    """Names that there must be, and the last acknowledged content of what changes."""

    pods: set[str] = field(default_factory=set)
    """Pods without a controller that were created and not deleted."""
    services: set[str] = field(default_factory=set)
    config_maps: dict[str, int] = field(default_factory=dict)
    """Revision that each ConfigMap says."""
    labels: dict[str, int] = field(default_factory=dict)
    """Revision that the label and the annotation of a pod say; pods that were never changed are not in here."""
    deployments: dict[str, int] = field(default_factory=dict)
    """Replicas of each Deployment."""

    def take(self, kind: set[str], chance: Random) -> str | None:
        """A name of `kind` that nobody else will choose from now on, since it is going to be deleted; None if there is none."""
        if not kind:
            return None
        name = chance.choice(sorted(kind))
        kind.discard(name)
        self.labels.pop(name, None)
        return name


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one API server shows, in the ledger's terms."""

    pods: set[str]
    services: set[str]
    config_maps: dict[str, str]
    labels: dict[str, tuple[str, str]]
    """Revision by label and by annotation of each pod; empty text where there is none."""


def broken(ledger: Ledger, seen: Seen, *, whose: str, carried: bool = False) -> list[str]:
    """Promises that one side does not keep, as sentences. `carried`: ConfigMaps are there only as far as pods use them."""
    maps = ledger.config_maps if not carried else {name: ledger.config_maps.get(name) for name in seen.config_maps}
    return [
        *_difference(f"pod on the {whose}", ledger.pods, seen.pods),
        *_difference(f"Service on the {whose}", ledger.services, seen.services),
        *_difference(f"ConfigMap on the {whose}", maps, seen.config_maps),
        *(
            f"ConfigMap {name} on the {whose} says {seen.config_maps[name]}, not {revision}"
            for name, revision in sorted(maps.items())
            if name in seen.config_maps and seen.config_maps[name] != str(revision)
        ),
        *(
            f"pod {name} on the {whose} is labelled {seen.labels[name]}, not {revision}"
            for name, revision in sorted(ledger.labels.items())
            if name in seen.labels and seen.labels[name] != (str(revision), str(revision))
        ),
    ]


def _difference(what: str, promised: Iterable[str], there: Iterable[str]) -> list[str]:
    promised, there = set(promised), set(there)
    lost = [f"{what} is lost: {name}" for name in sorted(promised - there)]
    return lost + [f"{what} should be gone: {name}" for name in sorted(there - promised)]
