"""The status that comes back."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.names import Object, host_name
from syncer.rules.pods import status, to_host
from syncer.values import Pods
from tests.unit.rules.pods.samples import KEY, container, context, pod, stored

GATE = "example.org/lb"


def told(host_status: Object, virtual: Object | None = None, **metadata: Any) -> Object:
    virtual = virtual or pod()
    host = stored(to_host(KEY, virtual, context()), **host_status)
    host["metadata"] |= metadata
    return status(host, virtual, context())


def running(name: str = "app", **fields: Any) -> Object:
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    return {
        "name": name,
        "state": state,
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": "nginx:1.29",
        **fields,
    }


def waiting(message: str) -> Object:
    return running(state={"waiting": {"reason": "CreateContainerConfigError", "message": message}})


def test_the_hosts_status_is_given_back():
    fields = {
        "phase": "Running",
        "podIP": "10.1.2.3",
        "podIPs": [{"ip": "10.1.2.3"}],
        "hostIP": "192.0.2.1",
        "hostIPs": [{"ip": "192.0.2.1"}],
        "startTime": "2026-01-01T00:00:00Z",
        "containerStatuses": [running()],
        "conditions": [{"type": "Ready", "status": "True"}],
        "resize": "Deferred",
    }
    assert told(fields) == {**fields, "qosClass": "BestEffort"}


def test_the_quality_of_service_is_that_of_the_virtual_pod():
    assert told({"qosClass": "Guaranteed"})["qosClass"] == "BestEffort"


@pytest.mark.parametrize("field", ["nominatedNodeName", "extendedResourceClaimStatus"])
def test_what_only_the_hosts_scheduler_needs_is_dropped(field):
    assert field not in told({field: "x"})


@pytest.mark.parametrize(
    ("statuses", "containers"),
    [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
        ("ephemeralContainerStatuses", "ephemeralContainers"),
    ],
)
def test_containers_that_the_tenant_did_not_ask_for_are_left_out(statuses, containers):
    virtual = pod(**{"containers": [container()], containers: [container("mine")]})
    assert told({statuses: [running("istio-proxy"), running("mine")]}, virtual)[statuses] == [running("mine")]


def test_a_list_of_foreign_containers_only_is_no_list():
    assert "initContainerStatuses" not in told({"initContainerStatuses": [running("sublet-rewrite-hosts")]})


def test_a_translated_image_is_shown_as_the_tenant_wrote_it():
    rules = context(pods=Pods(translate_image={"nginx:1.29": "mirror/nginx:1.29"}))
    host = stored(
        to_host(KEY, pod(), rules), containerStatuses=[running(image="mirror/nginx:1.29", imageID="sha256:1")]
    )
    [shown] = status(host, pod(), rules)["containerStatuses"]
    assert (shown["image"], shown["imageID"]) == ("nginx:1.29", "sha256:1")


def test_the_mount_of_the_rewritten_hosts_is_not_shown():
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "sublet-hosts", "mountPath": "/etc/hosts"}]
    [shown] = told({"containerStatuses": [running(volumeMounts=mounts)]})["containerStatuses"]
    assert shown["volumeMounts"] == mounts[:1]


LONG = "settings-" + "x" * 60
BACK_OFF = "back-off 10s restarting failed container=app pod={}_{}({})"


@pytest.mark.parametrize(
    ("host_text", "virtual_text"),
    [
        ('secret "db-x-shop-x-alpha" not found', 'secret "db" not found'),
        (f'configmap "{host_name(LONG, "shop", "alpha")}" not found', f'configmap "{LONG}" not found'),
        (
            BACK_OFF.format("web-0-x-shop-x-alpha", "tenants", "host-uid"),
            BACK_OFF.format("web-0", "shop", "virtual-uid"),
        ),
        ("couldn't find key k in ConfigMap tenants/db-x-shop-x-alpha", "couldn't find key k in ConfigMap shop/db"),
        ('Back-off pulling image "tenants/app:1"', 'Back-off pulling image "tenants/app:1"'),
    ],
)
def test_a_message_of_a_container_names_virtual_objects(host_text, virtual_text):
    virtual = pod(containers=[container(envFrom=[{"configMapRef": {"name": LONG}}])])
    [shown] = told({"containerStatuses": [waiting(host_text)]}, virtual)["containerStatuses"]
    assert shown["state"]["waiting"]["message"] == virtual_text


def test_a_message_of_a_condition_names_virtual_objects():
    message = '0/3 nodes are available: persistentvolumeclaim "{}" not found.'
    condition = {"type": "PodScheduled", "status": "False", "message": message.format("data-x-shop-x-alpha")}
    assert told({"conditions": [condition]})["conditions"][0]["message"] == message.format("data")


def test_the_message_of_a_pod_names_virtual_objects():
    assert told({"message": "Pod tenants/web-0-x-shop-x-alpha was evicted"})["message"] == "Pod shop/web-0 was evicted"


def gated(*conditions: Object) -> Object:
    return pod(status={"conditions": list(conditions)}, readinessGates=[{"conditionType": GATE}])


READY = {"type": "Ready", "status": "False"}


def test_a_readiness_gate_that_only_the_tenant_has_set_stays():
    mine = {"type": GATE, "status": "True"}
    assert told({"conditions": [READY]}, gated(mine))["conditions"] == [READY, mine]


def test_a_readiness_gate_that_the_tenant_has_set_differently_stays():
    mine, theirs = {"type": GATE, "status": "True"}, {"type": GATE, "status": "False"}
    assert told({"conditions": [theirs, READY]}, gated(mine))["conditions"] == [mine, READY]


def test_a_readiness_gate_that_the_host_has_set_is_shown():
    theirs = {"type": GATE, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert told({"conditions": [theirs]}, gated())["conditions"] == [theirs]


def test_a_readiness_gate_that_the_host_turned_later_is_shown():
    mine = {"type": GATE, "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    theirs = {"type": GATE, "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"}
    assert told({"conditions": [theirs]}, gated(mine))["conditions"] == [theirs]


def test_a_condition_set_by_the_virtual_cluster_itself_stays():
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    assert told({"conditions": [READY]}, pod(status={"conditions": [disrupted]}))["conditions"] == [READY, disrupted]


def test_a_condition_that_the_kubelet_took_back_goes():
    resizing = {"type": "PodResizePending", "status": "True"}
    assert told({"conditions": [READY]}, pod(status={"conditions": [resizing]}))["conditions"] == [READY]


def seen(generation: int) -> Object:
    return {"observedGeneration": generation, "conditions": [{**READY, "observedGeneration": generation}]}


def generations(shown: Object) -> tuple[int | None, int | None]:
    return shown.get("observedGeneration"), shown["conditions"][0].get("observedGeneration")


def test_a_host_that_has_caught_up_has_seen_the_virtual_generation():
    assert generations(told(seen(3), pod({"generation": 7}), generation=3)) == (7, 7)


def test_a_host_that_lags_has_seen_no_generation_yet():
    assert generations(told(seen(2), pod({"generation": 7}), generation=3)) == (None, None)


def test_a_host_that_lags_has_still_seen_what_it_had_seen():
    virtual = pod({"generation": 7}, status=seen(5))
    assert generations(told(seen(2), virtual, generation=3)) == (5, 5)


def test_a_change_that_the_host_was_not_told_of_has_not_been_seen():
    before, after = pod(), pod({"generation": 2}, status=seen(1), activeDeadlineSeconds=5)
    host = stored(to_host(KEY, before, context()), **seen(1))
    assert generations(status(host, after, context())) == (1, 1)


def test_an_older_host_observes_no_generations():
    assert generations(told({"conditions": [READY]}, pod({"generation": 7}))) == (None, None)


def test_a_host_pod_without_status_gives_nothing_but_the_quality_of_service():
    host = to_host(KEY, pod(), context())
    assert status(host, pod(), context()) == {"qosClass": "BestEffort"}
