"""The endpoints of kube-dns where the control plane's own pod answers, and the host's DNS server in the manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncer.controlplane import dns
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, NotFound
from syncer.names import Object


class Virtual:
    """What of a Client is used here."""

    def __init__(self, *there: str) -> None:
        self.there: dict[str, Object] = {name: {} for name in there}

    async def create(self, resource: object, body: Object, *, namespace: str) -> None:
        if body["metadata"]["name"] in self.there:
            raise AlreadyExists(409, "AlreadyExists", "there")
        self.there[body["metadata"]["name"]] = body

    async def patch(self, resource: object, namespace: str, name: str, body: Object) -> None:
        self.there[name] |= body

    async def delete(self, resource: object, namespace: str, name: str) -> None:
        if name not in self.there:
            raise NotFound(404, "NotFound", "gone")
        del self.there[name]


def client(virtual: Virtual) -> Client:
    return virtual  # type: ignore[return-value]


@pytest.mark.parametrize("before", [(), ("coredns",), ("kube-dns-control-plane",)])
async def test_embedded_the_control_planes_pod_answers_and_no_other(before: tuple[str, ...]) -> None:
    virtual = Virtual(*before)
    await dns.ensure(client(virtual), embedded=True, endpoints=["10.244.0.7"])
    (made,) = virtual.there.values()
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "kube-dns"
    assert made["endpoints"] == [{"addresses": ["10.244.0.7"], "conditions": {"ready": True}}]
    assert {(port["name"], port["protocol"], port["port"]) for port in made["ports"]} == {
        ("dns", "UDP", 1053),
        ("dns-tcp", "TCP", 1053),
        ("metrics", "TCP", 9153),
    }


async def test_deployed_only_pods_of_the_virtual_cluster_answer() -> None:
    virtual = Virtual("coredns", "kube-dns-control-plane")
    await dns.ensure(client(virtual), embedded=False, endpoints=["10.244.0.7"])
    assert virtual.there.keys() == {"coredns"}


@pytest.mark.parametrize(
    ("resolv", "expected"),
    [("search a\nnameserver 10.96.0.10\nnameserver 192.0.2.1\n", "10.96.0.10"), ("nameserver\n", None)],
)
def test_the_hosts_dns_server_is_the_first_that_this_pod_was_told_of(
    tmp_path: Path, resolv: str, expected: str | None
) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(resolv)
    assert dns.with_host_resolver("forward . $(HOST_RESOLVER)", path=path) == f"forward . {expected or path}"


def test_manifests_that_do_not_ask_for_it_need_no_file(tmp_path: Path) -> None:
    assert dns.with_host_resolver("forward .", path=tmp_path / "missing") == "forward ."


SELECTING = {"metadata": {"uid": "1"}, "spec": {"selector": {"k8s-app": "kube-dns"}, "clusterIP": "10.96.0.10"}}


class WithService(Virtual):
    """A virtual cluster with this Service kube-dns, or none."""

    def __init__(self, service: Object | None) -> None:
        super().__init__()
        self.there = {} if service is None else {"kube-dns": service}

    async def get(self, resource: object, namespace: str, name: str) -> Object:
        if name not in self.there:
            raise NotFound(404, "NotFound", "gone")
        return self.there[name]

    async def delete(self, resource: object, namespace: str, name: str, *, uid: str = "") -> None:
        assert uid == self.there[name]["metadata"]["uid"]
        del self.there[name]


async def test_the_service_of_the_deployed_form_goes_and_its_address_is_kept() -> None:
    virtual = WithService(SELECTING)
    assert await dns.retire(client(virtual)) == "10.96.0.10"
    assert not virtual.there


@pytest.mark.parametrize("service", [None, {"metadata": {"uid": "1"}, "spec": {"clusterIP": "10.96.0.10"}}])
async def test_there_is_nothing_to_remove_without_such_a_service(service: Object | None) -> None:
    virtual = WithService(service)
    before = dict(virtual.there)
    assert await dns.retire(client(virtual)) == ""
    assert virtual.there == before


def test_only_kube_dns_gets_the_address() -> None:
    manifests = [
        {"kind": "Service", "metadata": {"name": "kube-dns"}, "spec": {"ports": []}},
        {"kind": "Service", "metadata": {"name": "other"}, "spec": {}},
    ]
    assert dns.with_address(manifests, "10.96.0.10") == [
        {"kind": "Service", "metadata": {"name": "kube-dns"}, "spec": {"ports": [], "clusterIP": "10.96.0.10"}},
        manifests[1],
    ]
