"""What a container is told: configuration, secrets and its own identity, all of it in the tenant's terms."""

from __future__ import annotations

import json

import pytest

from syncer.names import host_name
from tests.e2e.objects import Object, patient, plain, service
from tests.e2e.tenancy import Kubectl, Release, eventually, pod

pytestmark = pytest.mark.timeout(180)

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
FIELDS = {
    "NAME": "metadata.name",
    "NAMESPACE": "metadata.namespace",
    "UID": "metadata.uid",
    "TIER": "metadata.labels['tier']",
    "RELEASE": "metadata.labels['app.kubernetes.io/instance']",
    "NOTE": "metadata.annotations['example.com/note']",
    "ACCOUNT": "spec.serviceAccountName",
    "NODE": "spec.nodeName",
    "IP": "status.podIP",
    "IPS": "status.podIPs",
    "HOST_IP": "status.hostIP",
    "HOST_IPS": "status.hostIPs",
}
LABELS = {"app": "reader", "tier": "front", "app.kubernetes.io/instance": "shop"}
ANNOTATIONS = {"example.com/note": 'kept "as is"', "argocd.argoproj.io/sync-wave": "5"}


def field(path: str) -> Object:
    """The source of one downward API field."""
    return {"fieldRef": {"fieldPath": path}}


