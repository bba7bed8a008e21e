"""CoreDNS as the syncer applies it in the virtual cluster."""

import base64

import pytest

from tests.chart.rendering import Refused, nested, render


def corefile(values=None):
    return render(values).manifest("ConfigMap")["data"]["Corefile"]


def dns(values):
    return {"controlPlane": {"coredns": values}}


def test_it_is_a_deployment_behind_the_service_kube_dns():
    rendered = render()
    assert [item["kind"] for item in rendered.manifests] == [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Service",
        "Deployment",
    ]
    service, deployment = rendered.manifest("Service"), rendered.manifest("Deployment")
    assert (service["metadata"]["name"], service["metadata"]["namespace"]) == ("kube-dns", "kube-system")
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert service["metadata"]["labels"]["k8s-app"] == "kube-dns"


def test_the_service_answers_on_53_and_reaches_an_unprivileged_port():
    rendered = render()
    ports = {port["name"]: port for port in rendered.manifest("Service")["spec"]["ports"]}
    container = rendered.manifest("Deployment")["spec"]["template"]["spec"]["containers"][0]
    reached = {port["name"]: (port["containerPort"], port["protocol"]) for port in container["ports"]}
    for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP")):
        assert (ports[name]["port"], ports[name]["protocol"]) == (53, protocol)
        assert reached[ports[name]["targetPort"]] == (1053, protocol)


def test_the_corefile_serves_the_clusters_domain():
    assert "kubernetes tenant.local in-addr.arpa" in corefile(
        nested("networking.advanced.clusterDomain", "tenant.local")
    )


def test_other_names_go_to_the_nodes_resolver():
    assert "forward . /etc/resolv.conf\n" in corefile()
    assert render().manifest("Deployment")["spec"]["template"]["spec"]["dnsPolicy"] == "Default"


def test_other_names_can_go_to_named_resolvers_or_nowhere():
    assert "forward . 192.0.2.1 192.0.2.2\n" in corefile(dns({"forward": ["192.0.2.1", "192.0.2.2"]}))
    assert "forward" not in corefile(dns({"forward": []}))


def test_a_corefile_of_the_users_replaces_ours():
    assert corefile(dns({"overwriteConfig": ".:1053 {\n    whoami\n}\n"})) == ".:1053 {\n    whoami\n}\n"


def test_a_changed_corefile_replaces_the_pods():
    def checksum(values):
        return render(values).manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/corefile"]

    assert checksum({}) != checksum(dns({"forward": []}))


def test_manifests_of_the_users_replace_ours():
    only = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: kube-system}\n"
    assert [item["metadata"]["name"] for item in render(dns({"overwriteManifests": only})).manifests] == ["mine"]


def test_it_can_be_left_out():
    assert render(dns({"enabled": False})).manifests == []


