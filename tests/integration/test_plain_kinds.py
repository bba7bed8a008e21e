"""Kinds that are nothing but a row of the chart's table, between two real API servers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from syncer.kube.resource import Resource
from syncer.names import namespace_label
from tests.integration.conftest import ApiServerPair
from tests.integration.syncing import DEFAULT_KINDS, SECRETS, SERVICES, Running, document, eventually, running, sides

INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress", namespaced=True)
POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", namespaced=True)
BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", namespaced=True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
KINDS = (*DEFAULT_KINDS, "ingresses", "networkpolicies", "poddisruptionbudgets")
LEASE_ROW = {
    "resource": "leases",
    "group": "coordination.k8s.io",
    "version": "v1",
    "kind": "Lease",
    "scope": "Namespaced",
    "direction": "toHost",
    "tenantOwns": ["spec"],
}


@pytest.fixture
async def sync(api_server_pair: ApiServerPair) -> AsyncIterator[Running]:
    space = f"t{uuid.uuid4().hex[:8]}"
    async with sides(api_server_pair, space) as (host, virtual):
        config = document(host.space, kinds=KINDS)
        config["rules"].append(LEASE_ROW)
        async with running(api_server_pair, host, virtual, config) as it:
            yield it


async def test_an_ingress_brings_its_certificate_along_and_gets_its_address_back(sync: Running) -> None:
    await sync.virtual.make(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    await sync.virtual.make(SECRETS, {"metadata": {"name": "tls"}, "stringData": {"tls.crt": "x"}})
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    spec = {"rules": [rule], "tls": [{"hosts": ["a.example"], "secretName": "tls"}]}
    await sync.virtual.make(INGRESSES, {"metadata": {"name": "web"}, "spec": spec})
    there = await eventually(lambda: sync.host.get(INGRESSES, sync.host_name("web")))

    path = there["spec"]["rules"][0]["http"]["paths"][0]
    assert path["backend"]["service"]["name"] == sync.host_name("web")
    assert there["spec"]["tls"][0]["secretName"] == sync.host_name("tls")
    assert await sync.host.get(SECRETS, sync.host_name("tls"))

    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}
    await sync.host.patch(INGRESSES, sync.host_name("web"), {"status": status}, "status")

    async def reported() -> bool:
        found = await sync.virtual.get(INGRESSES, "web")
        return bool(found and found["status"] == status)

    await eventually(reported)


async def test_a_network_policy_reaches_no_further_than_its_virtual_cluster(sync: Running) -> None:
    spec = {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [
            {
                "from": [
                    {"podSelector": {"matchLabels": {"app": "web"}}},
                    {"namespaceSelector": {"matchLabels": {"team": "a"}}},
                    {"ipBlock": {"cidr": "192.0.2.0/24"}},
                ]
            }
        ],
    }
    await sync.virtual.make(POLICIES, {"metadata": {"name": "db"}, "spec": spec})
    there = await eventually(lambda: sync.host.get(POLICIES, sync.host_name("db")))
    ours = {"sublet.dev/managed-by": "vc"}
    own_space = {**ours, "sublet.dev/namespace": sync.virtual.space}

    assert there["spec"]["podSelector"] == {"matchLabels": {"app": "db", **own_space}}
    assert there["spec"]["ingress"][0]["from"] == [
        {"podSelector": {"matchLabels": {"app": "web", **own_space}}},
        {"podSelector": {"matchLabels": {**ours, namespace_label("team"): "a"}}},
        {"ipBlock": {"cidr": "192.0.2.0/24"}},
    ]


async def test_a_disruption_budget_counts_only_pods_of_its_own_namespace(sync: Running) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await sync.virtual.make(BUDGETS, {"metadata": {"name": "web"}, "spec": spec})
    there = await eventually(lambda: sync.host.get(BUDGETS, sync.host_name("web")))

    labels = {"app": "web", "sublet.dev/managed-by": "vc", "sublet.dev/namespace": sync.virtual.space}
    assert there["spec"]["selector"] == {"matchLabels": labels}


async def test_a_kind_that_the_project_has_never_heard_of_needs_only_a_row(sync: Running) -> None:
    await sync.virtual.make(LEASES, {"metadata": {"name": "job"}, "spec": {"holderIdentity": "one"}})
    there = sync.host_name("job")
    await eventually(lambda: sync.host.get(LEASES, there))
    await sync.virtual.patch(LEASES, "job", {"spec": {"holderIdentity": "two"}})

    async def followed() -> bool:
        found = await sync.host.get(LEASES, there)
        return bool(found and found["spec"]["holderIdentity"] == "two")

    await eventually(followed)
    await sync.virtual.delete(LEASES, "job")

    async def away() -> bool:
        return await sync.host.get(LEASES, there) is None

    await eventually(away)


async def test_changed_fields_are_not_fought_over_for_ever(sync: Running) -> None:
    """A status that both sides would write differently must settle."""
    await sync.virtual.make(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    spec = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    await sync.virtual.make(INGRESSES, {"metadata": {"name": "web"}, "spec": spec})
    await eventually(lambda: sync.host.get(INGRESSES, sync.host_name("web")))
    assert sync.syncer.engine is not None

    async def settled() -> bool:
        assert sync.syncer.engine is not None
        return await sync.syncer.engine.compare() == 0

    await eventually(settled)
