"""A pod's service account tokens: one host Secret per pod, written anew before they expire, gone with the pod."""

from __future__ import annotations

from math import isfinite

from syncer.names import PREFIX, TOKEN, UID, Key, Object
from syncer.plan.actions import Action, IssueTokens, Later
from syncer.plan.generic import delete_host
from syncer.plan.pods import is_finished, was_placed
from syncer.rules import pods

REFRESH_AT = PREFIX + "refresh-at"
"""Annotation of a token Secret: Unix time, in seconds, at which the tokens have used up 80 % of their life."""


def plan(
    key: Key, *, pod: Object | None, host_pod: Object | None, secret: Object | None, schedules: bool, now: float
) -> list[Action]:
    """Actions for the token Secret of one pod. `schedules`: see Settings; `now` is Unix time in seconds."""
    if pod is None or not _needed(pod, host_pod, schedules=schedules):
        return [] if secret is None or "deletionTimestamp" in secret["metadata"] else [delete_host(TOKEN, secret)]
    issue = IssueTokens(key=key, uid=pod["metadata"]["uid"])
    if secret is None:
        return [issue]
    annotations = secret["metadata"].get("annotations") or {}
    due = _refresh_at(annotations)
    if due <= now or annotations.get(UID) != pod["metadata"]["uid"]:
        return [issue]
    return [Later(seconds=due - now)]


def _needed(pod: Object, host_pod: Object | None, *, schedules: bool) -> bool:
    """Whether the pod runs, or is still to run: one that the host refuses for now keeps its tokens until it gives in."""
    alive = host_pod is not None or not was_placed(pod, schedules=schedules)
    return alive and not is_finished(pod) and bool(pods.tokens(pod))


def _refresh_at(annotations: Object) -> float:
    """When the tokens are due; 0 when the annotation does not say."""
    try:
        due = float(annotations.get(REFRESH_AT, "0"))
    except ValueError:
        return 0.0
    return due if isfinite(due) else 0.0