def test_the_deployments_knobs_reach_it():
    values = {
        "priorityClassName": "high",
        "service": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "spec": {"clusterIP": "10.96.0.10"}},
        "deployment": {
            "image": "example.com/dns:1",
            "replicas": 3,
            "labels": {"e": "f"},
            "annotations": {"g": "h"},
            "pods": {"labels": {"i": "j"}, "annotations": {"k": "l"}},
            "nodeSelector": {"m": "n"},
            "affinity": {"podAntiAffinity": {}},
            "tolerations": [{"operator": "Exists"}],
            "topologySpreadConstraints": [],
        },
    }
    rendered = render(dns(values))
    service, deployment = rendered.manifest("Service"), rendered.manifest("Deployment")
    pod = deployment["spec"]["template"]
    assert service["metadata"]["labels"]["a"] == "b"
    assert service["metadata"]["annotations"] == {"c": "d"}
    assert service["spec"]["clusterIP"] == "10.96.0.10"
    assert (deployment["spec"]["replicas"], deployment["metadata"]["labels"]["e"]) == (3, "f")
    assert deployment["metadata"]["annotations"] == {"g": "h"}
    assert (pod["metadata"]["labels"]["i"], pod["metadata"]["annotations"]["k"]) == ("j", "l")
    assert pod["spec"]["nodeSelector"] == {"m": "n"}
    assert pod["spec"]["affinity"] == {"podAntiAffinity": {}}
    assert pod["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert "topologySpreadConstraints" not in pod["spec"]
    assert pod["spec"]["priorityClassName"] == "high"
    assert pod["spec"]["containers"][0]["image"] == "example.com/dns:1"


def test_security_contexts_are_laid_over_ours():
    over = {"podSecurityContext": {"runAsUser": 1000}, "containerSecurityContext": {"privileged": False}}
    pod = render(dns({"security": over})).manifest("Deployment")["spec"]["template"]["spec"]
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (1000, True)
    context = pod["containers"][0]["securityContext"]
    assert context["privileged"] is False
    assert context["capabilities"] == {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}


def test_the_spread_never_keeps_a_pod_from_running():
    (spread,) = render().manifest("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


EMBEDDED = dns({"embedded": True})


def embedded_corefile(values=EMBEDDED):
    return base64.b64decode(render(values).get("Secret", "vc-config-alpha")["data"]["Corefile"]).decode()


def test_embedded_it_is_a_container_that_a_service_without_selector_leads_to():
    rendered = render(EMBEDDED)
    assert [item["kind"] for item in rendered.manifests] == ["ClusterRole", "ClusterRoleBinding", "Service"]
    assert "selector" not in rendered.manifest("Service")["spec"]
    assert rendered.manifest("ClusterRoleBinding")["subjects"][0]["name"] == "system:coredns"
    assert rendered.config["dns"] == {"embedded": True}
    container = rendered.container("dns")
    assert container["image"] == "docker.io/coredns/coredns:1.15.0"
    assert {mount["name"] for mount in container["volumeMounts"]} == {"corefile", "pki"}
    assert "Corefile" not in render().get("Secret", "vc-config-alpha")["data"]


def test_embedded_it_leaves_the_ports_of_its_neighbours_alone_and_asks_the_api_server_beside_it():
    rendered = render(EMBEDDED)
    containers = rendered.pod["initContainers"] + rendered.pod["containers"]
    taken = [port["containerPort"] for item in containers if item["name"] != "dns" for port in item.get("ports", [])]
    assert not {1053, 8081, 8181, 9153} & set(taken)
    text = embedded_corefile()
    assert "health :8081" in text
    assert "endpoint https://127.0.0.1:8443" in text
    assert "kubeconfig /pki/coredns.conf" in text
    assert "coredns-custom" not in text


def test_embedded_each_of_several_pods_has_one():
    etcd = {"etcd": {"external": {"enabled": True, "endpoint": "https://etcd.example:2379"}}}
    several = {"backingStore": etcd, "statefulSet": {"highAvailability": {"replicas": 3}}}
    rendered = render({"controlPlane": EMBEDDED["controlPlane"] | several})
    assert rendered.get("StatefulSet")["spec"]["replicas"] == 3
    assert rendered.container("dns")["readinessProbe"]["periodSeconds"] == 1
    corefile = base64.b64decode(rendered.get("Secret", "vc-config-alpha")["data"]["Corefile"]).decode()
    assert "lameduck 5s" in corefile
    assert "lameduck" not in embedded_corefile()


def test_embedded_a_corefile_of_the_users_and_resources_count_too():
    values = {"embedded": True, "overwriteConfig": ".:1053 {\n}\n", "deployment": {"resources": {"limits": {"cpu": 1}}}}
    assert embedded_corefile(dns(values)) == ".:1053 {\n}\n"
    assert render(dns(values)).container("dns")["resources"]["limits"]["cpu"] == 1


def test_embedded_a_changed_corefile_replaces_the_control_planes_pod():
    def checksum(values):
        return render(values).get("StatefulSet")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum(EMBEDDED) != checksum(dns({"embedded": True, "forward": []}))


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (dns({"embedded": True, "enabled": False}), "set enabled or unset embedded"),
        (dns({"embedded": True, "deployment": {"replicas": 2}}), "deployment.replicas is for pods of CoreDNS"),
        (dns({"embedded": True, "deployment": {"nodeSelector": {"a": "b"}}}), "deployment.nodeSelector is for pods"),
        (dns({"embedded": True, "security": {"podSecurityContext": {"fsGroup": 1}}}), "security.podSecurityContext is"),
        (dns({"embedded": True, "deployment": {"pods": {"labels": {"a": "b"}}}}), "deployment.pods.labels is for pods"),
        (EMBEDDED | nested("sync.toHost.endpointSlices.enabled", False), "set sync.toHost.endpointSlices.enabled"),
        (
            dns({"overwriteConfig": "."}) | nested("networking.advanced.fallbackHostCluster", True),
            "unset one of them",
        ),
    ],
)
def test_what_has_no_meaning_for_this_form_is_refused(values, remedy):
    with pytest.raises(Refused, match=remedy):
        render(values)


def test_names_that_the_virtual_cluster_does_not_have_can_be_asked_of_the_hosts_dns():
    fallback = nested("networking.advanced.fallbackHostCluster", True)
    text = corefile(fallback)
    assert "fallthrough cluster.local in-addr.arpa ip6.arpa" in text
    assert "forward . $(HOST_RESOLVER)\n" in text
    assert "forward . /etc/resolv.conf\n" in embedded_corefile(EMBEDDED | fallback)
