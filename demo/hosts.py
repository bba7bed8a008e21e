"""The host cluster of the demo: the lab on this machine, or one of the user's own kubectl contexts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from demo.kubectl import Kubectl
from lab import commands, layout, toolchain
from lab.errors import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """kubectl and helm for the host cluster."""

    kubectl: Kubectl
    helm_program: str

    def helm(self, *arguments: str) -> str:
        """Runs helm and returns what it printed. Raises LabError."""
        command = [self.helm_program, f"--kubeconfig={self.kubectl.kubeconfig}", *arguments]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise LabError(
                f"helm {' '.join(arguments[:3])} ...:\n{result.stderr.strip()}", "mend what helm says and try again"
            )
        return result.stdout


def folder() -> Path:
    """Where the demo keeps its kubeconfigs and its notes."""
    path = toolchain.cache_root() / "demo"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def lab_is_up() -> bool:
    """Whether a lab, whole or in parts, is there."""
    return bool(commands.present_nodes())


def lab(*, nodes: int) -> Host:
    """The lab with all images; brought up with `nodes` nodes if it is not up."""
    commands.up(nodes=None if lab_is_up() else nodes)
    commands.prepare_images()
    return running_lab()


def running_lab() -> Host:
    """The lab as it is."""
    kubectl = Kubectl(program=str(toolchain.path("kubectl")), kubeconfig=layout.kubeconfig())
    return Host(kubectl=kubectl, helm_program=str(toolchain.path("helm")))


def own(context: str) -> Host:
    """The user's cluster behind a kubectl context. Raises LabError when a tool, the context or the cluster is missing."""
    programs = {name: shutil.which(name) for name in ("kubectl", "helm")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        raise LabError(
            f"not on PATH: {', '.join(missing)}",
            'install them, or use those of this project: python3 -m lab tools kubectl helm && eval "$(python3 -m lab env)"',
        )
    kubeconfig = folder() / "host.kubeconfig"
    with open(os.open(kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123  open at 0600
        file.write(_only(str(programs["kubectl"]), context))
    host = Host(
        kubectl=Kubectl(program=str(programs["kubectl"]), kubeconfig=kubeconfig), helm_program=str(programs["helm"])
    )
    try:
        host.kubectl("version", "--request-timeout=10s")
    except LabError as error:
        raise LabError(f"the cluster of context {context} does not answer\n{error}", "see that it runs") from error
    return host


def _only(kubectl: str, context: str) -> str:
    """A kubeconfig with this context alone, so that nothing here can reach another cluster."""
    view = [kubectl, "config", "view", "--output=json"]
    everything = subprocess.run(view, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    known = [item["name"] for item in json.loads(everything.stdout).get("contexts") or []]
    if context not in known:
        raise LabError(
            f"kubectl knows no context {context}", f"use one of: {', '.join(known) or 'none, set KUBECONFIG'}"
        )
    only = [*view, "--minify", "--flatten", f"--context={context}"]
    return subprocess.run(only, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
