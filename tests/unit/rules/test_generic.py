"""Plain kinds are translated by their row alone: the chart's rows, applied to objects as people write them."""

from __future__ import annotations

import copy

import pytest

from syncer.names import MANAGED_BY, NAMESPACE, Key
from syncer.rules.generic import carried, to_host
from syncer.rules.table import parse_table
from tests.unit.builders import HOST_NAMESPACE, OWNER, context, key, rule, there, virtual

OURS = {MANAGED_BY: "vc", NAMESPACE: "shop"}
INGRESS = virtual(
    "ingresses",
    metadata={"labels": {"app": "web"}},
    spec={
        "ingressClassName": "nginx",
        "defaultBackend": {"service": {"name": "fallback", "port": {"number": 80}}},
        "tls": [{"hosts": ["a.example"], "secretName": "cert"}, {"hosts": ["b.example"]}],
        "rules": [
            {
                "host": "a.example",
                "http": {
                    "paths": [
                        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web"}}},
                        {"path": "/r", "pathType": "Exact", "backend": {"resource": {"kind": "Bucket", "name": "b"}}},
                    ]
                },
            },
            {"host": "bare.example"},
        ],
    },
)


def translated(obj, resource, **more):
    return to_host(rule(resource), key(resource, obj["metadata"]["name"]), obj, context(**more))


def test_an_ingress_names_the_hosts_services_and_secrets():
    spec = translated(INGRESS, "ingresses")["spec"]
    assert spec == {
        "ingressClassName": "nginx",
        "defaultBackend": {"service": {"name": there("fallback"), "port": {"number": 80}}},
        "tls": [{"hosts": ["a.example"], "secretName": there("cert")}, {"hosts": ["b.example"]}],
        "rules": [
            {
                "host": "a.example",
                "http": {
                    "paths": [
                        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": there("web")}}},
                        {"path": "/r", "pathType": "Exact", "backend": {"resource": {"kind": "Bucket", "name": "b"}}},
                    ]
                },
            },
            {"host": "bare.example"},
        ],
    }


def test_a_host_object_belongs_to_the_release_and_lies_in_its_namespace():
    metadata = translated(INGRESS, "ingresses")["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (there(), HOST_NAMESPACE)
    assert metadata["ownerReferences"] == [OWNER]
    assert metadata["labels"] == {"app": "web", **OURS}


def test_nothing_of_the_tenants_metadata_but_labels_and_annotations_reaches_the_host():
    odd = {
        "finalizers": ["x/y"],
        "ownerReferences": [{"kind": "Pod"}],
        "generateName": "w-",
        "selfLink": "/",
        "uid": "u",
    }
    metadata = translated(virtual("configmaps", metadata=odd), "configmaps")["metadata"]
    assert metadata.keys() == {"name", "namespace", "labels", "annotations", "ownerReferences"}
    assert metadata["ownerReferences"] == [OWNER]


def test_translating_leaves_the_virtual_object_as_it_was():
    before = copy.deepcopy(INGRESS)
    translated(INGRESS, "ingresses")
    assert before == INGRESS


def test_an_ingress_brings_its_certificates_along_and_not_its_services():
    assert set(carried(rule("ingresses"), key("ingresses"), INGRESS)) == {key("secrets", "cert")}


def test_a_network_policy_selects_only_the_tenants_own_pods():
    policy = virtual(
        "networkpolicies",
        spec={
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"app": "a"}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]},
                {"ports": [{"port": 80}]},
            ],
            "egress": [{"to": [{"namespaceSelector": {}}]}, {}],
        },
    )
    assert translated(policy, "networkpolicies")["spec"] == {
        "podSelector": {"matchLabels": OURS},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"app": "a", **OURS}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]},
            {"ports": [{"port": 80}]},
        ],
        "egress": [{"to": [{"podSelector": {"matchLabels": {MANAGED_BY: "vc"}}}]}, {}],
    }


@pytest.mark.parametrize("spec", [{"minAvailable": 1}, {"minAvailable": 1, "selector": None}])
def test_a_disruption_budget_without_a_selector_goes_on_selecting_nothing(spec):
    assert "matchLabels" not in (
        translated(virtual("poddisruptionbudgets", spec=spec), "poddisruptionbudgets")["spec"].get("selector") or {}
    )


