"""Services and DNS: pods reach each other by name as on any cluster, and Services have one address on both sides."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from syncer.names import host_name
from tests.e2e.objects import Object, plain, service, toolbox, workload
from tests.e2e.tenancy import Kubectl, Release, eventually, pod, web

pytestmark = pytest.mark.timeout(180)

FETCH = "curl --silent --show-error --fail --max-time 3"
DIG = "dig +short +time=2 +tries=2"


def host_service(release: Release, kubectl: Kubectl, name: str) -> Object:
    """The Service on the host that stands for one of the tenant."""
    return release.host.get(
        "service", host_name(name, kubectl.namespace, release.name), "--namespace", release.namespace
    )


def fetched(kubectl: Kubectl, url: str, *, pod: str = "client") -> str:
    """What a URL gives to a pod, as soon as it gives anything: rules for new Services reach nodes and name servers a little later."""
    return eventually(lambda: kubectl.execute(pod, f"{FETCH} {url}"), patience=20)


def looked_up(kubectl: Kubectl, name: str, kind: str = "A") -> set[str]:
    """What the client's name server knows of a full name now."""
    return set(kubectl.execute("client", f"{DIG} {kind} {name}").split())


def addresses(kubectl: Kubectl, app: str) -> set[str]:
    """IPs of an application's pods."""
    return {item["status"]["podIP"] for item in kubectl.items("pods", "--selector", f"app={app}")}


@pytest.fixture(scope="module")
def shop(stage: Kubectl) -> Kubectl:
    """A Deployment `web` of two replicas, behind Services of several kinds, and a pod `client`."""
    stage.apply(
        workload("Deployment", "web", web(), replicas=2),
        service("web", app="web"),
        service("headless", app="web", clusterIP="None"),
        service("node-port", app="web", type="NodePort"),
        service("sticky", app="web", sessionAffinity="ClientIP"),
        plain(
            "Service",
            "alias",
            spec={"type": "ExternalName", "externalName": f"web.{stage.namespace}.svc.cluster.local"},
        ),
        pod("client", toolbox()),
    )
    stage("rollout", "status", "deployment/web", "--timeout=60s")
    stage.ready("client")
    return stage


@pytest.fixture(scope="module")
def elsewhere(release: Release, shop: Kubectl) -> Iterator[Kubectl]:
    """Another namespace with a pod `client`."""
    with release.tenant_namespace(f"m-{uuid.uuid4().hex[:6]}") as name:
        kubectl = release.tenant.within(name)
        kubectl.apply(pod("client", toolbox()))
        kubectl.ready("client")
        yield kubectl


def test_a_pod_fetches_a_service_of_its_namespace_by_its_bare_name(shop: Kubectl) -> None:
    assert fetched(shop, "http://web/hostname").startswith("web-")


@pytest.mark.parametrize("suffix", ["", ".svc", ".svc.cluster.local", ".svc.cluster.local."])
def test_a_pod_fetches_a_service_of_another_namespace(shop: Kubectl, elsewhere: Kubectl, suffix: str) -> None:
    assert fetched(elsewhere, f"http://web.{shop.namespace}{suffix}/hostname").startswith("web-")


def test_a_bare_name_means_the_own_namespace_only(elsewhere: Kubectl) -> None:
    failed = elsewhere.run("exec", "client", "--", "curl", "--silent", "--show-error", "http://web/")

    assert b"Could not resolve host" in failed.stderr


def test_all_replicas_answer(shop: Kubectl) -> None:
    fetched(shop, "http://web/hostname")
    answers = set(shop.execute("client", f"for i in $(seq 20); do {FETCH} http://web/hostname; echo; done").split())

    assert answers == shop.names("pods", "--selector=app=web")


@pytest.mark.parametrize("name", ["web", "node-port", "sticky"])
def test_a_service_has_one_address_on_both_sides(release: Release, shop: Kubectl, name: str) -> None:
    here, there = shop.get("service", name)["spec"], host_service(release, shop, name)["spec"]

    assert here["clusterIP"] == there["clusterIP"]
    assert here["clusterIPs"] == there["clusterIPs"]


