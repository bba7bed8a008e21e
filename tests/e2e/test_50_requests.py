"""What a virtual cluster asks of the host's API server, counted in its audit log."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from lab import audit
from syncer.names import host_name, token_secret_name
from tests.e2e.objects import patient, plain, workload
from tests.e2e.tenancy import Kubectl, Release, eventually, pod, shell

QUIET = 60.0
"""Seconds without a request."""
SETTLING = 45.0
"""Seconds after which all that follows from the last change is done: what is no longer used stays for half a minute."""


def asked(release: Release, *, since: int) -> list[audit.Request]:
    """Requests of the release's ServiceAccount after a position of the log."""
    account = release.host.get("pod", release.pod, "--namespace", release.namespace)["spec"]["serviceAccountName"]
    user = f"system:serviceaccount:{release.namespace}:{account}"
    return list(audit.requests(since=since, user=user))


def written(requests: list[audit.Request], *names: str) -> Counter[str]:
    """What was written to objects of these names."""
    return Counter(
        f"{request.verb} {request.resource}" for request in requests if request.writes and request.name in names
    )


def names_of(release: Release, kubectl: Kubectl, name: str) -> tuple[str, str]:
    """Host names of a pod and of the Secret with its tokens."""
    assert kubectl.namespace is not None
    return host_name(name, kubectl.namespace, release.name), token_secret_name(name, kubectl.namespace, release.name)


def is_gone(release: Release, *names: str) -> bool:
    """Whether the host has neither the pod nor its Secret any more."""
    found = release.host.names("pods,secrets", "--namespace", release.namespace)
    return not found & set(names)


def test_a_pods_life_costs_two_writes_and_two_for_its_tokens_and_no_read(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("before", patient()))  # brings kube-root-ca.crt, which all pods of a namespace share
    kubectl.ready("before")
    names = names_of(release, kubectl, "web")
    begin = audit.position()
    kubectl.apply(pod("web", patient()))
    kubectl.ready("web")
    kubectl("delete", "pod", "web")
    eventually(lambda: is_gone(release, *names))
    requests = asked(release, since=begin)

    print("\none pod's life:", dict(written(requests, *names)))
    assert written(requests, *names) == {"create pods": 1, "delete pods": 1, "create secrets": 1, "delete secrets": 1}
    assert [request.uri for request in requests if request.verb in ("get", "list")] == []


def test_a_pod_without_a_token_costs_two_writes_though_its_containers_come_and_go(
    release: Release, kubectl: Kubectl
) -> None:
    names = names_of(release, kubectl, "web")
    begin = audit.position()
    kubectl.apply(pod("web", shell("sleep 1; exit 1"), automountServiceAccountToken=False))
    eventually(lambda: kubectl.get("pod", "web")["status"].get("containerStatuses", [{}])[0].get("restartCount") == 1)
    kubectl("delete", "pod", "web")
    eventually(lambda: is_gone(release, *names))

    assert written(asked(release, since=begin), *names) == {"create pods": 1, "delete pods": 1}


def test_what_stays_in_the_virtual_cluster_costs_nothing(release: Release, kubectl: Kubectl) -> None:
    begin = audit.position()
    kubectl.apply(
        plain("ConfigMap", "unused", data={"a": "1"}),
        plain("Secret", "unused", stringData={"a": "1"}),
        plain("ServiceAccount", "someone"),
        workload("Deployment", "none", patient(), replicas=0),
    )
    kubectl("rollout", "status", "deployment/none", "--timeout=30s")
    kubectl("delete", "configmap,secret,serviceaccount,deployment", "--all")

    assert [request.uri for request in asked(release, since=begin) if kubectl.namespace in request.uri] == []


def test_a_quiet_minute_is_without_requests(neighbour: Release) -> None:
    """Watches do not count: the server ends each after five to ten minutes, and it is begun again."""

    def last() -> float:
        times = [request.time for request in asked(neighbour, since=0) if not request.watches]
        return max(datetime.fromisoformat(time).timestamp() for time in times)

    def quiet() -> bool:
        return datetime.now(UTC).timestamp() - last() >= QUIET

    eventually(quiet, patience=SETTLING + QUIET + 5, every=1)
    recent = datetime.now(UTC).timestamp() - QUIET
    begun = Counter(
        request.resource + request.uri
        for request in asked(neighbour, since=0)
        if request.watches and datetime.fromisoformat(request.time).timestamp() >= recent
    )

    print(f"\na quiet minute: 0 requests, {begun.total()} watches begun again")
    assert all(count == 1 for count in begun.values())
