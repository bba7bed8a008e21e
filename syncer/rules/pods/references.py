"""Which other objects a pod names, and where.

One table of volume sources and one walk over the containers serve both purposes: translating the names, and knowing which objects
must cross the border before the pod does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from syncer.names import Key, Object
from syncer.rules.context import Context

CONFIG_MAPS = "configmaps"
SECRETS = "secrets"
CLAIMS = "persistentvolumeclaims"
ENDPOINTS = "endpoints"

_SECRET_REF = ("secretRef", "name", SECRETS)
VOLUME_SOURCES: dict[str, tuple[str | None, str, str]] = {
    "configMap": (None, "name", CONFIG_MAPS),
    "secret": (None, "secretName", SECRETS),
    "persistentVolumeClaim": (None, "claimName", CLAIMS),
    "azureFile": (None, "secretName", SECRETS),
    "glusterfs": (None, "endpoints", ENDPOINTS),
    "csi": ("nodePublishSecretRef", "name", SECRETS),
    "cephfs": _SECRET_REF,
    "cinder": _SECRET_REF,
    "flexVolume": _SECRET_REF,
    "iscsi": _SECRET_REF,
    "rbd": _SECRET_REF,
    "scaleIO": _SECRET_REF,
    "storageos": _SECRET_REF,
}
"""Volume source -> (field that holds the reference, or None when the source itself does; field with the name; rule key)."""

PROJECTIONS = {"configMap": CONFIG_MAPS, "secret": SECRETS}
"""Source of a projected volume that has a `name` -> rule key."""

ENV_SOURCES = {"configMapKeyRef": CONFIG_MAPS, "secretKeyRef": SECRETS}
"""Reference inside `env[].valueFrom` -> rule key."""

ENV_FROM_SOURCES = {"configMapRef": CONFIG_MAPS, "secretRef": SECRETS}
"""Reference inside `envFrom[]` -> rule key."""

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


def containers(spec: Object) -> Iterator[Object]:
    """Every container of every kind."""
    return chain.from_iterable(spec.get(name) or () for name in CONTAINER_LISTS)


def items(value: list[Object] | None) -> list[Object]:
    """The items of a list that may be missing or null; not to be changed."""
    return value or []


def with_host_names(source: Object, kinds: Iterable[str], namespace: str, context: Context) -> Object:
    """`source` with the `name` inside each field in `kinds` translated; the same object when it has none of them."""
    changes: Object = {}
    for kind in kinds:
        reference = source.get(kind)
        if reference and reference.get("name"):
            changes[kind] = {**reference, "name": context.host_name(reference["name"], namespace)}
    return {**source, **changes} if changes else source


def claim_name(pod: str, volume: str) -> str:
    """The name of the claim that the virtual cluster makes for an ephemeral volume."""
    return f"{pod}-{volume}"


def carried(pod: Object) -> frozenset[Key]:
    """ConfigMaps, Secrets and PersistentVolumeClaims of the virtual cluster that the pod needs on the host."""
    spec, metadata = pod["spec"], pod["metadata"]
    namespace = metadata["namespace"]
    named = chain(_by_volumes(spec, metadata["name"]), _by_containers(spec), _by_pull_secrets(spec))
    return frozenset(Key(rule, namespace, name) for rule, name in named if name and rule != ENDPOINTS)


def _by_volumes(spec: Object, pod: str) -> Iterator[tuple[str, str | None]]:
    for volume in items(spec.get("volumes")):
        for kind, source in volume.items():
            if kind in VOLUME_SOURCES:
                holder, field, rule = VOLUME_SOURCES[kind]
                reference = (source or {}).get(holder) if holder else source
                yield rule, (reference or {}).get(field)
            elif kind == "projected":
                for projection in items((source or {}).get("sources")):
                    for name, rule in PROJECTIONS.items():
                        yield rule, (projection.get(name) or {}).get("name")
            elif kind == "ephemeral":
                yield CLAIMS, claim_name(pod, volume["name"])


def _by_containers(spec: Object) -> Iterator[tuple[str, str | None]]:
    for container in containers(spec):
        for variable in items(container.get("env")):
            source = variable.get("valueFrom")
            if source:
                for name, rule in ENV_SOURCES.items():
                    yield rule, (source.get(name) or {}).get("name")
        for source in items(container.get("envFrom")):
            for name, rule in ENV_FROM_SOURCES.items():
                yield rule, (source.get(name) or {}).get("name")


def _by_pull_secrets(spec: Object) -> Iterator[tuple[str, str | None]]:
    for reference in items(spec.get("imagePullSecrets")):
        yield SECRETS, reference.get("name")
