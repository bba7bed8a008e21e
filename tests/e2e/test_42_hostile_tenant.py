"""A tenant who is admin of their cluster and means ill gains nothing outside it."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from syncer.names import host_name
from tests.e2e.objects import Object, patient, plain, service, toolbox
from tests.e2e.tenancy import CommandFailed, Kubectl, Release, becomes, eventually, pod, shell

CHART_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")
WEBHOOK = "mutatingwebhookconfiguration/sublet-services"


@pytest.fixture
def host(release: Release) -> Kubectl:
    """The host's kubectl in the release's namespace."""
    return release.host.within(release.namespace)


def on_host(release: Release, kubectl: Kubectl, name: str) -> str:
    """The host name of an object of the test's namespace."""
    assert kubectl.namespace is not None
    return host_name(name, kubectl.namespace, release.name)


def endpoints(kubectl: Kubectl, name: str) -> set[str]:
    """Names of the pods behind a Service."""
    slices = kubectl.items("endpointslices", f"--selector=kubernetes.io/service-name={name}")
    return {item["targetRef"]["name"] for part in slices for item in part["endpoints"] or () if "targetRef" in item}


def address(host: Kubectl, service_name: str) -> str:
    """A Service's cluster IP."""
    ip: str = host.get("service", service_name)["spec"]["clusterIP"]
    return ip


def refused(kubectl: Kubectl, *arguments: str) -> str:
    """What the command says as it fails."""
    with pytest.raises(CommandFailed) as failure:
        kubectl(*arguments)
    return str(failure.value)


# -- names and labels ---------------------------------------------------------------------------------------------------


