"""The etcd of the release's own: its members' StatefulSet, who reaches them, and what is refused."""

from __future__ import annotations

import pytest

from tests.chart.rendering import Object, Refused, nested, put, render
from tests.chart.test_rbac import OWN
from tests.chart.test_render import SELECTOR
from tests.chart.test_security import TOKEN_PATH, violations

DEPLOY = "controlPlane.backingStore.etcd.deploy"
SET = f"{DEPLOY}.statefulSet"
LABELS = SELECTOR | {"app.kubernetes.io/component": "etcd"}
HOST = "alpha-etcd-{}.alpha-etcd-headless.tenant.svc"


def deployed(members: int = 3, **more: object) -> Object:
    """Values for so many members, and more by path below the StatefulSet with `__` for dots."""
    values = nested(f"{DEPLOY}.enabled", True)
    put(values, f"{SET}.highAvailability.replicas", members)
    for path, value in more.items():
        put(values, f"{SET}.{path.replace('__', '.')}", value)
    return values


def members(**more: object) -> Object:
    """The StatefulSet's spec."""
    spec: Object = render(deployed(**more)).get("StatefulSet", "alpha-etcd")["spec"]
    return spec


def pod(**more: object) -> Object:
    spec: Object = members(**more)["template"]["spec"]
    return spec


def container(name: str, **more: object) -> Object:
    spec = pod(**more)
    (found,) = (item for item in spec["initContainers"] + spec["containers"] if item["name"] == name)
    return found


def flags(**more: object) -> list[str]:
    command = container("member", **more)["command"]
    return command[command.index("--") + 1 :]


def test_there_is_nothing_of_it_unless_it_is_asked_for():
    assert not [item for item in render().objects if "-etcd" in item["metadata"]["name"]]
    assert "etcdMembers" not in render().config["cluster"]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_api_server_knows_every_member_and_shows_a_certificate(count):
    endpoints = ",".join(f"https://{HOST.format(number)}:2379" for number in range(count))
    rendered = render(deployed(count))
    assert {
        f"--etcd-servers={endpoints}",
        "--etcd-cafile=/pki/etcd/ca.crt",
        "--etcd-certfile=/pki/etcd/client.crt",
        "--etcd-keyfile=/pki/etcd/client.key",
    } <= set(rendered.container("apiserver")["command"])
    assert rendered.config["cluster"]["etcdMembers"] == count
    assert rendered.config["cluster"]["store"] == "etcd.deploy"
    assert "store" not in {item["name"] for item in rendered.pod["initContainers"]}
    assert "volumeClaimTemplates" not in rendered.get("StatefulSet")["spec"]


def test_members_are_formed_at_once_and_found_before_they_are_ready():
    spec = members()
    assert spec["replicas"] == 3
    assert spec["podManagementPolicy"] == "Parallel"
    service = render(deployed()).get("Service", spec["serviceName"])["spec"]
    assert service["publishNotReadyAddresses"] is True
    assert service["clusterIP"] == "None"
    assert {port["port"] for port in service["ports"]} == {2379, 2380}


def test_nothing_that_selects_the_control_plane_selects_a_member():
    rendered = render(deployed() | {"policies": {"networkPolicy": {"enabled": True}}})
    labels = rendered.get("StatefulSet", "alpha-etcd")["spec"]["template"]["metadata"]["labels"]
    assert labels == LABELS
    for service in ("alpha", "alpha-headless"):
        assert not rendered.get("Service", service)["spec"]["selector"].items() <= labels.items()
    assert rendered.get("Service", "alpha-etcd-headless")["spec"]["selector"] == LABELS
    assert not LABELS.items() <= rendered.get("StatefulSet")["spec"]["template"]["metadata"]["labels"].items()


def test_where_policies_fence_the_release_members_are_among_its_own_pods():
    rendered = render(deployed() | {"policies": {"networkPolicy": {"enabled": True}}})
    own = rendered.get("NetworkPolicy", "vc-cp-alpha")["spec"]["podSelector"]["matchLabels"]
    assert own.items() <= LABELS.items()
    assert "app.kubernetes.io/component" not in own


def test_tls_is_asked_for_both_ways_on_both_ports():
    for prefix in ("", "peer-"):
        assert {
            f"--{prefix}client-cert-auth=true",
            f"--{prefix}trusted-ca-file=/tls/ca.crt",
            f"--{prefix}cert-file=/tls/server.crt",
            f"--{prefix}client-cert-file=/tls/member.crt",
        } <= set(flags())


def test_members_have_their_own_certificates_and_not_the_key_of_the_ca():
    (volume,) = (item for item in pod()["volumes"] if item["name"] == "tls")
    assert volume["secret"]["secretName"] == "alpha-etcd-certs"
    assert {item["key"] for item in volume["secret"]["items"]} == {
        *("ca.crt", "server.crt", "server.key", "member.crt", "member.key")
    }


def test_no_container_of_a_member_holds_a_credential_for_the_host():
    spec = pod()
    assert spec["automountServiceAccountToken"] is False
    assert not any("projected" in volume for volume in spec["volumes"])
    for item in spec["initContainers"] + spec["containers"]:
        assert not any(mount["mountPath"] == TOKEN_PATH for mount in item.get("volumeMounts", ()))


