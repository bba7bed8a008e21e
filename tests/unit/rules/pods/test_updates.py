"""What is sent to the host after a pod was created."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from syncer.names import Key, Object, namespace_label
from syncer.rules.context import Context, ServiceView
from syncer.rules.pods import patches, to_host
from syncer.rules.pods.updates import is_pending
from syncer.values import Nodes, Pods, Toleration
from tests.unit.builders import FakeWorld
from tests.unit.rules.pods.samples import KEY, applied, container, context, not_ready, pod, stored

GATE = "example.org/lb"


def edited(virtual: Object, **spec: Any) -> Object:
    return {**virtual, "spec": {**virtual["spec"], **spec}}


def relabelled(virtual: Object, **metadata: Any) -> Object:
    return {**virtual, "metadata": {**virtual["metadata"], **metadata}}


def sent(before: Object, after: Object, rules: Context | None = None, host: Object | None = None) -> list[Object]:
    """(subresource, body) of all patches that `after` needs when the host was made from `before`; they must be enough."""
    rules = rules or context()
    host = host or stored(to_host(KEY, before, rules))
    todo = patches(KEY, after, host, rules)
    for patch in todo:
        host = applied(host, patch)
    assert patches(KEY, after, host, rules) == []
    return [(patch.subresource, patch.body) for patch in todo]


def spec_sent(before: Object, after: Object, rules: Context | None = None, host: Object | None = None) -> Object:
    return next(
        (body["spec"] for where, body in sent(before, after, rules, host) if where is None and "spec" in body), {}
    )


def test_a_new_host_pod_needs_nothing():
    assert sent(pod(), pod()) == []


def test_a_pod_on_its_way_out_is_left_alone():
    host = stored(to_host(KEY, pod(), context()))
    host["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert patches(KEY, relabelled(pod(), labels={"new": "x"}), host, context()) == []


def test_labels_are_added_changed_and_removed():
    before = pod({"labels": {"a": "1", "b": "1"}})
    [(where, body)] = sent(before, relabelled(before, labels={"b": "2", "c": "3"}))
    assert where is None
    assert body["metadata"]["labels"] == {"a": None, "b": "2", "c": "3"}


def test_annotations_are_added_changed_and_removed():
    before = pod({"annotations": {"a": "1", "b": "1"}})
    [(_, body)] = sent(before, relabelled(before, annotations={"b": "2", "c": "3"}))
    annotations = body["metadata"]["annotations"]
    assert {name: annotations[name] for name in "abc"} == {"a": None, "b": "2", "c": "3"}


def test_labels_and_annotations_of_the_host_are_left_alone():
    host = stored(to_host(KEY, pod(), context()))
    host = {**host, "metadata": {**host["metadata"], "labels": {**host["metadata"]["labels"], "theirs": "x"}}}
    host["metadata"]["annotations"] = {**host["metadata"]["annotations"], "cni.example.org/ips": "10.1.2.3"}
    assert sent(pod(), pod(), host=host) == []


def test_a_label_that_the_host_set_too_is_no_reason_to_write():
    host = stored(to_host(KEY, pod(), context()))
    host["metadata"] |= {"labels": {**host["metadata"]["labels"], "topology.kubernetes.io/zone": "a"}}
    after = relabelled(pod(), labels={"app": "web", "topology.kubernetes.io/zone": "a"})
    assert sent(pod(), after, host=host) == []


def test_topology_labels_that_come_with_the_virtual_binding_are_not_sent():
    after = relabelled(pod(), labels={"app": "web", "topology.kubernetes.io/zone": "a"})
    assert sent(pod(), after) == []


def test_labels_of_the_namespace_are_followed():
    host = stored(to_host(KEY, pod(), context(FakeWorld(all_namespaces={"shop": {"team": "red", "tier": "x"}}))))
    rules = context(FakeWorld(all_namespaces={"shop": {"team": "blue"}}))
    [(_, body)] = sent(pod(), pod(), rules, host)
    assert body["metadata"]["labels"] == {namespace_label("team"): "blue", namespace_label("tier"): None}


def test_the_texts_of_the_downward_api_are_followed():
    items = [
        {"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "a", "fieldRef": {"fieldPath": "metadata.annotations"}},
    ]
    before = pod(volumes=[{"name": "v", "downwardAPI": {"items": items}}])
    after = relabelled(before, labels={"app": "new"}, annotations={"x": "1"})
    [(_, body)] = sent(before, after)
    assert body["metadata"]["annotations"]["sublet.dev/labels"] == 'app="new"'
    assert body["metadata"]["annotations"]["sublet.dev/annotations"] == 'x="1"'


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_new_image_is_sent_for_its_container_only(kind):
    before = pod(**{"containers": [container()], kind: [container("a"), container("b")]})
    after = edited(before, **{kind: [container("a"), container("b", image="nginx:2")]})
    assert spec_sent(before, after) == {kind: [{"name": "b", "image": "nginx:2"}]}


def test_a_new_image_is_translated():
    rules = context(pods=Pods(translate_image={"nginx:2": "mirror/nginx:2"}))
    after = edited(pod(), containers=[container(image="nginx:2")])
    assert spec_sent(pod(), after, rules)["containers"] == [{"name": "app", "image": "mirror/nginx:2"}]


def test_an_image_that_the_host_rewrote_is_not_fought():
    host = stored(to_host(KEY, pod(), context()))
    host["spec"] |= {"containers": [{**host["spec"]["containers"][0], "image": "registry.example.org/nginx"}]}
    assert sent(pod(), pod(), host=host) == []


def test_an_image_that_the_host_rewrote_stays_when_something_else_changes():
    host = stored(to_host(KEY, pod(), context()))
    host["spec"] |= {"containers": [{**host["spec"]["containers"][0], "image": "registry.example.org/nginx"}]}
    assert "containers" not in spec_sent(pod(), edited(pod(), activeDeadlineSeconds=5), host=host)


def test_an_injected_sidecar_is_left_alone():
    host = stored(to_host(KEY, pod(), context()))
    host["spec"] |= {"containers": [container("proxy"), *host["spec"]["containers"]]}
    after = edited(pod(), containers=[container(image="nginx:2")])
    assert spec_sent(pod(), after, host=host) == {"containers": [{"name": "app", "image": "nginx:2"}]}


@pytest.mark.parametrize(
    ("before", "after", "result"), [(None, 60, 60), (60, 30, 30), (30, 60, None), (60, None, None)]
)
def test_a_deadline_is_only_brought_forward(before, after, result):
    virtual = pod(activeDeadlineSeconds=before)
    changed = edited(virtual, activeDeadlineSeconds=after)
    assert spec_sent(virtual, changed).get("activeDeadlineSeconds") == result


def test_new_tolerations_are_added_to_those_of_the_host():
    rules = context(pods=Pods(enforce_tolerations=(Toleration(key="t", value="", effect=""),)))
    new = {"key": "gpu", "operator": "Exists"}
    after = edited(pod(), tolerations=[not_ready(), new])
    host = stored(to_host(KEY, pod(), rules))
    theirs = {"key": "example.org/host", "operator": "Exists"}
    host["spec"] |= {"tolerations": [*host["spec"]["tolerations"], theirs]}
    assert spec_sent(pod(), after, rules, host)["tolerations"] == [
        not_ready(),
        {"key": "t", "operator": "Exists"},
        theirs,
        new,
    ]


def test_a_toleration_with_another_time_takes_the_place_of_the_old_one():
    after = edited(pod(), tolerations=[not_ready(60)])
    assert spec_sent(pod(), after)["tolerations"] == [not_ready(60)]


def gated(*names: str, **spec: Any) -> Object:
    return pod(schedulingGates=[{"name": name} for name in names], **spec)


def test_a_lifted_gate_is_lifted_on_the_host():
    assert spec_sent(gated("a", "b"), gated("b"))["schedulingGates"] == [{"$patch": "delete", "name": "a"}]


def test_the_last_gate_can_be_lifted():
    after = pod()
    assert spec_sent(gated("a"), after)["schedulingGates"] == [{"$patch": "delete", "name": "a"}]


def test_a_gate_of_the_host_is_left_alone():
    before = gated("a")
    host = stored(to_host(KEY, before, context()))
    host["spec"] |= {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}, {"name": "a"}]}
    assert spec_sent(before, pod(), host=host)["schedulingGates"] == [{"$patch": "delete", "name": "a"}]


def test_a_gated_pod_may_be_narrowed_to_fewer_nodes_as_its_gate_is_lifted():
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    before = gated("a", nodeSelector={"disk": "ssd"})
    after = pod(nodeSelector={"disk": "ssd", "pool": "x"}, affinity=affinity)
    changes = spec_sent(before, after, context(nodes=Nodes(from_host=True, labels={"os": "linux"})))
    assert (changes["nodeSelector"], changes["affinity"]) == ({"pool": "x"}, affinity)


def sized(**resources: Any) -> Object:
    return pod(containers=[container(resources=resources)])


def test_new_resources_are_asked_for_before_they_are_remembered():
    before = sized(requests={"cpu": "1", "memory": "1Gi"}, limits={"memory": "1Gi"})
    after = sized(requests={"cpu": "2", "memory": "1Gi"}, limits={"memory": "2Gi"})
    todo = sent(before, after)
    assert [where for where, _ in todo] == ["resize", None]
    resources = {"requests": {"cpu": "2"}, "limits": {"memory": "2Gi"}}
    assert todo[0][1] == {"spec": {"containers": [{"name": "app", "resources": resources}]}}


def test_a_sidecar_can_be_resized():
    def with_sidecar(cpu: str) -> Object:
        return pod(initContainers=[container("s", restartPolicy="Always", resources={"requests": {"cpu": cpu}})])

    (where, body), _ = sent(with_sidecar("1"), with_sidecar("2"))
    assert where == "resize"
    assert body["spec"] == {"initContainers": [{"name": "s", "resources": {"requests": {"cpu": "2"}}}]}


def test_resources_of_the_whole_pod_can_be_resized():
    (where, body), _ = sent(pod(resources={"limits": {"cpu": "1"}}), pod(resources={"limits": {"cpu": "2"}}))
    assert (where, body) == ("resize", {"spec": {"resources": {"limits": {"cpu": "2"}}}})


def test_resources_that_the_host_filled_in_are_not_fought():
    host = stored(to_host(KEY, pod(), context()))
    app = {**host["spec"]["containers"][0], "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    host["spec"] |= {"containers": [app]}
    assert sent(pod(), pod(), host=host) == []


def test_resources_that_the_host_changed_are_not_fought():
    before = sized(requests={"cpu": "1"})
    host = stored(to_host(KEY, before, context()))
    host["spec"] |= {"containers": [{**host["spec"]["containers"][0], "resources": {"requests": {"cpu": "3"}}}]}
    assert sent(before, before, host=host) == []


def test_a_resize_that_the_host_has_made_by_itself_is_only_remembered():
    before, after = sized(requests={"cpu": "1"}), sized(requests={"cpu": "3"})
    host = stored(to_host(KEY, before, context()))
    host["spec"] |= {"containers": [{**host["spec"]["containers"][0], "resources": {"requests": {"cpu": "3"}}}]}
    assert [where for where, _ in sent(before, after, host=host)] == [None]


def test_a_finished_pod_is_not_resized():
    before, after = sized(requests={"cpu": "1"}), sized(requests={"cpu": "2"})
    host = stored(to_host(KEY, before, context()), phase="Succeeded")
    assert [where for where, _ in sent(before, after, host=host)] == [None]


def test_a_host_pod_that_remembers_nothing_is_told_once():
    host = stored(to_host(KEY, pod(), context()))
    host["metadata"]["annotations"] = {
        name: value for name, value in host["metadata"]["annotations"].items() if name != "sublet.dev/asked"
    }
    [(where, body)] = sent(pod(), pod(), host=host)
    assert (where, list(body["metadata"]["annotations"])) == (None, ["sublet.dev/asked"])


def test_a_new_ephemeral_container_is_translated_and_added():
    debugger = {
        "name": "debugger",
        "image": "busybox",
        "targetContainerName": "app",
        "env": [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    }
    [(where, body)] = sent(pod(), edited(pod(), ephemeralContainers=[debugger]))
    [new] = body["spec"]["ephemeralContainers"]
    assert where == "ephemeralcontainers"
    assert new["targetContainerName"] == "app"
    assert new["env"][-1]["valueFrom"]["secretKeyRef"]["name"] == "s-x-shop-x-alpha"


def test_an_ephemeral_container_of_the_host_is_left_alone():
    host = stored(to_host(KEY, pod(), context()))
    host["spec"] |= {"ephemeralContainers": [{"name": "theirs", "image": "busybox"}]}
    assert sent(pod(), pod(), host=host) == []


def test_a_text_that_only_an_ephemeral_container_reads_is_stored_before_it_starts():
    variable = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}}
    after = edited(pod(), ephemeralContainers=[{"name": "d", "image": "busybox", "env": [variable]}])
    (first, body), (second, _) = sent(pod(), after)
    assert (first, second) == (None, "ephemeralcontainers")
    assert body["metadata"]["annotations"] == {"sublet.dev/service-account": "default"}


def test_services_that_come_and_go_do_not_change_a_running_pod():
    service = ServiceView("db", "10.96.0.9", ({"port": 1, "protocol": "TCP"},))
    assert (
        sent(pod(), pod(), context(FakeWorld(all_services={"shop": [service]})), stored(to_host(KEY, pod(), context())))
        == []
    )


def ready(**condition: Any) -> Object:
    gates = [{"conditionType": GATE}]
    return pod(status={"conditions": [{"type": GATE, **condition}] if condition else []}, readinessGates=gates)


def test_a_readiness_gate_that_the_tenant_opens_is_opened_on_the_host():
    [(where, body)] = sent(ready(), ready(status="True", reason="Up"))
    [condition] = body["status"]["conditions"]
    assert where == "status"
    assert (condition["type"], condition["status"], condition["reason"]) == (GATE, "True", "Up")


def test_a_condition_that_is_no_readiness_gate_is_not_sent():
    after = pod(status={"conditions": [{"type": "DisruptionTarget", "status": "True"}]})
    assert sent(pod(), after) == []


def test_a_closed_readiness_gate_replaces_the_open_one():
    before, after = ready(), ready(status="False", lastTransitionTime="2026-01-01T00:00:05Z")
    opened = {"type": GATE, "status": "True", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    host = stored(to_host(KEY, before, context()), conditions=[opened])
    [(_, body)] = sent(before, after, host=host)
    assert body["status"]["conditions"][0] | {"message": None} == body["status"]["conditions"][0]


def test_a_readiness_gate_that_the_host_turned_later_is_not_turned_back():
    virtual = ready(status="False", lastTransitionTime="2026-01-01T00:00:00Z")
    later = {"type": GATE, "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}
    host = stored(to_host(KEY, virtual, context()), conditions=[later])
    assert sent(virtual, virtual, host=host) == []


@pytest.mark.parametrize(
    ("after", "pending"),
    [
        (pod(), False),
        (relabelled(pod(), labels={"x": "y"}), False),
        (edited(pod(), activeDeadlineSeconds=5), True),
        (edited(pod(), ephemeralContainers=[{"name": "d"}]), True),
    ],
)
def test_only_changes_of_the_spec_are_pending(after, pending):
    assert is_pending(after, stored(to_host(KEY, pod(), context()))) is pending


def test_names_with_dots_and_dashes_are_no_obstacle():
    key = Key("pods", "a-x-b", "web.0")
    virtual = pod({"name": "web.0", "namespace": "a-x-b"})
    host = stored(to_host(key, copy.deepcopy(virtual), context()))
    assert patches(key, virtual, host, context()) == []


def test_a_gate_of_the_hosts_own_does_not_bring_back_what_the_virtual_scheduler_has_settled():
    settled = context(schedules=True)
    before = pod(nodeName="node-1", nodeSelector={"disk": "ssd"})
    host = stored(to_host(KEY, before, settled))
    host["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    after = pod(nodeName="node-1", nodeSelector={"disk": "ssd"}, activeDeadlineSeconds=5)
    (change, _) = patches(KEY, after, host, settled)
    assert change.body == {"spec": {"activeDeadlineSeconds": 5}}
