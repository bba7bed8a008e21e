"""A node of the host is emptied under a control plane of two pods: the tenant hardly notices."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e import replicas
from tests.e2e.tenancy import CommandFailed, Kubectl, Release, becomes
from tests.e2e.writing import Writer

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
SOON = 5.0
"""Seconds without an answered write that are a retry, not an outage."""


@pytest.fixture(scope="module")
def pair(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release with two pods and a budget that keeps one."""
    with replicas.pair(replicas.FORMS["postgres"], tmp_path_factory.mktemp("pair")) as release:
        replicas.both_are_ready(release)
        yield release


@pytest.fixture
def kubectl(pair: Release) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace of its own."""
    with pair.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield pair.tenant.within(name)


def nodes(release: Release) -> dict[str, str]:
    """Where the control plane's pods are, by name."""
    return {item["metadata"]["name"]: item["spec"]["nodeName"] for item in replicas.pods(release)}


def test_the_pods_keep_apart_and_the_node_of_the_leader_is_drained_without_an_outage(
    pair: Release, kubectl: Kubectl
) -> None:
    before = nodes(pair)
    assert len(set(before.values())) == 2
    leading = replicas.leader(pair)
    longest = 0.0
    with Writer(kubectl) as writer:
        becomes(True, lambda: len(writer.made) > 20)
        drain = pair.host.start(
            *("drain", before[leading], "--ignore-daemonsets", "--force", "--delete-emptydir-data"),
            *(f"--pod-selector=example.com/pair={pair.namespace}", "--timeout=60s"),
        )
        try:
            count, since = len(writer.made), time.monotonic()
            while drain.poll() is None:
                time.sleep(0.05)
                if len(writer.made) > count:
                    count, since = len(writer.made), time.monotonic()
                longest = max(longest, time.monotonic() - since)
        finally:
            pair.host("uncordon", before[leading])
        assert drain.returncode == 0
        replicas.both_are_ready(pair)
    print(f"\nthe node of {leading} was drained: no write was answered for {longest:.1f} s at most")
    assert longest <= SOON
    assert writer.lost() == []


def test_the_budget_keeps_one_pod_from_eviction(pair: Release) -> None:
    replicas.both_are_ready(pair)

    def evict(pod: str) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": pair.namespace}}
        path = f"/api/v1/namespaces/{pair.namespace}/pods/{pod}/eviction"
        pair.host("create", "--raw", path, "--filename=-", stdin=json.dumps(body))

    evict("vc-0")
    with pytest.raises(CommandFailed, match="disruption budget"):
        evict("vc-1")
    replicas.both_are_ready(pair)
