"""The config document that the chart renders, as frozen dataclasses.

The chart has already merged the user's values, evaluated the toggles and filled in defaults. What is left to check here are values
that a schema cannot judge. A bad one refuses to start, naming its path in the user's values and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class InvalidValue(Exception):
    """A value that the syncer cannot work with: `path` in the user's values, what is wrong, what to do."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path


SQLITE = "database.embedded"
"""The store of a document that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Identity of the virtual cluster and of its place on the host."""

    name: str
    """Helm release name; part of every host name."""
    namespace: str
    """The host namespace that holds everything."""
    domain: str
    """DNS domain of the virtual cluster's Services (networking.advanced.clusterDomain)."""
    service: str
    """Host Service in front of the virtual API server."""
    owner: Mapping[str, str]
    """apiVersion, kind and name of the object that owns all host objects made at run time."""
    workload_service_account: str
    """ServiceAccount of the tenant's pods on the host."""
    service_cidr: str = ""
    """Range of the host's Service IPs (networking.serviceCIDR); empty = ask the host."""
    store: str = SQLITE
    """Where the virtual API server keeps its objects: the path of a switch below controlPlane.backingStore."""
    distro: str = "k8s"
    """Who brings the virtual API server: the path of a switch below controlPlane.distro."""
    kubernetes: str = ""
    """Version of the virtual API server that the values ask for, such as `v1.36.3`; empty when its image does not tell."""
    etcd_members: int = 0
    """Members of the release's own etcd; 0: the store is another one."""
    extra_sans: tuple[str, ...] = ()
    """More names and IPs for the API server's certificate (controlPlane.proxy.extraSANs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """How the virtual API server's store is reached, for snapshots (controlPlane.backingStore)."""

    endpoints: tuple[str, ...] = ()
    """Addresses that speak etcd's API: `unix:///path`, `http://host:port`, `https://host:port`."""
    prefix: str = "/registry"
    """What all keys begin with."""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    file: str = ""
    """SQLite's file; empty for another store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """controlPlane.backingStore.restore: what to do before the API server starts."""

    id: str = ""
    """Tells this restore from others, so that it is done once; empty = none is asked for."""
    file: str = ""
    """The snapshot; empty = it comes through `kubectl exec`."""
    replace: bool = False
    """Whether objects that are there are given up."""
    from_cluster: str = ""
    """Name of the virtual cluster that the snapshot is of; empty = of this one."""
    raise_revision: bool = True
    """Whether the store's revision has to pass the snapshot's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """One entry of enforceTolerations; empty strings mean "any", as in Kubernetes."""

    key: str
    value: str
    effect: str

    def covers(self, taint: Mapping[str, Any]) -> bool:
        """Whether a pod with this toleration may run on a node with this taint."""
        return all(
            not mine or mine == (taint.get(name) or "")
            for name, mine in (("key", self.key), ("value", self.value), ("effect", self.effect))
        )

    def as_object(self) -> dict[str, str]:
        """The `tolerations[]` item of a pod."""
        operator = "Equal" if self.value else "Exists"
        item = {"operator": operator, "key": self.key, "value": self.value, "effect": self.effect}
        return {name: text for name, text in item.items() if text}


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteHosts:
    """The init container that gives pods with a `subdomain` their FQDN in /etc/hosts."""

    enabled: bool = True
    image: str = ""
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """sync.toHost.pods: what is forced on, or added to, the tenant's pods."""

    translate_image: Mapping[str, str] = field(default_factory=dict)
    """Exact image -> the image that the host runs instead."""
    enforce_tolerations: tuple[Toleration, ...] = ()
    """Added to every host pod."""
    runtime_class_name: str = ""
    """Forced on every host pod; empty = the tenant's own."""
    priority_class_name: str = ""
    """A host PriorityClass for pods that have none there; empty = the host's default."""
    rewrite_hosts: RewriteHosts = RewriteHosts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """sync.fromHost.nodes."""

    from_host: bool = False
    """Mirror real node objects; needs the ClusterRole that the chart then renders."""
    all: bool = False
    """Mirror every (selected) node, also those without a pod of this cluster."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Mirror only nodes with these labels; pods are then pinned to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Label and annotation keys that must not reach the host as they are: exact keys, or prefixes that end in `*`."""

    deny_labels: tuple[str, ...] = ()
    deny_annotations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """controlPlane.statefulSet.highAvailability: how several syncers agree on one. In seconds."""

    lease_duration: int
    """For so long the others wait for a leader that is silent."""
    renew_deadline: float
    """After so long a leader gives up that cannot renew; less than lease_duration."""
    retry_period: float
    """Between two attempts to take or renew the Lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Where the control plane's certificates come from, and what they follow."""

    authority_secret: str = ""
    """Secret with the CA (controlPlane.advanced.certificateAuthority.secretName); empty = one of our own."""
    follow_service: bool = False
    """Whether the Service is of a type that is given addresses later (LoadBalancer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the syncer is told."""

    cluster: Cluster
    store: Store = Store()
    restore: Restore = Restore()
    pods: Pods = Pods()
    nodes: Nodes = Nodes()
    metadata: Metadata = Metadata()
    certificates: Certificates = Certificates()
    schedules: bool = False
    """Whether a scheduler of the virtual cluster places the pods (controlPlane.distro.k8s.scheduler.enabled), not the host's."""
    rules: tuple[Mapping[str, Any], ...] = ()
    """The enabled rows of the rule table, read by syncer.rules.table."""
    kubeconfigs: tuple[Mapping[str, Any], ...] = ()
    """Exported kubeconfig Secrets, read by syncer.controlplane."""
    manifests: str = ""
    """YAML documents to apply in the virtual cluster."""
    embedded_dns: bool = False
    """Whether the control plane's own pod answers for the DNS server (controlPlane.coredns.embedded)."""
    log_level: str = "info"
    leadership: Leadership | None = None
    """None: there is one syncer."""

    @property
    def brings_dns(self) -> bool:
        """Whether a DNS server is among the manifests. Without one, pods are left to the host's DNS, as without cluster DNS."""
        return "kube-dns" in self.manifests


