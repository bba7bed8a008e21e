"""What holds for every pod."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncer.names import Key, Object, token_secret_name
from syncer.rules.context import Context, ServiceView
from syncer.rules.pods import carried, patches, status, to_host, tokens
from syncer.values import Nodes, Pods, RewriteHosts, Toleration
from tests.unit.builders import FakeWorld
from tests.unit.rules.pods.samples import api_access, applied, context, pod, stored

NAMES = st.sampled_from(["a", "db", "web-0", "kube-root-ca.crt", "x-x-y", "n" * 60])
LABELS = st.dictionaries(
    st.sampled_from(["app", "sublet.dev/managed-by", "argocd.argoproj.io/instance"]), st.sampled_from(["", "1", "2"])
)
ANNOTATIONS = st.dictionaries(st.sampled_from(["note", "sublet.dev/uid", "argocd.argoproj.io/x"]), st.text(max_size=5))
FIELDS = st.sampled_from(
    ["metadata.name", "metadata.uid", "spec.serviceAccountName", "status.podIP", "metadata.labels['app']"]
)
FILES = st.sampled_from(
    ["metadata.labels", "metadata.annotations", "metadata.namespace", "metadata.annotations['note']"]
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional=fields)


def named(name: str = "name") -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({name: NAMES})


def lists(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(strategy, max_size=3)


def uniquely_named(strategy: st.SearchStrategy[Object], *, least: int = 0) -> st.SearchStrategy[list[Object]]:
    def numbered(found: list[Object]) -> list[Object]:
        return [{"name": f"n{index}", **item} for index, item in enumerate(found)]

    return st.lists(strategy, min_size=least, max_size=3).map(numbered)


files = st.lists(FILES.map(lambda path: {"path": "p", "fieldRef": {"fieldPath": path}}), max_size=2)
selector = optional(matchLabels=LABELS, matchExpressions=st.just([{"key": "app", "operator": "Exists"}]))
resources = optional(requests=optional(cpu=st.sampled_from(["1", "2"])), limits=optional(memory=st.just("1Gi")))
variable = st.fixed_dictionaries({"name": st.sampled_from(["A", "KUBERNETES_PORT", "DB_PORT"])}) | st.one_of(
    FIELDS.map(lambda path: {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": path}}}),
    NAMES.map(lambda name: {"name": "C", "valueFrom": {"configMapKeyRef": {"name": name, "key": "k"}}}),
    NAMES.map(lambda name: {"name": "S", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}),
)
container = optional(
    image=st.sampled_from(["nginx", "busybox"]),
    env=lists(variable),
    envFrom=lists(optional(configMapRef=named(), secretRef=named())),
    resources=resources,
    volumeMounts=lists(st.sampled_from([{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/etc/hosts"}])),
)
source = st.one_of(
    st.just({"serviceAccountToken": {"path": "t", "audience": "vault"}}),
    named().map(lambda value: {"configMap": value}),
    named().map(lambda value: {"secret": value}),
    files.map(lambda value: {"downwardAPI": {"items": value}}),
)
volume = st.one_of(
    st.just({"emptyDir": {}}),
    st.just({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}),
    named().map(lambda value: {"configMap": value}),
    named("secretName").map(lambda value: {"secret": value}),
    named("claimName").map(lambda value: {"persistentVolumeClaim": value}),
    named().map(lambda value: {"csi": {"driver": "d", "nodePublishSecretRef": value}}),
    named().map(lambda value: {"cephfs": {"secretRef": value}}),
    files.map(lambda value: {"downwardAPI": {"items": value}}),
    st.lists(source, max_size=3).map(lambda value: {"projected": {"sources": value}}),
)
term = st.fixed_dictionaries(
    {"topologyKey": st.just("zone")},
    optional={
        "labelSelector": selector,
        "namespaces": st.lists(NAMES, max_size=2),
        "namespaceSelector": selector,
        "matchLabelKeys": st.just(["app"]),
    },
)
spec = optional(
    initContainers=uniquely_named(container),
    volumes=uniquely_named(volume).map(lambda found: [*found, api_access()]),
    imagePullSecrets=lists(named()),
    affinity=optional(
        podAntiAffinity=optional(requiredDuringSchedulingIgnoredDuringExecution=lists(term)),
        nodeAffinity=st.just({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}),
    ),
    topologySpreadConstraints=lists(term),
    tolerations=lists(st.sampled_from([{"key": "a"}, {"operator": "Exists"}])).map(
        lambda found: found and [item for index, item in enumerate(found) if item not in found[:index]]
    ),
    nodeSelector=st.none() | st.just({"disk": "ssd"}),
    schedulingGates=st.just([{"name": "gate"}]),
    readinessGates=st.just([{"conditionType": "gate"}]),
    activeDeadlineSeconds=st.integers(1, 9),
    dnsPolicy=st.sampled_from(["Default", "ClusterFirst", "ClusterFirstWithHostNet", "None"]),
    dnsConfig=optional(
        options=lists(st.just({"name": "ndots", "value": "1"})), nameservers=lists(st.just("192.0.2.1"))
    ),
    hostNetwork=st.booleans(),
    hostname=st.just("db"),
    subdomain=st.just("web"),
    setHostnameAsFQDN=st.booleans(),
    enableServiceLinks=st.booleans(),
    serviceAccountName=NAMES,
    resources=resources,
)


@st.composite
def virtual_pods(draw: st.DrawFn) -> Object:
    metadata = {
        "name": draw(st.sampled_from(["web-0", "web.v2", "p" * 70])),
        "labels": draw(LABELS),
        "annotations": draw(ANNOTATIONS),
    }
    if draw(st.booleans()):
        metadata["ownerReferences"] = [{"kind": "DaemonSet", "controller": True}]
    fields = draw(spec)
    fields["containers"] = draw(uniquely_named(container, least=1))
    return pod(metadata, **fields)


def key_of(virtual: Object) -> Key:
    return Key("pods", "shop", virtual["metadata"]["name"])


world = FakeWorld(
    all_namespaces={"shop": {"team": "red"}, "db": {"app": "1"}},
    all_services={"shop": [ServiceView("db", "10.96.0.9", ({"name": "sql", "port": 5432, "protocol": "TCP"},))]},
)
RULES: list[Context] = [
    context(world),
    context(
        world,
        pods=Pods(
            translate_image={"nginx": "mirror/nginx"},
            enforce_tolerations=(Toleration(key="a", value="", effect=""),),
            runtime_class_name="gvisor",
            priority_class_name="tenants",
            rewrite_hosts=RewriteHosts(enabled=True, image="busybox", resources={"limits": {"cpu": "10m"}}),
        ),
        nodes=Nodes(from_host=True, labels={"pool": "tenants"}),
    ),
]
rules = st.sampled_from(RULES)
every_pod = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@every_pod
@given(virtual_pods(), rules)
def test_translation_never_touches_the_virtual_pod(virtual, rules):
    before = copy.deepcopy(virtual)
    host = stored(to_host(key_of(virtual), virtual, rules))
    patches(key_of(virtual), virtual, host, rules)
    status(host, virtual, rules)
    assert virtual == before


@every_pod
@given(virtual_pods(), rules)
def test_a_new_host_pod_has_nothing_to_catch_up_with(virtual, rules):
    key = key_of(virtual)
    assert patches(key, virtual, stored(to_host(key, virtual, rules)), rules) == []


@every_pod
@given(virtual_pods(), rules)
def test_translating_twice_gives_the_same_pod(virtual, rules):
    assert to_host(key_of(virtual), virtual, rules) == to_host(key_of(virtual), copy.deepcopy(virtual), rules)


_NAMING = {
    "configMapKeyRef": "name",
    "secretKeyRef": "name",
    "configMapRef": "name",
    "secretRef": "name",
    "nodePublishSecretRef": "name",
    "configMap": "name",
    "persistentVolumeClaim": "claimName",
}


def host_references(value: Any) -> Iterator[str]:
    """Names of ConfigMaps, Secrets and claims anywhere in an object, found by how Kubernetes calls the fields."""
    if isinstance(value, list):
        for item in value:
            yield from host_references(item)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _NAMING and inner:
                yield inner[_NAMING[name]]
            elif name == "secret" and inner:
                yield inner.get("secretName") or inner["name"]
            elif name == "imagePullSecrets":
                yield from (reference["name"] for reference in inner)
            else:
                yield from host_references(inner)


@every_pod
@given(virtual_pods(), rules)
def test_every_object_that_the_host_pod_names_is_carried_or_its_token_secret(virtual, rules):
    key = key_of(virtual)
    host = to_host(key, virtual, rules)
    expected = {rules.host_name(other.name, other.namespace) for other in carried(virtual)}
    if tokens(virtual):
        expected.add(token_secret_name(key.name, key.namespace, rules.cluster))
    assert set(host_references(host["spec"])) == expected


@every_pod
@given(virtual_pods(), rules)
def test_no_host_pod_speaks_to_the_hosts_own_api_server(virtual, rules):
    host = to_host(key_of(virtual), virtual, rules)
    assert host["spec"]["automountServiceAccountToken"] is False
    for container in host["spec"]["containers"]:
        assert "KUBERNETES_SERVICE_HOST" in {item["name"] for item in container["env"]}
    for item in host["spec"].get("volumes", []):
        for projection in (item.get("projected") or {}).get("sources") or []:
            assert "serviceAccountToken" not in projection


@every_pod
@given(virtual_pods(), virtual_pods(), rules)
def test_a_host_pod_catches_up_with_any_change_in_one_go(before, after, rules):
    # Only what Kubernetes lets change: metadata, and these fields of the spec.
    changeable = ("tolerations", "activeDeadlineSeconds", "schedulingGates")
    changed = {name: value for name, value in before["spec"].items() if name not in changeable}
    changed |= {name: value for name, value in after["spec"].items() if name in changeable}
    metadata = {**before["metadata"], "labels": after["metadata"]["labels"]}
    metadata["annotations"] = after["metadata"]["annotations"]
    virtual, key = {**before, "metadata": metadata, "spec": changed}, key_of(before)
    host = stored(to_host(key, before, rules))
    for patch in patches(key, virtual, host, rules):
        host = applied(host, patch)
    assert patches(key, virtual, host, rules) == []
    wanted = to_host(key, virtual, rules)["metadata"]
    assert host["metadata"]["labels"] == wanted["labels"]


conditions = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Ready", "PodScheduled", "gate", "Custom"]),
            "status": st.sampled_from(["True", "False"]),
        },
        optional={
            "observedGeneration": st.integers(1, 3),
            "message": st.just("pod tenants/web-0-x-shop-x-alpha"),
            "lastTransitionTime": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"]),
        },
    ),
    unique_by=lambda condition: condition["type"],
    max_size=4,
)
statuses = st.fixed_dictionaries(
    {"conditions": conditions},
    optional={
        "observedGeneration": st.integers(1, 3),
        "containerStatuses": uniquely_named(st.just({"image": "mirror/nginx", "state": {"waiting": {"reason": "x"}}})),
        "message": st.text(max_size=20),
    },
)


@every_pod
@given(virtual_pods(), statuses, statuses, st.integers(1, 3), rules)
def test_a_status_once_written_is_not_written_again(virtual, own, theirs, generation, rules):
    virtual["status"] |= own
    host = stored(to_host(key_of(virtual), virtual, rules), **theirs)
    host["metadata"]["generation"] = generation
    wanted = status(host, virtual, rules)
    assert status(host, {**virtual, "status": wanted}, rules) == wanted


@every_pod
@given(virtual_pods(), statuses, statuses, rules)
def test_both_sides_agree_on_readiness_gates_after_one_exchange(virtual, own, theirs, rules):
    virtual["spec"]["readinessGates"] = [{"conditionType": "gate"}]
    virtual["status"] |= own
    key = key_of(virtual)
    host = stored(to_host(key, virtual, rules), **theirs)
    for patch in patches(key, virtual, host, rules):
        host = applied(host, patch)
    virtual = {**virtual, "status": status(host, virtual, rules)}
    gates = [
        {condition["type"]: condition["status"] for condition in side["status"]["conditions"]}.get("gate")
        for side in (virtual, host)
        if side["status"].get("conditions")
    ]
    assert len(set(gates)) <= 1
    assert patches(key, virtual, host, rules) == []
