"""Stateful workloads: stable names, volumes of their own, data that outlives pods."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.names import host_name
from tests.e2e.objects import Object, claim, patient, service, toolbox, workload
from tests.e2e.tenancy import Kubectl, Release, eventually, pod, restricted

pytestmark = pytest.mark.timeout(180)

DATA = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def database(name: str = "db", **spec: Any) -> tuple[Object, Object]:
    """A StatefulSet whose pods have a volume at /data, and its headless Service."""
    wanted = {"serviceName": name, "podManagementPolicy": "Parallel", "volumeClaimTemplates": [claim("data")], **spec}
    return service(name, app=name, clusterIP="None"), workload("StatefulSet", name, patient(**DATA), **wanted)


def claimed(name: str) -> list[Object]:
    """The volumes of a pod that uses a claim."""
    return [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]


def claims_on_host(release: Release, kubectl: Kubectl) -> set[str]:
    """Names of the host claims of a namespace of the tenant."""
    selector = f"sublet.dev/namespace={kubectl.namespace}"
    return release.host.names("persistentvolumeclaims", "--namespace", release.namespace, "--selector", selector)


def is_gone(release: Release, kubectl: Kubectl, name: str) -> bool:
    """Waits until neither side has a claim of this name."""
    there = host_name(name, str(kubectl.namespace), release.name)
    eventually(lambda: name not in kubectl.names("persistentvolumeclaims"), patience=30)
    return bool(eventually(lambda: there not in claims_on_host(release, kubectl), patience=30))


@pytest.fixture(scope="module")
def db(stage: Kubectl) -> Kubectl:
    """StatefulSet `db` of two replicas and a pod `client`; and, since volumes take seconds to make, what single tests use up."""
    template = {"metadata": {"labels": {"kind": "scratch"}}, "spec": claim("data")["spec"]}
    retention = {"whenDeleted": "Delete"}
    stage.apply(
        *database(replicas=2),
        *database("survivor", replicas=1),
        *database("shrinking", replicas=2),
        *database("retiring", replicas=1, persistentVolumeClaimRetentionPolicy=retention),
        *(claim(name) for name in ("busy", "shared")),
        *(pod(name, patient(**DATA), volumes=claimed(name)) for name in ("busy", "shared")),
        pod("scratch", patient(**DATA), volumes=[{"name": "data", "ephemeral": {"volumeClaimTemplate": template}}]),
        pod("client", toolbox()),
    )
    stage("rollout", "status", "statefulset/db", "--timeout=90s", timeout=100)
    stage.ready("client")
    return stage


@pytest.mark.parametrize("name", ["db-0", "db-1"])
def test_each_replica_has_a_name_that_resolves(db: Kubectl, name: str) -> None:
    ip = db.get("pod", name)["status"]["podIP"]
    dig = f"dig +short {name}.db.{db.namespace}.svc.cluster.local"

    assert eventually(lambda: db.execute("client", dig) == ip, patience=20)
    assert db.execute("client", f"getent hosts {name}.db").split()[0] == ip


def test_the_service_name_gives_all_replicas(db: Kubectl) -> None:
    ips = {db.get("pod", name)["status"]["podIP"] for name in ("db-0", "db-1")}
    dig = f"dig +short db.{db.namespace}.svc.cluster.local"

    assert eventually(lambda: set(db.execute("client", dig).split()) == ips, patience=20)


def test_a_replica_knows_its_own_names(db: Kubectl) -> None:
    assert db.execute("db-1", "hostname") == "db-1"
    assert db.execute("db-1", "hostname -f") == f"db-1.db.{db.namespace}.svc.cluster.local"


def test_the_name_of_a_replica_is_found_from_its_address(db: Kubectl) -> None:
    ip = db.get("pod", "db-0")["status"]["podIP"]

    assert db.execute("client", f"dig +short -x {ip}") == f"db-0.db.{db.namespace}.svc.cluster.local."


def test_each_replica_has_a_bound_claim_and_a_volume(db: Kubectl) -> None:
    claims = {item["metadata"]["name"]: item for item in db.items("persistentvolumeclaims", "--selector=app=db")}

    assert set(claims) == {"data-db-0", "data-db-1"}
    assert {item["status"]["phase"] for item in claims.values()} == {"Bound"}
    for name, item in claims.items():
        volume = db.get("persistentvolume", item["spec"]["volumeName"])
        assert volume["status"]["phase"] == "Bound"
        assert volume["spec"]["claimRef"]["name"] == name
        assert volume["spec"]["capacity"] == item["status"]["capacity"]


def test_data_survives_its_pod(db: Kubectl) -> None:
    db("rollout", "status", "statefulset/survivor", "--timeout=60s")
    db.execute("survivor-0", "echo precious > /data/note")
    before = db.get("pod", "survivor-0")["metadata"]["uid"]

    db("delete", "pod", "survivor-0")

    db("rollout", "status", "statefulset/survivor", "--timeout=60s")
    assert db.get("pod", "survivor-0")["metadata"]["uid"] != before
    assert db.execute("survivor-0", "cat /data/note") == "precious"


def test_a_name_leads_to_the_new_pod_after_the_old_one_is_gone(db: Kubectl, kubectl: Kubectl) -> None:
    kubectl.apply(*database(replicas=1, volumeClaimTemplates=None, template=_stateless("db")))
    kubectl("rollout", "status", "statefulset/db", "--timeout=60s")

    kubectl("delete", "pod", "db-0")
    kubectl("rollout", "status", "statefulset/db", "--timeout=60s")

    ip = kubectl.get("pod", "db-0")["status"]["podIP"]
    dig = f"dig +short db-0.db.{kubectl.namespace}.svc.cluster.local"
    assert eventually(lambda: db.execute("client", dig) == ip, patience=40)


def _stateless(name: str) -> Object:
    return {"metadata": {"labels": {"app": name}}, "spec": restricted(patient())}


def test_replicas_start_one_after_the_other(kubectl: Kubectl) -> None:
    kubectl.apply(
        *database(replicas=2, podManagementPolicy="OrderedReady", volumeClaimTemplates=None, template=_stateless("db"))
    )
    kubectl("rollout", "status", "statefulset/db", "--timeout=60s")
    first, second = kubectl.get("pod", "db-0"), kubectl.get("pod", "db-1")
    (ready,) = (c["lastTransitionTime"] for c in first["status"]["conditions"] if c["type"] == "Ready")

    assert second["metadata"]["creationTimestamp"] >= ready


def test_claims_stay_when_a_stateful_set_shrinks_and_serve_again_when_it_grows(db: Kubectl) -> None:
    db("rollout", "status", "statefulset/shrinking", "--timeout=60s")
    db.execute("shrinking-1", "echo precious > /data/note")

    db("scale", "statefulset/shrinking", "--replicas=1")
    db("wait", "--for=delete", "pod/shrinking-1", "--timeout=30s")
    assert db.get("persistentvolumeclaim", "data-shrinking-1")["status"]["phase"] == "Bound"

    db("scale", "statefulset/shrinking", "--replicas=2")
    db("rollout", "status", "statefulset/shrinking", "--timeout=60s")
    assert db.execute("shrinking-1", "cat /data/note") == "precious"


def test_claims_go_with_a_stateful_set_that_says_so(release: Release, db: Kubectl) -> None:
    db("rollout", "status", "statefulset/retiring", "--timeout=60s")
    volume = db.get("persistentvolumeclaim", "data-retiring-0")["spec"]["volumeName"]

    db("delete", "statefulset", "retiring")

    assert is_gone(release, db, "data-retiring-0")
    assert eventually(lambda: volume not in db.names("persistentvolumes"), patience=30)


def test_a_claim_waits_for_its_first_pod_and_says_so(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(claim("data"))

    assert eventually(
        lambda: "WaitForFirstConsumer" in kubectl("describe", "persistentvolumeclaim", "data"), patience=20
    )
    assert kubectl.get("persistentvolumeclaim", "data")["status"]["phase"] == "Pending"
    assert claims_on_host(release, kubectl) == {host_name("data", kubectl.namespace, release.name)}


def test_a_claim_in_use_is_deleted_when_its_pod_is_gone(release: Release, db: Kubectl) -> None:
    db.ready("busy")

    db("delete", "persistentvolumeclaim", "busy", "--wait=false")
    assert "Terminating" in db("get", "persistentvolumeclaim", "busy")
    db.execute("busy", "touch /data/still-there")

    db("delete", "pod", "busy")
    assert is_gone(release, db, "busy")


def test_two_pods_in_turn_share_a_claim(db: Kubectl) -> None:
    db.ready("shared")
    db.execute("shared", "echo precious > /data/note")
    db("delete", "pod", "shared", "--wait=false")

    db.apply(pod("heir", patient(**DATA), volumes=claimed("shared")))

    db.ready("heir")
    assert db.execute("heir", "cat /data/note") == "precious"


def test_an_ephemeral_volume_has_a_claim_for_as_long_as_its_pod(release: Release, db: Kubectl) -> None:
    db.ready("scratch")
    assert db.execute("scratch", "echo note > /data/note && cat /data/note") == "note"
    assert db.get("persistentvolumeclaim", "scratch-data")["status"]["phase"] == "Bound"

    db("delete", "pod", "scratch")

    assert is_gone(release, db, "scratch-data")


def test_a_rolling_update_replaces_the_replicas_from_the_last_to_the_first(kubectl: Kubectl) -> None:
    kubectl.apply(*database(replicas=2, volumeClaimTemplates=None, template=_stateless("db")))
    kubectl("rollout", "status", "statefulset/db", "--timeout=60s")

    kubectl("set", "env", "statefulset/db", "RELEASE=next")
    kubectl("rollout", "status", "statefulset/db", "--timeout=60s")

    assert {kubectl.execute(name, "echo $RELEASE") for name in ("db-0", "db-1")} == {"next"}
    born = {name: kubectl.get("pod", name)["metadata"]["creationTimestamp"] for name in ("db-0", "db-1")}
    assert born["db-1"] <= born["db-0"]