def test_a_pod_that_claims_to_be_another_is_only_itself(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    dns = release.tenant.within("kube-system").items("pods", "--selector=k8s-app=kube-dns")[0]
    stolen = host.get("pod", host_name(dns["metadata"]["name"], "kube-system", release.name))["metadata"]
    before = endpoints(host, host_name("kube-dns", "kube-system", release.name))
    thief = pod("thief", patient(), labels={**stolen["labels"], "k8s-app": "kube-dns"})
    thief["metadata"]["annotations"] = stolen["annotations"]
    kubectl.apply(thief)
    kubectl.ready("thief")
    marks = host.get("pod", on_host(release, kubectl, "thief"))["metadata"]

    assert marks["labels"]["sublet.dev/namespace"] == kubectl.namespace
    assert marks["annotations"]["sublet.dev/name"] == "thief"
    assert marks["annotations"]["sublet.dev/uid"] == kubectl.get("pod", "thief")["metadata"]["uid"]
    assert endpoints(host, host_name("kube-dns", "kube-system", release.name)) == before
    kubectl("delete", "pod", "thief", "--now")
    assert release.tenant.within("kube-system").get("pod", dns["metadata"]["name"])["status"]["phase"] == "Running"


def test_the_control_planes_service_never_leads_to_a_pod_of_the_tenant(
    release: Release, host: Kubectl, kubectl: Kubectl
) -> None:
    selector = host.get("service", release.name)["spec"]["selector"]
    kubectl.apply(pod("impostor", patient(), labels=selector))
    kubectl.ready("impostor")

    assert set(selector) == set(CHART_LABELS)
    assert endpoints(host, release.name) == endpoints(host, f"{release.name}-headless") == {release.pod}
    # Nor does its StatefulSet adopt the pod.
    owners = host.get("pod", on_host(release, kubectl, "impostor"))["metadata"]["ownerReferences"]
    assert [owner["kind"] for owner in owners] == ["ConfigMap"]


def test_a_service_never_leads_to_the_control_plane(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    selector = host.get("service", release.name)["spec"]["selector"]
    kubectl.apply(plain("Service", "tap", spec={"selector": selector, "ports": [{"port": 443, "targetPort": 8443}]}))
    kubectl.apply(pod("own", patient(), labels=selector))
    kubectl.ready("own")

    becomes({on_host(release, kubectl, "own")}, lambda: endpoints(host, on_host(release, kubectl, "tap")))


def test_endpoints_cannot_be_slipped_under_the_control_planes_service(
    release: Release, host: Kubectl, kubectl: Kubectl
) -> None:
    before = {item["metadata"]["uid"] for item in slices_of(host, release.name)}
    labels = {"kubernetes.io/service-name": release.name, "endpointslice.kubernetes.io/managed-by": "me"}
    fields: Object = {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.66"]}], "ports": [{"port": 8443}]}
    kubectl.apply(
        service(release.name),
        plain("EndpointSlice", f"{release.name}-0", api="discovery.k8s.io/v1", labels=labels, **fields),
    )
    mine = on_host(release, kubectl, release.name)
    eventually(lambda: [item for item in slices_of(host, mine) if item["endpoints"]])

    assert {item["metadata"]["uid"] for item in slices_of(host, release.name)} == before


def slices_of(host: Kubectl, name: str) -> list[Object]:
    """EndpointSlices of a Service."""
    return host.items("endpointslices", f"--selector=kubernetes.io/service-name={name}")


def test_names_made_to_collide_stay_apart(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    """`a-x-b` in namespace `c` and `a` in namespace `b-x-c` would share a plain host name."""
    first = kubectl.namespace
    with release.tenant_namespace(f"b-x-{first}") as second:
        kubectl.apply(pod("a-x-b", patient()))
        release.tenant.within(second).apply(pod("a", patient()))
        kubectl.ready("a-x-b")
        release.tenant.within(second).ready("a")
        found = {
            (
                item["metadata"]["annotations"]["sublet.dev/name"],
                item["metadata"]["annotations"]["sublet.dev/namespace"],
            )
            for item in host.items("pods", f"--selector=sublet.dev/namespace in ({first},{second})")
        }

    assert found == {("a-x-b", first), ("a", second)}


def test_nothing_of_the_tenant_holds_a_host_object_back(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    stuck = {"finalizers": ["example.com/never"], "ownerReferences": []}
    objects = [
        pod("stuck", patient(envFrom=[{"configMapRef": {"name": "stuck"}}])),
        plain("ConfigMap", "stuck", data={"A": "1"}),
        service("stuck", app="stuck"),
    ]
    for obj in objects:
        obj["metadata"] |= stuck
    kubectl.apply(*objects)
    kubectl.ready("stuck")
    name = on_host(release, kubectl, "stuck")
    finalizers = [host.get(kind, name)["metadata"].get("finalizers") for kind in ("pod", "configmap", "service")]
    for kind in ("pod", "configmap", "service"):
        kubectl("patch", kind, "stuck", "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')

    assert finalizers == [None, None, None]


# -- what belongs to the host -------------------------------------------------------------------------------------------


def test_secrets_and_claims_of_the_control_plane_cannot_be_mounted(
    release: Release, host: Kubectl, kubectl: Kubectl
) -> None:
    wanted = [
        {"name": "certs", "secret": {"secretName": f"{release.name}-certs"}},
        {"name": "config", "projected": {"sources": [{"secret": {"name": f"vc-config-{release.name}"}}]}},
        {"name": "store", "persistentVolumeClaim": {"claimName": f"data-{release.pod}"}},
        {"name": "host-token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ]
    kubectl.apply(pod("burglar", patient(), volumes=wanted))
    there = eventually(lambda: host.get("pod", on_host(release, kubectl, "burglar")))["spec"]
    text = json.dumps(there["volumes"])

    assert f'"{release.name}-certs"' not in text
    assert f'"vc-config-{release.name}"' not in text
    assert f'"data-{release.pod}"' not in text
    assert "serviceAccountToken" not in text


def test_a_pod_runs_under_the_powerless_account_of_workloads(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    powerful = host.get("pod", release.pod)["spec"]["serviceAccountName"]
    kubectl("create", "serviceaccount", powerful)
    eventually(lambda: kubectl.get("serviceaccount", powerful))
    urgent = {"priorityClassName": "system-node-critical", "serviceAccountName": powerful}
    kubectl.apply(pod("climber", patient(), **urgent))
    there = eventually(lambda: host.get("pod", on_host(release, kubectl, "climber")))["spec"]

    assert there["serviceAccountName"] == f"vc-workload-{release.name}"
    assert there["automountServiceAccountToken"] is False
    assert there.get("priority", 0) == 0
    account = f"--as=system:serviceaccount:{release.namespace}:vc-workload-{release.name}"
    assert "yes" not in host.run("auth", "can-i", "get", "pods", account).stdout.decode()


# -- nodes and the kubelet API ------------------------------------------------------------------------------------------


@pytest.fixture
def lure(release: Release, kubectl: Kubectl) -> Iterator[Callable[[str], str]]:
    """Makes a Node of the tenant's own that claims to be at an address; gives the path of its proxy."""
    made = []

    def make(address: str) -> str:
        name = f"lure-{len(made)}-{kubectl.namespace}"
        release.tenant.apply(plain("Node", name))
        made.append(name)
        status = {"addresses": [{"type": "InternalDNS", "address": address}]}
        change = json.dumps({"status": {**status, "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})
        release.tenant("patch", "node", name, "--subresource=status", "--type=merge", "--patch", change)
        return f"/api/v1/nodes/{name}:10250/proxy"

    yield make
    for name in made:
        release.tenant("delete", "node", name)


def test_the_proxy_of_a_node_does_not_lead_into_the_control_plane(release: Release) -> None:
    node = min(release.tenant.names("nodes"))

    for port in ("", ":8080", ":8443", ":9443", ":10250", ":10257"):
        assert "address not allowed" in refused(release.tenant, "get", "--raw", f"/api/v1/nodes/{node}{port}/proxy/")


def client_certificate(release: Release, name: str) -> dict[str, str]:
    """Files of a client certificate for any common name, which an admin may have signed by their cluster's authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    spec = {
        "request": base64.b64encode(request.public_bytes(pem)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    order = f"order-{uuid.uuid4().hex[:6]}"
    release.tenant.apply(plain("CertificateSigningRequest", order, api="certificates.k8s.io/v1", spec=spec))
    release.tenant("certificate", "approve", order)
    signed = eventually(lambda: release.tenant.get("csr", order)["status"].get("certificate"))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"tls.crt": base64.b64decode(signed).decode(), "tls.key": private.decode()}


def test_the_kubelet_api_knows_only_pods_of_the_tenant(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    """Even to a tenant who comes from a pod, with the very identity of the API server."""
    files = client_certificate(release, "sublet:kubelet-client")
    volumes = [{"name": "id", "secret": {"secretName": "id"}}]
    kubectl.apply(
        plain("Secret", "id", stringData=files),
        pod("intruder", toolbox(volumeMounts=[{"name": "id", "mountPath": "/id"}]), volumes=volumes),
        pod("speaker", shell("echo here; sleep infinity")),
    )
    kubectl.ready("intruder", "speaker")
    url = f"https://{address(host, release.name)}:10250"

    upgrade = "-H 'Connection: Upgrade' -H 'Upgrade: SPDY/3.1' -H 'X-Stream-Protocol-Version: v4.channel.k8s.io'"

    def ask(path: str, *, identity: str = "--cert /id/tls.crt --key /id/tls.key") -> str:
        options = f"-sk -m 5 --http1.1 --path-as-is {upgrade if 'exec' in path else ''} {identity}"
        script = f"curl {options} -w '%{{http_code}}' '{url}{path}' || true"
        return kubectl.execute("intruder", script)

    ours, theirs = f"{kubectl.namespace}/speaker/main", f"{release.namespace}/{release.pod}/syncer"
    translated = f"{release.namespace}/{on_host(release, kubectl, 'speaker')}/main"
    assert ask(f"/containerLogs/{ours}") == "here\n200"
    assert ask(f"/containerLogs/{ours}", identity="").endswith(("000", "401", "403"))
    for place in (theirs, translated, f"default/{release.pod}/syncer", f"{kubectl.namespace}/{release.pod}/syncer"):
        for path in (f"/containerLogs/{place}", f"/exec/{place}?command=id&output=1"):
            assert "is not on the host cluster" in ask(path)
    for path in (
        f"/containerLogs/{kubectl.namespace}/../{theirs}",
        f"/containerLogs/{kubectl.namespace}%2f..%2f{theirs}",
        f"/containerLogs/{ours}/../../../{theirs}",
        f"/containerLogs/{kubectl.namespace}/speaker/..%2f..%2f{release.pod}/syncer",
        "/pods",
        "/configz",
        f"/run/{ours}",
    ):
        assert ask(path)[-3:] in ("400", "403", "404", "405")


def test_a_node_that_claims_the_control_planes_address_is_not_trusted(
    release: Release, host: Kubectl, lure: Callable[[str], str]
) -> None:
    path = f"containerLogs/{release.namespace}/{release.pod}/syncer"
    ip = host.get("pod", release.pod)["status"]["podIP"]

    assert "certificate" in refused(release.tenant, "get", "--raw", f"{lure(ip)}/{path}")


def test_a_node_that_claims_a_real_kubelets_address_is_not_trusted(
    release: Release, lure: Callable[[str], str]
) -> None:
    real = next(item for item in release.host.items("nodes") if item["metadata"]["name"] == "node-1")
    ip = next(item["address"] for item in real["status"]["addresses"] if item["type"] == "InternalIP")

    assert "certificate" in refused(release.tenant, "get", "--raw", f"{lure(ip)}/pods")


def test_logs_of_a_pod_that_only_names_a_host_pod_are_not_given(release: Release, kubectl: Kubectl) -> None:
    """A virtual pod called like the control plane's, on a node that exists: its namespace is not the host's."""
    kubectl.apply(pod(release.pod, patient(name="syncer")))
    kubectl.ready(release.pod)

    assert "sublet" not in kubectl("logs", release.pod, "--container=syncer")
    assert kubectl.execute(release.pod, "hostname") == release.pod


def test_an_edited_node_address_is_put_back_and_logs_still_come(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("speaker", shell("echo here; sleep infinity")))
    kubectl.ready("speaker")
    node = kubectl.get("pod", "speaker")["spec"]["nodeName"]
    right = release.tenant.get("node", node)["status"]["addresses"]
    evil = [{"type": kind, "address": "192.0.2.66"} for kind in ("InternalDNS", "InternalIP")]
    change = json.dumps({"status": {"addresses": evil, "daemonEndpoints": {"kubeletEndpoint": {"Port": 6443}}}})
    release.tenant("patch", "node", node, "--subresource=status", "--type=merge", "--patch", change)

    becomes(right, lambda: release.tenant.get("node", node)["status"]["addresses"], patience=10)
    assert kubectl("logs", "speaker") == "here\n"


# -- the admission webhook ----------------------------------------------------------------------------------------------


def test_a_removed_webhook_is_put_back_and_services_have_the_hosts_address_meanwhile(
    release: Release, host: Kubectl, kubectl: Kubectl
) -> None:
    release.tenant("delete", WEBHOOK)
    kubectl.apply(service("hasty", app="web"))
    eventually(lambda: release.tenant("get", WEBHOOK), patience=10)

    becomes(True, lambda: address(kubectl, "hasty") == address(host, on_host(release, kubectl, "hasty")), patience=10)


def test_an_edited_webhook_is_put_back(release: Release) -> None:
    right = release.tenant.get(WEBHOOK)["webhooks"]
    change = [{"op": "replace", "path": "/webhooks/0/clientConfig/url", "value": "https://192.0.2.66/"}]
    release.tenant("patch", WEBHOOK, "--type=json", "--patch", json.dumps(change))

    becomes(right, lambda: release.tenant.get(WEBHOOK)["webhooks"], patience=10)
