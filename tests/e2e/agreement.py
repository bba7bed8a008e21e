"""Whether a tenant's namespace and its host objects say the same: which objects there are, and the statuses of pods."""

from __future__ import annotations

from syncer.names import host_name, token_secret_name
from tests.e2e.inventory import Item
from tests.e2e.objects import Object
from tests.e2e.tenancy import Kubectl, Release


def on_host(release: Release, namespace: str | None) -> dict[Item, Object]:
    """Host objects that stand for those of one virtual namespace."""
    kinds = "pods,secrets,configmaps,services"
    found = release.host.items(kinds, "--namespace", release.namespace, f"--selector=sublet.dev/namespace={namespace}")
    return {Item.of(obj): obj for obj in found}


def wanted(release: Release, kubectl: Kubectl) -> set[Item]:
    """Host objects that there should be, by what the tenant has."""
    space = kubectl.namespace
    assert space is not None
    pods, services = kubectl.items("pods"), kubectl.names("services")
    maps = {"kube-root-ca.crt"} if pods else set()
    maps |= {name for pod in pods for name in _config_maps(pod)}
    names = {"Pod": {pod["metadata"]["name"] for pod in pods}, "Service": services, "ConfigMap": maps}
    found = {Item(kind, host_name(name, space, release.name)) for kind, all_ in names.items() for name in all_}
    return found | {Item("Secret", token_secret_name(name, space, release.name)) for name in names["Pod"]}


def differing(release: Release, kubectl: Kubectl) -> dict[str, tuple[Object | None, Object | None]]:
    """Pods by host name whose statuses differ: the tenant's and the host's."""
    ours, theirs = _statuses(release, kubectl)
    return {name: (ours.get(name), theirs.get(name)) for name in ours | theirs if ours.get(name) != theirs.get(name)}


def running(kubectl: Kubectl) -> int:
    """How many pods run and are ready."""
    pods = kubectl.items("pods")
    return sum(
        any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", ()))
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
    )


def _config_maps(pod: Object) -> set[str]:
    """ConfigMaps that the first container takes its environment from."""
    sources = pod["spec"]["containers"][0].get("envFrom", ())
    return {source["configMapRef"]["name"] for source in sources}


def _statuses(release: Release, kubectl: Kubectl) -> tuple[dict[str, Object], dict[str, Object]]:
    space = kubectl.namespace
    assert space is not None
    ours = {host_name(pod["metadata"]["name"], space, release.name): _told(pod) for pod in kubectl.items("pods")}
    theirs = {item.name: _told(pod) for item, pod in on_host(release, space).items() if item.kind == "Pod"}
    return ours, theirs


def _told(pod: Object) -> Object:
    """What the status of a pod says, without what differs between the sides by nature."""
    status = pod["status"]
    fields = ("phase", "podIP", "podIPs", "hostIP", "startTime", "reason", "message")
    conditions = {item["type"]: (item["status"], item.get("reason")) for item in status.get("conditions", ())}
    containers = [
        {name: item.get(name) for name in ("name", "ready", "restartCount", "state", "started")}
        for item in status.get("containerStatuses", ())
    ]
    return {**{name: status.get(name) for name in fields}, "conditions": conditions, "containers": containers}
