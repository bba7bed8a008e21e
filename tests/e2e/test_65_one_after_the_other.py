"""Both pods of a control plane are moved or replaced, one after the other: the tenant hardly notices."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e import replicas
from tests.e2e.tenancy import CHART, CommandFailed, Kubectl, Release, becomes, helm
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
    with Writer(kubectl) as writer:
        becomes(True, lambda: len(writer.made) > 20)
        arguments = (
            *("drain", before[leading], "--ignore-daemonsets", "--force", "--delete-emptydir-data"),
            *(f"--pod-selector=example.com/pair={pair.namespace}", "--timeout=60s"),
        )
        try:
            with pair.host.start(*arguments) as drain:
                longest = writer.longest_silence(lambda: drain.poll() is None)
        finally:
            pair.host("uncordon", before[leading])
        assert drain.returncode == 0
        replicas.both_are_ready(pair)
    print(f"\nthe node of {leading} was drained: no write was answered for {longest:.1f} s at most")
    assert longest <= SOON
    assert writer.lost() == []


def test_an_upgrade_replaces_one_pod_after_the_other_and_the_api_answers_meanwhile(
    pair: Release, kubectl: Kubectl
) -> None:
    replicas.both_are_ready(pair)
    before = {item["metadata"]["uid"] for item in replicas.pods(pair)}
    change = ("--namespace", pair.namespace, "--reuse-values", "--set", "logging.level=debug", "--wait")
    with ThreadPoolExecutor() as pool, Writer(kubectl) as writer:
        becomes(True, lambda: len(writer.made) > 20)
        rolling = pool.submit(helm, "upgrade", pair.name, str(CHART), *change)
        longest = writer.longest_silence(lambda: not rolling.done())
        rolling.result()
    print(f"\nboth pods were replaced: no write was answered for {longest:.1f} s at most")
    assert not before & {item["metadata"]["uid"] for item in replicas.pods(pair)}
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
