"""One object of every usual kind, for tests that look at what becomes of them on the host."""

from __future__ import annotations

from tests.e2e.objects import Object, claim, job, patient, plain, service, workload
from tests.e2e.tenancy import pod, restricted

USED = ("by-env", "by-volume")
"""ConfigMaps and Secrets that a pod refers to."""
SERVICES = ("web", "db", "outside")
CLAIMS = ("data", "spare")
PODS = 6
"""At least so many pods come of it: one by itself, two of a Deployment, one each of a StatefulSet, DaemonSet and Job."""
_RBAC = "rbac.authorization.k8s.io"
_READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def group(mark: str) -> str:
    """The API group of the custom resource."""
    return f"{mark}.example.com"


def of_the_cluster(mark: str) -> list[Object]:
    """Objects without a namespace; `mark` makes their names unique."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "group": group(mark),
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": mark}
    nobody = {"kind": "Group", "apiGroup": _RBAC, "name": "nobody"}
    return [
        plain("CustomResourceDefinition", f"widgets.{group(mark)}", api="apiextensions.k8s.io/v1", spec=definition),
        plain("ClusterRole", mark, api=f"{_RBAC}/v1", rules=[_READ]),
        plain("ClusterRoleBinding", mark, api=f"{_RBAC}/v1", subjects=[nobody], roleRef=role),
        plain("PriorityClass", mark, api="scheduling.k8s.io/v1", value=1),
        plain("StorageClass", mark, api="storage.k8s.io/v1", provisioner="example.com/none"),
        plain("IngressClass", mark, api="networking.k8s.io/v1", spec={"controller": "example.com/none"}),
        plain("RuntimeClass", mark, api="node.k8s.io/v1", handler="none"),
    ]


def of_a_namespace(mark: str) -> list[Object]:
    """Objects of one namespace. The custom one needs the definition among `of_the_cluster(mark)`."""
    return [*_that_pods_need(), *_with_pods(), *_that_stay(mark)]


def _that_pods_need() -> list[Object]:
    labels = {"kubernetes.io/service-name": "outside"}
    endpoints = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"]}],
        "ports": [{"name": "http", "port": 80}],
    }
    return [
        *(plain(kind, name, data={"A": "MQ=="}) for kind in ("ConfigMap", "Secret") for name in (*USED, "unused")),
        *(claim(name) for name in CLAIMS),
        service("web", app="web"),
        service("db", app="db", clusterIP="None"),
        service("outside"),
        plain("EndpointSlice", "outside", api="discovery.k8s.io/v1", labels=labels, **endpoints),
    ]


def _with_pods() -> list[Object]:
    sources = [{"configMap": {"name": "by-volume"}}, {"secret": {"name": "by-volume"}}]
    single = patient(
        envFrom=[{"configMapRef": {"name": "by-env"}}, {"secretRef": {"name": "by-env"}}],
        volumeMounts=[{"name": "settings", "mountPath": "/settings"}, {"name": "data", "mountPath": "/data"}],
    )
    volumes = [
        {"name": "settings", "projected": {"sources": sources}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
    ]
    return [
        pod("single", single, volumes=volumes),
        workload("Deployment", "web", patient(), replicas=2),
        workload("StatefulSet", "db", patient(), serviceName="db"),
        workload("DaemonSet", "agent", patient()),
        job("job", patient()),
    ]


def _that_stay(mark: str) -> list[Object]:
    sleeping = {"spec": restricted(patient(), restartPolicy="Never")}
    old = {
        "replicas": 0,
        "selector": {"app": "old"},
        "template": {"metadata": {"labels": {"app": "old"}}, "spec": restricted(patient())},
    }
    role, worker = {"apiGroup": _RBAC, "kind": "Role", "name": "role"}, {"kind": "ServiceAccount", "name": "worker"}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    limits = [{"type": "Container", "defaultRequest": {"cpu": "1m"}}]
    return [
        plain(
            "CronJob",
            "cron",
            api="batch/v1",
            spec={"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": sleeping}}},
        ),
        plain("ReplicationController", "old", spec=old),
        plain("PodTemplate", "template", template=sleeping),
        plain("ControllerRevision", "revision", api="apps/v1", revision=1, data={}),
        plain("ServiceAccount", "worker"),
        plain("Role", "role", api=f"{_RBAC}/v1", rules=[_READ]),
        plain("RoleBinding", "role", api=f"{_RBAC}/v1", subjects=[worker], roleRef=role),
        plain("Ingress", "web", api="networking.k8s.io/v1", spec={"defaultBackend": backend}),
        plain("NetworkPolicy", "closed", api="networking.k8s.io/v1", spec={"podSelector": {}}),
        plain(
            "PodDisruptionBudget",
            "web",
            api="policy/v1",
            spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        ),
        plain(
            "HorizontalPodAutoscaler", "web", api="autoscaling/v2", spec={"maxReplicas": 3, "scaleTargetRef": scaled}
        ),
        plain("LimitRange", "limits", spec={"limits": limits}),
        plain("ResourceQuota", "quota", spec={"hard": {"pods": "50"}}),
        plain("Lease", "lease", api="coordination.k8s.io/v1", spec={"holderIdentity": "me"}),
        plain("Widget", "widget", api=f"{group(mark)}/v1", spec={"size": 1}),
    ]
