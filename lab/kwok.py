"""Fake nodes on demand: kwok plays their kubelets, so thousands of pods cost next to nothing.

A fake node has the label `type: kwok` and the annotation `kwok.x-k8s.io/node: fake`; kwok looks after these alone. Pods that land
on one are Running at once and have an address that nobody answers.
"""

from __future__ import annotations

import json
from typing import Any

from lab import certificates, cluster, controlplane, layout, network, processes, toolchain
from lab.errors import LabError
from lab.processes import Daemon
from lab.progress import step, wait_until

NAME = "kwok"
ANNOTATION = "kwok.x-k8s.io/node"
MAXIMUM = 1000


def scale(count: int, *, tainted: bool = False) -> None:
    """Makes the cluster have exactly `count` fake nodes, kwok-1 onwards. A taint keeps pods away that do not ask for one."""
    if not 0 <= count <= MAXIMUM:
        raise LabError(f"{count} fake nodes are out of range", f"ask for 0 to {MAXIMUM}")
    objects = [node_object(index, tainted=tainted) for index in range(1, count + 1)]
    wanted = {item["metadata"]["name"]: item for item in objects}
    present = {item["metadata"]["name"]: item for item in cluster.nodes() if _is_fake(item)}
    right = {name for name, item in present.items() if name in wanted and _has_taint(item) == tainted}
    with step(f"{count} fake nodes"):
        if surplus := sorted(present.keys() - right):
            cluster.kubectl("delete", "node", *surplus)
        if not count:
            processes.stop(NAME)
            return
        processes.start(daemon())
        if missing := [item for name, item in wanted.items() if name not in right]:
            manifest = {"apiVersion": "v1", "kind": "List", "items": missing}
            cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
        wait_until(
            lambda: _all_ready(count),
            what="fake nodes are ready",
            seconds=60,
            remedy=f"see {layout.logs() / NAME}.log",
            check=lambda: processes.require_alive(NAME),
            every=0.3,
        )


def count() -> int:
    """How many fake nodes the cluster has."""
    return sum(_is_fake(item) for item in cluster.nodes())


def node_object(index: int, *, tainted: bool = False) -> dict[str, Any]:
    """The Node to create; its status says how much it pretends to hold."""
    capacity = {"cpu": "32", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"}
    name = f"kwok-{index}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {
                "type": "kwok",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": "lab",
                "topology.kubernetes.io/zone": f"zone-{'ab'[(index - 1) % 2]}",
            },
        },
        "spec": {"taints": [{"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}] if tainted else []},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"10.246.{index // 250}.{index % 250 + 1}"},
                {"type": "Hostname", "address": name},
            ],
            "capacity": capacity,
            "allocatable": capacity,
        },
    }


def daemon() -> Daemon:
    """kwok itself, in the hub."""
    program = toolchain.build([NAME])[NAME]
    stages = [f"--config={file}" for file in toolchain.files(NAME)]
    return Daemon(
        name=NAME,
        command=(
            *network.inside(layout.HUB_NAMESPACE),
            str(program),
            f"--kubeconfig={certificates.kubeconfig(NAME)}",
            *stages,
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
            f"--cidr={layout.FAKE_POD_RANGE}",
            "--node-lease-duration-seconds=40",
            "--server-address=127.0.0.1:10247",
        ),
        cgroup=controlplane.CGROUP,
    )


def _all_ready(count: int) -> bool:
    fake = [item for item in cluster.nodes() if _is_fake(item)]
    return len(fake) == count and all(cluster.is_ready(item) for item in fake)


def _is_fake(item: dict[str, Any]) -> bool:
    return ANNOTATION in item["metadata"].get("annotations", {})


def _has_taint(item: dict[str, Any]) -> bool:
    return any(taint["key"] == ANNOTATION for taint in item["spec"].get("taints", []))
