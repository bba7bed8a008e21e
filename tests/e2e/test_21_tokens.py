"""Tokens of ServiceAccounts: issued and judged by the virtual cluster, bound to the pod, worth nothing on the host."""

from __future__ import annotations

import base64
import json
import time

import pytest

from syncer.names import token_secret_name
from tests.e2e.objects import Object, patient, plain, toolbox
from tests.e2e.tenancy import Kubectl, Release, eventually, pod

pytestmark = pytest.mark.timeout(180)

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
ISSUER = "https://kubernetes.default.svc.cluster.local"
ASK = (
    "curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "
    f'--cacert {ACCOUNT}/ca.crt --header "Authorization: Bearer $(cat {ACCOUNT}/token)" https://kubernetes.default.svc'
)


def claims(token: str) -> Object:
    """What a token says."""
    payload = token.split(".")[1]
    found: Object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def reviewed(kubectl: Kubectl, token: str, audience: str | None = None) -> Object:
    """What an API server thinks of a token."""
    spec = {"token": token, **({"audiences": [audience]} if audience else {})}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    status: Object = json.loads(kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))["status"]
    return status


@pytest.fixture(scope="module")
def clerk(stage: Kubectl) -> Kubectl:
    """A pod `clerk` of ServiceAccount `clerk`, which has a token for an audience of its own, too."""
    source = {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 1200}}
    vault = {"name": "vault", "projected": {"sources": [source]}}
    container = toolbox(volumeMounts=[{"name": "vault", "mountPath": "/vault"}])
    stage.apply(plain("ServiceAccount", "clerk"), pod("clerk", container, serviceAccountName="clerk", volumes=[vault]))
    stage.ready("clerk")
    return stage


def test_the_token_of_a_pod_is_about_the_virtual_pod(clerk: Kubectl) -> None:
    said = claims(clerk.execute("clerk", f"cat {ACCOUNT}/token"))
    found = clerk.get("pod", "clerk")

    assert said["iss"] == ISSUER
    assert said["sub"] == f"system:serviceaccount:{clerk.namespace}:clerk"
    assert said["kubernetes.io"]["namespace"] == clerk.namespace
    assert said["kubernetes.io"]["pod"] == {"name": "clerk", "uid": found["metadata"]["uid"]}


def test_a_token_lives_as_long_as_the_pod_asks_for(clerk: Kubectl) -> None:
    usual, vault = (claims(clerk.execute("clerk", f"cat {path}")) for path in (f"{ACCOUNT}/token", "/vault/token"))

    assert usual["exp"] - usual["iat"] == 3607
    assert vault["exp"] - vault["iat"] == 1200
    assert abs(vault["iat"] - time.time()) < 600


def test_a_token_has_the_audience_the_pod_asks_for(clerk: Kubectl) -> None:
    token = clerk.execute("clerk", "cat /vault/token")

    assert claims(token)["aud"] == ["vault"]
    assert reviewed(clerk, token, "vault")["authenticated"]
    assert not reviewed(clerk, token).get("authenticated")


def test_the_container_may_read_its_token_and_is_told_when_it_changes(clerk: Kubectl) -> None:
    # A link to a link: the kubelet replaces the folder behind it in one step.
    assert clerk.execute("clerk", f"readlink {ACCOUNT}/token") == "..data/token"
    assert clerk.execute("clerk", f"stat -Lc %a {ACCOUNT}/token") == "644"


