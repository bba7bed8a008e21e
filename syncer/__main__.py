"""Command line of the image.

`pki` prepares certificates and kubeconfigs, `renew` renews them, `run` is the syncer, `etcd` comes before a member of the release's own
etcd, `test` is for `helm test`. For people are `rotate-ca`, and `snapshot` and `restore`, which carry the virtual cluster's keys out of
its store and into one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from syncer import logs, values
from syncer.engine.leader import LostLeadership
from syncer.kube.credentials import Credentials
from syncer.kube.errors import KubeError

CONFIG = Path("/etc/sublet/config.yaml")
"""Where the chart's pods have the config document, for commands that people type."""

log = logging.getLogger("syncer")

_FAILURES = {
    "renew": "certificates cannot be renewed",
    "rotate-ca": "the CA cannot be rotated",
    "snapshot": "no snapshot is taken",
    "restore": "nothing is restored",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "test":
        return asyncio.run(_test(options))
    try:
        if options.command == "etcd":
            return asyncio.run(_etcd(options))
        settings, document = values.load(options.config)
        logs.configure(settings.log_level)
        if options.command == "rotate-ca":
            asyncio.run(_rotate(settings, options))
        elif options.command in ("pki", "renew"):
            asyncio.run(_pki(document, options.out, again=options.command == "renew"))
            if options.command == "pki" and settings.cluster.etcd_members:
                asyncio.run(_await_etcd(settings.cluster, options.out))
        elif options.command in ("snapshot", "restore"):
            return asyncio.run(_carry(settings, options))
        else:
            asyncio.run(_run(settings, options))
    except values.InvalidValue as error:
        logs.configure("info")
        failed = _FAILURES.get(options.command, "cannot start")
        log.error("%s: %s", failed, error, extra={"value": error.path})
        return 2
    except KubeError as error:
        log.error("an API server is needed and does not do its part: %s", error)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="syncer", description="Sublet's syncer")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("pki", "create or renew certificates, write them and the kubeconfig Secrets"),
        ("renew", "the same for a control plane that runs with what is in the folder"),
    ):
        pki = commands.add_parser(name, help=words)
        pki.add_argument("--config", type=Path, required=True, help="config document rendered by the chart")
        pki.add_argument("--out", type=Path, required=True, help="folder for certificates and kubeconfigs")
    rotate = commands.add_parser("rotate-ca", help="put a new CA in place of the one that signs; both are trusted then")
    rotate.add_argument("--finish", action="store_true", help="end that: the older CA is trusted no more")
    rotate.add_argument("--config", type=Path, default=Path("/etc/sublet/config.yaml"), help="config document")
    rotate.add_argument("--pki", type=Path, default=Path("/pki"), help="folder with certificates")
    run = commands.add_parser("run", help="synchronise until told to stop")
    run.add_argument("--config", type=Path, required=True, help="config document rendered by the chart")
    run.add_argument("--pki", type=Path, required=True, help="folder that the pki command has filled")
    snapshot = commands.add_parser(
        "snapshot", help="write all keys of the virtual cluster, as of now, to standard output"
    )
    snapshot.add_argument("--file", type=Path, help="write to this new file instead")
    restore = commands.add_parser("restore", help="restore a snapshot from standard input, as the values ask for it")
    restore.add_argument("--wait", action="store_true", help="restore what the values name, or wait until it is done")
    for carrying in (snapshot, restore):
        carrying.add_argument("--config", type=Path, default=CONFIG, help="config document rendered by the chart")
    etcd = commands.add_parser(
        "etcd", help="find out how a member of the release's own etcd has to start, and write its settings"
    )
    etcd.add_argument("--name", required=True, help="the member's name, that of its pod")
    etcd.add_argument("--members", type=int, required=True, help="how many members there are to be")
    etcd.add_argument("--service", required=True, help="their headless Service, SERVICE.NAMESPACE.svc")
    etcd.add_argument("--address", required=True, help="the pod's address")
    etcd.add_argument("--metrics-port", type=int, required=True, help="port of etcd's health checks")
    etcd.add_argument("--tls", type=Path, required=True, help="folder with the members' certificates")
    etcd.add_argument("--out", type=Path, required=True, help="file for etcd's settings")
    etcd.add_argument("flags", nargs="*", help="etcd's own flags, behind --")
    test = commands.add_parser("test", help="send a pod through the virtual cluster and say whether it came back")
    test.add_argument("--kubeconfig", type=Path, required=True, help="an exported kubeconfig")
    test.add_argument("--server", required=True, help="address of the API server, whatever the kubeconfig says")
    test.add_argument("--image", required=True, help="image of the pod; it has Python")
    return parser


