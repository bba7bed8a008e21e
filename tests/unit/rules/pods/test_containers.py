"""Environment, images and references of containers."""

from __future__ import annotations

import pytest

from syncer.rules.context import ServiceView
from syncer.rules.pods import to_host
from syncer.values import Pods
from tests.unit.builders import FakeWorld
from tests.unit.rules.pods.samples import KEY, container, context, pod, with_env

HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
REDIS = ServiceView("redis-master", "10.96.0.9", ({"port": 6379, "protocol": "TCP"},))
API = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
    "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    "KUBERNETES_PORT": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
    "KUBERNETES_PORT_443_TCP_PORT": "443",
    "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
}


def world(*services, namespace="shop"):
    return FakeWorld(all_services={namespace: list(services)})


def variables(virtual, surroundings=None, kind="containers"):
    """Plain variables of the first container."""
    host = to_host(KEY, virtual, context(surroundings))
    return {item["name"]: item.get("value") for item in host["spec"][kind][0]["env"]}


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_every_container_is_told_the_virtual_api_server(kind):
    assert variables(pod(initContainers=[container("init")]), kind=kind) == API


def test_the_hosts_own_service_links_are_off():
    assert to_host(KEY, pod(), context())["spec"]["enableServiceLinks"] is False


def test_services_of_the_namespace_are_linked_as_the_kubelet_does():
    assert variables(pod(), world(REDIS)) == API | {
        "REDIS_MASTER_SERVICE_HOST": "10.96.0.9",
        "REDIS_MASTER_SERVICE_PORT": "6379",
        "REDIS_MASTER_PORT": "tcp://10.96.0.9:6379",
        "REDIS_MASTER_PORT_6379_TCP": "tcp://10.96.0.9:6379",
        "REDIS_MASTER_PORT_6379_TCP_PROTO": "tcp",
        "REDIS_MASTER_PORT_6379_TCP_PORT": "6379",
        "REDIS_MASTER_PORT_6379_TCP_ADDR": "10.96.0.9",
    }


def test_each_port_of_a_service_is_linked_and_the_first_one_is_the_default():
    service = ServiceView("dns", "10.96.0.8", (HTTP, {"name": "dns-udp", "port": 53, "protocol": "UDP"}))
    linked = variables(pod(), world(service))
    assert linked["DNS_SERVICE_PORT"] == "80"
    assert linked["DNS_SERVICE_PORT_HTTP"] == "80"
    assert linked["DNS_SERVICE_PORT_DNS_UDP"] == "53"
    assert linked["DNS_PORT"] == "tcp://10.96.0.8:80"
    assert linked["DNS_PORT_53_UDP"] == "udp://10.96.0.8:53"
    assert linked["DNS_PORT_53_UDP_PROTO"] == "udp"


def test_an_ipv6_address_is_bracketed_in_urls_only():
    linked = variables(pod(), world(ServiceView("six", "fd00::1", (HTTP,))))
    assert (linked["SIX_SERVICE_HOST"], linked["SIX_PORT"]) == ("fd00::1", "tcp://[fd00::1]:80")


def test_a_pod_that_wants_no_service_links_gets_the_api_server_only():
    assert variables(pod(enableServiceLinks=False), world(REDIS)) == API


def test_services_of_other_namespaces_are_not_linked():
    assert variables(pod(), world(REDIS, namespace="other")) == API


def test_a_service_called_kubernetes_does_not_hide_the_api_server():
    assert variables(pod(), world(ServiceView("kubernetes", "10.96.0.7", (HTTP,)))).items() >= API.items()


@pytest.mark.parametrize("service", [ServiceView("1st", "10.96.0.7", (HTTP,)), ServiceView("bare", "10.96.0.7", ())])
def test_a_service_without_ports_or_with_an_impossible_variable_name_is_not_linked(service):
    assert variables(pod(), world(service)) == API


def test_links_of_very_many_services_do_not_make_the_pod_too_large():
    many = [ServiceView(f"service-{number}", "10.96.0.7", (HTTP,)) for number in range(3000)]
    virtual = pod(containers=[container("a"), container("b")])
    host = to_host(KEY, virtual, context(world(*many)))
    assert sum(len(item["env"]) for item in host["spec"]["containers"]) <= 4000 + 2 * len(API)


