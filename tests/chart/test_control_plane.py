"""The control plane's pod and Services."""

import pytest

from tests.chart.rendering import nested, render


def flags(container):
    return dict(
        argument.removeprefix("--").partition("=")[::2]
        for argument in container["command"]
        if argument.startswith("--")
    )


def test_the_syncer_starts_beside_the_api_server_and_the_controller_manager_after_it():
    pod = render().pod
    assert [(item["name"], item.get("restartPolicy")) for item in pod["initContainers"]] == [
        ("pki", None),
        ("store", "Always"),
        ("syncer", "Always"),
        ("apiserver", "Always"),
    ]
    assert [item["name"] for item in pod["containers"]] == ["controller-manager"]
    assert [item["name"] for item in pod["initContainers"] if "startupProbe" in item] == ["apiserver"]


def test_kubectl_means_the_syncer_when_no_container_is_named():
    template = render().get("StatefulSet")["spec"]["template"]
    assert template["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "syncer"


def test_every_mounted_volume_is_there_and_every_volume_is_mounted():
    for values in ({}, nested("controlPlane.statefulSet.persistence.volumeClaim.enabled", False)):
        rendered = render(values)
        claims = rendered.get("StatefulSet")["spec"].get("volumeClaimTemplates", [])
        volumes = {item["name"] for item in rendered.pod["volumes"]} | {item["metadata"]["name"] for item in claims}
        mounts = {
            mount["name"]
            for item in rendered.pod["initContainers"] + rendered.pod["containers"]
            for mount in item["volumeMounts"]
        }
        assert volumes == mounts


def test_keys_and_sockets_lie_in_memory():
    volumes = {item["name"]: item for item in render().pod["volumes"]}
    assert volumes["pki"]["emptyDir"]["medium"] == "Memory"
    assert volumes["store-socket"]["emptyDir"]["medium"] == "Memory"


def test_every_part_answers_probes_where_it_has_something_to_say():
    rendered = render()
    paths = {
        (name, probe): rendered.container(name)[probe]["httpGet"]["path"]
        for name in ("apiserver", "controller-manager", "syncer")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        if probe in rendered.container(name)
    }
    assert paths == {
        ("apiserver", "startupProbe"): "/readyz",
        ("apiserver", "livenessProbe"): "/livez?exclude=etcd",
        ("apiserver", "readinessProbe"): "/readyz",
        ("controller-manager", "livenessProbe"): "/healthz",
        ("syncer", "livenessProbe"): "/healthz",
        ("syncer", "readinessProbe"): "/readyz",
    }


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_probe_can_be_switched_off_and_tuned(probe):
    path = f"controlPlane.statefulSet.probes.{probe}"
    off, tuned = render(nested(f"{path}.enabled", False)), render(nested(f"{path}.periodSeconds", 7))
    for name in ("apiserver", "syncer"):
        if probe in render().container(name):
            assert probe not in off.container(name)
            assert tuned.container(name)[probe]["periodSeconds"] == 7
            assert "enabled" not in tuned.container(name)[probe]


def test_the_api_server_serves_the_clusters_domain_and_range():
    values = nested("networking.advanced.clusterDomain", "tenant.local") | {"controlPlane": {}}
    values["networking"]["serviceCIDR"] = "10.43.0.0/16"
    given = flags(render(values).container("apiserver"))
    assert given["service-account-issuer"] == "https://kubernetes.default.svc.tenant.local"
    assert given["service-account-jwks-uri"] == "https://kubernetes.default.svc.tenant.local/openid/v1/jwks"
    assert given["service-cluster-ip-range"] == "10.43.0.0/16"


def test_the_api_server_ends_watches_when_it_is_told_to_stop_instead_of_waiting_to_be_killed():
    assert flags(render().container("apiserver"))["shutdown-watch-termination-grace-period"] == "2s"


def test_the_api_server_finds_the_kubelet_api_next_to_it_and_leaves_its_endpoints_to_the_syncer():
    given = flags(render().container("apiserver"))
    assert given["kubelet-preferred-address-types"].startswith("InternalDNS,")
    assert given["kubelet-certificate-authority"] == "/pki/ca.crt"
    assert given["endpoint-reconciler-type"] == "none"


def test_no_controller_runs_for_what_the_host_does():
    controllers = flags(render().container("controller-manager"))["controllers"].split(",")
    assert controllers[0] == "*"
    assert {
        "-node-lifecycle-controller",
        "-node-ipam-controller",
        "-persistentvolume-binder-controller",
        "-persistentvolume-attach-detach-controller",
        "-service-lb-controller",
    } <= set(controllers)


def test_taints_that_a_tenant_puts_on_nodes_have_their_controller():
    controllers = flags(render().container("controller-manager"))["controllers"].split(",")
    assert "-taint-eviction-controller" not in controllers


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("controlPlane.distro.k8s.apiServer.extraArgs", "apiserver"),
        ("controlPlane.distro.k8s.controllerManager.extraArgs", "controller-manager"),
        ("controlPlane.backingStore.database.embedded.extraArgs", "store"),
    ],
)
def test_flags_of_the_users_come_last_so_that_they_win(path, container):
    assert render(nested(path, ["--own=1"])).container(container)["command"][-1] == "--own=1"


