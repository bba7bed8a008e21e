"""Service IPs by admission: what the API server is answered, and what exists on the host afterwards."""

from __future__ import annotations

import base64
from typing import Any

import jsonpatch
import orjson
import pytest

from syncer.controlplane.admission import NAME, Guard, ServiceAdmission, configuration, ensure
from syncer.kube.errors import Forbidden, NotFound, TooManyRequests, Unreachable
from syncer.names import Key, Object
from syncer.rules.services import to_host
from tests.unit.builders import HOST_NAMESPACE, context, key, rule, there
from tests.unit.engine.fakes import FakeServer, failing, forbidden, invalid

KEY = key("services")
ALLOCATED = {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]}


def allocate(_: str, obj: Object) -> Object:
    """What the host's allocators do."""
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return obj
    ports = spec.get("ports") or []
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        ports = [{"nodePort": 31000 + number, **port} for number, port in enumerate(ports)]
    return {**obj, "spec": {**ALLOCATED, **spec, "ports": ports}}


class Asked:
    """The webhook before a host in memory; notes its promises and what it wrote."""

    def __init__(self, *, known: bool = False, on_host: Object | None = None) -> None:
        self.host = FakeServer("host")
        self.host.mutate = allocate
        self.promised: list[tuple[Key, float]] = []
        self.written: list[Object] = []
        self.admission = ServiceAdmission(
            host=self.host,  # type: ignore[arg-type]
            rule=rule("services"),
            context=context(),
            known=lambda _: known,
            on_host=lambda _: on_host,
            promise=lambda key_, seconds: self.promised.append((key_, seconds)),
            written=self.written.append,
        )

    async def answer(self, virtual: Object, **request: Any) -> Object:
        """The response to the creation of `virtual`."""
        asked = {
            "uid": "r",
            "namespace": "shop",
            "name": virtual["metadata"].get("name", ""),
            "object": virtual,
            **request,
        }
        review = orjson.loads(await self.admission.review(orjson.dumps({"request": asked})))
        assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        assert review["response"]["uid"] == "r"
        return review["response"]  # type: ignore[no-any-return]

    async def admitted(self, virtual: Object, **request: Any) -> Object:
        """`virtual` as the API server goes on with it."""
        response = await self.answer(virtual, **request)
        assert response["allowed"]
        if "patch" not in response:
            return virtual
        assert response["patchType"] == "JSONPatch"
        patched: Object = jsonpatch.apply_patch(virtual, orjson.loads(base64.b64decode(response["patch"])))
        return patched


def service(name: str = "web", **spec: Any) -> Object:
    metadata = {"name": name} if name else {"generateName": "web-"}
    return {
        "metadata": {**metadata, "namespace": "shop"},
        "spec": {"type": "ClusterIP", "ports": [{"port": 80}], **spec},
    }


async def test_a_service_gets_the_address_of_the_host_service_that_is_made_for_it():
    it = Asked()
    admitted = await it.admitted(service())
    made = it.host.find("services", HOST_NAMESPACE, there())
    assert made["spec"]["clusterIP"] == admitted["spec"]["clusterIP"] == "10.0.0.9"
    assert admitted["spec"]["clusterIPs"] == ["10.0.0.9"]
    assert it.host.said == [f"create services/{there()}"]


async def test_the_host_service_is_known_and_promised_a_virtual_one():
    it = Asked()
    await it.admitted(service())
    assert it.written[0]["metadata"]["name"] == there()
    assert [key_ for key_, _ in it.promised] == [KEY]


async def test_node_ports_are_the_hosts():
    it = Asked()
    ports = [{"port": 80}, {"port": 53, "protocol": "UDP"}]
    admitted = await it.admitted(service(type="NodePort", ports=ports))
    assert [port["nodePort"] for port in admitted["spec"]["ports"]] == [31000, 31001]


async def test_an_address_that_the_tenant_asks_for_is_asked_for_on_the_host():
    it = Asked()
    admitted = await it.admitted(service(clusterIP="10.0.0.77", clusterIPs=["10.0.0.77"]))
    assert admitted["spec"]["clusterIP"] == "10.0.0.77"
    assert it.host.find("services", HOST_NAMESPACE, there())["spec"]["clusterIP"] == "10.0.0.77"


