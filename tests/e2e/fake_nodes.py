"""Pods on kwok's fake nodes: real to every API server, and next to nothing to the machine."""

from __future__ import annotations

from typing import Any

from lab import commands, kwok
from tests.e2e.objects import Object, plain, workload
from tests.e2e.tenancy import pod, shell

COUNT = 5
BARE = {"kind": "bare"}
"""Label of what no controller keeps."""
_PLACE: Object = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": kwok.ANNOTATION, "operator": "Exists"}],
}


def ensure() -> None:
    """Makes fake nodes that only pods land on which ask for them."""
    commands.up(fake_nodes=max(COUNT, kwok.count()), tainted=True)


def fake_pod(name: str, **container: Any) -> Object:
    """A pod for a fake node."""
    return pod(name, shell("sleep infinity", **container), labels={"app": name, **BARE}, **_PLACE)


def fake_deployment(name: str, replicas: int) -> Object:
    """A Deployment of pods for fake nodes."""
    return workload("Deployment", name, shell("sleep infinity"), pods=_PLACE, replicas=replicas)


def config(name: str) -> Object:
    """A ConfigMap for such a pod to use."""
    return plain("ConfigMap", name, labels=BARE, data={"A": name})
