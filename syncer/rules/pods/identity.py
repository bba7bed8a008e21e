"""Who the pod is to the host: the workload ServiceAccount, without a token of the host."""

from __future__ import annotations

from syncer.names import Object
from syncer.rules.context import Context


def step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that sets the ServiceAccount and translates pull secrets.

    What the tenant's own ServiceAccount stands for reaches the pod as a projected token of the virtual cluster.
    """
    namespace = pod["metadata"]["namespace"]
    pull_secrets = [
        {**reference, "name": context.host_name(reference["name"], namespace)}
        for reference in spec.get("imagePullSecrets") or ()
        if reference.get("name")
    ]
    return {
        "serviceAccountName": context.settings.cluster.workload_service_account,
        "serviceAccount": None,
        "automountServiceAccountToken": False,
        "imagePullSecrets": pull_secrets or None,
    }
