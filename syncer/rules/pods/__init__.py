"""Pods: the one kind whose translation needs more than a row of the rule table.

A host pod is made by a list of small steps. Each sees the host spec as made so far, the virtual pod and the context, and returns the
fields to set. Nothing is copied that does not change: untouched parts of the host pod are those of the virtual one.
"""

from __future__ import annotations

from syncer.names import Key, Object
from syncer.rules.context import Context
from syncer.rules.pods import containers, dns, hosts, identity, placement, resources, volumes
from syncer.rules.pods.metadata import host_metadata
from syncer.rules.pods.references import carried
from syncer.rules.pods.reporting import status
from syncer.rules.pods.updates import PodPatch, patches
from syncer.rules.pods.volumes import TokenSpec, tokens

__all__ = ["PodPatch", "TokenSpec", "carried", "patches", "status", "to_host", "tokens", "waiting_for"]

_STEPS = (
    identity.step,
    placement.priority_step,
    placement.step,
    containers.step,
    resources.step,
    volumes.step,
    dns.step,
    hosts.step,  # last: it adds to containers and volumes
)


def to_host(key: Key, pod: Object, context: Context) -> Object:
    """The host pod that stands for `pod`; `waiting_for` says whether it can be made yet."""
    spec = {field: value for field, value in pod["spec"].items() if value is not None}
    for step in _STEPS:
        for field, value in step(spec, pod, context).items():
            if value is None:
                spec.pop(field, None)
            else:
                spec[field] = value
    return {"apiVersion": "v1", "kind": "Pod", "metadata": host_metadata(key, pod, context), "spec": spec}


def waiting_for(pod: Object, context: Context) -> str | None:
    """Why the host pod cannot be made yet, as a sentence for the tenant; None when it can."""
    node = pod["spec"].get("nodeName")
    if node and not context.world.has_node(node):
        return f"The pod asks for node {node}, which this cluster does not have."
    wants_dns = context.settings.brings_dns and dns.needs_cluster_dns(pod["spec"])
    if wants_dns and context.world.dns_address() is None:
        return "The cluster's DNS Service (kube-system/kube-dns) has no address yet."
    return None
