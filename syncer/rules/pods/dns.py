"""DNS: pods ask the virtual cluster's DNS server and search its domain.

A pod with a ClusterFirst policy gets on the host exactly the configuration that the kubelet of a real cluster would compute, spelled
out with policy None; its own servers, searches and options are merged in the same way. The node's own search domains, which a kubelet
would append, are not known here. Policies None and Default are left alone.

No host aliases for the API server are added: its name is answered by the virtual DNS server, and a pod that opts out of cluster DNS
cannot resolve it on a real cluster either.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncer.names import Object
from syncer.rules.context import Context

_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_CHARACTERS = 2048


def needs_cluster_dns(spec: Object) -> bool:
    """Whether the pod asks the cluster's DNS server; ClusterFirst on the host network does not."""
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    return policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork"))


def step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that sets dnsPolicy and dnsConfig."""
    address = context.world.dns_address()
    if address is None or not needs_cluster_dns(spec):
        return {}
    own = spec.get("dnsConfig") or {}
    domain = context.settings.cluster.domain
    searches = (f"{pod['metadata']['namespace']}.svc.{domain}", f"svc.{domain}", domain)
    config = {
        "nameservers": _distinct([address, *(own.get("nameservers") or ())])[:_MAX_NAMESERVERS],
        "searches": _fitting(_distinct([*searches, *(own.get("searches") or ())])),
        "options": _options(own.get("options") or ()),
    }
    return {"dnsPolicy": "None", "dnsConfig": config}


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _fitting(searches: list[str]) -> list[str]:
    fitting = searches[:_MAX_SEARCHES]
    while len(" ".join(fitting)) > _MAX_SEARCH_CHARACTERS:
        fitting.pop()
    return fitting


def _options(own: Iterable[Object]) -> list[Object]:
    options: dict[str, Object] = {"ndots": {"name": "ndots", "value": "5"}}
    options.update((option["name"], option) for option in own)
    return list(options.values())
