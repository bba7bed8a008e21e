"""Virtual names and host names: the mapping, its marks, and the proof that a host object is ours.

A namespaced virtual object `name` in `namespace` of cluster `cluster` is called `name-x-namespace-x-cluster` on the host. A cut name
cannot be parsed back, so nothing ever parses one: every host object carries its virtual identity in annotations, and those are
believed only when the host name recomputes from them. A copied annotation therefore never lets one object claim another's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as parsed JSON."""

PREFIX = "sublet.dev/"
MANAGED_BY = PREFIX + "managed-by"
NAMESPACE = PREFIX + "namespace"
NAME = PREFIX + "name"
UID = PREFIX + "uid"
KIND = PREFIX + "kind"
COPIED = PREFIX + "copied"
HOST_NODE = PREFIX + "host-node"
HASHED_LABEL = PREFIX + "label-"
NAMESPACE_LABEL = PREFIX + "ns-label-"

MAX_LABEL = 63
_SEPARATOR = "-x-"
_HASH_LENGTH = 10
TOKEN = "token"  # noqa: S105  a kind, not a secret
"""Stands for a rule key where a pod's token Secret is meant, which has no virtual counterpart of its own."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Identity of one virtual object: `rule` is its rule's key (`configmaps`, `ingresses.networking.k8s.io`)."""

    rule: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.rule}/{self.namespace}/{self.name}" if self.namespace else f"{self.rule}/{self.name}"


def host_name(name: str, namespace: str, cluster: str) -> str:
    """The host name of a namespaced virtual object; at most 63 characters, unique per (name, namespace, cluster).

    >>> host_name("web", "shop", "alpha")
    'web-x-shop-x-alpha'
    """
    plain = f"{name}{_SEPARATOR}{namespace}{_SEPARATOR}{cluster}"
    ambiguous = any(_SEPARATOR in f"-{part}-" for part in (name, namespace, cluster))
    if len(plain) <= MAX_LABEL and not ambiguous:
        return plain
    return _cut(plain, name, namespace, cluster)


def token_secret_name(pod: str, namespace: str, cluster: str) -> str:
    """The host name of the Secret with a pod's service account tokens; never equal to that of a tenant's Secret."""
    return _cut(f"{pod}{_SEPARATOR}{namespace}{_SEPARATOR}{cluster}", pod, namespace, cluster, TOKEN)


def _cut(plain: str, *parts: str) -> str:
    # "/" occurs in no name, so that the joined parts are unambiguous.
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
    head = plain[: MAX_LABEL - _HASH_LENGTH - 1].rstrip("-.")
    return f"{head}-{digest}"


def hashed(key: str) -> str:
    """Ten hex characters that stand for a label key where the key itself cannot be used."""
    return hashlib.sha256(key.encode()).hexdigest()[:_HASH_LENGTH]


def namespace_label(key: str) -> str:
    """The label key under which a host pod carries the label `key` of its virtual namespace."""
    return NAMESPACE_LABEL + hashed(key)


def marks(key: Key, *, uid: str | None, cluster: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations that say which virtual object a host object stands for."""
    labels = {MANAGED_BY: cluster, NAMESPACE: key.namespace}
    if key.rule == TOKEN:
        labels[KIND] = TOKEN
    annotations = {KIND: key.rule, NAME: key.name, NAMESPACE: key.namespace}
    return labels, annotations | ({UID: uid} if uid else {})


def identify(host: Object, rule: str, cluster: str) -> Key | None:
    """The virtual identity that a host object proves, or None when it is not ours.

    The managed-by label and the annotations must be there, the kind must match, and the name must recompute.
    """
    metadata = host["metadata"]
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    name, namespace, kind = annotations.get(NAME), annotations.get(NAMESPACE), annotations.get(KIND)
    if labels.get(MANAGED_BY) != cluster or not name or namespace is None:
        return None
    naming = token_secret_name if rule == TOKEN else host_name
    if kind != rule or naming(name, namespace, cluster) != metadata["name"]:
        return None
    return Key(rule, namespace, name)
