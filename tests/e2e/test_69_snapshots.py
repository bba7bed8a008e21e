"""Snapshots: taken while a virtual cluster runs, and restored into another store or in place of a damaged one, under running pods."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import catalogue
from syncer.snapshots.format import verify
from tests.e2e import etcd_members, replicas
from tests.e2e.objects import Object, claim, patient, plain, service, workload
from tests.e2e.tenancy import (
    CHART,
    RESTRICTED,
    CommandFailed,
    Kubectl,
    Release,
    eventually,
    helm,
    host_kubectl,
    install,
    pod,
    point,
    remove,
    shell,
    uninstall,
    web,
)

pytestmark = pytest.mark.timeout(600)
EMBEDDED_ETCD = {"controlPlane": {"backingStore": {"etcd": {"embedded": {"enabled": True}}}}}
KINDS = ("namespaces", "deployments", "replicasets", "statefulsets", "pods", "services", "configmaps", "secrets", "pvc")
SPACE = "work"


def test_a_snapshot_is_taken_of_a_running_cluster_without_rights_beyond_the_namespace(
    release: Release, kubectl: Kubectl
) -> None:
    kubectl("create", "configmap", "kept")
    header, count = verify(io.BytesIO(snapshot(release)))

    assert (header.cluster, header.store) == ("vc", "database.embedded")
    assert count > 100


@pytest.fixture
def working(lab: None, tmp_path: Path) -> Iterator[Release]:
    """A release on SQLite in which a tenant's workload runs."""
    namespace = f"snap-{uuid.uuid4().hex[:6]}"
    try:
        found = install("vc", namespace, tmp_path)
        found.tenant("create", "namespace", SPACE)
        kubectl = found.tenant.within(SPACE)
        eventually(lambda: kubectl("get", "serviceaccount", "default"))
        mounted = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
        writer = patient(volumeMounts=[{"name": "data", "mountPath": "/data"}])
        kubectl.apply(
            workload("Deployment", "web", web(), replicas=2),
            workload("StatefulSet", "db", writer, pods=mounted, serviceName="db"),
            service("web", app="web"),
            claim("data"),
            plain("ConfigMap", "settings", data={"a": "b"}),
            plain("Secret", "password", stringData={"a": "b"}),
        )
        kubectl("rollout", "status", "deployment/web", "statefulset/db", "--timeout=120s", timeout=150)
        yield found
    finally:
        remove(host_kubectl(), "vc", namespace)


@pytest.mark.long
def test_a_move_to_an_etcd_in_the_pod_keeps_objects_and_running_pods(working: Release, tmp_path: Path) -> None:
    moved(working, tmp_path, EMBEDDED_ETCD)


@pytest.mark.long
@pytest.mark.parametrize("store", ["postgres", "mysql", "external-etcd", etcd_members.STORE])
def test_a_move_to_a_store_outside_of_the_pod_keeps_objects_and_running_pods(
    working: Release, tmp_path: Path, store: str
) -> None:
    with replicas.stored(store) as (values, beside):
        working.host.apply(*beside, namespace=working.namespace)
        # Kubernetes does not let a StatefulSet lose its claims; one that is made anew takes the pod over.
        working.on_host("delete", "statefulset", working.name, "--cascade=orphan")
        moved(working, tmp_path, values)


def moved(release: Release, folder: Path, store: Object) -> None:
    """Takes a snapshot, lets the release use the other store, brings the snapshot, and looks at everything."""
    file, before, running = snapshot(release), objects(release), host_pods(release)
    upgrade(release, folder, store, {"id": "moving"})
    bring(release, file)
    ready(release)

    assert objects(release) == before
    works(release)
    assert running.items() <= host_pods(release).items()
    upgrade(release, folder, store, {})
    ready(release)
    assert running.items() <= host_pods(release).items()


@pytest.mark.long
def test_a_damaged_file_is_refused_and_a_snapshot_takes_its_place(working: Release, tmp_path: Path) -> None:
    file, before, running = snapshot(working), objects(working), host_pods(working)
    working.tenant.within(SPACE).apply(pod("late", patient()))
    working.tenant.within(SPACE).ready("late")
    upgrade(working, tmp_path, {}, {}, replicas=0)
    working.on_host("wait", "--for=delete", f"pod/{working.pod}", "--timeout=60s")
    damage(working)

    upgrade(working, tmp_path, {}, {})
    said = eventually(lambda: refusal(working), patience=120)
    assert "/data/state.db: SQLite finds it damaged" in said
    assert "restore.replace" in said

    working.host(
        "--namespace",
        working.namespace,
        "create",
        "secret",
        "generic",
        "backup",
        f"--from-file=file={written(file, tmp_path)}",
    )
    persistence = {
        "addVolumes": [{"name": "backup", "secret": {"secretName": "backup"}}],
        "addVolumeMounts": [{"name": "backup", "mountPath": "/backup", "readOnly": True}],
    }
    mounted = {"controlPlane": {"statefulSet": {"persistence": persistence}}}
    upgrade(working, tmp_path, mounted, {"id": "again", "file": "/backup/file", "replace": True})
    ready(working)

    assert objects(working) == before
    works(working)
    eventually(lambda: not any("late" in name for name in host_pods(working)))
    assert running.items() <= host_pods(working).items()


