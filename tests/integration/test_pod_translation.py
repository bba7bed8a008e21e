"""Real API servers accept what pods are translated to, and what is sent when they change."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from syncer.names import Key, Object
from syncer.rules.context import Context
from syncer.rules.pods import patches, status, to_host
from tests.integration.conftest import ApiServerPair
from tests.integration.servers import ApiServer
from tests.unit.rules.pods.samples import rewriting

CONTENT_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
KEY = Key("pods", "shop", "web-0")


class Client:
    """Requests as the syncer makes them."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        certificate, key = api.ca.issue("admin", groups=("system:masters",))
        self._tls = ssl.create_default_context(cafile=str(api.ca.certificate))
        self._tls.load_cert_chain(str(certificate), str(key))

    def request(
        self, method: str, path: str, body: Object | None = None, content_type: str = "application/json"
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._api.url + path, data=data, method=method)
        request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None


def path(pod: Object, subresource: str = "") -> str:
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}{subresource}"


class Border:
    """One pod on both servers."""

    def __init__(self, pair: ApiServerPair, context: Context) -> None:
        self.virtual, self.host, self.context = Client(pair.virtual), Client(pair.host), context

    def create(self, spec: Object) -> Object:
        """Creates the pod on both sides and returns the virtual one."""
        metadata = {"name": KEY.name, "namespace": KEY.namespace, "labels": {"app": "web", "tier": "front"}}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        virtual: Object = self.virtual.request("POST", f"/api/v1/namespaces/{KEY.namespace}/pods", body)
        body = to_host(KEY, virtual, self.context)
        del body["metadata"]["ownerReferences"]  # its uid is made up
        self.host.request(
            "POST", f"/api/v1/namespaces/{body['metadata']['namespace']}/pods?fieldValidation=Strict", body
        )
        return virtual

    def change(self, body: Object, subresource: str = "") -> Object:
        """Changes the virtual pod."""
        return dict(
            self.virtual.request(
                "PATCH", f"/api/v1/namespaces/shop/pods/web-0{subresource}", body, CONTENT_TYPES["strategic"]
            )
        )

    def both(self) -> tuple[Object, Object]:
        virtual = self.virtual.request("GET", "/api/v1/namespaces/shop/pods/web-0")
        return virtual, self.host.request("GET", "/api/v1/namespaces/tenants/pods/web-0-x-shop-x-alpha")

    def follow(self) -> Object:
        """Sends what the host needs, checks that nothing more is to be sent, and returns the host pod."""
        virtual, host = self.both()
        for patch in patches(KEY, virtual, host, self.context):
            subresource = f"/{patch.subresource}" if patch.subresource else ""
            self.host.request("PATCH", path(host, subresource), patch.body, CONTENT_TYPES[patch.content_type])
        virtual, host = self.both()
        assert patches(KEY, virtual, host, self.context) == []
        return host

    def clean(self) -> None:
        for client, where in (
            (self.virtual, "/api/v1/namespaces/shop/pods/web-0"),
            (self.host, "/api/v1/namespaces/tenants/pods/web-0-x-shop-x-alpha"),
        ):
            with suppress(AssertionError):
                client.request("DELETE", f"{where}?gracePeriodSeconds=0")


@pytest.fixture(scope="module")
def namespaces(api_server_pair: ApiServerPair) -> None:
    api_server_pair.virtual.make_namespace("shop")
    api_server_pair.host.make_namespace("tenants")
    api_server_pair.host.kubectl("create", "--namespace", "tenants", "serviceaccount", "vc-workload-alpha")


@pytest.fixture
def border(api_server_pair: ApiServerPair, namespaces: None) -> Iterator[Border]:
    border = Border(api_server_pair, rewriting())
    yield border
    border.clean()


def container(name: str = "app", **fields: Any) -> Object:
    return {"name": name, "image": "nginx:1.29", **fields}


def everything() -> Object:
    """A pod that uses about every field that translation touches."""
    selector = {"matchLabels": {"app": "web"}}
    term = {
        "labelSelector": selector,
        "topologyKey": "kubernetes.io/hostname",
        "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
        "matchLabelKeys": ["tier"],
    }
    files = [
        {"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}}
        for name in ("name", "namespace", "uid", "labels", "annotations")
    ]
    env = [
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['sublet.dev/x']"}}},
        {"name": "NOTE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['sublet.dev/x']"}}},
        {"name": "ACCOUNT", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}},
        {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "k"}}},
    ]
    volumes: list[Object] = [
        {"name": "files", "downwardAPI": {"items": files}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
        {
            "name": "scratch",
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                }
            },
        },
        {"name": "csi", "csi": {"driver": "d.example.org", "nodePublishSecretRef": {"name": "s"}}},
        {"name": "cephfs", "cephfs": {"monitors": ["192.0.2.1"], "secretRef": {"name": "s"}}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"configMap": {"name": "settings"}},
                    {"secret": {"name": "password"}},
                    {"downwardAPI": {"items": files[:1]}},
                    {"serviceAccountToken": {"path": "vault", "audience": "vault", "expirationSeconds": 600}},
                ]
            },
        },
    ]
    return {
        "subdomain": "web",
        "setHostnameAsFQDN": True,
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}, {"name": "use-vc"}], "searches": ["example.org"]},
        "imagePullSecrets": [{"name": "registry"}],
        "priorityClassName": "system-node-critical",
        "initContainers": [container("setup", env=env), container("proxy", restartPolicy="Always")],
        "containers": [
            container(env=env, envFrom=[{"secretRef": {"name": "password"}}]),
            container("b", volumeMounts=[{"name": "files", "mountPath": "/files"}]),
        ],
        "volumes": volumes,
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [term],
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "labelSelector": selector,
                            "topologyKey": "zone",
                            "namespaces": ["db"],
                            "namespaceSelector": {},
                        },
                    }
                ],
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": selector,
                "matchLabelKeys": ["tier"],
            }
        ],
        "readinessGates": [{"conditionType": "example.org/lb"}],
    }


