"""The range of the host's Service IPs, which the virtual cluster must accept too.

Asked in this order: the value that the user gave; the host's ServiceCIDR objects, where the syncer may read them; a dry-run create of a
Service with an impossible IP, whose refusal names the range. Nothing is ever created for the question.
https://kubernetes.io/docs/reference/kubernetes-api/networking-resources/service-cidr-v1/
"""

from __future__ import annotations

import ipaddress
import logging
import re

from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, ApiError, Forbidden, NotFound
from syncer.kube.resource import Resource
from syncer.names import MANAGED_BY
from syncer.values import InvalidValue

log = logging.getLogger(__name__)

RANGES = Resource("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False)
_SERVICES = Resource("", "v1", "services", "Service", namespaced=True)
_OURS = "sublet-host"
_VALUE = "networking.serviceCIDR"
_RANGE = re.compile(r"[Tt]he range of valid IPs is ([0-9a-fA-F.:/]+)")
_IMPOSSIBLE = "0.0.0.1"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


async def detect(host: Client, namespace: str, *, given: str) -> list[Network]:
    """The host's ranges. Raises InvalidValue when they cannot be found out."""
    if given:
        try:
            return [ipaddress.ip_network(text.strip()) for text in given.split(",")]
        except ValueError as error:
            raise InvalidValue(_VALUE, str(error), "write a range such as 10.96.0.0/12") from error
    try:
        ranges = await host.list(RANGES)
        return [ipaddress.ip_network(cidr) for item in ranges for cidr in item["spec"]["cidrs"]]
    except (Forbidden, NotFound):
        return await _ask(host, namespace)


async def _ask(host: Client, namespace: str) -> list[Network]:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"generateName": "sublet-range-", "namespace": namespace},
        "spec": {"clusterIP": _IMPOSSIBLE, "ports": [{"port": 443}]},
    }
    try:
        await host.create(_SERVICES, service, namespace=namespace, dry_run=True)
        answer = f"a Service with the IP {_IMPOSSIBLE} was accepted"
    except ApiError as error:
        answer = error.message
    found = _RANGE.search(answer)
    try:
        return [ipaddress.ip_network(found[1].rstrip(".") if found else "")]
    except ValueError:
        raise InvalidValue(_VALUE, f"the host's range cannot be found out ({answer})", f"set {_VALUE}") from None


async def allow(virtual: Client, wanted: list[Network]) -> None:
    """Makes the virtual API server accept Service IPs of these ranges."""
    known = await virtual.list(RANGES)
    have = [ipaddress.ip_network(cidr) for item in known for cidr in item["spec"]["cidrs"]]
    for network in wanted:
        if any(other.version == network.version and network.subnet_of(other) for other in have):  # type: ignore[arg-type]
            continue
        name = f"{_OURS}-{network.version}-{str(network.network_address).replace(':', '-').replace('.', '-')}-{network.prefixlen}"
        body = {
            "apiVersion": RANGES.api_version,
            "kind": RANGES.kind,
            "metadata": {"name": name.strip("-"), "labels": {MANAGED_BY: "sublet"}},
            "spec": {"cidrs": [str(network)]},
        }
        try:
            await virtual.create(RANGES, body)
            log.info("the virtual cluster accepts the host's Service IPs", extra={"range": str(network)})
        except AlreadyExists:
            pass