async def _test(options: argparse.Namespace) -> int:
    from syncer.controlplane import round_trip
    from syncer.kube.client import Client

    logs.configure("info")
    credentials = Credentials.from_kubeconfig(options.kubeconfig)
    credentials.server = options.server
    client = Client.connect(credentials, name="virtual")
    try:
        node = await round_trip.run(client, round_trip.pod(options.image))
    except (KubeError, round_trip.Failed) as error:
        log.error("the virtual cluster does not work: %s", error)
        return 1
    finally:
        await client.close()
    log.info("a pod of the virtual cluster ran on node %s", node)
    return 0


async def _etcd(options: argparse.Namespace) -> int:
    from syncer.controlplane import etcd_member, etcd_membership

    logs.configure("info")
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    own, *others = etcd_membership.seats(options.name, options.members, options.service)
    try:
        await etcd_member.run(
            own,
            others,
            options.flags,
            files=etcd_member.Files(folder=options.tls),
            out=options.out,
            listen="[::]" if ":" in options.address else "0.0.0.0",  # noqa: S104  the pod's own network
            metrics=options.metrics_port,
        )
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    return 0


async def _await_etcd(cluster: values.Cluster, out: Path) -> None:
    # An API server that finds no store ends, and waits longer each time until it starts again.
    from syncer.controlplane import etcd_certificates, etcd_member, etcd_membership

    files = etcd_member.Files(folder=out / etcd_certificates.FOLDER, identity="client")
    await etcd_member.await_majority(etcd_membership.seats_of(cluster), files)


async def _pki(document: dict[str, object], out: Path, *, again: bool) -> None:
    # Imported here only: the cryptography library costs memory that the running syncer need not pay.
    from syncer.controlplane import pki
    from syncer.kube.client import Client

    client = Client.connect(Credentials.in_cluster(), name="host")
    try:
        await pki.run(document, client, out, os.environ, again=again)
    finally:
        await client.close()


async def _rotate(settings: values.Settings, options: argparse.Namespace) -> None:
    from syncer.controlplane import rotate
    from syncer.kube.client import Client

    host = Client.connect(Credentials.in_cluster(), name="host")
    virtual = Client.connect(Credentials.from_kubeconfig(options.pki / "syncer.conf"), name="virtual")
    try:
        work = rotate.finish if options.finish else rotate.begin
        log.info("%s", await work(settings, host, virtual, os.environ))
    finally:
        await host.close()
        await virtual.close()


async def _carry(settings: values.Settings, options: argparse.Namespace) -> int:
    # Imported here only: the running syncer need not pay for a second way to speak to servers.
    from syncer.kube.client import Client
    from syncer.snapshots import commands
    from syncer.snapshots.format import Damaged
    from syncer.snapshots.store import StoreError

    try:
        if options.command == "snapshot":
            await commands.snapshot(settings, options.file)
        elif options.wait:
            client = Client.connect(Credentials.in_cluster(), name="host")
            try:
                await commands.restore_once(settings, client)
            finally:
                await client.close()
        else:
            await commands.restore(settings, None)
    except Damaged as error:
        log.error("nothing is restored: %s", error)
        return 1
    except StoreError as error:
        log.error("%s failed: %s", options.command, error)
        return 1
    return 0


async def _run(settings: values.Settings, options: argparse.Namespace) -> None:
    from syncer.controlplane import renewal
    from syncer.wiring.servers import Ports
    from syncer.wiring.surroundings import pod_ip
    from syncer.wiring.syncer import Syncer

    syncer = Syncer(
        settings,
        host=Credentials.in_cluster(),
        virtual=Credentials.from_kubeconfig(options.pki / "syncer.conf"),
        pki=options.pki,
        pod_ip=pod_ip(),
        ports=Ports(),
        identity=os.environ.get("POD_NAME", ""),
        renew=lambda: renewal.renew(options.config, options.pki),
        config=options.config,
    )
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await syncer.run()
    except* LostLeadership as lost:
        # Only a fresh start forgets everything that was about to be done.
        log.error("starting again: %s", lost.exceptions[0])
    log.info("stopped")


if __name__ == "__main__":
    sys.exit(main())