@pytest.mark.parametrize("security", [{}, {"runAsUser": 1000}])
def test_members_satisfy_pod_security_restricted(security):
    spec = pod(security__podSecurityContext=security)
    assert violations(spec) == []
    assert spec["securityContext"] == render().pod["securityContext"] | security
    assert container("etcd", security__containerSecurityContext=security)["securityContext"] == {
        **render().container("pki")["securityContext"],
        **security,
    }


def test_the_control_plane_may_read_and_change_one_secret_more_and_nothing_else():
    rules = render(deployed()).get("Role", "vc-alpha")["rules"]
    default = render().get("Role", "vc-alpha")["rules"]
    names = ["alpha-certs", "alpha-etcd-certs", "vc-alpha"]
    assert [rule for rule in rules if rule not in default] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": ["get", "patch", "update"]}
    ]
    assert len(rules) == len(default) >= len(OWN)


def test_the_image_is_there_before_a_member_joins_and_the_init_step_decides_before_etcd_starts():
    spec = pod()
    assert [item["name"] for item in spec["initContainers"]] == ["image", "member"]
    assert spec["initContainers"][0]["image"] == spec["containers"][0]["image"] == "registry.k8s.io/etcd:3.6.8-0"
    assert spec["initContainers"][1]["image"] == render().container("pki")["image"]
    assert spec["containers"][0]["command"] == ["etcd", "--config-file=/run/etcd/etcd.yaml"]


def test_flags_of_the_values_come_last():
    assert flags(extraArgs=["--quota-backend-bytes=4000000000"])[-1] == "--quota-backend-bytes=4000000000"


def test_each_member_has_a_claim_that_outlives_scaling():
    spec = members(persistence__volumeClaim={"size": "9Gi", "storageClass": "fast", "retentionPolicy": "Delete"})
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["resources"]["requests"]["storage"] == "9Gi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_without_claims_data_are_lost_with_the_pod():
    spec = members(persistence__volumeClaim__enabled=False)
    assert "volumeClaimTemplates" not in spec
    assert {"name": "data", "emptyDir": {}} in spec["template"]["spec"]["volumes"]


@pytest.mark.parametrize(("count", "budgets"), [(1, 0), (3, 1), (5, 1)])
def test_of_several_members_the_host_evicts_one_at_a_time(count, budgets):
    found = [item for item in render(deployed(count)).of("PodDisruptionBudget") if "etcd" in item["metadata"]["name"]]
    assert len(found) == budgets
    for item in found:
        assert item["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}


def test_several_members_rather_not_share_a_node():
    (term,) = pod()["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == LABELS
    assert "affinity" not in pod(members=1)
    assert pod(scheduling__affinity={"nodeAffinity": {}})["affinity"] == {"nodeAffinity": {}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("nodeSelector", {"disk": "fast"}),
        ("tolerations", [{"operator": "Exists"}]),
        ("topologySpreadConstraints", [{"maxSkew": 1}]),
        ("priorityClassName", "high"),
    ],
)
def test_scheduling_follows_the_values(path, value):
    assert pod(**{f"scheduling__{path}": value})[path] == value


def test_volumes_of_the_users_reach_etcd():
    mount = {"name": "more", "mountPath": "/more"}
    more = {"persistence__addVolumes": [{"name": "more", "emptyDir": {}}], "persistence__addVolumeMounts": [mount]}
    assert {"name": "more", "emptyDir": {}} in pod(**more)["volumes"]
    assert mount in container("etcd", **more)["volumeMounts"]


def test_its_probes_need_no_client_and_only_readiness_needs_a_majority():
    etcd = container("etcd")
    assert {etcd[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness")} == {"/livez"}
    assert etcd["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_several_control_plane_pods_share_it():
    values = deployed()
    put(values, "controlPlane.statefulSet.highAvailability.replicas", 2)
    assert render(values).get("StatefulSet")["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (deployed(2), "highAvailability.replicas is 2; set it to 1, 3 or 5"),
        (deployed(0), "highAvailability.replicas is 0; set it to 1, 3 or 5"),
        (deployed(extraArgs=["--data-dir=/elsewhere"]), "extraArgs has --data-dir"),
        (deployed(extraArgs=["--initial-cluster-state=new"]), "extraArgs has --initial-cluster-state"),
        (deployed(extraArgs=["--listen-client-urls=http://a"]), "extraArgs has --listen-client-urls"),
        (deployed(scheduling__podManagementPolicy="OrderedReady"), "the members form a cluster at once"),
        (deployed(persistence__volumeClaimTemplates=[{}]), "volumeClaim"),
        (nested(f"{DEPLOY}.service.annotations", {"a": "b"}), "headlessService.annotations"),
        (deployed() | nested("exportKubeConfig.additionalSecrets", [{"name": "alpha-etcd-certs"}]), "already taken"),
    ],
)
def test_what_cannot_work_is_refused_with_its_remedy(values, said):
    with pytest.raises(Refused) as caught:
        render(values)
    assert said in str(caught.value)


def test_a_name_that_leaves_no_room_is_refused():
    assert render(deployed(), name="a" * 47)
    with pytest.raises(Refused, match="at most 47"):
        render(deployed(), name="a" * 48)
