"""Pod Security "restricted" for every pod of the chart, and who holds the host's credential."""

import base64

import pytest
import yaml

from tests.chart.rendering import CI_VALUES, Object, pod_specs, render

RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def violations(spec: Object) -> list[str]:
    """What Pod Security "restricted" would say, for the fields that the chart can set."""
    found = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    found += [
        f"volume {item['name']}" for item in spec.get("volumes", []) if not (set(item) - {"name"}) <= RESTRICTED_VOLUMES
    ]
    pod = spec.get("securityContext", {})
    for container in spec.get("initContainers", []) + spec["containers"]:
        own = container.get("securityContext", {})
        effective = pod | own
        capabilities = own.get("capabilities", {})
        checks = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": effective.get("runAsNonRoot") is True,
            "runAsUser": effective.get("runAsUser", 0) != 0,
            "seccompProfile": effective.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "drop": capabilities.get("drop") == ["ALL"],
            "add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        found += [f"{container['name']}: {check}" for check, passed in checks.items() if not passed]
    return found


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_every_pod_satisfies_pod_security_restricted(values):
    specs = dict(pod_specs(render(yaml.safe_load(values.read_text()))))
    assert "StatefulSet alpha" in specs
    assert {name: violations(spec) for name, spec in specs.items()} == {name: [] for name in specs}


def test_the_pod_of_helm_test_has_no_rights_and_is_reached_by_no_service():
    rendered = render()
    pod = rendered.get("Pod", "alpha-test")
    assert violations(pod["spec"]) == []
    assert pod["spec"]["serviceAccountName"] == "vc-workload-alpha"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert [volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume] == ["vc-alpha"]
    for service in rendered.of("Service"):
        assert not service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


def test_the_virtual_clusters_dns_is_among_the_pods_that_are_checked():
    assert "Deployment coredns" in dict(pod_specs(render()))


def test_no_container_can_write_its_root_file_system():
    for _, spec in pod_specs(render()):
        for container in spec.get("initContainers", []) + spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_host_token_is_mounted_into_pki_and_syncer_only():
    pod = render().pod
    assert pod["automountServiceAccountToken"] is False
    holders = {
        container["name"]
        for container in pod["initContainers"] + pod["containers"]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == TOKEN_PATH or mount["name"] == "host-token"
    }
    assert holders == {"pki", "syncer"}


def test_the_token_volume_holds_token_authority_and_namespace():
    (volume,) = (item for item in render().pod["volumes"] if item["name"] == "host-token")
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]


def test_no_account_of_the_chart_mounts_its_token_by_itself():
    assert [item["automountServiceAccountToken"] for item in render().of("ServiceAccount")] == [False, False]


def test_the_tenants_pods_run_under_an_account_without_rights():
    rendered = render()
    bound = {
        subject["name"]
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for item in rendered.of(kind)
        for subject in item["subjects"]
    }
    assert bound == {"vc-alpha"}


def test_only_health_checks_are_open_to_anonymous_requests():
    secret = render().get("Secret", "vc-config-alpha")["data"]["authentication.yaml"]
    document = yaml.safe_load(base64.b64decode(secret))
    assert document["anonymous"] == {
        "enabled": True,
        "conditions": [{"path": "/livez"}, {"path": "/readyz"}, {"path": "/healthz"}],
    }


def test_the_api_server_and_dns_keep_the_capability_that_their_binaries_carry():
    dns = render().manifest("Deployment")["spec"]["template"]["spec"]["containers"][0]
    for container in (render().container("apiserver"), dns):
        assert container["securityContext"]["capabilities"] == {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}


def test_the_store_is_reached_by_a_socket_and_opens_no_port():
    store, server = render().container("store"), render().container("apiserver")
    assert "--listen-address=unix:///run/store/store.sock" in store["command"]
    assert "--metrics-bind-address=0" in store["command"]
    assert "--etcd-servers=unix:///run/store/store.sock" in server["command"]
