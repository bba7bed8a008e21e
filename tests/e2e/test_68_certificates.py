"""Another CA, a CA of the user's, and leaves that expired while nothing ran."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import catalogue
from syncer.controlplane.certificates import Authority, Leaf, Pair, split
from tests.e2e import databases
from tests.e2e.certified import Tenant, certificates, fetch_kubeconfig, identities, shown
from tests.e2e.objects import Object, plain
from tests.e2e.tenancy import Kubectl, Release, becomes, eventually, host_kubectl, install, pod, remove
from tests.e2e.test_62_stores import written

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
NOW = dt.datetime.now(dt.UTC)
ALL_ALONG = """
import ssl, time, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
while True:
    try:
        context = ssl.create_default_context(cafile=folder + "ca.crt")
        token = {"Authorization": "Bearer " + open(folder + "token").read()}
        request = urllib.request.Request("https://kubernetes.default/api", headers=token)
        urllib.request.urlopen(request, context=context, timeout=5).read()
        print("ok", flush=True)
    except Exception as error:
        print("failed:", error, flush=True)
    time.sleep(1)
"""
"""A client as they are in pods: it trusts the file that it was given, and shows the token beside it."""
Install = Callable[..., Release]


@pytest.fixture
def installed(lab: None, tmp_path: Path) -> Iterator[Install]:
    """Installs a release into a namespace of its own, with values, after objects."""
    made: list[str] = []
    host = host_kubectl()

    def make(values: Object, *objects: Object) -> Release:
        namespace = f"certs-{uuid.uuid4().hex[:6]}"
        host("create", "namespace", namespace)
        made.append(namespace)
        host.apply(*objects, namespace=namespace)
        return install("vc", namespace, tmp_path, "--values", written(values, tmp_path))

    yield make
    for namespace in made:
        remove(host, "vc", namespace)


def test_the_ca_is_rotated_under_a_tenant_at_work(installed: Install, tmp_path: Path) -> None:
    release = installed({})
    with release.tenant_namespace("busy") as space:
        rotate(release, release.tenant.within(space), tmp_path, pods=("vc-0",))


def test_the_ca_is_rotated_under_a_tenant_at_work_and_in_two_pods(installed: Install, tmp_path: Path) -> None:
    with databases.server("postgres", shared=True) as server:
        values = server.values()
        values["controlPlane"]["statefulSet"]["highAvailability"] = {"replicas": 2}
        release = installed(values, server.secret())
        with release.tenant_namespace("busy") as space:
            rotate(release, release.tenant.within(space), tmp_path, pods=("vc-0", "vc-1"))


def rotate(release: Release, kubectl: Kubectl, folder: Path, *, pods: tuple[str, ...]) -> None:
    client = {"name": "main", "image": catalogue.SYNCER, "command": ["python", "-c", ALL_ALONG]}
    kubectl.apply(pod("client", client), namespace=kubectl.namespace)
    kubectl.ready("client")
    old_kubeconfig = folder / "old.kubeconfig"
    old_kubeconfig.write_bytes(kubectl.kubeconfig.read_bytes())
    old = Kubectl(kubeconfig=old_kubeconfig, prefix=kubectl.prefix, namespace=kubectl.namespace)
    (ca,) = authorities(release)
    before = identities(release)

    tenant = Tenant(release, kubectl)
    tenant.start()
    try:
        said = rotate_ca(release, "vc-0")
        assert f"kubectl --namespace {release.namespace} rollout restart statefulset/vc" in said
        new, trusted = authorities(release)
        assert trusted == ca
        for name in pods:
            becomes(certificates(release)["apiserver.crt"], lambda name=name: file(release, name, "apiserver.crt"))
            becomes(leaf(release, "apiserver"), lambda name=name: shown(release, 8443, pod=name))
            becomes(leaf(release, "syncer"), lambda name=name: shown(release, 10250, pod=name))
        assert identities(release) == before
        assert tenant.retried == []
        # The API server closes its connections to kubelets when its certificate for them is another, and an exec with them.
        eventually(lambda: old("exec", "client", "--", "echo", "hello") == "hello\n", patience=10)

        with pytest.raises(AssertionError, match=r"does not have the new CA yet.*rollout restart"):
            rotate_ca(release, "vc-0", "--finish")
        restart(release)
        becomes(True, lambda: new in root_ca(kubectl) and ca in root_ca(kubectl))
        eventually(lambda: new in kubectl("exec", "client", "--", "cat", mounted("ca.crt")), patience=180, every=2)

        rotate_ca(release, pods[-1], "--finish")
        becomes(new, lambda: file(release, "vc-0", "ca.crt"))
        restart(release)
    finally:
        tenant.stop()
    fetch_kubeconfig(release)
    becomes(True, lambda: ca not in root_ca(kubectl))
    assert tenant.failed == [] or len(pods) == 1  # then each restart takes the API away
    assert "certificate" in old.run("get", "pods").stderr.decode()
    lines = kubectl("logs", "client").splitlines()
    print(f"\nin the pod: {lines.count('ok')} requests, not answered: {[line for line in lines if line != 'ok']}")
    assert not [line for line in lines if "CERTIFICATE_VERIFY_FAILED" in line or "401" in line]
    assert lines[-1] == "ok"


def test_leaves_that_expired_while_nothing_ran_are_made_anew_at_the_start(installed: Install) -> None:
    release = installed({})
    release.on_host("scale", "statefulset/vc", "--replicas=0")
    release.on_host("wait", "--for=delete", "pod/vc-0", "--timeout=60s")
    data = release.host.get("secret", "vc-certs", "--namespace", release.namespace)["data"]
    authority = Authority(Pair(*(base64.b64decode(data[f"ca.{half}"]) for half in ("crt", "key"))))
    for name, leaf in {
        "apiserver": Leaf(file="", common_name="kube-apiserver", names=frozenset({"localhost"})),
        "syncer-client": Leaf(file="", common_name="sublet:syncer", organization="system:masters"),
        "admin": Leaf(file="", common_name="kubernetes-admin", organization="system:masters"),
    }.items():
        pair = authority.issue(leaf, dt.timedelta(days=1), NOW - dt.timedelta(days=2))
        patch = {"data": encoded({f"{name}.crt": pair.certificate, f"{name}.key": pair.key})}
        release.on_host("patch", "secret", "vc-certs", "--type=merge", f"--patch={json.dumps(patch)}")
    release.on_host("scale", "statefulset/vc", "--replicas=1")
    eventually(lambda: release.on_host("rollout", "status", "statefulset/vc", "--timeout=5s"), patience=120)
    fetch_kubeconfig(release)
    assert "kubernetes-admin" in release.tenant("auth", "whoami")
    assert not restarts(release)


def test_a_ca_of_the_users_is_taken_followed_and_refused_when_it_is_none(installed: Install) -> None:
    first, second = (Authority.create("tenant-ca", dt.timedelta(days=90), NOW) for _ in range(2))
    value = {"controlPlane": {"advanced": {"certificateAuthority": {"secretName": "company"}}}}
    release = installed(value, tls_secret(first))
    assert authorities(release) == [first.certificate.decode()]
    before = identities(release)

    # As cert-manager renews it: the same name, another key. The kubeconfig in use does not know it.
    release.host.apply(tls_secret(second), namespace=release.namespace)
    becomes([second.certificate.decode(), first.certificate.decode()], lambda: authorities(release))
    becomes(leaf(release, "apiserver"), lambda: shown(release, 8443))
    release.tenant("get", "namespaces")
    fetch_kubeconfig(release)
    assert base64.b64encode(second.certificate + first.certificate).decode() in release.tenant.kubeconfig.read_text()
    release.tenant("get", "namespaces")
    assert identities(release) == before

    release.host.apply(tls_secret(Pair(second.certificate, first.key)), namespace=release.namespace)
    release.on_host("delete", "pod", "vc-0")
    words = f"Secret {release.namespace}/company, key tls.crt: certificate and private key do not belong together"
    eventually(lambda: words in release.on_host("logs", "vc-0", "--container=pki"), every=1)
    release.host.apply(tls_secret(second), namespace=release.namespace)
    eventually(lambda: release.on_host("rollout", "status", "statefulset/vc", "--timeout=5s"), patience=150)


def tls_secret(pair: Pair) -> Object:
    """A CA as cert-manager's Certificate with `isCA: true` of a self-signed issuer writes it."""
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pair.certificate}
    return plain("Secret", "company", type="kubernetes.io/tls", data=encoded(data))


