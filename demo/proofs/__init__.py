"""What the demo shows, one function each: it raises when the claim does not hold, and returns what was seen when it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo.kubectl import Kubectl, Object, eventually
from demo.release import Release
from lab.errors import LabError

SPACE = "shop"
"""The virtual namespace in which everything happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a proof may look at and touch. `before` holds kind and name of what was in the host namespace before the release."""

    release: Release
    tenant: Kubectl
    before: frozenset[str] = frozenset()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl in the virtual cluster's namespace `shop`."""
        return self.tenant("--namespace", SPACE, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Object:
        """`kubectl get` there, parsed."""
        return self.tenant.get(*arguments, "--namespace", SPACE)

    def shell(self, pod: str, script: str) -> str:
        """What a script says that runs in a pod of `shop`."""
        return self.kubectl("exec", pod, "--", "sh", "-c", script).strip()

    def wait(self, *arguments: str) -> None:
        """`kubectl wait` in `shop`, for at most two minutes."""
        self.kubectl("wait", "--timeout=120s", *arguments)

    def rolled_out(self, workload: str) -> None:
        """Waits until all replicas of a workload are ready."""
        self.kubectl("rollout", "status", workload, "--timeout=120s")

    def eventually_shell(self, pod: str, script: str, *, says: str) -> None:
        """Waits until a script that runs in a pod says this."""
        eventually(lambda: self.shell(pod, script) == says, what=f"{says!r} from {script!r} in pod {pod}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One claim, and the function that shows it."""

    claim: str
    show: Callable[[Scene], str]


def expect(seen: object, wanted: object, *, what: str) -> None:
    """Raises LabError unless the two are equal."""
    if seen != wanted:
        raise LabError(f"{what} is {seen!r}, not {wanted!r}", "this is a fault of Sublet: please report it")


def expect_in(parts: Sequence[str], whole: str, *, what: str) -> None:
    """Raises LabError unless all `parts` are in `whole`."""
    missing = [part for part in parts if part not in whole]
    if missing:
        raise LabError(f"{what} does not hold {missing}: {whole!r}", "this is a fault of Sublet: please report it")