def test_the_name_of_a_service_is_its_address(shop: Kubectl) -> None:
    name = f"web.{shop.namespace}.svc.cluster.local"
    address = shop.get("service", "web")["spec"]["clusterIP"]

    assert looked_up(shop, name) == {address}
    assert shop.execute("client", f"{DIG} -x {address}") == f"{name}."


def test_named_ports_have_srv_records(shop: Kubectl) -> None:
    name = f"web.{shop.namespace}.svc.cluster.local"

    assert shop.execute("client", f"{DIG} SRV _http._tcp.{name}").endswith(f" 80 {name}.")


def test_a_headless_service_is_the_addresses_of_its_pods(shop: Kubectl) -> None:
    name = f"headless.{shop.namespace}.svc.cluster.local"

    assert eventually(lambda: looked_up(shop, name) == addresses(shop, "web"), patience=20)


def test_an_external_name_is_another_name(shop: Kubectl) -> None:
    name = f"web.{shop.namespace}.svc.cluster.local"

    assert f"{name}." in looked_up(shop, f"alias.{shop.namespace}.svc.cluster.local", "CNAME")
    assert fetched(shop, "http://alias/hostname").startswith("web-")


def test_a_node_port_is_reached_at_every_node_as_the_tenant_sees_it(release: Release, shop: Kubectl) -> None:
    number = shop.get("service", "node-port")["spec"]["ports"][0]["nodePort"]
    nodes = shop.items("nodes")
    ips = [a["address"] for node in nodes for a in node["status"]["addresses"] if a["type"] == "InternalIP"]

    assert len(ips) == len(nodes)
    assert host_service(release, shop, "node-port")["spec"]["ports"][0]["nodePort"] == number
    for ip in ips:
        assert fetched(shop, f"http://{ip}:{number}/hostname").startswith("web-")


def test_session_affinity_holds_a_client_to_one_pod(release: Release, shop: Kubectl) -> None:
    fetched(shop, "http://sticky/hostname")
    answers = set(shop.execute("client", f"for i in $(seq 15); do {FETCH} http://sticky/hostname; echo; done").split())

    assert len(answers) == 1
    assert host_service(release, shop, "sticky")["spec"]["sessionAffinityConfig"] == {
        "clientIP": {"timeoutSeconds": 10800}
    }


def test_the_resolver_of_a_pod_knows_the_virtual_cluster_only(release: Release, shop: Kubectl) -> None:
    lines = shop.execute("client", "cat /etc/resolv.conf").splitlines()
    server = release.tenant.get("service", "kube-dns", "--namespace=kube-system")["spec"]["clusterIP"]

    assert f"nameserver {server}" in lines
    assert f"search {shop.namespace}.svc.cluster.local svc.cluster.local cluster.local" in lines
    assert release.namespace not in "".join(lines)


def test_names_of_the_host_cluster_do_not_exist(release: Release, shop: Kubectl) -> None:
    assert looked_up(shop, f"{release.name}.{release.namespace}.svc.cluster.local") == set()


def test_a_watch_sees_a_new_service_once(release: Release, kubectl: Kubectl) -> None:
    watch = kubectl.start("get", "services", "--watch", "--output-watch-events", "--output=json")
    with watch:
        for name in ("one", "two"):
            kubectl.apply(service(name, app="web"))
            eventually(lambda name=name: host_service(release, kubectl, name))
        kubectl.apply(plain("Service", "last", spec={"type": "ExternalName", "externalName": "example.com"}))
        seen = list(_until(_watched(watch), "last"))
        watch.kill()

    assert seen == [("ADDED", "one"), ("ADDED", "two"), ("ADDED", "last")]


def _watched(watch) -> Iterator[tuple[str, str]]:
    decoder, text = json.JSONDecoder(), ""
    while data := watch.stdout.read1():
        text = (text + data.decode()).lstrip()
        while text:
            try:
                event, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break
            text = text[end:].lstrip()
            yield event["type"], event["object"]["metadata"]["name"]


