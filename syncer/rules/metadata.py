"""Labels and annotations on their way to the host.

Tenants' labels keep their keys, so that people on the host recognise pods. A key that would mean something to the host's own
controllers (the deny list) or that is ours is renamed to a hash: in labels and in selectors alike, so that selecting still works.
Denied annotations have no selectors and are dropped. Which keys were copied is noted on the host object itself, so that a key the
tenant removes can be told, also after a restart, from one that somebody on the host added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncer.names import (
    COPIED,
    HASHED_LABEL,
    MANAGED_BY,
    NAMESPACE,
    PREFIX,
    Key,
    Object,
    hashed,
    marks,
    namespace_label,
)
from syncer.values import Metadata


def _matcher(patterns: Sequence[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    exact = frozenset(pattern for pattern in patterns if not pattern.endswith("*"))
    prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
    return exact, (PREFIX, *prefixes)


@dataclass(frozen=True, slots=True)
class MetadataRules:
    """Compiled deny lists of one cluster."""

    cluster: str
    settings: Metadata
    _labels: tuple[frozenset[str], tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _annotations: tuple[frozenset[str], tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_labels", _matcher(self.settings.deny_labels))
        object.__setattr__(self, "_annotations", _matcher(self.settings.deny_annotations))

    def label_key(self, key: str) -> str:
        """The key that a tenant's label has on the host."""
        exact, prefixes = self._labels
        return HASHED_LABEL + hashed(key) if key in exact or key.startswith(prefixes) else key

    def labels(self, labels: Mapping[str, str] | None) -> dict[str, str]:
        """A tenant's labels, or a selector that is a plain map, as they are on the host."""
        return {self.label_key(key): value for key, value in (labels or {}).items()}

    def annotations(self, annotations: Mapping[str, str] | None) -> dict[str, str]:
        """A tenant's annotations without the denied ones."""
        exact, prefixes = self._annotations
        return {
            key: value
            for key, value in (annotations or {}).items()
            if key not in exact and not key.startswith(prefixes)
        }

    def selector(self, selector: Object) -> Object:
        """A label selector with its keys renamed; not narrowed."""
        result: Object = {}
        if selector.get("matchLabels"):
            result["matchLabels"] = self.labels(selector["matchLabels"])
        if selector.get("matchExpressions"):
            result["matchExpressions"] = [
                {**expression, "key": self.label_key(expression["key"])} for expression in selector["matchExpressions"]
            ]
        return result

    def narrowed(self, selector: Object, namespace: str) -> Object:
        """A label selector that matches only this cluster's pods of one virtual namespace."""
        return self.conjunction(selector, {NAMESPACE: namespace})

    def conjunction(self, selector: Object, labels: Mapping[str, str]) -> Object:
        """A tenant's label selector, and this cluster's mark, and further host labels, all of which must match."""
        result = self.selector(selector)
        result["matchLabels"] = {**result.get("matchLabels", {}), MANAGED_BY: self.cluster, **labels}
        return result

    def in_selected_namespaces(self, selector: Object, namespaces: Object) -> Object:
        """A label selector over this cluster's pods in the virtual namespaces that another selector chooses.

        Host pods carry the labels of their virtual namespace, so both become one selector over pods.
        """
        chosen = {namespace_label(key): value for key, value in (namespaces.get("matchLabels") or {}).items()}
        result = self.conjunction(selector, chosen)
        expressions = [
            {**expression, "key": namespace_label(expression["key"])}
            for expression in namespaces.get("matchExpressions") or ()
        ]
        if expressions:
            result["matchExpressions"] = [*result.get("matchExpressions", ()), *expressions]
        return result

    def peer(self, peer: Object, namespace: str) -> Object:
        """A NetworkPolicy peer: pods of this cluster only, chosen as the tenant chose them; an ipBlock stays as it is."""
        if "ipBlock" in peer:
            return peer
        pods, namespaces = peer.get("podSelector") or {}, peer.get("namespaceSelector")
        if namespaces is None:
            return {"podSelector": self.narrowed(pods, namespace)}
        return {"podSelector": self.in_selected_namespaces(pods, namespaces)}

    def for_host(self, key: Key, virtual: Object) -> tuple[dict[str, str], dict[str, str]]:
        """All labels and annotations of the host object that stands for `virtual`."""
        metadata = virtual["metadata"]
        labels, annotations = self.labels(metadata.get("labels")), self.annotations(metadata.get("annotations"))
        own_labels, own_annotations = marks(key, uid=metadata.get("uid"), cluster=self.cluster)
        if labels or annotations:
            own_annotations[COPIED] = f"{' '.join(sorted(labels))}|{' '.join(sorted(annotations))}"
        return {**labels, **own_labels}, {**annotations, **own_annotations}


def metadata_patch(wanted: Object, host: Object) -> Object:
    """A merge patch for the labels and annotations of `host`; empty when they are as `wanted` (both are `metadata`).

    Keys that somebody on the host added are left alone; keys that were copied once and are not wanted any more go.
    """
    annotations = host.get("annotations") or {}
    copied_labels, _, copied_annotations = annotations.get(COPIED, "").partition("|")
    patch: Object = {}
    for field_name, copied in (("labels", copied_labels), ("annotations", copied_annotations)):
        there, here = wanted.get(field_name) or {}, host.get(field_name) or {}
        changes: Object = {key: value for key, value in there.items() if here.get(key) != value}
        changes |= {key: None for key in copied.split() if key in here and key not in there}
        if changes:
            patch[field_name] = changes
    if COPIED in annotations and COPIED not in (wanted.get("annotations") or {}):
        patch.setdefault("annotations", {})[COPIED] = None
    return patch
