"""The names of the API server: DNS names and IPs that its certificate must know, so that whoever comes by one of them can trust it."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable

from syncer.kube.resource import Resource
from syncer.names import Object
from syncer.values import Cluster, InvalidValue

SERVICES = Resource("", "v1", "services", "Service", namespaced=True)
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z", re.IGNORECASE
)

_log = logging.getLogger(__name__)


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