def test_a_pod_with_everything_is_accepted(border):
    border.create(everything())
    border.follow()


def test_a_plain_pod_needs_no_update(border):
    border.create({"containers": [container()]})
    virtual, host = border.both()
    assert patches(KEY, virtual, host, border.context) == []


def test_changes_of_a_pod_are_accepted(border):
    border.create({"containers": [container()], "initContainers": [container("setup")], "activeDeadlineSeconds": 60})
    border.change(
        {
            "metadata": {"labels": {"app": None, "new": "1"}, "annotations": {"note": "x"}},
            "spec": {
                "activeDeadlineSeconds": 30,
                "containers": [{"name": "app", "image": "nginx:2"}],
                "initContainers": [{"name": "setup", "image": "nginx:3"}],
            },
        }
    )
    host = border.follow()
    assert host["metadata"]["labels"].keys() >= {"new", "sublet.dev/managed-by"}
    assert "app" not in host["metadata"]["labels"]
    assert host["spec"]["activeDeadlineSeconds"] == 30
    assert host["spec"]["containers"][0]["image"] == "nginx:2"
    assert host["spec"]["initContainers"][0]["image"] == "nginx:3"


def test_new_tolerations_are_accepted(border):
    border.create({"containers": [container()]})
    virtual, _ = border.both()
    tolerations = [{**item, "tolerationSeconds": 7} for item in virtual["spec"]["tolerations"]]
    border.change({"spec": {"tolerations": [*tolerations, {"key": "gpu", "operator": "Exists"}]}})
    assert border.follow()["spec"]["tolerations"] == [*tolerations, {"key": "gpu", "operator": "Exists"}]


def test_a_lifted_gate_with_fewer_nodes_is_accepted(border):
    border.create({"containers": [container()], "schedulingGates": [{"name": "a.example.org/x"}, {"name": "b"}]})
    border.change({"spec": {"nodeSelector": {"pool": "x"}, "schedulingGates": [{"$patch": "delete", "name": "b"}]}})
    host = border.follow()
    assert (host["spec"]["schedulingGates"], host["spec"]["nodeSelector"]) == (
        [{"name": "a.example.org/x"}],
        {"pool": "x"},
    )
    border.change({"spec": {"schedulingGates": [{"$patch": "delete", "name": "a.example.org/x"}]}})
    assert "schedulingGates" not in border.follow()["spec"]


def test_a_resize_is_accepted(border):
    border.create({"containers": [container(resources={"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}})]})
    sizes = {"requests": {"cpu": "1500m"}, "limits": {"memory": "2048Mi"}}
    border.change({"spec": {"containers": [{"name": "app", "resources": sizes}]}}, "/resize")
    assert border.follow()["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "1500m"


def test_an_ephemeral_container_is_accepted(border):
    border.create({"containers": [container()]})
    for name in ("first", "second"):
        debugger = {"name": name, "image": "busybox", "targetContainerName": "app", "stdin": True}
        border.change({"spec": {"ephemeralContainers": [debugger]}}, "/ephemeralcontainers")
        host = border.follow()
    assert {item["name"] for item in host["spec"]["ephemeralContainers"]} == {"first", "second"}


def test_readiness_gates_go_to_the_host_and_its_status_comes_back(border):
    gate = "example.org/lb"
    border.create({"containers": [container()], "readinessGates": [{"conditionType": gate}]})
    for value in ("True", "False"):
        border.change({"status": {"conditions": [{"type": gate, "status": value}]}}, "/status")
        host = border.follow()
        assert {item["type"]: item["status"] for item in host["status"]["conditions"]}[gate] == value
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s-x-shop-x-alpha" not found'}}
    reported = {
        "phase": "Pending",
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "False", "observedGeneration": 1}],
        "containerStatuses": [
            {
                "name": name,
                "image": "nginx:1.29",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": waiting,
                "lastState": {},
            }
            for name in ("injected", "app")
        ],
    }
    border.host.request("PATCH", path(host, "/status"), {"status": reported}, CONTENT_TYPES["strategic"])
    virtual, host = border.both()
    wanted = status(host, virtual, border.context)
    border.virtual.request("PATCH", path(virtual, "/status"), {"status": wanted}, CONTENT_TYPES["merge"])
    virtual, host = border.both()
    assert virtual["status"] == wanted == status(host, virtual, border.context)
    assert [item["name"] for item in virtual["status"]["containerStatuses"]] == ["app"]
    assert border.follow()