def test_no_container_has_a_cpu_limit_and_each_has_measured_requests():
    pod = render().pod
    for container in pod["initContainers"] + pod["containers"]:
        assert "cpu" not in container["resources"]["limits"]
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_the_data_lies_on_a_claim_that_outlives_the_release():
    spec = render().get("StatefulSet")["spec"]
    assert spec["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_the_claim_is_what_values_ask_for():
    claim = {"retentionPolicy": "Delete", "size": "1Gi", "storageClass": "fast", "accessModes": ["ReadWriteOncePod"]}
    spec = render(nested("controlPlane.statefulSet.persistence.volumeClaim", claim)).get("StatefulSet")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
    assert spec["volumeClaimTemplates"][0]["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    }


def test_without_a_claim_the_data_goes_with_the_pod():
    rendered = render(nested("controlPlane.statefulSet.persistence.volumeClaim.enabled", "false"))
    assert "volumeClaimTemplates" not in rendered.get("StatefulSet")["spec"]
    assert {"name": "data", "emptyDir": {}} in rendered.pod["volumes"]


def test_the_service_leads_to_the_api_server_and_the_kubelet_api():
    ports = render().get("Service")["spec"]["ports"]
    assert [(item["name"], item["port"], item["targetPort"]) for item in ports] == [
        ("https", 443, "https"),
        ("kubelet", 10250, "kubelet"),
    ]
    assert render().container("apiserver")["ports"][0] == {"name": "https", "containerPort": 8443, "protocol": "TCP"}
    assert render().container("syncer")["ports"][0] == {"name": "kubelet", "containerPort": 10250, "protocol": "TCP"}


def test_a_load_balancer_does_not_show_the_kubelet_api():
    ports = render(nested("controlPlane.service.spec.type", "LoadBalancer")).get("Service")["spec"]["ports"]
    assert [item["name"] for item in ports] == ["https"]


def test_node_ports_and_fields_of_the_service_are_the_users():
    service = {
        "httpsNodePort": 30443,
        "kubeletNodePort": 30250,
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "spec": {"type": "NodePort", "externalTrafficPolicy": "Local"},
    }
    found = render(nested("controlPlane.service", service)).get("Service")
    assert [item["nodePort"] for item in found["spec"]["ports"]] == [30443, 30250]
    assert (found["spec"]["type"], found["spec"]["externalTrafficPolicy"]) == ("NodePort", "Local")
    assert found["metadata"]["labels"]["a"] == "b"
    assert found["metadata"]["annotations"] == {"c": "d"}


def test_the_only_pod_is_reached_though_it_is_not_ready():
    assert render().get("Service", "alpha-headless")["spec"]["publishNotReadyAddresses"] is True
    assert render().get("Service")["spec"]["publishNotReadyAddresses"] is True
    own = {"spec": {"publishNotReadyAddresses": False}}
    assert render(nested("controlPlane.service", own)).get("Service")["spec"]["publishNotReadyAddresses"] is False


def test_pull_secrets_reach_both_accounts():
    advanced = {
        "serviceAccount": {"imagePullSecrets": [{"name": "a"}]},
        "workloadServiceAccount": {"imagePullSecrets": [{"name": "b"}]},
    }
    rendered = render({"controlPlane": {"advanced": advanced}})
    assert rendered.get("ServiceAccount", "vc-alpha")["imagePullSecrets"] == [{"name": "a"}]
    assert rendered.get("ServiceAccount", "vc-workload-alpha")["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_the_scheduling_of_the_pod_is_the_users():
    scheduling = {
        "nodeSelector": {"a": "b"},
        "affinity": {"nodeAffinity": {"x": 1}},
        "tolerations": [{"operator": "Exists"}],
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "priorityClassName": "high",
        "podManagementPolicy": "OrderedReady",
    }
    rendered = render(nested("controlPlane.statefulSet.scheduling", scheduling))
    assert rendered.get("StatefulSet")["spec"]["podManagementPolicy"] == scheduling.pop("podManagementPolicy")
    assert {key: rendered.pod[key] for key in scheduling} == scheduling


def test_a_paused_cluster_has_no_pod():
    assert (
        render(nested("controlPlane.statefulSet.highAvailability.replicas", 0)).get("StatefulSet")["spec"]["replicas"]
        == 0
    )


def test_a_security_context_can_be_laid_over_ours():
    security = {
        "podSecurityContext": {"runAsUser": 1000, "fsGroup": None},
        "containerSecurityContext": {"runAsUser": 1001},
    }
    rendered = render(nested("controlPlane.statefulSet.security", security))
    assert rendered.pod["securityContext"]["runAsUser"] == 1000
    assert "fsGroup" not in rendered.pod["securityContext"]
    assert rendered.container("syncer")["securityContext"]["runAsUser"] == 1001


def test_the_security_context_of_the_kubernetes_containers_is_theirs_alone():
    rendered = render(nested("controlPlane.distro.k8s.securityContext", {"runAsUser": 7}))
    users = [
        rendered.container(name)["securityContext"].get("runAsUser")
        for name in ("apiserver", "controller-manager", "syncer")
    ]
    assert users == [7, 7, None]


SCHEDULER = {
    "controlPlane": {"distro": {"k8s": {"scheduler": {"enabled": True}}}},
    "sync": {"fromHost": {"nodes": {"enabled": True}}},
}


def test_a_scheduler_of_its_own_starts_after_the_api_server_and_answers_probes():
    rendered = render(SCHEDULER)
    assert [item["name"] for item in rendered.pod["containers"]] == ["controller-manager", "scheduler"]
    scheduler = rendered.container("scheduler")
    assert scheduler["image"] == "registry.k8s.io/kube-scheduler:v1.36.3"
    assert flags(scheduler)["kubeconfig"] == "/pki/scheduler.conf"
    assert flags(scheduler)["leader-elect"] == "false"
    assert scheduler["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": 10259, "scheme": "HTTPS"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, {"all": True, "labels": {}}),
        ({"labels": {"pool": "a"}}, {"all": False, "labels": {"pool": "a"}}),
        ({"all": True, "labels": {"pool": "a"}}, {"all": True, "labels": {"pool": "a"}}),
    ],
)
def test_a_scheduler_of_its_own_is_shown_the_nodes_among_which_it_chooses(selector, expected):
    nodes = {"enabled": True, "selector": selector}
    config = render(SCHEDULER | {"sync": {"fromHost": {"nodes": nodes}}}).config
    assert config["scheduler"] == {"enabled": True}
    assert config["nodes"] == {"fromHost": True, "selector": expected}


def test_without_a_scheduler_only_nodes_that_run_the_tenants_pods_are_shown():
    config = render({"sync": SCHEDULER["sync"]}).config
    assert config["scheduler"] == {"enabled": False}
    assert config["nodes"] == {"fromHost": True, "selector": {"all": False, "labels": {}}}
