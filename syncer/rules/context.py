"""What a translation may know besides the object itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from syncer.names import Key, Object, host_name
from syncer.rules.metadata import MetadataRules
from syncer.values import Settings


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service of the virtual cluster, as pods see it in their environment."""

    name: str
    cluster_ip: str
    ports: tuple[Object, ...]


class Surroundings(Protocol):
    """Read-only look at the rest of the virtual cluster; answered from memory."""

    def namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """Every virtual namespace with its labels."""
        ...

    def services(self, namespace: str) -> Iterable[ServiceView]:
        """Services of a virtual namespace that have a cluster IP."""
        ...

    def api_address(self) -> str:
        """IP of the virtual API server's Service, port 443."""
        ...

    def dns_address(self) -> str | None:
        """IP of the virtual cluster's DNS Service; None while there is none."""
        ...

    def has_node(self, name: str) -> bool:
        """Whether the virtual cluster has this Node."""
        ...

    def host_resources(self, node: str) -> frozenset[str]:
        """Names of the resources that the host's node has, as far as nodes are followed."""
        ...

    def host_volume(self, name: str) -> Object | None:
        """The host's PersistentVolume of this name, when volumes are followed and it belongs to a claim of ours."""
        ...

    def has_own_endpoints(self, namespace: str, service: str) -> bool:
        """Whether this virtual Service exists and has no selector, so that somebody writes its endpoints by hand."""
        ...

    def exists(self, key: Key) -> bool:
        """Whether this object exists in the virtual cluster."""
        ...

    def on_host(self, key: Key) -> bool:
        """Whether this object's counterpart exists on the host."""
        ...

    def used(self, key: Key) -> bool:
        """Whether some synced object refers to this one in a way that carries it to the host."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, the metadata rules made from them, and the surroundings."""

    settings: Settings
    metadata: MetadataRules
    world: Surroundings
    owner: Object | None = None
    """ownerReference for host objects; None only in tests."""

    @property
    def cluster(self) -> str:
        """The virtual cluster's name."""
        return self.settings.cluster.name

    @property
    def host_namespace(self) -> str:
        """The host namespace that holds all objects."""
        return self.settings.cluster.namespace

    def host_name(self, name: str, namespace: str) -> str:
        """Host name of a namespaced object of this cluster."""
        return host_name(name, namespace, self.cluster)
