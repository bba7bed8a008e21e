"""How much of everything a run does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The full run; `QUICK` is the same in small, to see that it works."""

    installs: int = 3
    serial: int = 60
    changes: int = 30
    lives: int = 20
    """Pods whose requests to the host are counted."""
    burst: int = 300
    bursts: int = 3
    sessions: int = 40
    """Commands run by exec, and bytes echoed through one."""
    bulk: int = 256
    """MiB sent through exec and port-forward."""
    bulks: int = 3
    secrets: int = 5000
    memory_at: tuple[int, ...] = (0, 300, 1000, 3000)
    """Numbers of pods at which memory is read."""
    idle_at: int = 300
    idle: float = 120.0
    """Seconds during which nothing happens."""
    settle: float = 45.0
    """Seconds after which all that follows from the last change is done."""
    growth_at: tuple[int, int] = (100, 3000)
    """Few and many pods, between which the cost of one more is compared."""
    growth: int = 60
    growths: int = 3
    restart_at: tuple[int, ...] = (1000, 3000)

    @property
    def most(self) -> int:
        """The greatest number of pods at a time."""
        return max(*self.memory_at, self.idle_at, *self.growth_at, *self.restart_at, self.burst) + self.growth


FULL = Sizes()
QUICK = Sizes(
    installs=1,
    serial=5,
    changes=5,
    lives=4,
    burst=20,
    bursts=1,
    sessions=5,
    bulk=16,
    bulks=1,
    secrets=100,
    memory_at=(0, 20, 50),
    idle_at=20,
    idle=10.0,
    settle=2.0,
    growth_at=(10, 50),
    growth=10,
    growths=1,
    restart_at=(50,),
)
