"""Translation of every kind whose row says it all: copy what the tenant owns, translate names, narrow selectors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from syncer.names import Key, Object
from syncer.rules.context import Context
from syncer.rules.table import Form, Rule


def to_host(rule: Rule, key: Key, virtual: Object, context: Context) -> Object:
    """The host object that stands for `virtual`."""
    return {**skeleton(rule, key, virtual, context), **owned_fields(rule, key, virtual, context)}


def skeleton(rule: Rule, key: Key, virtual: Object, context: Context) -> Object:
    """apiVersion, kind and metadata of the host object."""
    labels, annotations = context.metadata.for_host(key, virtual)
    metadata: Object = {
        "name": context.host_name(key.name, key.namespace),
        "namespace": context.host_namespace,
        "labels": labels,
        "annotations": annotations,
    }
    if context.owner is not None:
        metadata["ownerReferences"] = [context.owner]
    return {"apiVersion": rule.api_version, "kind": rule.kind, "metadata": metadata}


def owned_fields(rule: Rule, key: Key, virtual: Object, context: Context) -> Object:
    """The top-level fields that the tenant owns, as they are on the host."""
    fields: Object = {name: virtual[name] for name in rule.tenant_owns if name in virtual}
    for reference in rule.references:
        fields = reference.path.mapped(
            fields, lambda name: context.host_name(name, key.namespace) if _is_name(name) else name
        )
    for selector in rule.selectors:
        fields = selector.path.mapped(fields, partial(_narrowed, selector.form, key.namespace, context))
    for substitution in rule.substitutions:
        fields = substitution.path.mapped(
            fields,
            lambda value, s=substitution: s.host if value == s.virtual else value,  # type: ignore[misc]
        )
    return fields


def _narrowed(form: Form, namespace: str, context: Context, selector: Object) -> Object:
    match form:
        case "labelSelector":
            return context.metadata.narrowed(selector, namespace)
        case "peer":
            return context.metadata.peer(selector, namespace)
        case "labels":
            narrowed: Object = context.metadata.narrowed({"matchLabels": selector}, namespace)["matchLabels"]
            return narrowed


def carried(rule: Rule, key: Key, virtual: Object) -> Iterator[Key]:
    """The objects that must cross the border because this one refers to them."""
    for reference in rule.references:
        if reference.carries:
            for name in filter(_is_name, reference.path.values(virtual)):
                yield Key(reference.resource, key.namespace, name)


def _is_name(value: Any) -> bool:
    """Whether a field holds a name: custom resources may hold anything, and an empty text names nothing."""
    return isinstance(value, str) and bool(value)
