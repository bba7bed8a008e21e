"""What the syncer tells about itself on /metrics. Children are bound once where they are used often."""

from __future__ import annotations

import asyncio
import time
from typing import NoReturn

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LAG_EVERY = 0.25
_LAG_WINDOW = 40
_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """All metrics of one syncer; names start with `sublet_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests to an API server", ("server", "verb", "resource", "code"))
        self.watch_restarts = self._counter("watch_restarts", "Watches begun anew", ("server", "resource", "reason"))
        self.corrections = self._counter("corrections", "Differences that only the comparison found", ("resource",))
        self.orphans = self._counter(
            "orphans_removed", "Host objects removed at a sweep, without a virtual one", ("resource",)
        )
        self.failures = self._counter(
            "sync_failures", "Keys that failed and will be tried again", ("resource", "reason")
        )
        self.latency = Histogram(
            "sublet_sync_seconds",
            "From the news of a change to the last write it led to",
            ("resource", "direction"),
            buckets=_LATENCY,
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "sublet_request_seconds", "Time to an answer", ("server", "verb"), buckets=_LATENCY, registry=self.registry
        )
        self.queue_depth = Gauge("sublet_queue_depth", "Keys waiting for a worker", registry=self.registry)
        self.objects = Gauge("sublet_objects", "Objects in memory", ("server", "resource"), registry=self.registry)
        self.loop_lag = Gauge(
            "sublet_event_loop_lag_seconds", "Longest delay of a timer lately", registry=self.registry
        )
        self.certificates_due = Gauge(
            "sublet_certificates_due_timestamp_seconds",
            "When the next certificate is to be renewed, in seconds since the epoch",
            registry=self.registry,
        )
        self.streams = Gauge(
            "sublet_kubelet_streams", "Open logs, exec, attach and port-forward streams", registry=self.registry
        )

    async def watch_lag(self) -> NoReturn:
        """Measures how late the event loop runs timers: the longest delay of the last ten seconds."""
        recent: list[float] = []
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_LAG_EVERY)
            recent = [*recent[-_LAG_WINDOW:], max(0.0, time.perf_counter() - began - _LAG_EVERY)]
            self.loop_lag.set(max(recent))

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"sublet_{name}", text, labels, registry=self.registry)

    def observe_stream(self, route: str, code: int, seconds: float) -> None:
        """One answered request to the kubelet API."""
        self.requests.labels("kubelet", route, "pods", str(code)).inc()
        self.request_seconds.labels("kubelet", route).observe(seconds)

    def observe_request(self, server: str, verb: str, resource: str, code: int, seconds: float) -> None:
        """One answered (or, with code 0, unanswered) request."""
        self.requests.labels(server, verb, resource, str(code)).inc()
        self.request_seconds.labels(server, verb).observe(seconds)
