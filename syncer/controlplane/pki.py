"""The `pki` command: before the control plane starts, its certificates are made or renewed and laid out as files.

Keys live in Secret `NAME-certs`; the folder is memory that dies with the pod. Kubeconfig Secrets are written on the way, so that a
renewed certificate reaches them. Those with a ServiceAccount's token need the virtual API server and are left to the syncer.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from syncer import values
from syncer.controlplane import kubeconfig, material, store
from syncer.controlplane.certificates import Lifetimes
from syncer.controlplane.kubeconfig import Entry, Identity, Issuer
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
_PASSING = (Unreachable, ServerError, TooManyRequests, Conflict, NotFound, Forbidden)  # rights may come a moment late
_SERVICES = Resource("", "v1", "services", "Service", namespaced=True)
_KUBECONFIGS = {
    "admin.conf": "admin",
    "syncer.conf": "syncer-client",
    "controller-manager.conf": "controller-manager",
    "scheduler.conf": "scheduler",
    "coredns.conf": "coredns",
}
_INSIDE_KUBECONFIGS = (
    "syncer-client",
    "controller-manager",
    "scheduler",
    "coredns",
)  # leaves that are no files of their own
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z", re.IGNORECASE
)

_log = logging.getLogger(__name__)


async def run(
    config: Mapping[str, Any],
    client: Client,
    out: Path,
    environment: Mapping[str, str],
    *,
    now: dt.datetime | None = None,
    patience: float = _PATIENCE,
) -> None:
    """Fills `out` and the Secrets from the parsed config document; `client` is the host's.

    What does not answer or is not there yet is tried again for `patience` seconds; then KubeError. Raises InvalidValue for what a
    person must look at.
    """
    settings = values.parse(config)
    lifetimes = _lifetimes(environment)
    moment = now or dt.datetime.now(dt.UTC)
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(_PASSING),
        stop=stop_after_delay(patience),
        wait=wait_exponential(multiplier=0.1, max=2),
        reraise=True,
    ):
        with attempt:
            await _run_once(settings, client, out, lifetimes, moment)


async def _run_once(settings: Settings, client: Client, out: Path, lifetimes: Lifetimes, now: dt.datetime) -> None:
    cluster = settings.cluster
    owner = await _owner(client, cluster)
    service = await client.get(_SERVICES, cluster.namespace, cluster.service)
    files = await material.ensure(
        client,
        material.leaves(server_names(cluster, service)),
        cluster=cluster.name,
        namespace=cluster.namespace,
        owner=owner,
        lifetimes=lifetimes,
        now=now,
    )
    await store.claim(client, cluster)
    write_files(out, layout(files, context=cluster.name))
    issuer = Issuer(cluster=cluster.name, namespace=cluster.namespace, owner=owner, authority=files["ca.crt"])
    admin = Identity(certificate=files["admin.crt"], key=files["admin.key"])
    for row in settings.kubeconfigs:
        entry = Entry.parse(row, cluster=cluster.name)
        if entry.service_account is None and await kubeconfig.write(client, kubeconfig.secret(entry, issuer, admin)):
            _log.info("kubeconfig written", extra={"namespace": entry.namespace, "secret": entry.secret})


def server_names(cluster: Cluster, service: Object) -> frozenset[str]:
    """DNS names and IPs under which the API server is reached: inside, from the host, and as the user has added.

    `service` is the control plane's host Service. Raises InvalidValue for an extra name that is none.
    """
    names = {"localhost", "127.0.0.1", "::1"}
    names.update(_service_names("kubernetes", "default", cluster.domain))
    names.update(_service_names(cluster.service, cluster.namespace, cluster.domain))
    headless = f"{cluster.service}-headless"
    for name in _service_names(headless, cluster.namespace, cluster.domain):
        names.update((name, f"*.{name}"))
    spec, status = service.get("spec") or {}, service.get("status") or {}
    addresses = {spec.get("clusterIP"), *(spec.get("clusterIPs") or ())} - {None, "", "None"}
    if not addresses and spec.get("type") != "ExternalName":
        _log.warning("the control plane's Service has no cluster IP", extra={"service": cluster.service})
    names.update(str(address) for address in addresses)
    for ingress in (status.get("loadBalancer") or {}).get("ingress") or ():
        names.update(ingress[field] for field in ("ip", "hostname") if ingress.get(field))
    for index, name in enumerate(cluster.extra_sans):
        if not _is_name(name):
            raise InvalidValue(
                f"controlPlane.proxy.extraSANs[{index}]",
                f"{name!r} is neither a DNS name nor an IP address",
                "correct or remove it",
            )
        names.add(name)
    return frozenset(_canonical(name) for name in names)


def layout(files: material.Files, *, context: str) -> dict[str, bytes]:
    """Content by name of all files that the control plane's containers read."""
    inside = {f"{leaf}.{kind}" for leaf in _INSIDE_KUBECONFIGS for kind in ("crt", "key")}
    result = {name: content for name, content in files.items() if name not in inside}
    for name, leaf in _KUBECONFIGS.items():
        identity = Identity(certificate=files[f"{leaf}.crt"], key=files[f"{leaf}.key"])
        text = kubeconfig.render(context=context, server=SERVER, authority=files["ca.crt"], identity=identity)
        result[name] = text.encode()
    return result


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes each file whole or not at all; secrets are for the owner only. Does not touch a file that is right already."""
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(PermissionError):  # the mount point belongs to root, who has given it to our group
        out.chmod(0o700)
    for name, content in files.items():
        target = out / name
        public = target.suffix in (".crt", ".pub")
        if target.exists() and target.read_bytes() == content:
            continue
        part = out / f".{name}.part"
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644 if public else 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  Path.open cannot create with a mode
            file.write(content)
        part.replace(target)


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


def _service_names(service: str, namespace: str, domain: str) -> Iterable[str]:
    return (service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.{domain}")


def _is_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(_DNS_NAME.match(name))
    return True


def _canonical(name: str) -> str:
    """One spelling per IP address and name, so that a certificate is not made anew for another."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()
