"""`python3 -m demo up` and `python3 -m demo down`; `make demo` and `make demo-down` call them."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo import hosts, report
from demo.hosts import Host
from demo.proofs import SPACE, Scene, border, commands, controllers, identity, network, storage
from demo.release import Release
from demo.release import identity as identity_of
from demo.report import Line
from lab import commands as lab
from lab.errors import LabError
from lab.progress import say, step

WORKLOADS = Path(__file__).resolve().parent / "workloads"
_DEFAULTS = ("demo", "sublet-demo")
PROOFS = (
    *network.PROOFS,
    *storage.PROOFS,
    *identity.PROOFS,
    *commands.PROOFS,
    *controllers.PROOFS,
    *border.PROOFS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(options.run(options))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run it again, or make demo-down to remove everything", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m demo", description=__doc__)
    parser.add_argument("--context", help="kubectl context of your own cluster (default: the lab on this machine)")
    parser.add_argument("--release", default=_DEFAULTS[0], help="release name (default: %(default)s)")
    parser.add_argument("--namespace", default=_DEFAULTS[1], help="host namespace (default: %(default)s)")
    commands_of = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands_of.add_parser("up", help="install a virtual cluster and show that workloads work in it")
    up.add_argument("--nodes", type=int, default=2, help="nodes of a lab that is brought up (default: 2)")
    up.add_argument("--values", type=Path, help="values file for the installation")
    up.set_defaults(run=_up)
    connect = commands_of.add_parser("connect", help="keep a port on loopback open to the virtual cluster")
    connect.add_argument("--port", type=int, default=8443, help="that port (default: 8443)")
    connect.set_defaults(run=_connect)
    down = commands_of.add_parser("down", help="uninstall it and show that nothing is left")
    down.set_defaults(run=_down)
    return parser


def _up(options: argparse.Namespace) -> int:
    host = _host(options)
    release = Release(host=host, name=options.release, namespace=options.namespace)
    release.make_namespace()
    before = frozenset(identity_of(obj) for obj in release.objects() if not release.is_ours(obj))
    with step(f"helm install {release.name} in namespace {release.namespace}, which enforces Pod Security restricted"):
        seconds = release.install(values=options.values)
    lines = [Line(claim="helm install to ready", passed=True, seconds=seconds, seen="control plane ready")]
    with release.connected() as connection:
        scene = Scene(release=release, tenant=connection.kubectl, before=before)
        with step("applying the workloads"):
            _apply_workloads(scene)
        lines += report.show(PROOFS, scene)
    print(f"\n{report.table(lines)}\n\n{_how_to_go_on(options, release)}")
    return 0 if all(line.passed for line in lines) else 1


def _connect(options: argparse.Namespace) -> int:
    host = hosts.own(options.context) if options.context else hosts.running_lab()
    release = Release(host=host, name=options.release, namespace=options.namespace)
    with release.connected(port=options.port) as connection:
        print(f"export KUBECONFIG={connection.kubectl.kubeconfig}", flush=True)
        while True:
            signal.pause()


def _host(options: argparse.Namespace) -> Host:
    if options.context:
        return hosts.own(options.context)
    note = _note()
    if not hosts.lab_is_up():
        note.write_text(json.dumps({"lab": "brought up by the demo"}))
    return hosts.lab(nodes=options.nodes)


def _apply_workloads(scene: Scene) -> None:
    scene.tenant("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=120s")
    scene.tenant("create", "namespace", SPACE)
    scene.kubectl("apply", "--filename", str(WORKLOADS))


def _how_to_go_on(options: argparse.Namespace, release: Release) -> str:
    chosen = {"CONTEXT": options.context, "RELEASE": options.release, "NAMESPACE": options.namespace}
    choice = "".join(f" {name}={value}" for name, value in chosen.items() if value not in (None, *_DEFAULTS))
    lab_tools = [] if options.context else ['  eval "$(python3 -m lab env)"  # kubectl and helm of the lab']
    host = f"kubectl --kubeconfig {release.host.kubectl.kubeconfig} --namespace {release.namespace}"
    return "\n".join(
        [
            "The virtual cluster stays up. To go on with it:",
            *lab_tools,
            f"  make demo-connect{choice} &  # a port on loopback that leads to it",
            f"  export KUBECONFIG={hosts.folder() / 'kubeconfig'}",
            "  kubectl get pods --all-namespaces --output=wide",
            f"What the host sees of it: {host} get all",
            f"To remove everything:     make demo-down{choice}",
        ]
    )


def _down(options: argparse.Namespace) -> int:
    lines: list[Line] = []
    if options.context or hosts.lab_is_up():
        host = hosts.own(options.context) if options.context else hosts.running_lab()
        release = Release(host=host, name=options.release, namespace=options.namespace)
        if host.kubectl.exists("namespace", release.namespace):
            lines = _remove(release)
    if lines:
        print(f"\n{report.table(lines)}\n")
    note = _note()
    if not options.context and hosts.lab_is_up():
        if note.exists():
            lab.down()
        else:
            say("the lab was up before the demo and stays up; to end it: python3 -m lab down")
    note.unlink(missing_ok=True)
    return 0


def _remove(release: Release) -> list[Line]:
    before = [obj for obj in release.objects() if release.is_ours(obj)]
    began = time.monotonic()
    with step(f"helm uninstall {release.name}"):
        release.uninstall()
    gone = time.monotonic() - began
    kept = [identity_of(obj) for obj in release.objects() if release.is_ours(obj)]
    note = f"; kept by retentionPolicy: {', '.join(kept)}" if kept else ""
    with step(f"deleting namespace {release.namespace}"):
        seconds = release.remove_namespace()
    return [
        Line(
            claim="helm uninstall leaves nothing of release and tenant",
            passed=True,
            seconds=gone,
            seen=f"{len(before) - len(kept)} objects gone{note}",
        ),
        Line(claim="The host namespace goes without hanging", passed=True, seconds=seconds, seen=release.namespace),
    ]


def _note() -> Path:
    """A file that is there while the lab is one that the demo brought up."""
    return hosts.folder() / "brought-up"


if __name__ == "__main__":
    sys.exit(main())
