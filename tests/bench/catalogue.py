"""What there is to measure, in the order of the report, and the goals of the design. Pure data, and how a goal is judged."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.figures import HOST, Results


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: its family (what `--only` names), its title, its unit."""

    family: str
    title: str
    unit: str


FAMILIES = {
    "serial": "One pod at a time",
    "burst": "Many pods at once",
    "requests": "What one pod costs the host",
    "install": "Installation",
    "streams": "Exec and port-forward",
    "changes": "Changes of other objects",
    "secrets": "Secrets that no pod uses",
    "memory": "Memory",
    "idle": "At rest",
    "growth": "Cost of one more pod",
    "restart": "Cold restart of the control plane",
}
"""Name -> heading."""

MEASURES = {
    "serial.accepted": Measure("serial", "create → accepted", "ms"),
    "serial.object": Measure("serial", "create accepted → pod on the host", "ms"),
    "serial.running": Measure("serial", "create → Running seen", "ms"),
    "serial.status": Measure("serial", "Running on the host → Running seen", "ms"),
    "serial.ended": Measure("serial", "delete → gone on the host", "ms"),
    "serial.gone": Measure("serial", "delete → gone", "ms"),
    "burst.objects": Measure("burst", "all on the host", "s"),
    "burst.running": Measure("burst", "all seen Running", "s"),
    "burst.gone": Measure("burst", "all deleted: all gone", "s"),
    "burst.client": Measure("burst", "processor time of the measuring process until then", "% of a core"),
    "burst.memory": Measure("burst", "memory of the control plane then", "MiB"),
    "requests.writes": Measure("requests", "writes to the host", "per pod"),
    "requests.reads": Measure("requests", "reads from the host", "per pod"),
    "requests.verb": Measure("requests", "requests to the host by kind", "per pod"),
    "install.ready": Measure("install", "helm install → pod ready", "s"),
    "install.helm": Measure("install", "helm install --wait", "s"),
    "streams.session": Measure("streams", "exec of `true`, from connecting to its exit code", "ms"),
    "streams.echo": Measure("streams", "one byte through an open exec and back", "ms"),
    "streams.exec": Measure("streams", "bulk rate of exec", "MiB/s"),
    "streams.forward": Measure("streams", "bulk rate of kubectl port-forward", "MiB/s"),
    "changes.configmap": Measure("changes", "edit of a used ConfigMap → seen on the host", "ms"),
    "changes.service": Measure("changes", "creation of a Service with its address", "ms"),
    "changes.status": Measure("changes", "pod status changed on the host → seen", "ms"),
    "secrets.requests": Measure("secrets", "requests to the host", ""),
    "secrets.verb": Measure("secrets", "requests to the host by kind", ""),
    "secrets.seconds": Measure("secrets", "creating them", "s"),
    "secrets.memory": Measure("secrets", "memory they add", "MiB"),
    "memory.pods": Measure("memory", "memory of the control plane", "MiB"),
    "idle.requests": Measure("idle", "requests to the host, watches aside", ""),
    "idle.watches": Measure("idle", "watches begun again", ""),
    "idle.cpu": Measure("idle", "processor time", "% of a core"),
    "growth.object": Measure("growth", "create accepted → pod on the host", "ms"),
    "growth.running": Measure("growth", "create → Running seen", "ms"),
    "growth.cpu": Measure("growth", "processor time of a pod's life", "ms"),
    "growth.factor": Measure("growth", "many pods over few", "times"),
    "restart.gone": Measure("restart", "pod deleted → it has ended", "s"),
    "restart.ready": Measure("restart", "pod deleted → API server ready", "s"),
    "restart.status": Measure("restart", "pod deleted → status changed meanwhile is seen", "s"),
    "restart.object": Measure("restart", "pod deleted → new pod on the host", "s"),
    "restart.converged": Measure("restart", "pod deleted → all of these", "s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a figure should be: at most a number, or at most so many times the bare host's, or so much above it."""

    measure: str
    detail: str
    at_most: float | None = None
    times_host: float | None = None
    above_host: float | None = None

    def limit(self, results: Results) -> float | None:
        """The number that it comes to in a run; None when the bare host's figure is not there."""
        if self.at_most is not None:
            return self.at_most
        base = results.value(self.measure, self.detail, HOST)
        if base is None:
            return None
        return base * self.times_host if self.times_host is not None else base + (self.above_host or 0.0)

    def words(self) -> str:
        """As a reader wants it."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g} {MEASURES[self.measure].unit}".rstrip()
        if self.times_host is not None:
            return f"≤ {self.times_host:g} times host"
        return f"≤ host + {self.above_host:g} {MEASURES[self.measure].unit}"


GOALS = (
    Goal(measure="serial.object", detail="plain, p50", at_most=3.0),
    Goal(measure="serial.running", detail="plain, p50", above_host=10.0),
    Goal(measure="burst.objects", detail="p50", times_host=1.5),
    Goal(measure="burst.running", detail="p50", times_host=1.6),
    Goal(measure="requests.writes", detail="plain", at_most=2.0),
    Goal(measure="requests.writes", detail="with a token", at_most=4.0),
    Goal(measure="requests.reads", detail="plain", at_most=0.0),
    Goal(measure="requests.reads", detail="with a token", at_most=0.0),
    Goal(measure="burst.memory", detail="all", at_most=400.0),
    Goal(measure="burst.memory", detail="syncer", at_most=60.0),
    Goal(measure="install.ready", detail="default values, p50", at_most=8.0),
    Goal(measure="streams.session", detail="p50", times_host=1.5),
    Goal(measure="streams.echo", detail="p50", times_host=1.5),
    Goal(measure="secrets.requests", detail="creating and deleting", at_most=0.0),
    Goal(measure="idle.requests", detail="in all", at_most=0.0),
    Goal(measure="growth.factor", detail="create accepted → pod on the host", at_most=1.2),
    Goal(measure="growth.factor", detail="create → Running seen", at_most=1.2),
    Goal(measure="growth.factor", detail="processor time, syncer", at_most=1.2),
)


def goal_of(measure: str, detail: str) -> Goal | None:
    """The goal for a figure, if there is one."""
    return next((goal for goal in GOALS if (goal.measure, goal.detail) == (measure, detail)), None)
