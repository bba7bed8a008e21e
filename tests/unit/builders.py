"""Objects, rules and surroundings for the unit tests, and what an API server does with a merge patch."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from syncer.names import Key, Object, host_name
from syncer.rules.context import Context, ServiceView
from syncer.rules.metadata import MetadataRules
from syncer.rules.table import Rule, Table, parse_table
from syncer.values import Cluster, Metadata, Nodes, Pods, Settings

CLUSTER = "vc"
HOST_NAMESPACE = "hns"
SPACE = "shop"
OWNER: Object = {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-vc", "uid": "owner-uid"}
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""What Kubernetes takes for the name of most objects, but for its length."""
RULES = Path(__file__).parents[2] / "chart" / "files" / "rules.yaml"


@cache
def rows() -> tuple[Mapping[str, Any], ...]:
    """The chart's rule table, resolved as the chart does by default, with every row enabled."""
    table = yaml.safe_load(RULES.read_text())
    return tuple({**row, "selection": "used" if "selectionToggle" in row else "all"} for row in table)


@cache
def table(*resources: str) -> Table:
    """The chart's rows for these plurals; all of them when none is named."""
    return parse_table(row for row in rows() if not resources or row["resource"] in resources)


def rule(resource: str) -> Rule:
    """The chart's row for this plural."""
    return next(iter(table(resource).values()))


@dataclass
class FakeWorld:
    """Surroundings that say what a test wants them to say; by default everything exists, is on the host and is used."""

    all_namespaces: dict[str, dict[str, str]] = field(
        default_factory=lambda: {SPACE: {"kubernetes.io/metadata.name": SPACE}}
    )
    all_services: dict[str, list[ServiceView]] = field(default_factory=dict)
    dns: str | None = "10.96.0.10"
    nodes: frozenset[str] = frozenset()
    selectorless: frozenset[tuple[str, str]] = frozenset()
    missing: frozenset[Key] = frozenset()
    not_on_host: frozenset[Key] = frozenset()
    unused: frozenset[Key] = frozenset()
    resources: frozenset[str] = frozenset()
    volumes: Mapping[str, Object] = field(default_factory=dict)

    def namespaces(self) -> Mapping[str, Mapping[str, str]]:
        return self.all_namespaces

    def services(self, namespace: str) -> Iterable[ServiceView]:
        return self.all_services.get(namespace, [])

    def api_address(self) -> str:
        return "10.96.0.1"

    def dns_address(self) -> str | None:
        return self.dns

    def has_node(self, name: str) -> bool:
        return name in self.nodes

    def host_resources(self, node: str) -> frozenset[str]:
        return self.resources

    def host_volume(self, name: str) -> Object | None:
        return self.volumes.get(name)

    def has_own_endpoints(self, namespace: str, service: str) -> bool:
        return (namespace, service) in self.selectorless

    def exists(self, key: Key) -> bool:
        return key not in self.missing

    def on_host(self, key: Key) -> bool:
        return key not in self.not_on_host

    def used(self, key: Key) -> bool:
        return key not in self.unused


def settings(
    *,
    metadata: Metadata | None = None,
    nodes: Nodes | None = None,
    pods: Pods | None = None,
    manifests: str = "",
    schedules: bool = False,
) -> Settings:
    return Settings(
        cluster=Cluster(
            name=CLUSTER,
            namespace=HOST_NAMESPACE,
            domain="cluster.local",
            service=CLUSTER,
            owner={"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-vc"},
            workload_service_account="vc-workload-vc",
        ),
        metadata=metadata
        or Metadata(deny_labels=("team", "argocd.argoproj.io/*"), deny_annotations=("secret", "x.io/*")),
        nodes=nodes or Nodes(),
        pods=pods or Pods(),
        manifests=manifests,
        schedules=schedules,
    )


def context(world: FakeWorld | None = None, **more: Any) -> Context:
    """`more` goes to `settings`."""
    given = settings(**more)
    return Context(given, MetadataRules(CLUSTER, given.metadata), world or FakeWorld(), OWNER)


def key(resource: str, name: str = "web", namespace: str = SPACE) -> Key:
    """The virtual identity of an object of the chart's row `resource`."""
    return Key(rule(resource).key, namespace, name)


def virtual(resource: str, name: str = "web", namespace: str = SPACE, **fields: Any) -> Object:
    """A virtual object as its API server stores it; `metadata` in `fields` adds to the usual one."""
    row = rule(resource)
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"virtual-{name}",
        "resourceVersion": "1",
        **fields.pop("metadata", {}),
    }
    return {"apiVersion": row.api_version, "kind": row.kind, "metadata": metadata, **fields}


def stored(body: Object, *, version: str = "1", **fields: Any) -> Object:
    """A host object as the host's API server answers a create of `body`; `metadata` in `fields` adds to it."""
    copied = copy.deepcopy(body)
    name = copied["metadata"]["name"]
    copied["metadata"] |= {"uid": f"host-{name}", "resourceVersion": version, **fields.pop("metadata", {})}
    return {**copied, **fields}


def there(name: str = "web", namespace: str = SPACE) -> str:
    """Host name of a virtual object."""
    return host_name(name, namespace, CLUSTER)


def going(obj: Object, *, grace: int = 30, **metadata: Any) -> Object:
    """`obj` while it is being deleted."""
    marks = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace, **metadata}
    return {**obj, "metadata": {**obj["metadata"], **marks}}


def merged(target: Any, patch: Any) -> Any:
    """`target` after a JSON merge patch, word for word as RFC 7396 has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
