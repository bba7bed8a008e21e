"""Figures that a user notices, printed as they were found. Only those with a promise are checked."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e import fake_nodes, processes
from tests.e2e.tenancy import Release, eventually

pytestmark = pytest.mark.timeout(240)

PODS = 100
PROMISED = 60 * 1024 * 1024


@pytest.fixture
def crowded(release: Release) -> Iterator[Release]:
    """The release with a hundred running pods."""
    fake_nodes.ensure()
    with release.tenant_namespace("crowd") as namespace:
        deployment = fake_nodes.fake_deployment("crowd", PODS)
        release.tenant("apply", "--namespace", namespace, "-f", "-", stdin=json.dumps(deployment))

        def ready() -> bool:
            found = release.tenant.get("deployment", "crowd", "--namespace", namespace)
            return found["status"].get("readyReplicas") == PODS

        eventually(ready, patience=120)
        yield release


def test_the_syncer_stays_small_with_a_hundred_pods(crowded: Release) -> None:
    found = {name: processes.resident_bytes(crowded, name) for name in processes.CONTAINERS}
    print(f"\nresident memory with {PODS} pods, MiB:", {name: size // 2**20 for name, size in found.items()})

    assert 0 < found["syncer"] <= PROMISED