def encoded(data: dict[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(content).decode() for key, content in data.items()}


def authorities(release: Release) -> list[str]:
    """The CAs that are trusted; the first one signs."""
    return [pem.decode() for pem in split(certificates(release)["ca.crt"].encode())]


def leaf(release: Release, name: str) -> str:
    """A certificate without those behind it."""
    return split(certificates(release)[f"{name}.crt"].encode())[0].decode()


def file(release: Release, name: str, file: str) -> str:
    """What a pod of the control plane has."""
    return release.on_host("exec", name, "--container=syncer", "--", "cat", f"/pki/{file}")


def mounted(name: str) -> str:
    return f"/var/run/secrets/kubernetes.io/serviceaccount/{name}"


def rotate_ca(release: Release, name: str, *arguments: str) -> str:
    """Gives the command and returns what it says."""
    command = ("exec", name, "--container=syncer", "--", "python", "-m", "syncer", "rotate-ca", *arguments)
    done = release.host.run("--namespace", release.namespace, *command)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said
    return said


def restart(release: Release) -> None:
    release.on_host("rollout", "restart", "statefulset/vc")
    release.on_host("rollout", "status", "statefulset/vc", "--timeout=240s")


def root_ca(kubectl: Kubectl) -> str:
    """What pods are told to trust."""
    return str(kubectl.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"])


def restarts(release: Release) -> dict[str, int]:
    return {name: count for name, (_, count) in identities(release).items() if count}
