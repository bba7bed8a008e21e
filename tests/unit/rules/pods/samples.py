"""Pods as a virtual API server stores them, and an API server's way with patches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncer.names import Key, Object
from syncer.rules.context import Context
from syncer.rules.metadata import MetadataRules
from syncer.rules.pods import PodPatch
from syncer.values import Cluster, Metadata, Nodes, Pods, RewriteHosts, Settings
from tests.unit.builders import FakeWorld

KEY = Key("pods", "shop", "web-0")
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-alpha", "uid": "owner-uid"}
CLUSTER = Cluster(
    name="alpha",
    namespace="tenants",
    domain="cluster.local",
    service="alpha",
    owner={"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-alpha"},
    workload_service_account="vc-workload-alpha",
)


def context(
    world: FakeWorld | None = None,
    *,
    pods: Pods | None = None,
    nodes: Nodes | None = None,
    metadata: Metadata | None = None,
    manifests: str = "kind: Service, name: kube-dns",
    schedules: bool = False,
) -> Context:
    settings = Settings(
        cluster=CLUSTER,
        pods=pods or Pods(),
        nodes=nodes or Nodes(),
        manifests=manifests,
        schedules=schedules,
        metadata=metadata
        or Metadata(deny_labels=("argocd.argoproj.io/*",), deny_annotations=("argocd.argoproj.io/*",)),
    )
    return Context(settings, MetadataRules("alpha", settings.metadata), world or FakeWorld(), OWNER)


def rewriting() -> Context:
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"}}
    return context(pods=Pods(rewrite_hosts=RewriteHosts(enabled=True, image="busybox:1", resources=resources)))


def api_access() -> Object:
    """The volume that the ServiceAccount admission plugin adds to every pod."""
    return {
        "name": "kube-api-access-x7k2p",
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                            }
                        ]
                    }
                },
            ],
        },
    }


def container(name: str = "app", **fields: Any) -> Object:
    return {
        "name": name,
        "image": "nginx:1.29",
        "resources": {},
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {
                "name": "kube-api-access-x7k2p",
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                "readOnly": True,
            }
        ],
        **fields,
    }


def not_ready(seconds: int = 300) -> Object:
    return {
        "key": "node.kubernetes.io/not-ready",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": seconds,
    }


def pod(metadata: Object | None = None, status: Object | None = None, **spec: Any) -> Object:
    """A pod after admission and defaulting; `spec` fields of None are left out."""
    fields: Object = {
        "volumes": [api_access()],
        "containers": [container()],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [not_ready()],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        **spec,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-0",
            "namespace": "shop",
            "uid": "virtual-uid",
            "generation": 1,
            "labels": {"app": "web"},
            **(metadata or {}),
        },
        "spec": {name: value for name, value in fields.items() if value is not None},
        "status": {"phase": "Pending", "qosClass": "BestEffort", **(status or {})},
    }


def with_volume(**source: Any) -> Object:
    """A pod with one volume `v` beside the usual one."""
    return pod(volumes=[{"name": "v", **source}, api_access()])


def with_env(*env: Object, **fields: Any) -> Object:
    return pod(containers=[container(env=list(env), **fields)])


def stored(host: Object, **status: Any) -> Object:
    """A host pod as the host's API server returns it."""
    metadata = {**host["metadata"], "uid": "host-uid", "generation": 1}
    return {**host, "metadata": metadata, "status": {"phase": "Pending", "qosClass": "Burstable", **status}}


_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "schedulingGates": "name",
    "conditions": "type",
}


def applied(target: Object, patch: PodPatch) -> Object:
    """`target` after a merge patch, or a strategic one with the merge keys of a pod."""
    return _merged(target, patch.body, strategic=patch.content_type == "strategic")


def _merged(target: Any, change: Any, *, strategic: bool, field_name: str = "") -> Any:
    if isinstance(change, list) and strategic and field_name in _MERGE_KEYS:
        return _merged_list(target or [], change, _MERGE_KEYS[field_name])
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value, strategic=strategic, field_name=name)
    return result


def _merged_list(target: list[Object], change: list[Object], key: str) -> list[Object]:
    result = {item[key]: item for item in target}
    for item in change:
        if item.get("$patch") == "delete":
            result.pop(item[key], None)
        else:
            result[item[key]] = _merged(result.get(item[key]), item, strategic=True)
    return list(result.values())


def with_settings(base: Context, **pods: Any) -> Context:
    return replace(base, settings=replace(base.settings, pods=replace(base.settings.pods, **pods)))
