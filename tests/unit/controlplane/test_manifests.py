"""The chart's YAML documents, applied in order into the virtual cluster."""

from __future__ import annotations

import pytest

from syncer.controlplane.manifests import apply, parse
from syncer.kube.errors import ApiError, Conflict
from syncer.values import InvalidValue
from tests.unit.engine.fakes import FakeServer, invalid

CORE = [
    {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
    {"name": "namespaces", "kind": "Namespace", "namespaced": False},
    {"name": "pods", "kind": "Pod", "namespaced": True},
    {"name": "pods/status", "kind": "Pod", "namespaced": True},
]
TEXT = """
apiVersion: v1
kind: Namespace
metadata: {name: ns}
---
# nothing here
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, namespace: ns}
data: {a: b}
"""


def serving(**versions):
    virtual = FakeServer("virtual")
    virtual.serves = {"/api/v1": CORE, **versions}
    return virtual


def test_documents_are_read_and_empty_ones_left_out():
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in parse(TEXT, where="v")] == [
        ("Namespace", "ns"),
        ("ConfigMap", "conf"),
    ]
    assert parse("", where="v") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("- a", "no Kubernetes object"),
        ("text", "no Kubernetes object"),
        ("kind: Pod", "no Kubernetes object"),
        ("apiVersion: v1", "no Kubernetes object"),
        ("{apiVersion: v1, kind: Pod}", "a Pod without a name"),
        ("{apiVersion: v1, kind: Pod, metadata: }", "a Pod without a name"),
        ("{apiVersion: v1, kind: Pod, metadata: [name]}", "a Pod without a name"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: ''}}", "a Pod without a name"),
    ],
)
def test_what_is_no_object_is_refused_by_the_value_that_holds_it(text, message):
    with pytest.raises(InvalidValue, match=message) as caught:
        parse(text, where="controlPlane.coredns.overwriteManifests")
    assert caught.value.path == "controlPlane.coredns.overwriteManifests"


async def test_objects_are_applied_in_order_by_server_side_apply():
    virtual = serving()
    await apply(virtual, parse(TEXT, where="v"))
    assert virtual.said == ["patch namespaces/ns", "patch configmaps/conf"]
    assert all(
        call.options["content_type"] == "apply" and call.options["force"]
        for call in virtual.calls
        if call.verb == "patch"
    )
    assert virtual.find("configmaps", "ns", "conf")["data"] == {"a": "b"}


async def test_an_object_without_a_namespace_lies_in_default():
    virtual = serving()
    await apply(virtual, parse("{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}}", where="v"))
    assert virtual.find("configmaps", "default", "conf")


async def test_what_a_version_serves_is_asked_once():
    virtual = serving()
    await apply(virtual, parse(TEXT, where="v"))
    assert [call.name for call in virtual.calls if call.verb == "get"] == ["/api/v1"]


async def test_a_group_has_a_path_of_its_own():
    virtual = serving(**{"/apis/apps/v1": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]})
    await apply(
        virtual,
        parse("{apiVersion: apps/v1, kind: Deployment, metadata: {name: dns, namespace: kube-system}}", where="v"),
    )
    assert virtual.find("deployments.apps", "kube-system", "dns")


async def test_a_namespace_that_is_not_there_yet_is_waited_for():
    virtual = serving()
    virtual.refuse("patch", "configmaps", Conflict(404, "NotFound", "namespace"), times=5)
    await apply(virtual, parse(TEXT, where="v"))
    assert virtual.find("configmaps", "ns", "conf")


async def test_a_kind_that_is_never_served_is_an_error_in_the_end():
    with pytest.raises(ApiError, match="serves no Widget in v1"):
        await apply(serving(), parse("{apiVersion: v1, kind: Widget, metadata: {name: w}}", where="v"))


async def test_an_object_that_breaks_a_rule_is_not_tried_again():
    virtual = serving()
    virtual.refuse("patch", "configmaps", invalid(), times=None)
    with pytest.raises(ApiError):
        await apply(virtual, parse(TEXT, where="v"))
    assert virtual.said.count("patch configmaps/conf") == 1