def _until(events: Iterator[tuple[str, str]], name: str) -> Iterator[tuple[str, str]]:
    for event in events:
        yield event
        if event[1] == name:
            return


def test_a_service_that_exists_already_is_reported_as_such(release: Release, shop: Kubectl) -> None:
    before = host_service(release, shop, "web")
    failed = shop.run("create", "service", "clusterip", "web", "--tcp=80:80")

    assert b'services "web" already exists' in failed.stderr
    assert host_service(release, shop, "web") == before


def test_a_taken_address_is_refused_as_on_a_real_cluster(shop: Kubectl, kubectl: Kubectl) -> None:
    taken = shop.get("service", "web")["spec"]["clusterIP"]
    failed = kubectl.run("create", "-f", "-", stdin=json.dumps(service("mine", app="web", clusterIP=taken)))

    assert failed.returncode != 0
    assert b"provided IP is already allocated" in failed.stderr
    assert kubectl.names("services") == set()


def test_a_dry_run_makes_nothing_on_the_host(release: Release, kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "tried", "--tcp=80", "--dry-run=server")

    assert host_name("tried", str(kubectl.namespace), release.name) not in release.host.names(
        "services", "-n", release.namespace
    )


def test_a_service_whose_name_the_server_chooses_has_one_address_too(release: Release, kubectl: Kubectl) -> None:
    unnamed = service("unnamed", app="web")
    unnamed["metadata"] = {"generateName": "web-"}
    kubectl("create", "-f", "-", stdin=json.dumps(unnamed))

    def on_both_sides() -> bool:
        (here,) = kubectl.items("services")
        return (
            here["spec"]["clusterIP"] == host_service(release, kubectl, here["metadata"]["name"])["spec"]["clusterIP"]
        )

    assert eventually(on_both_sides, patience=10)


def test_endpoints_written_by_the_tenant_make_a_service_reachable(shop: Kubectl) -> None:
    first, second = sorted(addresses(shop, "web"))
    slice_ = plain(
        "EndpointSlice",
        "by-hand",
        api="discovery.k8s.io/v1",
        labels={"kubernetes.io/service-name": "by-hand"},
        addressType="IPv4",
        ports=[{"name": "http", "port": 8080}],
        endpoints=[{"addresses": [first]}],
    )
    shop.apply(service("by-hand"), slice_)
    assert fetched(shop, "http://by-hand/clientip")
    name = fetched(shop, "http://by-hand/hostname")

    shop.apply({**slice_, "endpoints": [{"addresses": [second]}]})

    assert eventually(lambda: fetched(shop, "http://by-hand/hostname") != name, patience=20)


def test_the_port_of_a_hand_written_slice_is_followed(shop: Kubectl) -> None:
    slice_ = plain(
        "EndpointSlice",
        "moving",
        api="discovery.k8s.io/v1",
        labels={"kubernetes.io/service-name": "moving"},
        addressType="IPv4",
        ports=[{"name": "http", "port": 9}],
        endpoints=[{"addresses": [min(addresses(shop, "web"))]}],
    )
    shop.apply(service("moving"), slice_)
    assert shop.run("exec", "client", "--", "sh", "-c", f"{FETCH} http://moving/").returncode != 0

    shop.apply({**slice_, "ports": [{"name": "http", "port": 8080}]})

    assert fetched(shop, "http://moving/hostname").startswith("web-")


def test_the_older_endpoints_work_too(shop: Kubectl) -> None:
    subsets = [{"addresses": [{"ip": min(addresses(shop, "web"))}], "ports": [{"name": "http", "port": 8080}]}]
    shop.apply(service("older"), plain("Endpoints", "older", subsets=subsets))

    assert fetched(shop, "http://older/hostname").startswith("web-")


def test_a_changed_selector_leads_to_other_pods(shop: Kubectl, kubectl: Kubectl) -> None:
    kubectl.apply(pod("blue", web()), pod("green", web()), service("colour", app="blue"))
    kubectl.ready()
    url = f"http://colour.{kubectl.namespace}/hostname"
    assert fetched(shop, url) == "blue"

    kubectl("patch", "service", "colour", "--patch", '{"spec": {"selector": {"app": "green"}}}')

    assert eventually(lambda: fetched(shop, url) == "green", patience=20)


