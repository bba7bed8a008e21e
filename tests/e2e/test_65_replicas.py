"""Two pods of the control plane on one store: the loss of the one whose syncer leads is a matter of seconds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.e2e import fake_nodes, processes, replicas
from tests.e2e.agreement import differing, on_host, running, wanted
from tests.e2e.objects import Object, toolbox
from tests.e2e.replicas import FORMS, Form, addresses, both_are_ready, leader, pods
from tests.e2e.tenancy import Kubectl, Release, becomes, eventually, pod
from tests.e2e.writing import Writer

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
PODS = 100
SOON = 15.0
"""Seconds in which another syncer is to be at work."""


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    """Each in turn."""
    return FORMS[request.param]


@pytest.fixture(scope="module")
def pair(lab: None, form: Form, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release with two pods."""
    fake_nodes.ensure()
    with replicas.pair(form, tmp_path_factory.mktemp("pair")) as release:
        yield release


@pytest.fixture
def kubectl(pair: Release) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace of its own."""
    eventually(lambda: pair.tenant("get", "--raw", "/readyz"))
    with pair.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield pair.tenant.within(name)


def delete(release: Release, pod: str) -> None:
    """As a drain does it."""
    release.on_host("delete", "pod", pod, "--wait=false")


def freeze(release: Release, pod: str) -> None:
    """As if the node had lost its power: nothing answers, nothing is given back."""
    found = release.host.get("pod", pod, "--namespace", release.namespace)
    for pid in (pid for pids in processes.census(found).values() for pid in pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    release.on_host("delete", "pod", pod, "--force", "--grace-period=0")


Loss = Callable[[Release, str], None]
losses = pytest.mark.parametrize("lose", [delete, freeze])


def applied(kubectl: Kubectl, obj: Object) -> bool:
    """Whether it was accepted at once; a request to a pod that is lost hangs, and is one to try again."""
    return kubectl.run("apply", "--request-timeout=3s", "-f", "-", stdin=json.dumps(obj)).returncode == 0


@losses
def test_another_syncer_is_at_work_soon_after_the_leaders_pod_is_lost_amid_a_hundred_pods(
    pair: Release, form: Form, kubectl: Kubectl, lose: Loss
) -> None:
    both_are_ready(pair)
    lost = leader(pair)
    kubectl.apply(fake_nodes.fake_deployment("many", PODS), namespace=kubectl.namespace)
    eventually(lambda: len(on_host(pair, kubectl.namespace)) > PODS // 3, every=0.05)
    lose(pair, lost)
    began = time.monotonic()
    eventually(lambda: applied(kubectl, fake_nodes.fake_pod("probe")), every=0.1)
    accepted = time.monotonic() - began
    eventually(lambda: any("probe" in item.name for item in on_host(pair, kubectl.namespace)), every=0.1)
    seconds = time.monotonic() - began
    print(f"\n{form}: leader {lost} lost ({lose.__name__}): API after {accepted:.1f} s, sync after {seconds:.1f} s")

    becomes(PODS + 1, lambda: running(kubectl), patience=120)
    becomes(set(), lambda: set(on_host(pair, kubectl.namespace)) ^ wanted(pair, kubectl), patience=60)
    becomes({}, lambda: differing(pair, kubectl), patience=30)
    assert seconds <= SOON


@losses
def test_names_are_answered_in_the_tenants_pods_while_a_pod_of_the_control_plane_is_lost(
    pair: Release, form: Form, kubectl: Kubectl, lose: Loss
) -> None:
    if not form.contained:
        pytest.skip("the DNS server is a Deployment")
    both_are_ready(pair)
    ask = "dig +short +search +tries=2 +time=5 kubernetes.default"
    asking = f"while sleep 0.1; do {ask} | grep -q '^[0-9]' && echo found || echo lost; done"
    kubectl.apply(pod("client", toolbox(command=["sh", "-c", asking])))
    becomes(2, lambda: len(addresses(pair, "kube-dns-control-plane", "kube-system")))
    eventually(lambda: kubectl("logs", "client", "--tail=20").split() == ["found"] * 20)
    before = kubectl("logs", "client").count("\n")
    lose(pair, leader(pair))
    time.sleep(SOON)
    eventually(lambda: kubectl("logs", "client", "--tail=20").split() == ["found"] * 20)
    told = kubectl("logs", "client").split()[before:]
    print(f"\n{form}: {lose.__name__}: {told.count('lost')} of {len(told)} names not found")
    assert told.count("lost") <= (0 if lose is delete else 2)


def test_nothing_acknowledged_is_lost_when_pods_of_the_control_plane_end_one_after_the_other(
    pair: Release, kubectl: Kubectl
) -> None:
    with Writer(kubectl) as writer:
        for pod in ("vc-0", "vc-1"):
            both_are_ready(pair)
            before = len(writer.made)
            pair.on_host("delete", "pod", pod)
            eventually(lambda before=before: len(writer.made) > before + 20, patience=90)

    assert writer.lost() == []


def test_a_list_shows_what_was_acknowledged_by_whichever_api_server(pair: Release, kubectl: Kubectl) -> None:
    both_are_ready(pair)
    for number in range(20):  # kube-proxy chooses one of the API servers each time
        kubectl("create", "configmap", f"acknowledged-{number}")
        assert f"acknowledged-{number}" in kubectl.names("configmaps")


def test_the_api_and_an_embedded_dns_server_have_the_ready_pods_as_endpoints(pair: Release, form: Form) -> None:
    both_are_ready(pair)
    wanted_ips = sorted(item["status"]["podIP"] for item in pods(pair))
    becomes(wanted_ips, lambda: addresses(pair, "kubernetes", "default"))
    if form.contained:
        becomes(wanted_ips, lambda: addresses(pair, "kube-dns-control-plane", "kube-system"))


def test_a_service_that_is_made_through_either_api_server_has_the_hosts_address(
    pair: Release, kubectl: Kubectl
) -> None:
    for number in range(10):  # kube-proxy chooses one of the API servers each time
        name = f"web-{number}"
        kubectl("create", "service", "clusterip", name, "--tcp=80")
        virtual = kubectl.get("service", name)
        on = pair.host.get("service", f"{name}-x-{kubectl.namespace}-x-vc", "--namespace", pair.namespace)
        assert on["spec"]["clusterIP"] == virtual["spec"]["clusterIP"]