@pytest.mark.long
def test_a_cluster_whose_namespace_is_gone_comes_back_with_its_objects_and_credentials(
    working: Release, tmp_path: Path
) -> None:
    file, before = snapshot(working), objects(working)
    certs = working.host.get("secret", f"{working.name}-certs", "--namespace", working.namespace)
    kept = {"name": certs["metadata"]["name"], "labels": certs["metadata"].get("labels", {})}
    uninstall(working)

    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": working.namespace, "labels": RESTRICTED}}
    eventually(lambda: working.host.run("create", "-f", "-", stdin=json.dumps(namespace)).returncode == 0, patience=60)
    working.host.apply({**certs, "metadata": kept}, namespace=working.namespace)
    order = ("--set", "controlPlane.backingStore.restore.id=back")
    helm("install", working.name, str(CHART), "--namespace", working.namespace, *order)
    bring(working, file)
    # The old kubeconfig, which names an address that the host may have given to somebody else.
    point(working.tenant.kubeconfig, working.host, working.name, working.namespace)
    ready(working)

    # Pods ended with the namespace; controllers make them anew.
    assert lasting(objects(working)) == lasting(before)
    kubectl = working.tenant.within(SPACE)
    eventually(lambda: kubectl("get", "pod", "db-0"), patience=60)
    kubectl("rollout", "status", "deployment/web", "statefulset/db", "--timeout=120s", timeout=150)
    works(working)


@pytest.mark.long
def test_a_stream_that_breaks_off_restores_nothing_and_may_come_again(working: Release, tmp_path: Path) -> None:
    file, before = snapshot(working), objects(working)
    upgrade(working, tmp_path, EMBEDDED_ETCD, {"id": "broken"})
    with pytest.raises(CommandFailed, match="nothing is restored: it ends too early"):
        bring(working, file[:-1000])
    bring(working, file)
    ready(working)

    assert objects(working) == before


def refusal(release: Release) -> str:
    """Why the control plane does not start."""
    return next(
        (line for line in release.on_host("logs", release.pod, "--container=pki").splitlines() if "error" in line), ""
    )


def snapshot(release: Release) -> bytes:
    """What a user's shell would put into a file."""
    result = release.host.run(
        "--namespace", release.namespace, "exec", release.pod, "--", "python", "-m", "syncer", "snapshot"
    )
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def bring(release: Release, file: bytes) -> None:
    """Sends a snapshot to the container that waits for it."""
    eventually(
        lambda: "waiting for a snapshot" in release.on_host("logs", release.pod, "--container=restore"), patience=120
    )
    command = ("exec", "-i", release.pod, "--container=restore", "--", "python", "-m", "syncer", "restore")
    release.host("--namespace", release.namespace, *command, stdin=file, timeout=240)


def upgrade(release: Release, folder: Path, values: Object, restore: Object, *, replicas: int = 1) -> None:
    """Lets the release have these values and nothing else."""
    store, order = written(json.dumps(values).encode(), folder), json.dumps({"id": "", **restore})
    helm(
        *("upgrade", release.name, str(CHART), "--namespace", release.namespace, "--reset-values", "--values", store),
        *("--set-json", f"controlPlane.backingStore.restore={order}"),
        *("--set", f"controlPlane.statefulSet.highAvailability.replicas={replicas}"),
    )


def ready(release: Release) -> None:
    """Waits until the control plane is up and its syncer has an answer of everybody."""
    rollout = ("rollout", "status", f"statefulset/{release.name}", "--timeout=200s")
    release.host("--namespace", release.namespace, *rollout, timeout=230)
    eventually(lambda: release.tenant("get", "--raw", "/readyz"))


def works(release: Release) -> None:
    """What is new runs, and is reached through what is old."""
    kubectl = release.tenant.within(SPACE)
    kubectl.apply(pod("client", shell("sleep infinity")))
    kubectl.ready("client")
    eventually(lambda: kubectl.execute("client", "wget -qO- -T 2 http://web/hostname") in kubectl.names("pods"))
    kubectl("delete", "pod", "client", "--timeout=60s")


def objects(release: Release) -> dict[str, str]:
    """The tenant's objects: who is who. The server's own come and go with it."""
    found = release.tenant.items(",".join(KINDS), "--all-namespaces")
    return {
        f"{item['kind']}/{item['metadata'].get('namespace', '')}/{item['metadata']['name']}": item["metadata"]["uid"]
        for item in found
        if item["metadata"].get("namespace") != "kube-system"
    }


def lasting(found: dict[str, str]) -> dict[str, str]:
    """Those of them that are neither pods nor made by the control plane."""
    return {name: uid for name, uid in found.items() if not name.startswith(("Pod/", "Service/default/kubernetes"))}


def host_pods(release: Release) -> dict[str, tuple[str, int]]:
    """The tenant's pods on the host: who is who, and how often each was started."""
    return {
        item["metadata"]["name"]: (
            item["metadata"]["uid"],
            sum(found["restartCount"] for found in item["status"].get("containerStatuses", ())),
        )
        for item in release.host.items("pods", "--namespace", release.namespace)
        if item["metadata"]["name"] != release.pod
    }


def damage(release: Release) -> None:
    """Overwrites pages in the middle of the store's file, as a failing disk may."""
    script = """
import os, sqlite3
file = "/data/state.db"
sqlite3.connect(file, isolation_level=None).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
with open(file, "r+b") as opened:
    opened.seek(3 * 4096)
    opened.write(os.urandom(os.path.getsize(file) // 2))
"""
    main = {"name": "main", "image": catalogue.SYNCER, "command": ["python", "-c", script]}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": f"data-{release.pod}"}}
    breaker = pod(
        "breaker",
        {**main, "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        volumes=[volume],
        restartPolicy="Never",
        securityContext={"fsGroup": 65532},
    )
    breaker["spec"]["containers"][0]["securityContext"]["runAsUser"] = 65532
    release.host.apply(breaker, namespace=release.namespace)
    release.on_host("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/breaker", "--timeout=60s")
    release.on_host("delete", "pod", "breaker")


def written(content: bytes, folder: Path) -> str:
    """The path of a file with that content."""
    file = folder / uuid.uuid4().hex
    file.write_bytes(content)
    return str(file)
