"""Label selectors, evaluated as the API server does: for the rare selector that cannot be left to the host."""

from __future__ import annotations

from collections.abc import Mapping

from syncer.names import Object


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether `labels` satisfy a labelSelector (matchLabels and matchExpressions); an empty selector matches everything.

    An operator that is none of the four known ones matches nothing.
    """
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_satisfied(expression, labels) for expression in selector.get("matchExpressions") or ())


def _satisfied(expression: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression.get("operator"):
        case "In":
            return value is not None and value in (expression.get("values") or ())
        case "NotIn":
            return value is None or value not in (expression.get("values") or ())
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False
