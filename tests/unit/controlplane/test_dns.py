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


class Changing(Virtual):
    """A side whose Service loses its selector after a few looks, and the selector that slices are listed by."""

    def __init__(self, *there: str, looks: int) -> None:
        super().__init__(*there)
        self.looks = looks
        self.listed = ""

    async def get(self, resource: object, namespace: str, name: str) -> Object:
        if not self.there:
            raise NotFound(404, "NotFound", "gone")
        self.looks -= 1
        return {"spec": {"selector": {"k8s-app": "kube-dns"}} if self.looks > 0 else {}}

    async def list(self, resource: object, namespace: str, *, label_selector: str) -> list[Object]:
        assert self.looks <= 0
        self.listed = label_selector
        return [{"metadata": {"name": name}} for name in self.there]


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


async def test_endpoints_of_the_time_with_pods_go_when_the_service_looks_for_pods_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dns, "_PAUSE", 0)
    monkeypatch.setattr(dns, "_AGAIN_AFTER", (0, 0))
    side = Changing("kube-dns-abcde", looks=3)
    await dns.forget_pods(client(side), "kube-system", "kube-dns")
    assert not side.there
    made_by = "endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io"
    assert side.listed == f"kubernetes.io/service-name=kube-dns,{made_by}"


async def test_a_service_that_is_not_there_has_left_nothing() -> None:
    await dns.forget_pods(client(Changing(looks=0)), "kube-system", "kube-dns")


async def test_endpoints_that_a_late_controller_makes_again_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    side = Changing("kube-dns-abcde", looks=0)
    late = iter([{"kube-dns-abcde": {}}])

    async def sleep(seconds: float) -> None:
        if seconds:
            side.there |= next(late, {})

    monkeypatch.setattr(dns.asyncio, "sleep", sleep)
    await dns.forget_pods(client(side), "kube-system", "kube-dns")
    assert not side.there
