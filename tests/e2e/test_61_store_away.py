"""The store stands still for longer than a liveness probe bears: the API server waits for it and is not started again."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from tests.e2e import processes
from tests.e2e.tenancy import eventually, install, uninstall

PROBE = ("failureThreshold=2", "timeoutSeconds=3", "periodSeconds=2")
AWAY = 15.0
"""Seconds; the kubelet would end a container after two failures of five seconds each at most."""


@pytest.mark.long
def test_an_api_server_outlives_a_store_that_does_not_answer(lab: None, tmp_path: Path) -> None:
    values = [f"--set=controlPlane.statefulSet.probes.livenessProbe.{field}" for field in PROBE]
    release = install("vc", f"away-{uuid.uuid4().hex[:6]}", tmp_path, *values)
    try:
        store = processes.processes_of(release, "store")
        try:
            signals(store, signal.SIGSTOP)
            eventually(lambda: not ready(release.host.get("pod", release.pod, "-n", release.namespace), "apiserver"))
            time.sleep(AWAY)
        finally:
            signals(store, signal.SIGCONT)
        eventually(lambda: release.tenant("create", "namespace", "afterwards"))

        restarts = {found["name"]: found["restartCount"] for found in processes.statuses(processes.pod_of(release))}
        assert restarts["apiserver"] == 0
    finally:
        uninstall(release)


def signals(pids: list[int], number: int) -> None:
    """Sends a signal to processes."""
    for pid in pids:
        os.kill(pid, number)


def ready(pod: dict[str, object], container: str) -> bool:
    """Whether the kubelet finds a container ready."""
    return any(found["ready"] for found in processes.statuses(pod) if found["name"] == container)
