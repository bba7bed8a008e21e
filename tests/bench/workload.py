"""The objects that are made. Each carries a marker, a text that occurs nowhere else, in a place that all have to carry over.

That is how an object of a virtual cluster is found again on the host without knowing how names are translated there.
"""

from __future__ import annotations

import re
import secrets

from syncer.kube.resource import Resource
from tests.e2e import fake_nodes
from tests.e2e.objects import Object, patient, plain
from tests.e2e.tenancy import pod

PODS, SERVICES, CONFIG_MAPS, SECRETS = (
    Resource("", "v1", f"{kind.lower()}s", kind, namespaced=True) for kind in ("Pod", "Service", "ConfigMap", "Secret")
)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
MARKER = re.compile(rb"bench-[0-9a-f]{8}")


def marker() -> str:
    """A new one. Short enough for the name of a port."""
    return f"bench-{secrets.token_hex(4)}"


def fake_pod(mark: str, *, token: bool = False, config: str | None = None) -> Object:
    """A pod for a kwok node, with or without a token of its ServiceAccount, which may use a ConfigMap."""
    sources = [{"configMapRef": {"name": config}}] if config else []
    made = fake_nodes.fake_pod(mark, env=_marked(mark), envFrom=sources)
    made["spec"]["automountServiceAccountToken"] = token
    return made


def real_pod(mark: str) -> Object:
    """A pod that runs a shell on a real node."""
    return pod(mark, patient(env=_marked(mark)))


def config_map(name: str, mark: str) -> Object:
    """A ConfigMap whose content is a marker."""
    return plain("ConfigMap", name, data={"MARKER": mark})


def service(mark: str) -> Object:
    """A Service without pods; the marker is its port's name."""
    return plain("Service", mark, spec={"selector": {"app": mark}, "ports": [{"name": mark, "port": 80}]})


def secret(name: str) -> Object:
    """A Secret of 1 KiB that no pod uses."""
    return plain("Secret", name, stringData={"content": "x" * 1024})


def _marked(mark: str) -> list[Object]:
    return [{"name": "MARKER", "value": mark}]
