"""`python3 -m lab`: a real Kubernetes host cluster on this machine, for tests and for playing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from lab import cluster, commands, layout, network, node, packages, toolchain
from lab.errors import LabError
from lab.layout import Node


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    commands_of = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands_of.add_parser("up", help="start the cluster, or bring a running one to the asked size")
    up.add_argument("--nodes", type=int, help="real nodes (default: as many as there are, at first 1)")
    up.add_argument("--kwok", type=int, metavar="N", help="fake nodes beside them (default: as many as there are)")
    up.add_argument("--kwok-taint", action="store_true", help="taint fake nodes kwok.x-k8s.io/node=fake:NoSchedule")
    up.set_defaults(run=lambda o: commands.up(nodes=o.nodes, fake_nodes=o.kwok, tainted=o.kwok_taint))

    down = commands_of.add_parser("down", help="end the cluster and leave nothing behind")
    down.add_argument("--purge", action="store_true", help="remove its state and images too")
    down.set_defaults(run=lambda o: commands.down(purge=o.purge))

    status = commands_of.add_parser("status", help="what runs; exit code 1 when something is missing")
    status.set_defaults(run=lambda o: _status())

    kubeconfig = commands_of.add_parser("kubeconfig", help="print the path of the admin's kubeconfig")
    kubeconfig.set_defaults(run=lambda o: print(layout.kubeconfig()))

    env = commands_of.add_parser("env", help='print exports: eval "$(python3 -m lab env)"')
    env.set_defaults(run=lambda o: print(commands.shell_exports()))

    images = commands_of.add_parser("images", help="build and load what an installation and the tests need")
    images.add_argument("reference", nargs="*", help="only these")
    images.set_defaults(run=lambda o: _images(o.reference))

    load = commands_of.add_parser("load-image", help="load an archive or a locally built image into every node")
    load.add_argument("image", nargs="+", metavar="ARCHIVE_OR_REF")
    load.set_defaults(run=lambda o: commands.load_images(o.image))

    run = commands_of.add_parser("exec", help="run a command in the network of a node")
    run.add_argument("--node", type=int, default=1, metavar="N", help="which node (default 1); 0 is the hub")
    run.add_argument("--whole", action="store_true", help="enter all of the node's namespaces, not only its network")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD")
    run.set_defaults(run=_exec)

    logs = commands_of.add_parser("logs", help="print a component's log, or list the logs")
    logs.add_argument("component", nargs="?", help="such as kube-apiserver or node-1-kubelet")
    logs.set_defaults(run=lambda o: _logs(o.component))

    audit = commands_of.add_parser("audit", help="print the path of the API server's audit log")
    audit.set_defaults(run=lambda o: print(layout.audit_log()))

    tools = commands_of.add_parser("tools", help="build the programs and print where they are")
    tools.add_argument("name", nargs="*", help="only these")
    tools.set_defaults(run=lambda o: _tools(o.name))
    return parser


def _status() -> int:
    components = commands.status()
    for component in components:
        memory = f"{component.memory / 2**20:.0f} MB" if component.memory else ""
        print(f"{component.name:28} {component.state:8} {component.pid:8} {memory:>8}")
    if not components:
        print("the lab is down")
        return 1
    if any(component.state != "running" for component in components):
        return 1
    nodes = cluster.nodes()
    ready = [item for item in nodes if cluster.is_ready(item)]
    print(f"nodes ready: {len(ready)} of {len(nodes)}")
    return 0 if len(ready) == len(nodes) else 1


def _images(references: list[str]) -> None:
    for archive in commands.prepare_images(references):
        print(f"{archive.reference}\t{archive.digest}")


def _exec(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise LabError("no command given", "for example: python3 -m lab exec -- ip route")
    packages.check_machine()
    where = Node(options.node)
    namespace = where.namespace if options.node else layout.HUB_NAMESPACE
    if not network.exists(namespace):
        raise LabError(f"there is no {namespace}", "run: python3 -m lab up")
    prefix = node.enter(where) if options.whole and options.node else network.inside(namespace)
    os.execvp(prefix[0], [*prefix, *command])


def _logs(component: str | None) -> None:
    names = sorted(file.stem for file in layout.logs().glob("*.log"))
    if component is None:
        print("\n".join(names))
        return
    if component not in names:
        raise LabError(f"no log of {component}", f"there are: {', '.join(names) or 'none'}")
    with (layout.logs() / f"{component}.log").open(errors="replace") as lines:
        sys.stdout.writelines(lines)


def _tools(names: list[str]) -> None:
    unknown = [name for name in names if name not in toolchain.BY_NAME]
    if unknown:
        raise LabError(f"unknown programs: {', '.join(unknown)}", f"there are: {', '.join(toolchain.BY_NAME)}")
    for name, binary in toolchain.build(names or [program.name for program in toolchain.PROGRAMS]).items():
        print(f"{name}\t{binary}")


if __name__ == "__main__":
    sys.exit(main())
