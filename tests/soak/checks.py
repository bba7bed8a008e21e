"""What must be true when the load rests: both sides hold what was promised, and nothing else."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.e2e import agreement, processes
from tests.e2e.inventory import Item
from tests.e2e.objects import Object
from tests.e2e.tenancy import CommandFailed, Kubectl, Release
from tests.soak.ledger import Ledger, Seen, broken
from tests.soak.load import REVISION

PATIENCE = 150.0
"""Seconds to converge in once the control plane runs: what is no longer used stays for 30."""
BACK_OFF = 330.0
"""Seconds that the kubelet may wait before it starts a container again that was killed often, and some more for the start."""
_VIRTUAL_NAME = "sublet.dev/name"
_KILLED = 128 + signal.SIGKILL
_NEEDS = {"apiserver": ("store",), "controller-manager": ("store", "apiserver")}
"""What a container waits for at its start, and ends without after a while, as Kubernetes has it."""
_START = timedelta(seconds=60)
_NOT_YET = "9999"
"""Later than any time of day in an object."""


def converged(release: Release, kubectl: Kubectl, ledger: Ledger) -> tuple[float, list[str]]:
    """Waits until nothing is wrong, and gives the seconds that took; what is wrong after `PATIENCE`, as sentences."""
    began = up = time.monotonic()
    wrong = ["nothing was seen"]
    while wrong and time.monotonic() - up < PATIENCE:
        try:
            wrong = _wrong(release, kubectl, ledger)
        except CommandFailed as error:
            wrong = [f"a cluster does not answer: {error}"]
        if wrong:
            time.sleep(1)
            if time.monotonic() - began < BACK_OFF and not _runs(release):
                up = time.monotonic()
    return time.monotonic() - began, wrong


def _runs(release: Release) -> bool:
    """Whether all containers of the control plane are ready."""
    try:
        pod = processes.pod_of(release)
    except CommandFailed:  # its successor is not made yet
        return False
    found = {status["name"]: status["ready"] for status in processes.statuses(pod)}
    return all(found.get(name) for name in processes.CONTAINERS)


def unasked_restarts(kills: Mapping[tuple[str, str], int], pods: Mapping[str, Sequence[Object]]) -> list[str]:
    """Containers of the control plane that started again more often than they were killed, as sentences. `pods`: states by uid.

    An API server that was started while its store was down ends after a minute, and a controller manager after ten seconds without an API
    server, as Kubernetes has it; these are no starts unasked for.
    """
    return [
        f"{status['name']} of pod {uid} started again {status['restartCount']} times, but was killed {killed} times"
        for uid, states in pods.items()
        for status in processes.statuses(states[-1])
        if status["restartCount"] > (killed := kills.get((uid, status["name"]), 0)) + _given_up(status["name"], states)
    ]


def _given_up(container: str, states: Sequence[Object]) -> int:
    """How often a container ended by itself while what it waits for was down, seen in the states of one pod."""
    ends: set[str] = set()
    down: dict[str, str] = {}
    for state in states:
        found = {status["name"]: status for status in processes.statuses(state)}
        for needed in _NEEDS.get(container, ()):
            if last := found[needed]["lastState"].get("terminated"):
                down[last["finishedAt"]] = found[needed]["state"].get("running", {}).get("startedAt", _NOT_YET)
        last = found[container]["lastState"].get("terminated")
        if last and last["exitCode"] != _KILLED:
            ends.add(last["finishedAt"])
    return sum(any(since <= moment <= _later(until) for since, until in down.items()) for moment in ends)


def _later(moment: str) -> str:
    """When an API server serves again whose store, or which itself, was started at a time of day in an object."""
    return moment if moment == _NOT_YET else f"{datetime.fromisoformat(moment) + _START:%Y-%m-%dT%H:%M:%SZ}"


def unasked_replacements(deletions: int, pods: Mapping[str, Object]) -> list[str]:
    """Whether somebody else took the control plane's pod away, which spoils a soak, as a sentence. `pods`: by uid."""
    found = len(pods) - 1
    return [f"the control plane's pod was replaced {found} times, but deleted {deletions} times"] * (found > deletions)


def _wrong(release: Release, kubectl: Kubectl, ledger: Ledger) -> list[str]:
    mine, host = _tenants(kubectl), agreement.on_host(release, kubectl.namespace)
    wrong = broken(ledger, mine, whose="tenant's side") + broken(ledger, _hosts(host), whose="host", carried=True)
    if wrong:
        return wrong
    wrong = [
        f"{item.kind} {item.name} is on one side only"
        for item in sorted(set(host) ^ agreement.wanted(release, kubectl))
    ]
    differing = agreement.differing(release, kubectl)
    wrong += [f"the statuses of pod {name} differ: {ours} | {theirs}" for name, (ours, theirs) in differing.items()]
    return wrong + _addresses(kubectl, host) + _controlled(kubectl, ledger)


def _tenants(kubectl: Kubectl) -> Seen:
    objects = kubectl.items("pods,services,configmaps")
    return _seen(objects, lambda obj: str(obj["metadata"]["name"]))


def _hosts(host: Mapping[Item, Object]) -> Seen:
    return _seen(host.values(), lambda obj: str(obj["metadata"]["annotations"][_VIRTUAL_NAME]))


def _seen(objects: Any, name_of: Callable[[Object], str]) -> Seen:
    named = {(obj["kind"], name_of(obj)): obj for obj in objects}
    pods = {name: obj["metadata"] for (kind, name), obj in named.items() if kind == "Pod" and name.startswith("pod-")}
    return Seen(
        pods=set(pods),
        services={name for kind, name in named if kind == "Service"},
        config_maps={
            name: obj["data"]["REVISION"]
            for (kind, name), obj in named.items()
            if kind == "ConfigMap" and "REVISION" in obj.get("data", {})
        },
        labels={
            name: (metadata["labels"].get(REVISION, ""), metadata.get("annotations", {}).get(REVISION, ""))
            for name, metadata in pods.items()
        },
    )


def _addresses(kubectl: Kubectl, host: Mapping[Item, Object]) -> list[str]:
    theirs = {
        obj["metadata"]["annotations"][_VIRTUAL_NAME]: obj["spec"]["clusterIP"]
        for item, obj in host.items()
        if item.kind == "Service"
    }
    ours = {obj["metadata"]["name"]: obj["spec"]["clusterIP"] for obj in kubectl.items("services")}
    return [
        f"Service {name} has address {address}, on the host {theirs.get(name)}"
        for name, address in ours.items()
        if address != theirs.get(name)
    ]


def _controlled(kubectl: Kubectl, ledger: Ledger) -> list[str]:
    """Pods of Deployments: as many as promised, all of them running, none of them started again."""
    pods = [pod for pod in kubectl.items("pods") if "ownerReferences" in pod["metadata"]]
    counts = Counter(pod["metadata"]["labels"]["app"] for pod in pods)
    wrong = [
        f"Deployment {name} has {counts[name]} pods, not {n}"
        for name, n in ledger.deployments.items()
        if counts[name] != n
    ]
    for pod in kubectl.items("pods"):
        name, status = pod["metadata"]["name"], pod["status"]
        if status.get("phase") != "Running":
            wrong.append(f"pod {name} is {status.get('phase')}")
        wrong += [f"pod {name} started again" for item in status.get("containerStatuses", ()) if item["restartCount"]]
    return wrong
