"""The commands `pki` and `renew`: the control plane's certificates are made or renewed and laid out as files.

`pki` runs before the control plane starts, `renew` whenever the running syncer finds that something is due (see renewal). Keys live in
Secret `NAME-certs`; the folder is memory that dies with the pod. Kubeconfig Secrets are written on the way, so that a renewed
certificate reaches them. Those with a ServiceAccount's token need the virtual API server and are left to the syncer.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from syncer import values
from syncer.controlplane import (
    etcd_certificates,
    kubeconfig,
    kubernetes_version,
    material,
    renewal,
    rotation,
    source,
    sqlite_file,
    store,
)
from syncer.controlplane.certificates import Lifetimes, split
from syncer.controlplane.kubeconfig import Entry, Identity, Issuer
from syncer.controlplane.server_names import SERVICES, server_names
from syncer.kube.client import Client
from syncer.kube.errors import Conflict, Forbidden, NotFound, ServerError, TooManyRequests, Unreachable
from syncer.kube.resource import Resource
from syncer.names import Object
from syncer.values import Cluster, InvalidValue, Settings

SERVER = "https://127.0.0.1:8443"
"""The API server as its neighbours in the pod reach it."""

LIFETIME_VARIABLES = ("SUBLET_CA_SECONDS", "SUBLET_CERTIFICATE_SECONDS")
"""Environment variables with other lifetimes for new authorities and leaves, for tests of renewal."""

_PATIENCE = 60.0  # seconds for the release's other objects to appear and for the host to answer
# Rights and Secrets may come a moment late.
_PASSING = (Unreachable, ServerError, TooManyRequests, Conflict, NotFound, Forbidden, source.NotThere)
_SIGNING = "ca-signing.crt"
_KUBECONFIGS = {
    "admin.conf": "admin",
    "syncer.conf": "syncer-client",
    "controller-manager.conf": "controller-manager",
    "scheduler.conf": "scheduler",
    "coredns.conf": "coredns",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the host says about the release, and what follows from it and from the values."""

    wanted: material.Wanted
    owner: Object
    names: frozenset[str]
    """Those of the API server."""
    brought: Object | None
    """The Secret with the user's CA, if there is to be one."""


async def run(
    config: Mapping[str, Any],
    client: Client,
    out: Path,
    environment: Mapping[str, str],
    *,
    again: bool = False,
    now: dt.datetime | None = None,
    patience: float = _PATIENCE,
) -> None:
    """Fills `out` and the Secrets from the parsed config document; `client` is the host's.

    `again`: the control plane runs with what is in `out`, which is put back should the Secret be gone. What does not answer or is not
    there yet is tried again for `patience` seconds; then KubeError. Raises InvalidValue for what a person must look at.
    """
    settings = values.parse(config)
    moment = now or dt.datetime.now(dt.UTC)
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(_PASSING),
        stop=stop_after_delay(patience),
        wait=wait_exponential(multiplier=0.1, max=2),
        reraise=True,
    ):
        with attempt:
            found = await look(settings, client, environment)
            await _run_once(settings, client, out, found, moment, again=again)


async def look(settings: Settings, client: Client, environment: Mapping[str, str]) -> Situation:
    """Asks the host. Raises InvalidValue, KubeError."""
    cluster = settings.cluster
    lifetimes = _lifetimes(environment)
    owner = await _owner(client, cluster)
    names = server_names(cluster, await client.get(SERVICES, cluster.namespace, cluster.service))
    bring = settings.certificates.authority_secret
    return Situation(
        wanted=material.Wanted(
            secret=f"{cluster.name}-certs",
            namespace=cluster.namespace,
            cluster=cluster.name,
            leaves=material.leaves(names),
            lifetimes=lifetimes,
        ),
        owner=owner,
        names=names,
        brought=await source.read(client, cluster.namespace, bring) if bring else None,
    )


async def _run_once(
    settings: Settings, client: Client, out: Path, found: Situation, now: dt.datetime, *, again: bool
) -> None:
    def adopt(files: material.Files) -> material.Files:
        if found.brought is None:
            return files
        return rotation.succeeded(files, "ca", source.authority(found.brought, now), wanted=found.wanted, now=now)

    cluster = settings.cluster
    lost = _kept(out) if again else None
    files = await material.ensure(client, found.wanted, owner=found.owner, now=now, change=adopt, lost=lost)
    await _look_after_store(client, settings, again=again)
    due = material.next_due(files, found.wanted)
    if cluster.etcd_members:
        due = min(due, await _lay_out_etcd(cluster, client, out, found, now, again=again))
    state = renewal.State(
        due=due,
        server_names=found.names,
        source=renewal.digest(found.brought) if found.brought else "",
    )
    write_files(out, layout(files, context=cluster.name) | {renewal.STATE: state.render()})
    issuer = Issuer(cluster=cluster.name, namespace=cluster.namespace, owner=found.owner, authority=files["ca.crt"])
    admin = Identity(certificate=files["admin.crt"], key=files["admin.key"])
    for row in settings.kubeconfigs:
        entry = Entry.parse(row, cluster=cluster.name)
        if entry.service_account is None and await kubeconfig.write(client, kubeconfig.secret(entry, issuer, admin)):
            _log.info("kubeconfig written", extra={"namespace": entry.namespace, "secret": entry.secret})


