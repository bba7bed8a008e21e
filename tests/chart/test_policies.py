"""Quota, limits and network policies of the release's namespace."""

import pytest

from tests.chart.rendering import Object, Refused, nested, render
from tests.chart.test_render import SELECTOR

QUOTA, RANGE = "policies.resourceQuota.enabled", "policies.limitRange.enabled"
FENCED = nested("policies.networkPolicy.enabled", True)


def kinds(values: Object) -> set[str]:
    """Which of both are rendered."""
    return {item["kind"] for item in render(values).objects} & {"ResourceQuota", "LimitRange"}


def policies(**parts: Object) -> Object:
    return {"policies": {f"{name}": value for name, value in parts.items()}}


def test_nothing_is_limited_by_default():
    assert kinds({}) == set()
    assert not render().of("NetworkPolicy")


@pytest.mark.parametrize(
    ("quota", "limits", "expected"),
    [
        (True, "auto", {"ResourceQuota", "LimitRange"}),
        ("auto", True, {"ResourceQuota", "LimitRange"}),
        ("true", "auto", {"ResourceQuota", "LimitRange"}),
        (True, False, {"ResourceQuota"}),
        (False, True, {"LimitRange"}),
        (False, "auto", set()),
    ],
)
def test_auto_follows_the_other(quota, limits, expected):
    assert kinds(policies(resourceQuota={"enabled": quota}, limitRange={"enabled": limits})) == expected


def test_the_quota_has_the_known_limits_and_those_of_the_values():
    quota = {"requests.cpu": 2000000, "count/pods": None, "requests.nvidia.com/gpu": "1"}
    hard = render(policies(resourceQuota={"enabled": True, "quota": quota})).get("ResourceQuota", "vc-alpha")["spec"][
        "hard"
    ]
    assert hard["requests.cpu"] == "2000000"
    assert hard["requests.nvidia.com/gpu"] == "1"
    assert hard["limits.memory"] == "40Gi"
    assert "count/pods" not in hard


def test_the_limit_range_limits_containers():
    limits = render(policies(limitRange={"enabled": True, "max": {"cpu": "4"}})).get("LimitRange", "vc-alpha")
    (item,) = limits["spec"]["limits"]
    assert item["type"] == "Container"
    assert item["max"] == {"cpu": "4"}
    assert set(item) == {"type", "default", "defaultRequest", "max"}


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_a_quota_that_the_own_service_breaks_is_refused(kind):
    values = nested(QUOTA, True) | nested("controlPlane.service.spec.type", kind)
    with pytest.raises(Refused, match=r"set its services.nodeports to 2 or more"):
        render(values)
    values["policies"]["resourceQuota"]["quota"] = {"services.nodeports": 2}
    assert render(values)


def own() -> Object:
    labels = {key: value for key, value in SELECTOR.items() if not key.endswith("component")}
    unmarked = [{"key": "sublet.dev/managed-by", "operator": "DoesNotExist"}]
    return {"podSelector": {"matchLabels": labels, "matchExpressions": unmarked}}


TENANTS = {"podSelector": {"matchLabels": {"sublet.dev/managed-by": "alpha"}}}


def test_the_tenants_pods_reach_each_other_their_api_server_and_what_is_public():
    spec = render(FENCED).get("NetworkPolicy", "vc-work-alpha")["spec"]
    assert {"podSelector": spec["podSelector"]} == TENANTS
    api, peers, public = spec["egress"]
    assert api == {"to": [own()], "ports": [{"port": 8443, "protocol": "TCP"}]}
    assert peers == {"to": [TENANTS]}
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(public["to"][0]["ipBlock"]["except"])
    assert spec["ingress"] == [{"from": [own(), TENANTS]}]


def test_nothing_public_is_reached_if_it_is_switched_off():
    values = nested("policies.networkPolicy", {"enabled": True, "workload": {"publicEgress": {"enabled": False}}})
    assert len(render(values).get("NetworkPolicy", "vc-work-alpha")["spec"]["egress"]) == 2


def test_the_control_plane_is_reached_at_its_api_alone():
    spec = render(FENCED).get("NetworkPolicy", "vc-cp-alpha")["spec"]
    assert {"podSelector": spec["podSelector"]} == own()
    assert spec["ingress"] == [{"ports": [{"port": 8443, "protocol": "TCP"}]}, {"from": [own()]}]
    assert spec["egress"][1] == {"to": [own(), TENANTS]}


@pytest.mark.parametrize(("part", "name"), [("workload", "vc-work-alpha"), ("controlPlane", "vc-cp-alpha")])
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_rules_of_the_values_come_last(part, name, direction):
    rule = {"ports": [{"port": 5432, "protocol": "TCP"}]}
    values = nested("policies.networkPolicy", {"enabled": True, part: {direction: [rule]}})
    assert render(values).get("NetworkPolicy", name)["spec"][direction][-1] == rule


def test_the_virtual_name_server_may_ask_others_unless_there_is_none():
    assert render(FENCED).get("NetworkPolicy", "vc-kube-dns-alpha")["spec"]["policyTypes"] == ["Egress"]
    without = FENCED | nested("controlPlane.coredns.enabled", False)
    assert len(render(without).of("NetworkPolicy")) == 2


def test_an_embedded_dns_server_is_open_to_the_tenants_pods_and_no_policy_is_left_for_pods_of_its_own():
    values = FENCED | nested("controlPlane.coredns.embedded", True)
    (rule,) = (
        rule
        for rule in render(values).get("NetworkPolicy", "vc-cp-alpha")["spec"]["ingress"]
        if {"port": 1053, "protocol": "UDP"} in rule.get("ports", [])
    )
    assert rule["from"] == [{"podSelector": {"matchLabels": {"sublet.dev/managed-by": "alpha"}}}]
    assert "vc-kube-dns-alpha" not in {item["metadata"]["name"] for item in render(values).of("NetworkPolicy")}
