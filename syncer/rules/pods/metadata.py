"""Metadata of a host pod: the tenant's labels and annotations, our marks, and what later translation needs to find there."""

from __future__ import annotations

from syncer.names import PREFIX, Key, Object, namespace_label
from syncer.rules.context import Context
from syncer.rules.pods import asked, downward
from syncer.rules.pods.references import items

_AUTOSCALER = "cluster-autoscaler.kubernetes.io/"
SAFE_TO_EVICT = _AUTOSCALER + "safe-to-evict"
DAEMON_SET_POD = _AUTOSCALER + "daemonset-pod"
GATES = PREFIX + "scheduling-gates"
"""The tenant's scheduling gates, so that those of the host are told from them; only on pods that have some."""


def host_metadata(key: Key, pod: Object, context: Context) -> Object:
    """The host pod's `metadata`."""
    metadata = pod["metadata"]
    labels, annotations = context.metadata.for_host(key, pod)
    for name, value in context.world.namespaces().get(key.namespace, {}).items():
        labels[namespace_label(name)] = value
    annotations |= downward.values(pod, context)
    annotations[asked.ASKED] = asked.asked(pod)
    gates = items(pod["spec"].get("schedulingGates"))
    if gates:
        annotations[GATES] = " ".join(gate["name"] for gate in gates)
    owner = controller(metadata)
    if owner is not None:
        # The host's autoscaler does not see the controller that would replace the pod, and would keep its node for ever.
        if not _has_local_storage(pod["spec"]):
            annotations.setdefault(SAFE_TO_EVICT, "true")
        if owner.get("kind") == "DaemonSet":
            annotations.setdefault(DAEMON_SET_POD, "true")
    result: Object = {
        "name": context.host_name(key.name, key.namespace),
        "namespace": context.host_namespace,
        "labels": labels,
        "annotations": annotations,
    }
    if context.owner is not None:
        # kubectl drain wants a controller, and a controller on the host must not adopt the pod.
        result["ownerReferences"] = [{**context.owner, "controller": True} if owner else context.owner]
    return result


def controller(metadata: Object) -> Object | None:
    """The owner reference of the controller that would replace an object; None when there is none."""
    return next((owner for owner in items(metadata.get("ownerReferences")) if owner.get("controller")), None)


def _has_local_storage(spec: Object) -> bool:
    return any(volume.get("emptyDir") is not None or volume.get("hostPath") for volume in items(spec.get("volumes")))
