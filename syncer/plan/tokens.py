"""A pod's service account tokens: one host Secret per pod, written anew before they expire, gone with the pod."""

from __future__ import annotations

from syncer.names import PREFIX, TOKEN, UID, Key, Object
from syncer.plan.actions import Action, IssueTokens, Later
from syncer.plan.generic import delete_host
from syncer.plan.pods import is_finished
from syncer.rules import pods

REFRESH_AT = PREFIX + "refresh-at"
"""Annotation of a token Secret: Unix time, in seconds, at which the tokens have used up 80 % of their life."""


def plan(key: Key, *, pod: Object | None, host_pod: Object | None, secret: Object | None, now: float) -> list[Action]:
    """Actions for the token Secret of one pod. `now` is Unix time in seconds."""
    needed = host_pod is not None and pod is not None and not is_finished(pod) and bool(pods.tokens(pod))
    if secret is None:
        return [IssueTokens(key=key, uid=pod["metadata"]["uid"])] if needed and pod is not None else []
    annotations = secret["metadata"].get("annotations") or {}
    if not needed or pod is None or annotations.get(UID) != pod["metadata"]["uid"]:
        return [] if "deletionTimestamp" in secret["metadata"] else [delete_host(TOKEN, secret)]
    due = _refresh_at(annotations)
    if due <= now:
        return [IssueTokens(key=key, uid=pod["metadata"]["uid"])]
    return [Later(seconds=due - now)]


def _refresh_at(annotations: Object) -> float:
    try:
        return float(annotations.get(REFRESH_AT, "0"))
    except ValueError:
        return 0.0
