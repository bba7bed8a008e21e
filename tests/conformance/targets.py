"""What the suite runs against: the bare lab, or a virtual cluster that is installed for it and removed afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab import catalogue, cluster, commands, layout, nodeconfig, toolchain
from tests.conformance import suite
from tests.e2e import tenancy
from tests.e2e.tenancy import Kubectl

HOST, DEFAULT = "host", "default"
ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "conformance"
_NODES = 2
_RELEASE = "conformance"
_KEEPER = "node-keeper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One cluster under test. Without `values` and with another name than "host" it is the chart as it comes."""

    name: str
    values: Path | None = None

    @property
    def folder(self) -> Path:
        """Where its results and reports are kept."""
        return BUILD / self.name

    @property
    def results(self) -> Path:
        """What became of each spec."""
        return self.folder / "results.json"


@contextlib.contextmanager
def lab() -> Iterator[None]:
    """The lab with two nodes at least, the suite's programs and the images that its pods run."""
    with commands.borrowed(nodes=_NODES):
        toolchain.build(suite.PROGRAMS)
        commands.prepare_images([image.reference for image in catalogue.CONFORMANCE])
        yield


@contextlib.contextmanager
def kubeconfig(target: Target) -> Iterator[Path]:
    """The administrator's kubeconfig of a target, for as long as it is needed. A virtual cluster lives no longer.

    Conformance supposes two nodes, and a virtual cluster with default values shows those that run its pods: one pod stays on each.
    """
    if target.name == HOST:
        yield layout.kubeconfig()
        return
    namespace = f"conformance-{target.name}"
    host = tenancy.host_kubectl()
    if namespace in host.names("namespaces"):
        tenancy.remove(host, _RELEASE, namespace)
    values = ("--values", str(target.values)) if target.values else ()
    target.folder.mkdir(parents=True, exist_ok=True)
    try:
        release = tenancy.install(_RELEASE, namespace, target.folder, *values, labels={})
        _stay_on_every_node(release.tenant)
        yield release.tenant.kubeconfig
    finally:
        tenancy.remove(host, _RELEASE, namespace)


def _stay_on_every_node(tenant: Kubectl) -> None:
    labels = {"app": _KEEPER}
    apart = [{"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}]
    spec = {
        "containers": [{"name": "pause", "image": nodeconfig.PAUSE_IMAGE}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}},
    }
    count = len(commands.present_nodes())
    template = {"metadata": {"labels": labels}, "spec": spec}
    deployment = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
    tenant("create", "namespace", _KEEPER)
    tenant.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": _KEEPER}, "spec": deployment},
        namespace=_KEEPER,
    )
    tenancy.eventually(lambda: len(tenant.names("nodes")) >= count)


def commit() -> str:
    """Which state of this checkout is under test; with a plus when chart or syncer differ from it."""
    found = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        ["git", "diff", "--quiet", "HEAD", "--", "chart", "syncer"], cwd=ROOT, check=False
    ).returncode
    return f"{found.stdout.strip() or 'unknown'}{'+' if changed else ''}"


def about() -> dict[str, str]:
    """What the runs of today stand on."""
    node = next(
        item["status"]["nodeInfo"] for item in cluster.nodes() if item["metadata"]["name"] == layout.Node(1).name
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "Kubernetes": toolchain.version("conformance"),
        "container runtime": node["containerRuntimeVersion"],
        "kernel": re.sub(r"[-+].*", "", os.uname().release),
        "nodes": str(len(commands.present_nodes())),
    }