def key_of(kind: str, name: str, key: str, **more: object) -> Object:
    """The source of one variable in a ConfigMap or Secret."""
    return {"valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}


def reader() -> Object:
    """A pod that reads everything there is to read."""
    variables = {
        **{name: {"valueFrom": field(path)} for name, path in FIELDS.items()},
        "GREETING": key_of("configMap", "settings", "greeting"),
        "PASSWORD": key_of("secret", "password", "password"),
        "MISSING": key_of("configMap", "nowhere", "greeting", optional=True),
        "CPU_LIMIT": {"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        "MEMORY": {"valueFrom": {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}},
        "COMPOSED": {"value": "$(GREETING) from $(NAME) by way of $(SHOP_SERVICE_HOST)"},
    }
    about = [{"path": name.lower(), **field(path)} for name, path in FIELDS.items() if path.startswith("metadata.")]
    about += [{"path": name, **field(f"metadata.{name}")} for name in ("labels", "annotations")]
    cpu = {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}
    about += [{"path": "cpu", "resourceFieldRef": cpu}]
    mounts = {
        "settings": "/etc/settings",
        "chosen": "/etc/chosen",
        "password": "/etc/password",
        "about": "/etc/about",
        "mixed": "/etc/mixed",
        "scratch": "/scratch",
        "memory": "/memory",
    }
    container = patient(
        env=[{"name": name, **source} for name, source in variables.items()],
        envFrom=[
            {"prefix": "CM_", "configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "password"}},
            {"configMapRef": {"name": "nowhere", "optional": True}},
        ],
        resources={"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "250m", "memory": "32Mi"}},
        volumeMounts=[
            *({"name": name, "mountPath": path} for name, path in mounts.items()),
            {"name": "settings", "mountPath": "/one/file.txt", "subPath": "greeting"},
        ],
    )
    mixed = [
        {"configMap": {"name": "settings", "items": [{"key": "greeting", "path": "from/config"}]}},
        {"secret": {"name": "password", "items": [{"key": "password", "path": "from/secret", "mode": 0o440}]}},
        {"downwardAPI": {"items": [{"path": "from/name", **field("metadata.name")}]}},
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
        {"configMap": {"name": "nowhere", "optional": True}},
    ]
    volumes = {
        "settings": {"configMap": {"name": "settings"}},
        "chosen": {"configMap": {"name": "settings", "items": [{"key": "greeting", "path": "a/b", "mode": 0o400}]}},
        "password": {"secret": {"secretName": "password", "defaultMode": 0o440}},
        "about": {"downwardAPI": {"items": about}},
        "mixed": {"projected": {"sources": mixed}},
        "scratch": {"emptyDir": {}},
        "memory": {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    }
    made = pod(
        "reader",
        container,
        labels=LABELS,
        serviceAccountName="clerk",
        hostAliases=[{"ip": "192.0.2.7", "hostnames": ["printer", "printer.example.com"]}],
        dnsConfig={
            "options": [{"name": "ndots", "value": "2"}, {"name": "attempts", "value": "3"}],
            "searches": ["example.com"],
        },
        imagePullSecrets=[{"name": "registry"}],
        securityContext={"fsGroup": 4321, "supplementalGroups": [5678]},
        volumes=[{"name": name, **source} for name, source in volumes.items()],
    )
    made["metadata"]["annotations"] = ANNOTATIONS
    return made


@pytest.fixture(scope="module")
def desk(stage: Kubectl) -> Kubectl:
    """The pod `reader` with all that it reads."""
    login = json.dumps({"auths": {"registry.example.com": {"auth": "dXNlcjpwYXNz"}}})
    stage.apply(
        plain("ConfigMap", "settings", data={"greeting": "hello", "colour": "blue"}, binaryData={"bytes": "/wD+"}),
        plain("Secret", "password", stringData={"password": "open sesame"}),
        plain("Secret", "registry", type="kubernetes.io/dockerconfigjson", stringData={".dockerconfigjson": login}),
        plain("ServiceAccount", "clerk"),
        service("shop", app="shop"),
    )
    stage.apply(reader())
    stage.ready("reader")
    return stage


@pytest.fixture(scope="module")
def env(desk: Kubectl) -> dict[str, str]:
    """The environment of the pod's container."""
    return dict(line.split("=", 1) for line in desk.execute("reader", "env").splitlines())


def text(desk: Kubectl, path: str) -> str:
    """A file in the pod."""
    return desk.execute("reader", f"cat {path}")


def test_variables_come_from_configmaps_and_secrets(env: dict[str, str]) -> None:
    assert env["GREETING"] == "hello"
    assert env["PASSWORD"] == "open sesame"
    assert "MISSING" not in env


def test_whole_configmaps_and_secrets_become_variables(env: dict[str, str]) -> None:
    assert (env["CM_greeting"], env["CM_colour"], env["password"]) == ("hello", "blue", "open sesame")


def test_variables_refer_to_each_other(desk: Kubectl, env: dict[str, str]) -> None:
    address = desk.get("service", "shop")["spec"]["clusterIP"]

    assert env["COMPOSED"] == f"hello from reader by way of {address}"


def test_variables_about_the_pod_are_virtual(desk: Kubectl, env: dict[str, str]) -> None:
    found = desk.get("pod", "reader")

    assert {name: env[name] for name in FIELDS} == {
        "NAME": "reader",
        "NAMESPACE": desk.namespace,
        "UID": found["metadata"]["uid"],
        "TIER": "front",
        "RELEASE": "shop",
        "NOTE": 'kept "as is"',
        "ACCOUNT": "clerk",
        "NODE": found["spec"]["nodeName"],
        "IP": found["status"]["podIP"],
        "IPS": found["status"]["podIP"],
        "HOST_IP": found["status"]["hostIP"],
        "HOST_IPS": found["status"]["hostIP"],
    }
    assert env["HOSTNAME"] == "reader"


def test_the_address_of_the_host_is_that_of_the_node(desk: Kubectl, env: dict[str, str]) -> None:
    addresses = desk.get("node", env["NODE"])["status"]["addresses"]

    assert {"type": "InternalIP", "address": env["HOST_IP"]} in addresses


def test_resources_of_the_container_are_told(desk: Kubectl, env: dict[str, str]) -> None:
    assert (env["CPU_LIMIT"], env["MEMORY"]) == ("250", "16")
    assert text(desk, "/etc/about/cpu") == "250"


def test_files_about_the_pod_are_virtual(desk: Kubectl) -> None:
    found = desk.get("pod", "reader")["metadata"]

    assert text(desk, "/etc/about/name") == "reader"
    assert text(desk, "/etc/about/namespace") == desk.namespace
    assert text(desk, "/etc/about/uid") == found["uid"]
    assert text(desk, "/etc/about/release") == "shop"
    assert text(desk, "/etc/about/labels") == 'app="reader"\napp.kubernetes.io/instance="shop"\ntier="front"'
    shown = text(desk, "/etc/about/annotations").splitlines()
    assert 'argocd.argoproj.io/sync-wave="5"' in shown
    assert r'example.com/note="kept \"as is\""' in shown
    assert not [line for line in shown if "sublet" in line]


def test_configmaps_are_files(desk: Kubectl) -> None:
    assert desk.execute("reader", "ls /etc/settings").split() == ["bytes", "colour", "greeting"]
    assert text(desk, "/etc/settings/greeting") == "hello"
    assert desk.execute("reader", "od -An -tx1 /etc/settings/bytes").split() == ["ff", "00", "fe"]


def test_a_single_key_is_a_file_at_a_path_of_choice(desk: Kubectl) -> None:
    assert text(desk, "/one/file.txt") == "hello"
    assert desk.execute("reader", "find /etc/chosen/ -follow -type f -name b").endswith("a/b")


def test_secrets_are_files_with_their_mode(desk: Kubectl) -> None:
    assert text(desk, "/etc/password/password") == "open sesame"
    assert desk.execute("reader", "stat -Lc '%a %g' /etc/password/password") == "440 4321"


def test_a_projected_volume_gathers_all_sources(desk: Kubectl) -> None:
    assert text(desk, "/etc/mixed/from/config") == "hello"
    assert text(desk, "/etc/mixed/from/secret") == "open sesame"
    assert text(desk, "/etc/mixed/from/name") == "reader"
    assert text(desk, "/etc/mixed/token").count(".") == 2


def test_the_account_folder_names_the_virtual_namespace_and_authority(desk: Kubectl) -> None:
    assert text(desk, f"{ACCOUNT}/namespace") == desk.namespace
    assert text(desk, f"{ACCOUNT}/ca.crt") == desk.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"].rstrip("\n")


def test_services_of_the_namespace_are_variables(release: Release, desk: Kubectl, env: dict[str, str]) -> None:
    shop = desk.get("service", "shop")["spec"]["clusterIP"]
    api = release.tenant.get("service", "kubernetes", "--namespace=default")["spec"]["clusterIP"]

    assert (env["SHOP_SERVICE_HOST"], env["SHOP_SERVICE_PORT"], env["SHOP_SERVICE_PORT_HTTP"]) == (shop, "80", "80")
    assert (env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]) == (api, "443")
    assert env["KUBERNETES_PORT_443_TCP"] == f"tcp://{api}:443"


def test_services_of_the_host_are_no_variables(release: Release, env: dict[str, str]) -> None:
    own = {"KUBERNETES_", "SHOP_"}
    hosts = {name for name in env if name.endswith("_SERVICE_HOST") and not name.startswith(tuple(own))}

    assert hosts == set()


def test_dns_options_are_kept(desk: Kubectl) -> None:
    lines = text(desk, "/etc/resolv.conf").splitlines()

    assert {"ndots:2", "attempts:3"} == set(next(line for line in lines if line.startswith("options")).split()[1:])
    assert next(line for line in lines if line.startswith("search")).endswith(" cluster.local example.com")


def test_host_aliases_are_in_the_hosts_file(desk: Kubectl) -> None:
    assert "192.0.2.7\tprinter\tprinter.example.com" in text(desk, "/etc/hosts")


def test_pull_secrets_are_there_for_the_kubelet(release: Release, desk: Kubectl) -> None:
    there = release.host.within(release.namespace)
    (reference,) = there.get("pod", host_name("reader", str(desk.namespace), release.name))["spec"]["imagePullSecrets"]
    secret = there.get("secret", reference["name"])

    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert secret["data"] == desk.get("secret", "registry")["data"]


def test_users_and_groups_are_kept(desk: Kubectl) -> None:
    assert desk.execute("reader", "id -u") == "1000"
    assert {"4321", "5678"} <= set(desk.execute("reader", "id -G").split())
    assert desk.execute("reader", "touch /scratch/file && stat -c %g /scratch/file") == "4321"


def test_a_memory_volume_is_one_of_its_size(desk: Kubectl) -> None:
    assert "tmpfs" in desk.execute("reader", "grep ' /memory ' /proc/mounts")
    assert desk.run("exec", "reader", "--", "dd", "if=/dev/zero", "of=/memory/big", "bs=1M", "count=3").returncode != 0


def test_the_class_of_service_is_that_of_the_tenants_pod(desk: Kubectl) -> None:
    assert desk.get("pod", "reader")["status"]["qosClass"] == "Burstable"


# -- what changes ------------------------------------------------------------------------------------------------------


def showing(name: str, volume: Object, **more: object) -> Object:
    """A pod with one volume at /shown."""
    container = patient(volumeMounts=[{"name": "shown", "mountPath": "/shown"}])
    return pod(name, container, volumes=[{"name": "shown", **volume}], **more)


def test_an_edited_configmap_and_secret_reach_the_volume(kubectl: Kubectl) -> None:
    sources = [{"configMap": {"name": "settings"}}, {"secret": {"name": "password"}}]
    kubectl.apply(
        plain("ConfigMap", "settings", data={"greeting": "hello", "old": "1"}),
        plain("Secret", "password", stringData={"password": "old"}),
        showing("reader", {"projected": {"sources": sources}}),
    )
    kubectl.ready("reader")

    kubectl(
        "patch", "configmap", "settings", "--patch", '{"data": {"greeting": "good evening", "old": null, "new": "2"}}'
    )
    kubectl("patch", "secret", "password", "--patch", '{"stringData": {"password": "new"}}')

    read = "cd /shown && echo $(ls) $(cat greeting password)"
    # The kubelet looks at a pod's volumes once in a while: every 10 seconds in the lab.
    assert eventually(lambda: kubectl.execute("reader", read) == "greeting new password good eveningnew", patience=40)


def test_edited_labels_and_annotations_reach_the_downward_volume(kubectl: Kubectl) -> None:
    about = [{"path": name, **field(f"metadata.{name}")} for name in ("labels", "annotations")]
    kubectl.apply(showing("reader", {"downwardAPI": {"items": about}}, labels={"tier": "front", "old": "1"}))
    kubectl.ready("reader")

    kubectl("label", "pod", "reader", "--overwrite", "tier=back", "old-", "new=2")
    kubectl("annotate", "pod", "reader", "example.com/note=kept")

    assert eventually(lambda: kubectl.execute("reader", "cat /shown/labels") == 'new="2"\ntier="back"', patience=40)
    # The kubelet may have written the volume between the two edits; it comes by again within its period.
    note = lambda: kubectl.execute("reader", "cat /shown/annotations").splitlines()  # noqa: E731
    assert eventually(lambda: 'example.com/note="kept"' in note(), patience=120)


def test_a_pod_waits_for_configuration_that_comes_later(kubectl: Kubectl) -> None:
    sources = [{"configMap": {"name": "late"}}, {"secret": {"name": "later"}}]
    kubectl.apply(showing("early", {"projected": {"sources": sources}}))
    assert eventually(lambda: 'configmap "late" not found' in kubectl("describe", "pod", "early"))

    kubectl.apply(
        plain("ConfigMap", "late", data={"greeting": "hello"}),
        plain("Secret", "later", stringData={"password": "sesame"}),
    )

    kubectl.ready("early", timeout=80)
    assert kubectl.execute("early", "cat /shown/greeting /shown/password") == "hellosesame"


def test_an_immutable_configmap_made_again_is_the_new_one_for_the_next_pod(kubectl: Kubectl) -> None:
    for word in ("hello", "bye"):
        kubectl.apply(
            plain("ConfigMap", "settings", data={"greeting": word}, immutable=True),
            showing("reader", {"configMap": {"name": "settings"}}),
        )
        kubectl.ready("reader")
        assert kubectl.execute("reader", "cat /shown/greeting") == word
        kubectl("delete", "pod/reader", "configmap/settings")


def test_configuration_that_is_no_longer_used_leaves_the_host(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(
        plain("ConfigMap", "settings", data={"greeting": "hello"}),
        showing("reader", {"configMap": {"name": "settings"}}),
    )
    kubectl.ready("reader")
    name = host_name("settings", str(kubectl.namespace), release.name)
    there = release.host.within(release.namespace)
    assert name in there.names("configmaps")

    kubectl("delete", "configmap", "settings")

    assert eventually(lambda: name not in there.names("configmaps"), patience=10)


# -- names -------------------------------------------------------------------------------------------------------------


def test_hostname_and_subdomain_make_the_full_name(kubectl: Kubectl) -> None:
    kubectl.apply(
        pod("one", patient(), hostname="alpha", subdomain="team"),
        pod("two", patient(), hostname="beta", subdomain="team", setHostnameAsFQDN=True),
        pod("three.of.them", patient()),
        pod(
            "four",
            patient(),
            hostname="delta",
            hostAliases=[{"ip": "192.0.2.9", "hostnames": ["delta.example.com"]}],
            subdomain="team",
        ),
    )
    kubectl.ready()
    domain = f"team.{kubectl.namespace}.svc.cluster.local"

    assert kubectl.execute("one", "hostname; hostname -f") == f"alpha\nalpha.{domain}"
    assert kubectl.execute("two", "hostname") == f"beta.{domain}"
    assert kubectl.execute("three.of.them", "hostname") == "three.of.them"
    assert "192.0.2.9\tdelta.example.com" in kubectl.execute("four", "cat /etc/hosts")
    assert kubectl.execute("four", "hostname -f") == f"delta.{domain}"


def test_the_help_that_a_subdomain_needs_is_not_seen(kubectl: Kubectl) -> None:
    kubectl.apply(pod("one", patient(), subdomain="team"))
    kubectl.ready("one")
    found = kubectl.get("pod", "one")

    assert "initContainers" not in found["spec"]
    assert "initContainerStatuses" not in found["status"]
    assert found["status"]["qosClass"] == "BestEffort"
    assert eventually(lambda: "Started" in kubectl("describe", "pod", "one"), patience=20)
    assert "sublet" not in kubectl("describe", "pod", "one") + json.dumps(found)


@pytest.mark.parametrize(
    ("policy", "config"), [("Default", None), ("None", {"nameservers": ["192.0.2.53"], "searches": ["example.com"]})]
)
def test_pods_may_do_without_the_clusters_dns(kubectl: Kubectl, policy: str, config: Object | None) -> None:
    kubectl.apply(pod("loner", patient(), dnsPolicy=policy, dnsConfig=config))
    kubectl.ready("loner")
    lines = kubectl.execute("loner", "cat /etc/resolv.conf")

    assert "cluster.local" not in lines
    if config:
        assert lines.splitlines() == ["search example.com", "nameserver 192.0.2.53"]


def test_processes_of_a_pod_may_see_each_other(kubectl: Kubectl) -> None:
    kubectl.apply(pod("shared", patient(name="one"), patient(name="two"), shareProcessNamespace=True))
    kubectl.ready("shared")

    assert kubectl.execute("shared", "ps | grep -c 'sleep infinity & wai[t]'", "--container=one") == "2"


def test_links_to_services_can_be_switched_off(kubectl: Kubectl) -> None:
    kubectl.apply(service("shop", app="shop"), pod("loner", patient(), enableServiceLinks=False))
    kubectl.ready("loner")

    names = kubectl.execute("loner", "env | grep _SERVICE_HOST | cut -d= -f1").split()
    assert names == ["KUBERNETES_SERVICE_HOST"]