def test_ports_of_a_service_are_followed(release: Release, shop: Kubectl, kubectl: Kubectl) -> None:
    kubectl.apply(pod("blue", web()), service("colour", app="blue"))
    kubectl.ready()

    kubectl(
        "patch",
        "service",
        "colour",
        "--patch",
        '{"spec": {"ports": [{"port": 81, "name": "more", "targetPort": 8080}]}}',
    )

    assert fetched(shop, f"http://colour.{kubectl.namespace}:81/hostname") == "blue"
    assert fetched(shop, f"http://colour.{kubectl.namespace}:80/hostname") == "blue"


def test_a_service_may_change_its_type(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(service("moody", app="web"))
    address = kubectl.get("service", "moody")["spec"]["clusterIP"]

    def on_both_sides(**fields: str) -> Object | None:
        sides = [kubectl.get("service", "moody"), host_service(release, kubectl, "moody")]
        same = all(side["spec"].get(name) == value for side in sides for name, value in fields.items())
        return sides[0]["spec"] if same else None

    kubectl("patch", "service", "moody", "--patch", '{"spec": {"type": "NodePort"}}')
    spec = eventually(lambda: on_both_sides(type="NodePort", clusterIP=address), patience=10)
    number = spec["ports"][0]["nodePort"]
    assert eventually(
        lambda: host_service(release, kubectl, "moody")["spec"]["ports"][0]["nodePort"] == number, patience=10
    )

    kubectl("patch", "service", "moody", "--patch", '{"spec": {"type": "ClusterIP"}}')
    assert eventually(lambda: on_both_sides(type="ClusterIP", clusterIP=address), patience=10)

    change = {"spec": {"type": "ExternalName", "externalName": "example.com", "clusterIP": None, "clusterIPs": None}}
    kubectl("patch", "service", "moody", "--patch", json.dumps(change))
    assert eventually(lambda: on_both_sides(type="ExternalName", externalName="example.com"), patience=10)

    identity = kubectl.get("service", "moody")["metadata"]["uid"]
    kubectl("patch", "service", "moody", "--patch", '{"spec": {"type": "ClusterIP", "externalName": null}}')
    service_ = kubectl.get("service", "moody")
    assert service_["metadata"]["uid"] == identity
    assert eventually(lambda: on_both_sides(type="ClusterIP", clusterIP=service_["spec"]["clusterIP"]), patience=10)


def test_a_removed_service_is_removed_on_the_host(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(service("brief", app="web"))
    name = host_name("brief", kubectl.namespace, release.name)
    assert name in release.host.names("services", "--namespace", release.namespace)

    kubectl("delete", "service", "brief")

    assert eventually(lambda: name not in release.host.names("services", "--namespace", release.namespace), patience=10)


def test_a_balancer_that_the_host_does_not_have_stays_pending(release: Release, kubectl: Kubectl) -> None:
    kubectl.apply(service("balanced", app="web", type="LoadBalancer"))

    assert "<pending>" in kubectl("get", "service", "balanced")
    here, there = kubectl.get("service", "balanced")["spec"], host_service(release, kubectl, "balanced")["spec"]
    assert here["ports"][0]["nodePort"] == there["ports"][0]["nodePort"]


def test_pods_that_are_not_ready_get_no_requests_but_may_be_named(shop: Kubectl, kubectl: Kubectl) -> None:
    unready = web(readinessProbe={"exec": {"command": ["false"]}, "periodSeconds": 1})
    kubectl.apply(
        pod("shy", unready),
        service("shy", app="shy", clusterIP="None"),
        service("bold", app="shy", clusterIP="None", publishNotReadyAddresses=True),
    )
    ip = eventually(lambda: kubectl.get("pod", "shy")["status"].get("podIP"))
    suffix = f"{kubectl.namespace}.svc.cluster.local"

    assert eventually(lambda: looked_up(shop, f"bold.{suffix}") == {ip}, patience=20)
    assert looked_up(shop, f"shy.{suffix}") == set()
