"""One node of the host cluster: its own network, mount and host name spaces, containerd, kubelet and kube-proxy.

A node sees its own /run and /var/log. Every mount that containerd and the kubelet make is in the node's mount namespace, which
lives as long as its processes do: when they end, nothing is left on the machine to unmount.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import certificates, cgroups, cluster, layout, network, nodeconfig, packages, processes, shell, toolchain
from lab.errors import LabError
from lab.layout import Node
from lab.processes import Daemon
from lab.progress import wait_until

PROGRAMS = ("kubelet", "kube-proxy")

# Runs as the node's first process and stays: whoever enters the node enters this process's namespaces.
_ANCHOR = """
set -e
mount --make-rshared /
hostname "$1"
mount --rbind "$2" /run
mount --rbind "$3" /var/log
touch /run/node-is-set-up
exec sleep infinity
"""


def start_runtime(node: Node) -> None:
    """Makes the node's namespaces and starts containerd; returns when it answers."""
    if not processes.alive(_anchor_name(node)):
        destroy(node)
        cgroups.create(f"{node.cgroup}/daemons")
        network.create_node(node)
        _write_runtime_files(node)
        processes.start(_anchor(node))
        _wait_for(node, (node.run / "node-is-set-up").exists, what="its namespaces", daemon="anchor")
    fresh = processes.start(_containerd(node))
    _wait_for(node, lambda: answers(node), what="containerd", daemon="containerd")
    if fresh and not processes.alive(f"{node.name}-kubelet") and _forget_containers(node):
        processes.stop(f"{node.name}-containerd")
        processes.start(_containerd(node))
        _wait_for(node, lambda: answers(node), what="containerd", daemon="containerd")


def start_kubelet(node: Node) -> None:
    """Registers the node and starts kubelet and kube-proxy; the API server must be ready."""
    certificates.ensure([certificates.node(node)])
    kubelet = nodeconfig.kubelet(
        node,
        certificate=certificates.path(node.name),
        key=certificates.path(node.name, "key"),
        authority=certificates.path("ca"),
    )
    kube_proxy = nodeconfig.kube_proxy(node, kubeconfig=certificates.kubeconfig("kube-proxy"))
    _write(_config(node, "kubelet"), json.dumps(kubelet, indent=2))
    _write(_config(node, "kube-proxy"), json.dumps(kube_proxy, indent=2))
    if node.name not in {item["metadata"]["name"] for item in cluster.nodes()}:
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(nodeconfig.node_object(node)))
    processes.start(_kubelet(node))
    processes.start(_kube_proxy(node))


def destroy(node: Node) -> None:
    """Ends everything that runs on a node and removes its namespaces. Its image store stays."""
    for daemon in ("kubelet", "kube-proxy"):
        processes.stop(f"{node.name}-{daemon}", grace=0)
    processes.stop(f"{node.name}-containerd", grace=2)
    processes.stop(_anchor_name(node), grace=0)
    cgroups.destroy(node.cgroup)
    network.remove_node(node)
    shutil.rmtree(node.run, ignore_errors=True)
    for transient in ("kubelet", "volumes", "log"):
        shutil.rmtree(node.folder / transient, ignore_errors=True)


def answers(node: Node) -> bool:
    """Whether the node's containerd takes requests."""
    return node.containerd_socket.exists() and shell.succeeds(*ctr(node), "version")


def ctr(node: Node) -> tuple[str, ...]:
    """containerd's command line tool, talking to this node's Kubernetes namespace from the machine."""
    return (str(packages.find("ctr")), "--address", str(node.containerd_socket), "--namespace", "k8s.io")


def enter(node: Node) -> tuple[str, ...]:
    """The command prefix that runs something on a node, in all its namespaces."""
    record = processes.find(_anchor_name(node))
    if record is None or not record.alive:
        raise LabError(f"{node.name} is not running", "run: python3 -m lab up")
    return node.enter(record.pid)


def volumes(node: Node) -> Path:
    """Where local persistent volumes of this node are."""
    return node.folder / "volumes"


def _forget_containers(node: Node) -> bool:
    """Removes records of containers that an earlier life of the node left in its store. Returns whether there were any."""
    left = shell.run(*ctr(node), "containers", "list", "--quiet").split()
    if left:
        shell.run(*ctr(node), "containers", "delete", *left)
    return bool(left)


def _write_runtime_files(node: Node) -> None:
    for folder in (node.run, node.folder / "log", volumes(node)):
        folder.mkdir(parents=True, exist_ok=True)
    _write(nodeconfig.cni_folder(node) / "10-lab.conflist", json.dumps(nodeconfig.cni(node), indent=2))
    _write(node.folder / "containerd.toml", nodeconfig.containerd(node, cni_binaries=packages.cni_folder()))
    _write(nodeconfig.resolv_conf(node), f"nameserver {layout.HUB_ADDRESS}\n")


def _wait_for(node: Node, condition: Callable[[], bool], *, what: str, daemon: str) -> None:
    name = f"{node.name}-{daemon}"
    wait_until(
        condition,
        what=f"{node.name}: {what}",
        seconds=30,
        remedy=f"see {layout.logs() / name}.log",
        check=lambda: processes.require_alive(name),
        every=0.05,
    )


def _anchor_name(node: Node) -> str:
    return f"{node.name}-anchor"


def _anchor(node: Node) -> Daemon:
    unshare = ("unshare", "--mount", "--uts", "--propagation", "private", "--")
    script = ("sh", "-c", _ANCHOR, "anchor", node.name, str(node.run), str(node.folder / "log"))
    return _daemon(_anchor_name(node), node, (*network.inside(node.namespace), *unshare, *script))


def _containerd(node: Node) -> Daemon:
    config = node.folder / "containerd.toml"
    return _inside(node, "containerd", (str(packages.find("containerd")), "--config", str(config)), reads=(config,))


def _kubelet(node: Node) -> Daemon:
    config, kubeconfig = _config(node, "kubelet"), certificates.kubeconfig(node.name)
    command = (
        str(toolchain.path("kubelet")),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={node.folder / 'kubelet'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    )
    return _inside(node, "kubelet", command, reads=(config, kubeconfig))


def _kube_proxy(node: Node) -> Daemon:
    config = _config(node, "kube-proxy")
    return _inside(node, "kube-proxy", (str(toolchain.path("kube-proxy")), f"--config={config}"), reads=(config,))


def _inside(node: Node, name: str, command: Sequence[str], *, reads: tuple[Path, ...]) -> Daemon:
    return _daemon(f"{node.name}-{name}", node, (*enter(node), *command), reads=reads)


def _daemon(name: str, node: Node, command: tuple[str, ...], *, reads: tuple[Path, ...] = ()) -> Daemon:
    return Daemon(
        name=name,
        command=command,
        cgroup=f"{node.cgroup}/daemons",
        reads=reads,
    )


def _config(node: Node, program: str) -> Path:
    return node.folder / f"{program}.json"


def _write(file: Path, content: str) -> None:
    """Writes a file unless it says so already: kube-proxy ends itself when its file is touched."""
    if not file.exists() or file.read_text() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