@pytest.mark.parametrize(
    "unconcerned",
    [
        service(clusterIP="None"),
        service(type="ExternalName", externalName="a.example"),
        service(name=""),
    ],
)
async def test_a_service_without_an_address_or_a_name_yet_is_admitted_as_it_is(unconcerned):
    it = Asked()
    assert await it.admitted(unconcerned) == unconcerned
    assert it.host.said == []
    assert it.promised == []


async def test_a_trial_run_makes_nothing():
    it = Asked()
    assert await it.admitted(service(), dryRun=True) == service()
    assert it.host.said == []


async def test_a_service_that_exists_already_is_left_to_the_api_servers_own_answer():
    it = Asked(known=True)
    assert await it.admitted(service()) == service()
    assert it.host.said == []


async def test_the_api_servers_own_service_is_nobodys_business():
    it = Asked()
    await it.answer(service("kubernetes"), namespace="default")
    assert it.host.said == []


async def test_asking_twice_gives_the_same_address():
    """The API server may repeat itself, or an earlier create may have failed after admission."""
    it = Asked()
    first, second = await it.admitted(service()), await it.admitted(service())
    assert first == second
    assert len(it.host.of("services")) == 1


def external(*, on_host: bool = True) -> Asked:
    """A tenant's Service that is an external name, on the host too unless the engine has not come to it yet."""
    it = Asked(known=True)
    if on_host:
        named = to_host(rule("services"), KEY, service(type="ExternalName", externalName="a.example"), context())
        it.host.put("services", named)
    return it


@pytest.mark.parametrize("on_host", [True, False])
async def test_an_external_name_that_becomes_a_service_gets_the_hosts_address(on_host):
    it = external(on_host=on_host)
    admitted = await it.admitted(service(type="NodePort", selector={"app": "web"}), operation="UPDATE")
    made = it.host.find("services", HOST_NAMESPACE, there())
    assert made["spec"]["clusterIP"] == admitted["spec"]["clusterIP"] == "10.0.0.9"
    assert made["spec"]["ports"][0]["nodePort"] == admitted["spec"]["ports"][0]["nodePort"]
    assert "externalName" not in made["spec"]
    assert it.written[-1]["metadata"]["name"] == there()


async def test_an_external_name_whose_change_the_host_refuses_for_now_is_admitted_without_an_address():
    it = external()
    it.host.refuse("patch", "services", failing(500))
    assert await it.admitted(service(), operation="UPDATE") == service()


async def test_an_address_that_the_host_does_not_give_to_what_was_an_external_name_is_refused():
    it = external()
    it.host.refuse("patch", "services", invalid())
    assert not (await it.answer(service(clusterIP="10.0.0.7"), operation="UPDATE"))["allowed"]


async def test_a_strangers_service_under_our_name_gives_no_address():
    it = Asked()
    it.host.put("services", {"metadata": {"name": there(), "namespace": HOST_NAMESPACE}, "spec": ALLOCATED})
    assert await it.admitted(service()) == service()
    assert it.written == []


async def test_a_headless_predecessor_on_the_host_gives_no_address():
    it = Asked()
    it.host.put("services", to_host(rule("services"), KEY, service(clusterIP="None"), context()))
    assert await it.admitted(service()) == service()


@pytest.mark.parametrize(("ip", "taken"), [("10.0.0.8", True), ("None", False)])
async def test_a_host_service_that_is_known_costs_no_request(ip, taken):
    it = Asked(on_host={"metadata": {"name": there()}, "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": []}})
    admitted = await it.admitted(service())
    assert (admitted["spec"].get("clusterIP") == ip) is taken
    assert it.host.calls == []


async def test_a_host_service_that_vanishes_meanwhile_is_no_reason_to_refuse():
    it = Asked()
    it.host.put("services", to_host(rule("services"), KEY, service(), context()))
    it.host.refuse("get", "services", NotFound(404, "NotFound", "gone"))
    assert await it.admitted(service()) == service()


@pytest.mark.parametrize(
    "error",
    [forbidden(), failing(500), TooManyRequests(429, "TooManyRequests", "slow"), Unreachable("reset"), invalid()],
)
async def test_a_service_that_the_host_refuses_for_now_is_admitted_without_its_address(error):
    it = Asked()
    it.host.refuse("create", "services", error)
    assert await it.admitted(service()) == service()