def test_the_authors_own_variable_wins_over_an_added_one():
    virtual = with_env({"name": "KUBERNETES_SERVICE_HOST", "value": "mine"}, {"name": "REDIS_MASTER_PORT"})
    host = to_host(KEY, virtual, context(world(REDIS)))
    env = host["spec"]["containers"][0]["env"]
    assert [item for item in env if item["name"] == "KUBERNETES_SERVICE_HOST"] == [
        {"name": "KUBERNETES_SERVICE_HOST", "value": "mine"}
    ]
    assert [item for item in env if item["name"] == "REDIS_MASTER_PORT"] == [{"name": "REDIS_MASTER_PORT"}]


def test_added_variables_come_first_so_that_others_can_refer_to_them():
    virtual = with_env({"name": "URL", "value": "https://$(KUBERNETES_SERVICE_HOST)"})
    assert list(variables(virtual)) == [*API, "URL"]


def test_a_container_with_env_from_gets_no_variables_that_settings_are_often_named_after():
    virtual = pod(containers=[container(envFrom=[{"configMapRef": {"name": "settings"}}])])
    linked = variables(virtual, world(REDIS))
    assert linked["REDIS_MASTER_SERVICE_HOST"] == "10.96.0.9"
    assert not [name for name in linked if name.startswith("REDIS_MASTER_PORT")]


@pytest.mark.parametrize("kind", ["configMapKeyRef", "secretKeyRef"])
@pytest.mark.parametrize("containers", ["containers", "initContainers"])
def test_a_variable_from_a_key_names_the_host_object(kind, containers):
    reference = {"name": "settings", "key": "k", "optional": True}
    fields = container("c", env=[{"name": "A", "valueFrom": {kind: reference}}])
    host = to_host(KEY, pod(**{"containers": [container()], containers: [fields]}), context())
    expected = {"name": "A", "valueFrom": {kind: {**reference, "name": "settings-x-shop-x-alpha"}}}
    assert expected in host["spec"][containers][0]["env"]


@pytest.mark.parametrize("kind", ["configMapRef", "secretRef"])
def test_variables_from_a_whole_object_name_the_host_object(kind):
    virtual = pod(containers=[container(envFrom=[{"prefix": "P_", kind: {"name": "settings", "optional": True}}])])
    host = to_host(KEY, virtual, context())
    assert host["spec"]["containers"][0]["envFrom"] == [
        {"prefix": "P_", kind: {"name": "settings-x-shop-x-alpha", "optional": True}}
    ]


def test_a_variable_from_a_file_is_left_alone():
    variable = {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}
    assert variable in to_host(KEY, with_env(variable), context())["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(("wanted", "runs"), [("nginx:1.29", "mirror/nginx:1.29"), ("nginx:1.2", "nginx:1.2")])
def test_exactly_the_listed_images_are_translated(wanted, runs):
    virtual = pod(containers=[container(image=wanted)], initContainers=[container("i", image=wanted)])
    host = to_host(KEY, virtual, context(pods=Pods(translate_image={"nginx:1.29": "mirror/nginx:1.29"})))
    assert [host["spec"][kind][0]["image"] for kind in ("containers", "initContainers")] == [runs, runs]


def test_whatever_else_a_container_says_is_kept():
    fields = {
        "command": ["sh"],
        "ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}],
        "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "securityContext": {"privileged": False},
        "resources": {"limits": {"cpu": "1"}},
        "restartPolicy": "Always",
        "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
        "volumeDevices": [{"name": "v", "devicePath": "/dev/x"}],
        "stdin": True,
        "tty": True,
    }
    host = to_host(KEY, pod(containers=[container(**fields)]), context())["spec"]["containers"][0]
    assert {name: host[name] for name in fields} == fields


def test_ephemeral_containers_are_not_part_of_a_new_pod():
    virtual = pod(ephemeralContainers=[{"name": "debugger", "image": "busybox"}])
    assert "ephemeralContainers" not in to_host(KEY, virtual, context())["spec"]
