"""Why something does not run: the tenant is told as on a real cluster, in their own names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.objects import Object, claim, patient, plain, probe, workload
from tests.e2e.tenancy import Kubectl, Release, eventually, pod, shell

GPU = "example.com/gpu"
CLASS = "no-such-class"
FULL = "dd if=/dev/zero of=/scratch/file bs=1M count=8; sleep infinity"
HOG = "dd if=/dev/zero of=/dev/null bs=64M"


@pytest.fixture(scope="module")
def troubled(release: Release, stage: Kubectl) -> Iterator[Kubectl]:
    """A namespace with one pod for each thing that can go wrong."""
    host = release.host.within(release.namespace)
    quota = f"no-gpu-{stage.namespace}"
    host.apply(plain("ResourceQuota", quota, spec={"hard": {f"requests.{GPU}": "0"}}))
    eventually(lambda: "hard" in host.get("resourcequota", quota)["status"])
    stage.apply(
        claim("unknown-class", storageClassName=CLASS),
        workload("Deployment", "refused", patient(resources={"limits": {GPU: "1"}})),
        pod(
            "full",
            shell(FULL, volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}]),
            volumes=[{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}],
        ),
        pod("tardy", patient(), activeDeadlineSeconds=1),
        pod("homeless", patient(), nodeSelector={"disk": "golden"}),
        pod("imageless", {**patient(), "image": "registry.invalid/no/such:1"}),
        pod("misspelt", {**patient(), "image": "No:such:image"}),
        pod("crashing", shell("echo dying; exit 3")),
        pod("stumbling", {**patient(), "command": ["/no/such/program"]}),
        pod("greedy", shell(HOG, resources={"limits": {"memory": "24Mi"}})),
        pod("unset", patient(envFrom=[{"configMapRef": {"name": "settings"}}])),
        pod("patient", patient(envFrom=[{"configMapRef": {"name": "late"}}])),
        pod("keyless", patient(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "password", "key": "a"}}}])),
        pod(
            "unmounted",
            patient(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            volumes=[
                {"name": "v", "configMap": {"name": "files"}},
            ],
        ),
        pod(
            "volumeless",
            patient(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            volumes=[
                {"name": "v", "persistentVolumeClaim": {"claimName": "unknown-class"}},
            ],
        ),
        pod("ailing", patient(livenessProbe=probe("echo too ill; exit 1", failureThreshold=1))),
        pod("unready", patient(readinessProbe=probe("echo not yet; exit 1"))),
        {**pod("mighty", patient()), "spec": {"hostNetwork": True, "containers": [patient()]}},
    )
    waiting(stage, "patient", "CreateContainerConfigError")
    stage("create", "configmap", "late", "--from-literal=A=1")
    yield stage
    host("delete", "resourcequota", quota)


def state_of(kubectl: Kubectl, name: str, of: str = "state") -> Object:
    """The state of a pod's only container."""
    statuses = kubectl.get("pod", name)["status"].get("containerStatuses") or [{}]
    found: Object = statuses[0].get(of) or {}
    return found


def waiting(kubectl: Kubectl, name: str, *reasons: str) -> str:
    """The message of a container that waits for one of these reasons."""

    def told() -> Object | None:
        state = state_of(kubectl, name).get("waiting") or {}
        return state if state.get("reason") in reasons else None

    return str(eventually(told).get("message"))


def events_of(kubectl: Kubectl, kind: str, name: str, reason: str) -> Callable[[], list[str]]:
    """Messages of the events that `kubectl describe` shows of an object."""
    fields = f"involvedObject.kind={kind},involvedObject.name={name},reason={reason}"
    return lambda: [event["message"] for event in kubectl.items("events", f"--field-selector={fields}")]


def describes(kubectl: Kubectl, release: Release, kind: str, name: str) -> str:
    """What `kubectl describe` says; nothing in it may be a name of the host."""
    text = kubectl("describe", kind, name)
    assert f"-x-{kubectl.namespace}" not in text
    assert release.namespace not in text
    return text


def test_a_pod_beyond_the_hosts_quota_says_so(release: Release, troubled: Kubectl) -> None:
    name = eventually(lambda: troubled.names("pods", "--selector=app=refused")).pop()
    eventually(events_of(troubled, "Pod", name, "SyncError"))

    assert "exceeded quota: no-gpu" in describes(troubled, release, "pod", name)
    assert troubled.get("pod", name)["status"]["phase"] == "Pending"


def test_a_pod_against_the_hosts_pod_security_says_so(release: Release, troubled: Kubectl) -> None:
    messages = eventually(events_of(troubled, "Pod", "mighty", "SyncError"))

    assert 'violates PodSecurity "restricted' in messages[0]
    describes(troubled, release, "pod", "mighty")


def test_an_unschedulable_pod_shows_the_schedulers_reasons(release: Release, troubled: Kubectl) -> None:
    messages = eventually(events_of(troubled, "Pod", "homeless", "FailedScheduling"))
    conditions = eventually(lambda: troubled.get("pod", "homeless")["status"].get("conditions"))
    scheduled = next(item for item in conditions if item["type"] == "PodScheduled")

    assert "didn't match Pod's node affinity/selector" in messages[0]
    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    assert "nodes are available" in scheduled["message"]
    describes(troubled, release, "pod", "homeless")


def test_an_invalid_image_name_shows_as_such(release: Release, troubled: Kubectl) -> None:
    assert "No:such:image" in waiting(troubled, "misspelt", "InvalidImageName")
    describes(troubled, release, "pod", "misspelt")