@pytest.mark.parametrize(
    "asked", [{"clusterIP": "10.0.0.7"}, {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}]}]
)
async def test_what_a_tenant_asks_for_by_hand_and_cannot_get_is_refused_in_the_tenants_words(asked):
    it = Asked()
    it.host.refuse("create", "services", invalid(f'Service "{there()}" is invalid: already allocated'))
    response = await it.answer(service(**asked))
    assert not response["allowed"]
    assert response["status"]["code"] == 422
    assert response["status"]["message"] == 'Service "web" is invalid: already allocated'


async def test_a_missing_right_is_not_the_tenants_fault_even_when_asked_by_hand():
    it = Asked()
    it.host.refuse("create", "services", Forbidden(403, "Forbidden", "quota"))
    assert (await it.answer(service(clusterIP="10.0.0.7")))["allowed"]


# -- the webhook's own configuration -----------------------------------------------------------------------------------

WANTED = configuration(b"CA")
CONFIGURATIONS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"


def test_the_configuration_never_stands_in_the_way():
    (hook,) = WANTED["webhooks"]
    assert hook["failurePolicy"] == "Ignore"
    assert hook["sideEffects"] == "NoneOnDryRun"
    assert hook["clientConfig"]["url"].startswith("https://localhost:")
    assert base64.b64decode(hook["clientConfig"]["caBundle"]) == b"CA"


def test_of_updates_only_those_are_asked_about_that_bring_an_address():
    (hook,) = WANTED["webhooks"]
    assert hook["rules"][0]["operations"] == ["CREATE", "UPDATE"]
    assert [condition["expression"] for condition in hook["matchConditions"]] == [
        "request.operation == 'CREATE' || oldObject.spec.type == 'ExternalName' && object.spec.type != 'ExternalName'"
    ]


@pytest.mark.parametrize("before", [None, {"metadata": {"name": NAME}, "webhooks": []}])
async def test_the_configuration_is_made_or_put_right(before):
    virtual = FakeServer("virtual")
    if before:
        virtual.put(CONFIGURATIONS, before)
    await ensure(virtual, WANTED)  # type: ignore[arg-type]
    assert virtual.find(CONFIGURATIONS, "", NAME)["webhooks"] == WANTED["webhooks"]


class Guarded:
    def __init__(self) -> None:
        self.restored = 0
        self.guard = Guard(WANTED, self._restore, lambda work: work.close())

    def _restore(self) -> Any:
        async def nothing() -> None:
            pass

        self.restored += 1
        return nothing()


def listed(it: Guarded, *objects: Object) -> None:
    it.guard.begin()
    for obj in objects:
        it.guard.put(obj)
    it.guard.end()


def test_a_configuration_as_set_with_the_servers_defaults_is_left_alone():
    it = Guarded()
    defaults = {**WANTED["webhooks"][0], "namespaceSelector": {}, "objectSelector": {}}
    listed(it, {**WANTED, "webhooks": [defaults]})
    it.guard.changed({**WANTED, "webhooks": [defaults]})
    assert it.restored == 0


@pytest.mark.parametrize(
    "webhooks",
    [None, [], [*WANTED["webhooks"], {"name": "another"}], [{**WANTED["webhooks"][0], "failurePolicy": "Fail"}], [{}]],
)
def test_a_configuration_that_was_changed_is_restored(webhooks):
    it = Guarded()
    it.guard.changed({**WANTED, "webhooks": webhooks})
    assert it.restored == 1


@pytest.mark.parametrize(
    "narrowing",
    [
        {"namespaceSelector": {"matchLabels": {"no": "where"}}},
        {"objectSelector": {"matchLabels": {"no": "thing"}}},
        {"matchConditions": [{"name": "never", "expression": "false"}]},
    ],
)
def test_a_configuration_that_was_narrowed_is_restored(narrowing):
    it = Guarded()
    it.guard.changed({**WANTED, "webhooks": [{**WANTED["webhooks"][0], **narrowing}]})
    assert it.restored == 1


def test_a_configuration_that_was_removed_is_restored():
    it = Guarded()
    it.guard.deleted(WANTED)
    assert it.restored == 1
    listed(it)
    assert it.restored == 2
