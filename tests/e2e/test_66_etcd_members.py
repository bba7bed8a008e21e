"""An etcd of the release's own becomes three members from one, and one that loses its data comes back, while a tenant writes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import etcd_members
from tests.e2e.tenancy import CHART, Kubectl, Release, eventually, helm, host_kubectl, install, remove
from tests.e2e.test_62_stores import more, written
from tests.e2e.writing import Writer

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A release that was installed with one member and has three."""

    release: Release
    folder: Path
    lost: list[str]
    """What was acknowledged meanwhile and is not there."""


@pytest.fixture(scope="module")
def grown(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    """One member, then three."""
    folder, namespace, host = tmp_path_factory.mktemp("grown"), f"grown-{uuid.uuid4().hex[:6]}", host_kubectl()
    try:
        release = install("vc", namespace, folder, "--values", written(etcd_members.values(1), folder))
        with release.tenant_namespace("kept") as space:
            with Writer(release.tenant.within(space)) as writer:
                more(writer)
                began = time.monotonic()
                resize(release, folder, 3)
                etcd_members.whole(release, 3, folder)
                print(f"\nthree members from one after {time.monotonic() - began:.0f} s")
                eventually(
                    lambda: release.on_host("rollout", "status", "statefulset/vc", "--timeout=60s"), patience=120
                )
                more(writer)
            yield Grown(release=release, folder=folder, lost=writer.lost())
    finally:
        remove(host, "vc", namespace)


@pytest.fixture
def kubectl(grown: Grown) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace of its own."""
    with grown.release.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield grown.release.tenant.within(name)


def test_nothing_acknowledged_is_lost_while_one_member_becomes_three(grown: Grown) -> None:
    assert grown.lost == []


@pytest.mark.parametrize("member", ["vc-etcd-0", "vc-etcd-2"])
def test_a_member_whose_data_are_deleted_comes_back_while_writes_go_on(
    grown: Grown, kubectl: Kubectl, member: str
) -> None:
    release = grown.release
    before = {claim["metadata"]["uid"] for claim in release.host.items("pvc", "--namespace", release.namespace)}
    with Writer(kubectl) as writer:
        more(writer)
        began = time.monotonic()
        etcd_members.lose(release, member)
        more(writer)
        written_after = time.monotonic() - began
        etcd_members.whole(release, 3, grown.folder)
        print(
            f"\n{member} back after {time.monotonic() - began:.0f} s; 50 writes were acknowledged after {written_after:.1f} s"
        )
        more(writer)
    after = {claim["metadata"]["uid"] for claim in release.host.items("pvc", "--namespace", release.namespace)}

    assert writer.lost() == []
    assert len(before - after) == 1
    assert kubectl("get", "--raw", "/readyz")


def test_fewer_members_are_refused_and_the_way_back_keeps_everything(grown: Grown, kubectl: Kubectl) -> None:
    release = grown.release
    kubectl("create", "configmap", "kept")
    resize(release, grown.folder, 1)
    eventually(
        lambda: "this etcd has 3 members" in release.on_host("logs", release.pod, "--container=pki"), patience=120
    )
    resize(release, grown.folder, 3)
    etcd_members.whole(release, 3, grown.folder)

    assert "kept" in eventually(lambda: kubectl.names("configmaps"), patience=120)


def test_members_that_were_taken_out_first_can_be_left_away(grown: Grown, kubectl: Kubectl) -> None:
    release, folder = grown.release, grown.folder
    eventually(lambda: kubectl("create", "configmap", "kept"), patience=120)
    first = next(pod for pod in etcd_members.pods(release) if pod["metadata"]["name"] == "vc-etcd-0")
    for name in ("vc-etcd-2", "vc-etcd-1"):
        eventually(lambda name=name: etcd_members.take_out(release, first, name, folder), patience=60)
    release.on_host("annotate", "--overwrite", "secret", "vc-etcd-certs", "sublet.dev/etcd-members=1")
    resize(release, grown.folder, 1)
    etcd_members.whole(release, 1, folder)
    assert "kept" in eventually(lambda: kubectl.names("configmaps"), patience=120)
    resize(release, grown.folder, 3)
    etcd_members.whole(release, 3, folder)


def test_two_of_five_members_may_lose_their_data_at_once(lab: None, tmp_path: Path) -> None:
    namespace, host = f"five-{uuid.uuid4().hex[:6]}", host_kubectl()
    try:
        release = install("vc", namespace, tmp_path, "--values", written(etcd_members.values(5), tmp_path))
        with release.tenant_namespace("kept") as space:
            etcd_members.whole(release, 5, tmp_path)
            with Writer(release.tenant.within(space)) as writer:
                more(writer)
                for member in ("vc-etcd-0", "vc-etcd-3"):
                    etcd_members.lose(release, member)
                more(writer)
                etcd_members.whole(release, 5, tmp_path)
                more(writer)
            assert writer.lost() == []
    finally:
        remove(host, "vc", namespace)


def resize(release: Release, folder: Path, members: int) -> None:
    """Asks for so many members."""
    values = written(etcd_members.values(members), folder)
    helm("upgrade", release.name, str(CHART), "--namespace", release.namespace, "--values", values)
