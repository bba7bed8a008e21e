"""How the API server is reached from outside, and under which names its certificate knows it."""

import pytest

from tests.chart.rendering import Refused, nested, render

ROUTE = {"enabled": True, "host": "api.example.com", "parentRefs": [{"name": "outer", "namespace": "edge"}]}
TLS_ROUTE = {"controlPlane": {"tlsRoute": ROUTE}}
INGRESS = {"controlPlane": {"ingress": {"enabled": True, "host": "api.example.com"}}}


def test_there_is_no_ingress_by_default():
    assert not render().of("Ingress")


def test_an_ingress_leads_to_the_api_server_and_has_tls_passed_through():
    ingress = render(INGRESS).get("Ingress")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert rule["host"] == "api.example.com"
    assert path["backend"]["service"] == {"name": "alpha", "port": {"name": "https"}}
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/ssl-passthrough"] == "true"
    assert path["backend"]["service"]["port"]["name"] in [
        port["name"] for port in render().get("Service")["spec"]["ports"]
    ]


def test_fields_of_the_ingress_are_templates_laid_over_ours():
    spec = {"ingressClassName": "outer", "tls": [{"hosts": ["{{ .Release.Name }}.example.com"], "secretName": "tls"}]}
    values = {"controlPlane": {"ingress": {"enabled": True, "host": "a.example.com", "spec": spec}}}
    found = render(values).get("Ingress")["spec"]
    assert found["ingressClassName"] == "outer"
    assert found["tls"] == [{"hosts": ["alpha.example.com"], "secretName": "tls"}]
    assert found["rules"][0]["host"] == "a.example.com"


def test_rules_of_the_users_replace_ours():
    rules = [{"host": "{{ .Release.Name }}.example.org"}]
    spec = {"enabled": True, "spec": {"rules": rules}}
    assert render({"controlPlane": {"ingress": spec}}).get("Ingress")["spec"]["rules"] == [
        {"host": "alpha.example.org"}
    ]


def test_a_tls_route_leads_from_its_gateway_to_the_api_server():
    assert not render().of("TLSRoute")
    labelled = ROUTE | {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    route = render({"controlPlane": {"tlsRoute": labelled}}).get("TLSRoute")
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["metadata"]["labels"]["a"] == "b"
    assert route["metadata"]["annotations"]["c"] == "d"
    assert route["spec"] == {
        "hostnames": ["api.example.com"],
        "parentRefs": [{"name": "outer", "namespace": "edge"}],
        "rules": [{"backendRefs": [{"name": "alpha", "port": 443}]}],
    }


def test_fields_of_the_tls_route_are_templates_laid_over_ours():
    spec = {"hostnames": ["{{ .Release.Name }}.example.com"], "rules": [{"backendRefs": [{"name": "mine", "port": 1}]}]}
    refs = [{"name": "{{ .Release.Namespace }}-gateway"}]
    values = {"apiVersion": "gateway.networking.k8s.io/v1alpha3", "parentRefs": refs, "spec": spec}
    route = render({"controlPlane": {"tlsRoute": ROUTE | values}}).get("TLSRoute")
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1alpha3"
    assert route["spec"]["hostnames"] == ["alpha.example.com"]
    assert route["spec"]["rules"] == spec["rules"]
    assert route["spec"]["parentRefs"] == [{"name": "tenant-gateway"}]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (INGRESS, ["api.example.com"]),
        (TLS_ROUTE, ["api.example.com"]),
        ({"controlPlane": {"tlsRoute": ROUTE | {"enabled": False}}}, []),
        (nested("controlPlane.ingress.host", "unused.example.com"), []),
        (nested("exportKubeConfig.server", "https://api.example.com:6443/path"), ["api.example.com"]),
        (nested("exportKubeConfig.server", "https://[2001:db8::1]:6443"), ["2001:db8::1"]),
        (
            nested(
                "exportKubeConfig.additionalSecrets",
                [
                    {"name": "a", "server": "https://192.0.2.1"},
                    {"name": "b"},
                    {"name": "c", "server": "https://192.0.2.1"},
                ],
            ),
            ["192.0.2.1"],
        ),
        (INGRESS | nested("exportKubeConfig.server", "https://api.example.com"), ["api.example.com"]),
    ],
)
def test_the_certificate_knows_every_name_by_which_values_say_the_api_server_is_reached(values, names):
    assert render(values).config["cluster"]["extraSANs"] == names


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (nested("controlPlane.ingress.enabled", True), "set controlPlane.ingress.host"),
        ({"controlPlane": {"tlsRoute": ROUTE | {"host": ""}}}, "set controlPlane.tlsRoute.host"),
        ({"controlPlane": {"tlsRoute": ROUTE | {"parentRefs": []}}}, "name one in controlPlane.tlsRoute.parentRefs"),
        ({"controlPlane": {"tlsRoute": ROUTE | {"apiVersion": "v1"}}}, "apiVersion"),
        (nested("controlPlane.service.httpsNodePort", 30443), "set controlPlane.service.spec.type"),
        (
            {"controlPlane": {"service": {"kubeletNodePort": 30250, "spec": {"type": "LoadBalancer"}}}},
            "does not show the kubelet API",
        ),
    ],
)
def test_what_cannot_be_reached_is_refused(values, remedy):
    with pytest.raises(Refused, match=remedy):
        render(values)
