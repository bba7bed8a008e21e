"""Environment variables that the kubelet would add: the API server's address and the Services of the pod's namespace.

The host's kubelet would add those of the host, so the host pod turns service links off and names all variables itself.
KUBERNETES_* cannot be turned off, only overridden, which the explicit variables here do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from syncer.names import Object
from syncer.rules.context import Context, ServiceView

_MOST_VARIABLES = 4000
"""All that one pod may be given, so that thousands of Services do not make it too large to be stored (about 300 KiB)."""

_API_PORTS: tuple[Object, ...] = ({"name": "https", "port": 443, "protocol": "TCP"},)
_API_SERVICE = "kubernetes"


def api_variables(context: Context) -> dict[str, str]:
    """KUBERNETES_SERVICE_HOST and its seven companions."""
    service = ServiceView(_API_SERVICE, context.world.api_address(), _API_PORTS)
    return {**_addresses(service), **_links(service)}


def service_variables(namespace: str, context: Context, *, containers: int) -> tuple[dict[str, str], dict[str, str]]:
    """The plain (`*_SERVICE_HOST`, `*_SERVICE_PORT*`) and the Docker-style (`*_PORT*`) variables of a namespace's Services.

    Limited so that `containers` containers can have them all.
    """
    plain: dict[str, str] = {}
    links: dict[str, str] = {}
    most = _MOST_VARIABLES // max(containers, 1)
    for service in _linked(context.world.services(namespace), namespace):
        if len(plain) + len(links) >= most:
            break
        plain.update(_addresses(service))
        links.update(_links(service))
    return dict(islice(plain.items(), most)), dict(islice(links.items(), max(most - len(plain), 0)))


def _linked(services: Iterable[ServiceView], namespace: str) -> Iterator[ServiceView]:
    for service in sorted(services, key=lambda service: service.name):
        is_api = service.name == _API_SERVICE and namespace == "default"
        # A variable that starts with a digit is refused by API servers before 1.30.
        if service.ports and not is_api and not service.name[0].isdigit():
            yield service


def _addresses(service: ServiceView) -> dict[str, str]:
    prefix = _variable(service.name)
    port_name = f"{prefix}_SERVICE_PORT"
    result = {f"{prefix}_SERVICE_HOST": service.cluster_ip, port_name: str(service.ports[0]["port"])}
    for port in service.ports:
        if port.get("name"):
            result[f"{port_name}_{_variable(port['name'])}"] = str(port["port"])
    return result


def _links(service: ServiceView) -> dict[str, str]:
    prefix, ip = _variable(service.name), service.cluster_ip
    host = f"[{ip}]" if ":" in ip else ip
    result: dict[str, str] = {}
    for port in service.ports:
        number, protocol = port["port"], port.get("protocol") or "TCP"
        url = f"{protocol.lower()}://{host}:{number}"
        if not result:
            result[f"{prefix}_PORT"] = url
        start = f"{prefix}_PORT_{number}_{protocol.upper()}"
        result |= {start: url, f"{start}_PROTO": protocol.lower(), f"{start}_PORT": str(number), f"{start}_ADDR": ip}
    return result


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
