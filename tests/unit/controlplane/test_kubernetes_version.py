"""The Kubernetes version that has run is remembered; from it one may go a minor version up and none down."""

from __future__ import annotations

import pytest

from syncer.controlplane import kubernetes_version
from syncer.values import InvalidValue, parse
from tests.unit.controlplane.memory_api import MemoryApi
from tests.unit.test_values import LEAST

CERTS = "/api/v1/namespaces/hns/secrets/vc-certs"
KEY = "sublet.dev/kubernetes"


def cluster(version: str = ""):
    return parse({"cluster": {**LEAST["cluster"], "kubernetes": version}}).cluster


@pytest.fixture
def api():
    memory = MemoryApi()
    memory.put(CERTS, {"metadata": {"annotations": {"sublet.dev/store": "database.embedded"}}})
    return memory


def remembered(api: MemoryApi) -> str | None:
    return api.objects[CERTS]["metadata"]["annotations"].get(KEY)


def remember(api: MemoryApi, version: str) -> None:
    api.objects[CERTS]["metadata"]["annotations"][KEY] = version


async def test_what_runs_is_remembered_beside_what_is_there(api):
    await kubernetes_version.remember(api.client, cluster(), "v1.35.4")
    assert api.objects[CERTS]["metadata"]["annotations"] == {"sublet.dev/store": "database.embedded", KEY: "v1.35.4"}


@pytest.mark.parametrize(
    ("before", "running", "after"),
    [
        ("v1.35.4", "v1.36.3", "v1.36.3"),
        ("v1.36.3", "v1.36.1", "v1.36.1"),
        ("v1.36.3", "v1.36.3", "v1.36.3"),
        ("v1.36.3", "v1.35.4", "v1.36.3"),
        ("v1.36.3", "mine", "v1.36.3"),
        ("mine", "v1.36.3", "v1.36.3"),
    ],
)
async def test_of_several_versions_that_run_the_newest_minor_is_kept(api, before, running, after):
    remember(api, before)
    await kubernetes_version.remember(api.client, cluster(), running)
    assert remembered(api) == after
    assert len(api.writes) == (before != after)


async def test_a_cluster_without_keys_has_nothing_to_remember_by(api):
    del api.objects[CERTS]
    await kubernetes_version.remember(api.client, cluster(), "v1.36.3")
    assert api.writes == []


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        (None, "v1.33.0"),
        ("v1.35.4", "v1.35.4"),
        ("v1.35.4", "v1.35.1"),
        ("v1.35.4", "v1.36.0"),
        ("v1.35.4", "1.36.0"),
        ("v1.35.4", ""),
        ("mine", "v1.36.0"),
        ("v1.35.4+k3s1", "v1.36.0-k3s1"),
    ],
)
async def test_the_same_and_the_next_minor_version_may_follow(api, before, wanted):
    if before:
        remember(api, before)
    await kubernetes_version.check(api.client, cluster(wanted))
    assert api.writes == []


async def test_a_jump_over_a_minor_version_is_refused_with_the_next_one(api):
    remember(api, "v1.34.4")
    with pytest.raises(InvalidValue) as caught:
        await kubernetes_version.check(api.client, cluster("v1.36.3"))
    assert str(caught.value) == (
        "controlPlane.distro.k8s.version: v1.36.3 passes over a minor version: this virtual cluster has run v1.34.4; "
        "set it to a version 1.35 first, or back to the one it has run"
    )


async def test_a_jump_in_the_image_of_a_distribution_is_refused_by_its_key(api):
    remember(api, "v1.34.4")
    asked = parse({"cluster": {**LEAST["cluster"], "distro": "k3s", "kubernetes": "v1.36.2-k3s1"}}).cluster
    with pytest.raises(InvalidValue, match=r"^controlPlane\.distro\.k3s\.image: v1\.36\.2-k3s1 passes over"):
        await kubernetes_version.check(api.client, asked)


async def test_a_step_back_is_refused_with_the_way_to_go_back_to_a_backup(api):
    remember(api, "v1.36.3")
    with pytest.raises(InvalidValue) as caught:
        await kubernetes_version.check(api.client, cluster("v1.35.4"))
    assert str(caught.value) == (
        "controlPlane.distro.k8s.version: v1.35.4 is older than v1.36.3, which has written to this virtual cluster's store; "
        "set it to v1.36.3 or newer; or, once the store holds a backup from before, "
        "run: kubectl -n hns annotate secret vc-certs sublet.dev/kubernetes-"
    )