def test_a_crashing_container_backs_off_and_keeps_its_exit_code_and_its_logs(
    release: Release, troubled: Kubectl
) -> None:
    message = waiting(troubled, "crashing", "CrashLoopBackOff")
    eventually(events_of(troubled, "Pod", "crashing", "BackOff"))

    assert f"pod=crashing_{troubled.namespace}" in message
    assert state_of(troubled, "crashing", "lastState")["terminated"]["exitCode"] == 3
    assert "dying" in troubled("logs", "crashing", "--previous")
    # Between two pauses it runs for a moment.
    eventually(lambda: "CrashLoopBackOff" in troubled("get", "pod", "crashing"))
    describes(troubled, release, "pod", "crashing")


def test_a_program_that_is_not_there_shows_as_such(release: Release, troubled: Kubectl) -> None:
    def told() -> bool:
        return "no such file or directory" in str(troubled.get("pod", "stumbling")["status"].get("containerStatuses"))

    eventually(told)
    describes(troubled, release, "pod", "stumbling")


def test_a_container_that_takes_too_much_memory_shows_as_killed(release: Release, troubled: Kubectl) -> None:
    def killed() -> bool:
        ends = [state_of(troubled, "greedy", of).get("terminated") or {} for of in ("state", "lastState")]
        return any(end.get("reason") == "OOMKilled" and end["exitCode"] == 137 for end in ends)

    eventually(killed)
    describes(troubled, release, "pod", "greedy")


def test_a_missing_config_map_is_named_as_the_tenant_names_it(release: Release, troubled: Kubectl) -> None:
    assert waiting(troubled, "unset", "CreateContainerConfigError") == 'configmap "settings" not found'
    assert 'Error: configmap "settings" not found' in eventually(events_of(troubled, "Pod", "unset", "Failed"))
    describes(troubled, release, "pod", "unset")


def test_a_missing_secret_is_named_as_the_tenant_names_it(release: Release, troubled: Kubectl) -> None:
    assert waiting(troubled, "keyless", "CreateContainerConfigError") == 'secret "password" not found'
    describes(troubled, release, "pod", "keyless")


def test_a_missing_volume_source_is_named_as_the_tenant_names_it(release: Release, troubled: Kubectl) -> None:
    messages = eventually(events_of(troubled, "Pod", "unmounted", "FailedMount"))

    assert 'configmap "files" not found' in messages[0]
    assert "ContainerCreating" in troubled("get", "pod", "unmounted")
    describes(troubled, release, "pod", "unmounted")


def test_a_claim_of_an_unknown_storage_class_stays_pending_and_says_why(release: Release, troubled: Kubectl) -> None:
    messages = eventually(events_of(troubled, "PersistentVolumeClaim", "unknown-class", "ProvisioningFailed"))
    eventually(events_of(troubled, "Pod", "volumeless", "FailedScheduling"))

    assert f'storageclass.storage.k8s.io "{CLASS}" not found' in messages[0]
    assert troubled.get("pvc", "unknown-class")["status"]["phase"] == "Pending"
    describes(troubled, release, "pvc", "unknown-class")
    describes(troubled, release, "pod", "volumeless")


def test_a_failing_probe_says_what_it_said(release: Release, troubled: Kubectl) -> None:
    killed = eventually(events_of(troubled, "Pod", "ailing", "Unhealthy"))
    unready = eventually(events_of(troubled, "Pod", "unready", "Unhealthy"))

    assert "Liveness probe failed: too ill" in killed[0]
    assert "Readiness probe failed: not yet" in unready[0]
    eventually(lambda: troubled.get("pod", "ailing")["status"]["containerStatuses"][0]["restartCount"] > 0)
    describes(troubled, release, "pod", "ailing")


def test_every_event_is_about_an_object_of_the_tenant(troubled: Kubectl) -> None:
    pods = {found["metadata"]["uid"]: found["metadata"]["name"] for found in troubled.items("pods")}
    events = [event for event in troubled.items("events") if event["involvedObject"]["kind"] == "Pod"]

    assert events
    known = [event["involvedObject"] for event in events if event["involvedObject"]["uid"] in pods]
    assert all(pods[about["uid"]] == about["name"] for about in known)


def test_an_image_that_cannot_be_pulled_shows_as_such(release: Release, troubled: Kubectl) -> None:
    waiting(troubled, "imageless", "ErrImagePull", "ImagePullBackOff")
    eventually(events_of(troubled, "Pod", "imageless", "Failed"))

    assert "registry.invalid/no/such:1" in describes(troubled, release, "pod", "imageless")
    assert "ErrImagePull" in troubled("get", "pod", "imageless") or "ImagePullBackOff" in troubled(
        "get", "pod", "imageless"
    )


def test_a_pod_starts_once_what_it_missed_is_there(troubled: Kubectl) -> None:
    troubled.ready("patient")


def test_a_pod_past_its_deadline_shows_so(troubled: Kubectl) -> None:
    status = eventually(lambda: ended(troubled, "tardy"))

    assert status["reason"] == "DeadlineExceeded"


def test_a_pod_that_the_kubelet_evicts_shows_why(release: Release, troubled: Kubectl) -> None:
    status = eventually(lambda: ended(troubled, "full"), patience=120)

    assert status["reason"] == "Evicted"
    assert 'Usage of EmptyDir volume "scratch" exceeds the limit' in status["message"]
    describes(troubled, release, "pod", "full")


def ended(kubectl: Kubectl, name: str) -> Object | None:
    """The status of a pod that failed for good."""
    status: Object = kubectl.get("pod", name)["status"]
    return status if status["phase"] == "Failed" else None