def test_rbac_of_the_virtual_cluster_decides_what_a_pod_may_do(clerk: Kubectl) -> None:
    ask = f"{ASK}/api/v1/namespaces/{clerk.namespace}/configmaps"
    assert clerk.execute("clerk", ask) == "403"

    clerk("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    clerk("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={clerk.namespace}:clerk")

    assert eventually(lambda: clerk.execute("clerk", ask) == "200", patience=10)
    assert clerk.execute("clerk", ask.replace("configmaps", "secrets")) == "403"
    assert clerk.execute("clerk", ask.replace(str(clerk.namespace), "kube-system")) == "403"


def test_without_a_token_the_api_server_knows_nobody(clerk: Kubectl) -> None:
    ask = f"{ASK}/api/v1/namespaces"

    assert clerk.execute("clerk", ask.replace("$(cat", "$(echo nonsense; true")) == "401"
    assert clerk.execute("clerk", ask.replace(f"{ACCOUNT}/token", "/vault/token")) == "401"


def test_a_token_is_worth_nothing_on_the_host(release: Release, clerk: Kubectl) -> None:
    token = clerk.execute("clerk", f"cat {ACCOUNT}/token")

    assert reviewed(clerk, token)["authenticated"]
    assert not reviewed(release.host, token).get("authenticated")


def test_a_pod_holds_no_token_of_the_host(clerk: Kubectl) -> None:
    find = "find / -path /proc -prune -o -path /sys -prune -o -name token -print 2>/dev/null"
    tokens = clerk.execute("clerk", f"for file in $({find}; true); do cat $file; echo; done").split()

    assert tokens
    assert {claims(token)["iss"] for token in tokens} == {ISSUER}


def test_a_token_ends_with_its_pod(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("brief", patient()))
    kubectl.ready("brief")
    token = kubectl.execute("brief", f"cat {ACCOUNT}/token")
    secret = token_secret_name("brief", str(kubectl.namespace), release.name)
    there = release.host.within(release.namespace)
    assert secret in there.names("secrets")

    kubectl("delete", "pod", "brief")

    # Not asked before: an API server remembers for ten seconds what it thought of a token.
    assert not reviewed(kubectl, token).get("authenticated")
    assert eventually(lambda: secret not in there.names("secrets"), patience=10)


def test_a_token_that_is_due_is_renewed_in_the_running_pod(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("lasting", patient()))
    kubectl.ready("lasting")
    before = kubectl.execute("lasting", f"cat {ACCOUNT}/token")
    secret = token_secret_name("lasting", str(kubectl.namespace), release.name)

    # Tokens live for ten minutes at least; the time of renewal is only noted on the Secret.
    release.on_host("annotate", "secret", secret, "--overwrite", "sublet.dev/refresh-at=1")

    after = eventually(
        lambda: (now := kubectl.execute("lasting", f"cat {ACCOUNT}/token")) != before and now, patience=40
    )
    assert claims(after)["iat"] >= claims(before)["iat"]
    assert reviewed(kubectl, after)["authenticated"]


def test_the_tokens_of_a_finished_pod_leave_the_host(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(pod("done", patient(command=["true"]), restartPolicy="Never"))
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=30s")

    secret = token_secret_name("done", str(kubectl.namespace), release.name)
    assert eventually(lambda: secret not in release.host.within(release.namespace).names("secrets"), patience=10)


def test_a_pod_may_go_without_a_token(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(
        pod("plain", patient(), automountServiceAccountToken=False),
        plain("ServiceAccount", "shy", automountServiceAccountToken=False),
        pod("shy", patient(), serviceAccountName="shy"),
    )
    kubectl.ready()

    for name in ("plain", "shy"):
        assert kubectl.execute(name, f"ls {ACCOUNT} 2>&1 || true").endswith("No such file or directory")
        assert token_secret_name(name, str(kubectl.namespace), release.name) not in release.host.names(
            "secrets", "-n", release.namespace
        )


def test_a_token_secret_of_the_older_kind_is_filled_and_mounted(kubectl: Kubectl) -> None:
    secret = plain("Secret", "older", type="kubernetes.io/service-account-token")
    secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    mounted = patient(volumeMounts=[{"name": "older", "mountPath": "/older"}])
    kubectl.apply(secret, pod("reader", mounted, volumes=[{"name": "older", "secret": {"secretName": "older"}}]))
    kubectl.ready("reader")

    token = eventually(lambda: kubectl.execute("reader", "cat /older/token"), patience=30)
    assert claims(token)["sub"] == f"system:serviceaccount:{kubectl.namespace}:default"
    assert kubectl.execute("reader", "cat /older/namespace") == kubectl.namespace


def test_tokens_are_issued_on_demand(kubectl: Kubectl) -> None:
    token = kubectl("create", "token", "default", "--duration=10m").strip()

    assert reviewed(kubectl, token)["user"]["username"] == f"system:serviceaccount:{kubectl.namespace}:default"
