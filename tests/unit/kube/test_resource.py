"""Paths of objects."""

from __future__ import annotations

import pytest

from syncer.kube.resource import Resource

PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress", namespaced=True)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("shop"), "/api/v1/namespaces/shop/pods"),
        (PODS.path("shop", "web"), "/api/v1/namespaces/shop/pods/web"),
        (PODS.path("shop", "web", "status"), "/api/v1/namespaces/shop/pods/web/status"),
        (INGRESSES.path("shop", "web"), "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web"),
        (NODES.path(None, "a"), "/api/v1/nodes/a"),
    ],
)
def test_a_path_follows_the_api_conventions(path: str, expected: str) -> None:
    assert path == expected


def test_a_name_keeps_the_colons_that_roles_have() -> None:
    assert NODES.path(None, "system:node").endswith("/system:node")


@pytest.mark.parametrize(
    ("name", "quoted"), [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("ä", "%C3%A4"), ("a%2e", "a%252e")]
)
def test_a_name_cannot_leave_its_segment(name: str, quoted: str) -> None:
    assert NODES.path(None, name) == f"/api/v1/nodes/{quoted}"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_address_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        PODS.path("shop", name)


def test_a_namespaced_object_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="needs a namespace"):
        PODS.path(None, "web")


def test_a_cluster_object_refuses_a_namespace() -> None:
    with pytest.raises(ValueError, match="not namespaced"):
        NODES.path("shop", "a")


def test_a_subresource_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        PODS.path("shop", None, "status")


@pytest.mark.parametrize(
    ("resource", "key", "api_version"),
    [(PODS, "pods", "v1"), (INGRESSES, "ingresses.networking.k8s.io", "networking.k8s.io/v1")],
)
def test_a_key_is_qualified_by_the_group_if_there_is_one(resource: Resource, key: str, api_version: str) -> None:
    assert (resource.key, resource.api_version) == (key, api_version)