async def _look_after_store(client: Client, settings: Settings, *, again: bool) -> None:
    """Refuses a store that is not the one from before, that is damaged or of another Kubernetes, before anything opens it."""
    restoring = await store.claim(client, settings)
    if again:
        return
    if not restoring:
        await kubernetes_version.check(client, settings.cluster)
    if settings.store.file:
        sqlite_file.check(Path(settings.store.file), settings.restore if restoring else None)


async def _lay_out_etcd(
    cluster: Cluster, client: Client, out: Path, found: Situation, now: dt.datetime, *, again: bool
) -> dt.datetime:
    """The same for the release's own etcd; returns when the first of its leaves is to be renewed."""
    wanted, folder = etcd_certificates.wanted(cluster, found.wanted.lifetimes), out / etcd_certificates.FOLDER
    lost = _kept(folder) if again else None
    files = await material.ensure(client, wanted, owner=found.owner, now=now, lost=lost)
    await store.claim_members(client, cluster, wanted.secret)
    write_files(folder, files)
    return material.next_due(files, wanted)


def layout(files: material.Files, *, context: str) -> dict[str, bytes]:
    """Content by name of all files that the control plane's containers read."""
    result = dict(files)
    for authority in material.AUTHORITIES:
        result.pop(material.cross(authority), None)  # it is part of the leaves
    # What signs, alone: the controller manager takes one certificate only.
    result[_SIGNING] = split(files["ca.crt"])[0]
    for name, leaf in _KUBECONFIGS.items():
        result[name] = kubeconfig.of_files(context=context, server=SERVER, leaf=leaf).encode()
    return result


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes each file whole or not at all; secrets are for the owner only. Does not touch a file that is right already."""
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(PermissionError):  # the mount point belongs to root, who has given it to our group
        out.chmod(0o700)
    # What is trusted first, then the halves of each pair, and last when to look again.
    order = sorted(files, key=lambda name: (name == renewal.STATE, "ca." not in name, name))
    targets = [out / name for name in order]
    changed = [file for file in targets if not file.exists() or file.read_bytes() != files[file.name]]
    for part, target in [(_part(target, files[target.name]), target) for target in changed]:
        part.replace(target)  # at once, one after the other: whoever reads half a pair in between has to read again


def _part(target: Path, content: bytes) -> Path:
    """A new file beside `target`."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    mode = 0o644 if target.suffix in (".crt", ".pub") else 0o600
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123  Path.open cannot create with a mode
        file.write(content)
    return part


def _kept(out: Path) -> dict[str, bytes]:
    """What the Secret has held, as far as it lies in the folder."""
    halves = (file for file in out.iterdir() if file.suffix in (".crt", ".key", ".pub") and file.name != _SIGNING)
    return {file.name: file.read_bytes() for file in halves}


async def _owner(client: Client, cluster: Cluster) -> Object:
    """The owner reference for everything that is made at run time."""
    reference = cluster.owner
    kind = Resource("", reference["apiVersion"], f"{reference['kind'].lower()}s", reference["kind"], namespaced=True)
    found = await client.get(kind, cluster.namespace, reference["name"])
    return {**reference, "uid": found["metadata"]["uid"]}


def _lifetimes(environment: Mapping[str, str]) -> Lifetimes:
    given = dict(_seconds(environment))
    authority, leaf = (given.get(variable) for variable in LIFETIME_VARIABLES)
    default = Lifetimes()
    return Lifetimes(authority=authority or default.authority, leaf=leaf or default.leaf)


def _seconds(environment: Mapping[str, str]) -> Iterator[tuple[str, dt.timedelta]]:
    for variable in LIFETIME_VARIABLES:
        text = environment.get(variable, "")
        if text and not (text.isascii() and text.isdecimal() and int(text) > 0):
            raise InvalidValue(
                f"environment variable {variable}", f"{text!r} is no number of seconds", "correct or unset it"
            )
        if text:
            yield variable, dt.timedelta(seconds=int(text))