def test_the_status_of_a_disruption_budget_is_left_to_the_virtual_clusters_own_controller():
    """Both would write it, with generations that differ, for ever."""
    assert rule("poddisruptionbudgets").host_owns == ()


def test_a_service_account_token_secret_is_plain_on_the_host():
    made = virtual("secrets", type="kubernetes.io/service-account-token", data={"token": "dA=="})
    assert translated(made, "secrets")["type"] == "Opaque"


def test_every_other_type_of_secret_stays():
    assert translated(virtual("secrets", type="kubernetes.io/tls"), "secrets")["type"] == "kubernetes.io/tls"


@pytest.mark.parametrize("name", ["a" * 253, "with.dots.in.it", "a-x-b"])
def test_references_and_names_agree_however_odd_the_name(name):
    secret = translated(virtual("secrets", name), "secrets")
    ingress = virtual("ingresses", spec={"tls": [{"secretName": name}]})
    assert translated(ingress, "ingresses")["spec"]["tls"][0]["secretName"] == secret["metadata"]["name"]


@pytest.mark.parametrize("metadata", [{"labels": None, "annotations": None}, {}, {"labels": {}, "annotations": {}}])
def test_an_object_without_labels_and_annotations_gets_the_marks_alone(metadata):
    made = translated(virtual("configmaps", metadata=metadata), "configmaps")["metadata"]
    assert made["labels"] == OURS
    assert all(name.startswith("sublet.dev/") for name in made["annotations"])


def test_text_of_any_alphabet_reaches_the_host_unchanged():
    text = "naïve ☃ 🎈 ﷽ \u202e \x00"
    made = translated(virtual("configmaps", metadata={"annotations": {"note": text}}, data={"k": text}), "configmaps")
    assert made["metadata"]["annotations"]["note"] == text
    assert made["data"] == {"k": text}


WIDGETS = parse_table(
    [
        {
            "resource": "widgets",
            "group": "example.com",
            "version": "v1",
            "kind": "Widget",
            "scope": "Namespaced",
            "direction": "toHost",
            "tenantOwns": ["spec"],
            "references": [{"path": "spec.refs[*]", "resource": "secrets", "carries": True}],
            "selectors": [{"path": "spec.pods", "form": "labels"}],
            "substitutions": [{"path": "spec.class", "virtual": "a", "host": "b"}],
        }
    ]
)["widgets.example.com"]
WIDGET = Key("widgets.example.com", "shop", "web")


def widget(spec):
    return {"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": spec}


def test_a_plain_map_of_labels_is_narrowed_as_one():
    made = to_host(WIDGETS, WIDGET, widget({"pods": {"app": "a", "team": "b"}}), context())
    assert made["spec"]["pods"] == {"app": "a", context().metadata.label_key("team"): "b", **OURS}


@pytest.mark.parametrize(("value", "expected"), [("a", "b"), ("c", "c"), (1, 1)])
def test_a_substitution_changes_exactly_its_value(value, expected):
    assert to_host(WIDGETS, WIDGET, widget({"class": value}), context())["spec"]["class"] == expected


@pytest.mark.parametrize("odd", ["", 5, True, ["a"], {"name": "a"}, None])
def test_what_is_no_name_is_neither_translated_nor_carried(odd):
    made = widget({"refs": [odd, "cert"]})
    assert to_host(WIDGETS, WIDGET, made, context())["spec"]["refs"] == [odd, there("cert")]
    assert list(carried(WIDGETS, WIDGET, made)) == [key("secrets", "cert")]


@pytest.mark.parametrize("odd", ["app=a", 5, ["a"], True])
def test_a_selector_that_cannot_be_narrowed_keeps_its_object_off_the_host(odd):
    with pytest.raises((AttributeError, TypeError)):
        to_host(WIDGETS, WIDGET, widget({"pods": odd}), context())


@pytest.mark.parametrize("spec", [None, [], "text", 5])
def test_a_spec_of_an_odd_type_is_copied_without_harm(spec):
    made = widget(spec)
    assert to_host(WIDGETS, WIDGET, made, context())["spec"] == spec
    assert list(carried(WIDGETS, WIDGET, made)) == []
