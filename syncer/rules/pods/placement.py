"""Where a pod may run: affinity, spreading, node selection, tolerations, priority.

With a scheduler of its own the virtual cluster answers all of this, and a host pod names one node. Without,
on the host all virtual namespaces are one, so every selector over pods is narrowed by labels: the cluster's mark and the virtual
namespace's. A pod carries its namespace's labels too (hashed), so that a selector over namespaces becomes one over pods.
"""

from __future__ import annotations

from syncer.names import NAMESPACE, Object
from syncer.rules import selectors
from syncer.rules.context import Context
from syncer.rules.pods.references import items

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that translates affinity, topology spread, node selector and tolerations."""
    if context.settings.schedules:
        return _on_the_chosen_node(spec, context)
    fields: Object = {}
    if spec.get("affinity"):
        fields["affinity"] = _affinity(spec["affinity"], pod, context)
    if spec.get("topologySpreadConstraints"):
        fields["topologySpreadConstraints"] = [
            _spread(constraint, pod, context) for constraint in spec["topologySpreadConstraints"]
        ]
    selector = node_selector(spec, context)
    if selector:
        fields["nodeSelector"] = selector
    wanted = tolerations(spec, context)
    if wanted:
        fields["tolerations"] = wanted
    return fields


def _on_the_chosen_node(spec: Object, context: Context) -> Object:
    """The virtual cluster's scheduler has decided. The host's may still refuse the node, but choose no other.

    `nodeName` would pass by the host's scheduler, and with it by the taints, cordons and other tenants' pods of the host's nodes.
    """
    chosen = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [spec.get("nodeName")]}]}
    return {
        "nodeName": None,
        "schedulerName": None,
        "affinity": {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": [chosen]}}},
        "topologySpreadConstraints": None,
        "nodeSelector": dict(context.settings.nodes.labels) or None,
        "tolerations": tolerations(spec, context) or None,
    }


def priority_step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that leaves priority, overhead and, where forced, the runtime class to the host's own admission."""
    settings = context.settings.pods
    fields: Object = {
        "priority": None,
        "preemptionPolicy": None,
        "overhead": None,
        "priorityClassName": settings.priority_class_name or None,
    }
    if settings.runtime_class_name:
        fields["runtimeClassName"] = settings.runtime_class_name
    return fields


def node_selector(spec: Object, context: Context) -> dict[str, str]:
    """The pod's node selector; pods stay on the selected nodes when only those are mirrored."""
    nodes = context.settings.nodes
    own = spec.get("nodeSelector") or {}
    return {**own, **nodes.labels} if nodes.from_host else own


def tolerations(spec: Object, context: Context) -> list[Object]:
    """The pod's tolerations and the enforced ones."""
    own = items(spec.get("tolerations"))
    enforced = [toleration.as_object() for toleration in context.settings.pods.enforce_tolerations]
    return [*own, *(toleration for toleration in enforced if toleration not in own)]


def _affinity(affinity: Object, pod: Object, context: Context) -> Object:
    result = dict(affinity)
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind)
        if not terms:
            continue
        result[kind] = dict(terms)
        if terms.get(_REQUIRED):
            result[kind][_REQUIRED] = [_term(term, pod, context) for term in terms[_REQUIRED]]
        if terms.get(_PREFERRED):
            result[kind][_PREFERRED] = [
                {**weighted, "podAffinityTerm": _term(weighted.get("podAffinityTerm") or {}, pod, context)}
                for weighted in terms[_PREFERRED]
            ]
    return result


def _term(term: Object, pod: Object, context: Context) -> Object:
    result = {
        name: value
        for name, value in term.items()
        if name not in ("namespaces", "namespaceSelector", "matchLabelKeys", "mismatchLabelKeys")
    }
    selector = term.get("labelSelector")
    if selector is not None:
        # Without a selector a term matches no pod, in any namespace.
        result["labelSelector"] = _in_namespaces(term, _with_own_labels(selector, term, pod), pod, context)
    return result


def _spread(constraint: Object, pod: Object, context: Context) -> Object:
    result = {name: value for name, value in constraint.items() if name != "matchLabelKeys"}
    selector = constraint.get("labelSelector")
    if selector is not None:
        own = _with_own_labels(selector, constraint, pod)
        result["labelSelector"] = context.metadata.narrowed(own, pod["metadata"]["namespace"])
    return result


def _with_own_labels(selector: Object, term: Object, pod: Object) -> Object:
    """Merges matchLabelKeys and mismatchLabelKeys as an API server does, which may have happened already."""
    labels = pod["metadata"].get("labels") or {}
    expressions = items(selector.get("matchExpressions"))
    merged = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in labels
    ]
    added = [expression for expression in merged if expression not in expressions]
    return {**selector, "matchExpressions": [*expressions, *added]} if added else selector


def _in_namespaces(term: Object, selector: Object, pod: Object, context: Context) -> Object:
    names, namespace_selector = term.get("namespaces"), term.get("namespaceSelector")
    if namespace_selector is None:
        if not names:
            return context.metadata.narrowed(selector, pod["metadata"]["namespace"])
        return _with_names(selector, names, context)
    if names:
        # "One of these, or selected" is more than one pod selector can say: look up which namespaces that means by now.
        selected = (
            name for name, labels in context.world.namespaces().items() if selectors.matches(namespace_selector, labels)
        )
        return _with_names(selector, [*names, *selected], context)
    return context.metadata.in_selected_namespaces(selector, namespace_selector)


def _with_names(selector: Object, names: list[str], context: Context) -> Object:
    among = {"key": NAMESPACE, "operator": "In", "values": sorted(set(names))}
    result = context.metadata.conjunction(selector, {})
    return {**result, "matchExpressions": [*result.get("matchExpressions", ()), among]}