_RENDER = "render it with the chart"
_IDENTITY = ("name", "namespace", "service", "owner", "workloadServiceAccount")
_LEVELS = ("debug", "info", "warning", "error")


def load(path: Path) -> tuple[Settings, dict[str, Any]]:
    """Reads the config document; returns it parsed and raw. Raises InvalidValue."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(path.read_text(), Loader=loader)  # noqa: S506  one of the safe loaders
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidValue(str(path), f"cannot be read: {error}", _RENDER) from error
    if not isinstance(document, dict) or not isinstance(document.get("cluster"), dict):
        raise InvalidValue(str(path), "is not a config document", _RENDER)
    return parse(document), document


def parse(document: Mapping[str, Any]) -> Settings:
    """Builds the settings from a parsed config document."""
    cluster = document["cluster"]
    for name in _IDENTITY:
        if not cluster.get(name):
            raise InvalidValue(f"cluster.{name}", "is missing in the config document", _RENDER)
    log_level = (document.get("logging") or {}).get("level") or "info"
    if log_level not in _LEVELS:
        raise InvalidValue("logging.level", f"{log_level!r} is unknown", f"use one of {', '.join(_LEVELS)}")
    pods = document.get("pods") or {}
    nodes = document.get("nodes") or {}
    metadata = document.get("metadata") or {}
    rewrite = pods.get("rewriteHosts") or {}
    selector = nodes.get("selector") or {}
    certificates = document.get("certificates") or {}
    return Settings(
        cluster=Cluster(
            name=cluster["name"],
            namespace=cluster["namespace"],
            domain=cluster.get("domain") or "cluster.local",
            service=cluster["service"],
            owner=cluster["owner"],
            workload_service_account=cluster["workloadServiceAccount"],
            service_cidr=cluster.get("serviceCIDR") or "",
            store=cluster.get("store") or SQLITE,
            distro=cluster.get("distro") or "k8s",
            kubernetes=cluster.get("kubernetes") or "",
            etcd_members=cluster.get("etcdMembers") or 0,
            extra_sans=tuple(cluster.get("extraSANs") or ()),
        ),
        store=_store(document.get("store") or {}),
        restore=_restore(document.get("restore") or {}),
        pods=Pods(
            translate_image=pods.get("translateImage") or {},
            enforce_tolerations=tuple(
                parse_toleration(text, f"sync.toHost.pods.enforceTolerations[{index}]")
                for index, text in enumerate(pods.get("enforceTolerations") or ())
            ),
            runtime_class_name=pods.get("runtimeClassName") or "",
            priority_class_name=pods.get("priorityClassName") or "",
            rewrite_hosts=RewriteHosts(
                enabled=bool(rewrite.get("enabled")) and bool(rewrite.get("image")),
                image=rewrite.get("image") or "",
                resources=rewrite.get("resources") or {},
            ),
        ),
        nodes=Nodes(
            from_host=bool(nodes.get("fromHost")),
            all=bool(selector.get("all")),
            labels=selector.get("labels") or {},
        ),
        metadata=Metadata(
            deny_labels=tuple(metadata.get("denyLabels") or ()),
            deny_annotations=tuple(metadata.get("denyAnnotations") or ()),
        ),
        certificates=Certificates(
            authority_secret=certificates.get("authoritySecret") or "",
            follow_service=bool(certificates.get("followService")),
        ),
        schedules=bool((document.get("scheduler") or {}).get("enabled")),
        rules=tuple(document.get("rules") or ()),
        kubeconfigs=tuple(document.get("kubeconfigs") or ()),
        manifests=document.get("manifests") or "",
        embedded_dns=bool((document.get("dns") or {}).get("embedded")),
        log_level=log_level,
        leadership=_leadership(document.get("leadership")),
    )


def _store(store: Mapping[str, Any]) -> Store:
    return Store(
        endpoints=tuple(address.strip() for address in (store.get("endpoints") or "").split(",") if address.strip()),
        prefix=store.get("prefix") or "/registry",
        ca_file=store.get("caFile") or "",
        cert_file=store.get("certFile") or "",
        key_file=store.get("keyFile") or "",
        file=store.get("file") or "",
    )


def _restore(restore: Mapping[str, Any]) -> Restore:
    return Restore(
        id=restore.get("id") or "",
        file=restore.get("file") or "",
        replace=bool(restore.get("replace")),
        from_cluster=restore.get("fromCluster") or "",
        raise_revision=restore.get("raiseRevision") is not False,
    )


def _leadership(terms: Mapping[str, Any] | None) -> Leadership | None:
    if not terms:
        return None
    return Leadership(
        lease_duration=terms["leaseDuration"],
        renew_deadline=terms["renewDeadline"],
        retry_period=terms["retryPeriod"],
    )


_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_TAINT = re.compile(r"^(?P<key>[A-Za-z0-9./_-]*)(=(?P<value>[A-Za-z0-9._-]*))?(:(?P<effect>[A-Za-z]+))?$")


def parse_toleration(text: str, path: str) -> Toleration:
    """Reads `key=value:Effect`, `key:Effect`, `key=value`, `key`, `:Effect` as kubectl's taint syntax has it."""
    match = _TAINT.match(text) if isinstance(text, str) else None
    effect = (match and match["effect"]) or ""
    keyless = match is not None and match["value"] and not match["key"]
    if match is None or not text or keyless or (effect and effect not in _EFFECTS):
        raise InvalidValue(
            path, f"{text!r} is not a toleration", f"write key=value:Effect with an effect of {', '.join(_EFFECTS)}"
        )
    return Toleration(key=match["key"], value=match["value"] or "", effect=effect)
