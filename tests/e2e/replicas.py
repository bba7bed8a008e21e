"""Releases with two pods of the control plane, on each store that several can share."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from syncer.engine.leader import NAME, NAMESPACE
from tests.e2e import databases, etcd_members
from tests.e2e.objects import Object
from tests.e2e.tenancy import CHART, Release, becomes, eventually, host_kubectl, install, remove
from tests.e2e.test_62_stores import written

PODS = "app.kubernetes.io/component=control-plane"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What several pods share, and whether the scheduler and the DNS server are among their containers."""

    store: str
    contained: bool = False


FORMS = {
    "postgres": Form(store="postgres"),
    "mysql": Form(store="mysql"),
    "external-etcd": Form(store="external-etcd"),
    "deployed-etcd": Form(store=etcd_members.STORE),
    "postgres-contained": Form(store="postgres", contained=True),
}


@contextlib.contextmanager
def stored(store: str) -> Iterator[tuple[Object, list[Object]]]:
    """Values for a store that several pods can share, and what a release needs beside them in its namespace."""
    if store == etcd_members.STORE:
        yield etcd_members.values(3), []
        return
    with databases.server(store, shared=True) as server:
        yield server.values(), [server.secret()]


@contextlib.contextmanager
def pair(form: Form, folder: Path) -> Iterator[Release]:
    """A release with two pods, which all carry the namespace's name as a label, so that nobody takes them for others."""
    namespace, host = f"pair-{uuid.uuid4().hex[:6]}", host_kubectl()
    contained = ("--values", str(CHART / "ci" / "contained-values.yaml")) if form.contained else ()
    with stored(form.store) as (values, beside):
        control = values["controlPlane"]
        control.setdefault("statefulSet", {})["highAvailability"] = {"replicas": 2}
        control["statefulSet"]["pods"] = {"labels": {"example.com/pair": namespace}}
        control["advanced"] = {"podDisruptionBudget": {"enabled": True}}
        host("create", "namespace", namespace)
        host.apply(*beside, namespace=namespace)
        try:
            yield install("vc", namespace, folder, "--values", written(values, folder), *contained)
        finally:
            remove(host, "vc", namespace)


def both_are_ready(release: Release) -> None:
    """Waits for it."""
    becomes(2, lambda: release.host.get("statefulset", "vc", "-n", release.namespace)["status"].get("readyReplicas"))


def pods(release: Release) -> list[Object]:
    """The control plane's pods on the host."""
    return release.host.items("pods", "--namespace", release.namespace, f"--selector={PODS}")


def leader(release: Release) -> str:
    """The pod whose syncer leads."""
    lease = eventually(lambda: release.tenant.get("lease", NAME, "--namespace", NAMESPACE))
    return str(lease["spec"]["holderIdentity"])


def addresses(release: Release, name: str, namespace: str) -> list[str]:
    """Those in an EndpointSlice of the virtual cluster."""
    found = release.tenant.get("endpointslice", name, "--namespace", namespace)
    return sorted(address for endpoint in found["endpoints"] for address in endpoint["addresses"])
