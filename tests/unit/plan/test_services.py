"""Services: one address on both sides, changes followed, and a way out when the host refuses."""

from __future__ import annotations

import pytest

from syncer.plan import plan
from syncer.plan.actions import Attempt, Create, Delete, Later, Patch, Side
from syncer.plan.services import MOVING, PORTS_BY_HOST
from syncer.rules.services import NOWHERE, selects_pods, to_host
from tests.unit.builders import context, going, key, merged, rule, stored, virtual

ROW, KEY = rule("services"), key("services")
IP, OTHER = "10.0.0.5", "10.0.0.9"


def service(name="web", namespace="shop", **spec):
    fields = {
        "type": "ClusterIP",
        "clusterIP": IP,
        "clusterIPs": [IP],
        "ports": [{"port": 80, "protocol": "TCP"}],
        **spec,
    }
    given = {field: value for field, value in fields.items() if value is not None}
    return virtual("services", name, namespace, spec=given, status={"loadBalancer": {}})


def hosts(mine=None, *, annotations=None, **spec):
    """The host Service as made for `mine`, with what the host's allocators added."""
    mine = mine or service()
    host = stored(to_host(ROW, KEY, mine, context()), status={"loadBalancer": {}})
    allocated = {} if host["spec"].get("type") == "ExternalName" else {"clusterIP": IP, "clusterIPs": [IP]}
    host["spec"] = {**allocated, **host["spec"], **spec}
    host["metadata"]["annotations"] |= annotations or {}
    return host


def planned(mine, host=None):
    return plan(ROW, KEY, virtual=mine, host=host, context=context())


def body_of(action):
    """The body of a patch, or of the one that an Attempt tries first."""
    return action.action.body if isinstance(action, Attempt) else action.body


def test_the_service_of_the_virtual_api_server_is_nobodys_business():
    name = key("services", "kubernetes", "default")
    assert plan(ROW, name, virtual=service("kubernetes", "default"), host=None, context=context()) == []


def test_a_new_service_asks_for_the_address_that_it_has():
    (attempt,) = planned(service())
    assert isinstance(attempt, Attempt)
    assert attempt.action.body["spec"]["clusterIP"] == IP
    (fallback,) = attempt.otherwise
    assert "clusterIP" not in fallback.body["spec"]


def test_a_new_service_whose_node_ports_are_taken_leaves_their_choice_to_the_host_and_notes_it():
    ports = [{"port": 80, "nodePort": 30080}]
    (attempt,) = planned(service(type="NodePort", ports=ports))
    assert attempt.action.body["spec"]["ports"] == ports
    (fallback,) = attempt.otherwise
    assert fallback.body["spec"]["ports"] == [{"port": 80}]
    assert PORTS_BY_HOST in fallback.body["metadata"]["annotations"]


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"type": "ExternalName", "externalName": "a.example", "clusterIP": None},
    ],
)
def test_a_new_service_without_an_address_is_simply_created(spec):
    (create,) = planned(service(**spec))
    assert isinstance(create, Create)


def test_a_service_on_its_way_out_is_not_created():
    assert planned(going(service())) == []


def test_a_service_that_is_the_same_on_both_sides_needs_nothing():
    assert planned(service(), hosts()) == []


def test_addresses_and_ports_that_the_host_added_are_not_taken_away():
    host = hosts(
        ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack", internalTrafficPolicy="Cluster", loadBalancerClass="x"
    )
    assert planned(service(), host) == []


def test_the_address_that_a_load_balancer_of_the_host_wrote_down_is_not_fought():
    mine = service(type="LoadBalancer")
    assert planned(mine, hosts(mine, loadBalancerIP="192.0.2.1")) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"selector": {"app": "new"}},
        {"ports": [{"port": 81, "protocol": "TCP"}]},
        {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]},
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}},
        {"publishNotReadyAddresses": True},
        {"externalIPs": ["192.0.2.1"]},
    ],
)
def test_edits_are_followed_there_and_back(spec):
    plain, edited = service(), service(**spec)
    for mine, host in ((edited, hosts(plain)), (plain, hosts(edited))):
        (action,) = planned(mine, host)
        after = merged(host, body_of(action))
        assert planned(mine, after) == []


def test_a_service_that_becomes_an_external_name_and_back_loses_and_gets_its_address():
    plain, external = service(), service(type="ExternalName", externalName="a.example", clusterIP=None, clusterIPs=None)
    (away,) = planned(external, hosts(plain))
    assert body_of(away)["spec"] | {"ports": None} == {
        "type": "ExternalName", "externalName": "a.example", "clusterIP": None, "ports": None,
    }  # fmt: skip
    (back,) = planned(plain, hosts(external))
    assert body_of(back)["spec"]["clusterIP"] == IP
    assert body_of(back)["spec"]["externalName"] is None


def test_a_service_that_gets_an_address_which_the_host_cannot_give_takes_the_hosts_choice():
    external = service(type="ExternalName", externalName="a.example", clusterIP=None, clusterIPs=None)
    (attempt,) = planned(service(), hosts(external))
    (relaxed,) = attempt.otherwise
    assert "clusterIP" not in relaxed.body["spec"]
    assert relaxed.body["spec"]["type"] == "ClusterIP"
    assert relaxed.body["spec"]["externalName"] is None


@pytest.mark.parametrize(("mine", "host"), [("None", IP), (IP, "None")])
def test_a_service_made_again_headless_or_with_an_address_needs_a_new_host_service(mine, host):
    (action,) = planned(service(clusterIP=mine, clusterIPs=[mine]), hosts(clusterIP=host, clusterIPs=[host]))
    assert isinstance(action, Delete)
    assert action.side is Side.HOST


def test_node_ports_that_the_host_refuses_are_left_to_it_with_a_note():
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30000}]
    (attempt,) = planned(service(type="NodePort", ports=ports), hosts())
    (relaxed,) = attempt.otherwise
    assert relaxed.body["spec"]["ports"] == [{"port": 80, "protocol": "TCP"}]
    assert PORTS_BY_HOST in relaxed.body["metadata"]["annotations"]


def test_node_ports_that_the_host_chose_are_taken_over_before_the_note_goes():
    mine = service(type="NodePort", ports=[{"port": 80, "protocol": "TCP", "nodePort": 30000}])
    chosen = [{"port": 80, "protocol": "TCP", "nodePort": 31000}]
    take, forget = planned(mine, hosts(mine, annotations={PORTS_BY_HOST: "true"}, ports=chosen))
    assert (take.side, take.body) == (Side.VIRTUAL, {"spec": {"ports": chosen}})
    assert (forget.side, forget.body) == (Side.HOST, {"metadata": {"annotations": {PORTS_BY_HOST: None}}})


ELSEWHERE = {"clusterIP": OTHER, "clusterIPs": [OTHER]}


def stepped(mine, host):
    """The virtual Service after the next step of its way to the host's address."""
    step, later = planned(mine, host)
    assert (step.side, step.uid, later) == (Side.VIRTUAL, "virtual-web", Later(seconds=0))
    return merged(mine, step.body)


def lost(mine):
    """What an API server leaves of a Service that becomes an ExternalName."""
    kept = ("type", "externalName", "ports", "selector", "sessionAffinity")
    return {**mine, "spec": {name: value for name, value in mine["spec"].items() if name in kept}}


def test_a_service_with_another_address_than_the_hosts_gets_the_hosts_by_way_of_an_external_name():
    mine, host = service(), hosts(**ELSEWHERE)
    between = lost(stepped(mine, host))
    assert between["spec"]["type"] == "ExternalName"
    after = stepped(between, host)
    assert after["spec"] == mine["spec"] | ELSEWHERE
    assert planned(after, host) == []


def test_what_a_service_loses_on_the_way_comes_back():
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30000}]
    mine = service(type="NodePort", externalTrafficPolicy="Local", internalTrafficPolicy="Cluster", ports=ports)
    host = hosts(mine, **ELSEWHERE)
    assert stepped(lost(stepped(mine, host)), host)["spec"] == mine["spec"] | ELSEWHERE


def test_neither_step_overwrites_what_the_tenant_changes_at_the_same_time():
    mine, host = service(), hosts(**ELSEWHERE)
    for state in (mine, lost(stepped(mine, host))):
        assert planned(state, host)[0].body["metadata"]["resourceVersion"] == state["metadata"]["resourceVersion"]


def test_a_service_deleted_on_its_way_stays_deleted():
    host = hosts(**ELSEWHERE)
    between = lost(stepped(service(), host))
    assert planned(going(between), host) == []
    (action,) = planned(None, host)
    assert isinstance(action, Delete)
    assert action.side is Side.HOST


def test_a_service_on_its_way_out_is_not_given_another_address():
    assert planned(going(service()), hosts(**ELSEWHERE)) == []


def test_a_service_whose_host_service_goes_while_it_is_on_its_way_gets_one_as_it_was():
    mine = service(selector={"app": "web"})
    between = lost(stepped(mine, hosts(mine, **ELSEWHERE)))
    create, *then = planned(between)
    assert create.body["spec"] == to_host(ROW, KEY, mine, context())["spec"]
    assert then == [Later(seconds=0)]  # or it stays an external name until all keys are compared


def test_a_service_on_its_way_keeps_its_endpoints_to_its_selector():
    mine = service(selector={"app": "web"})
    assert selects_pods(lost(stepped(mine, hosts(mine, **ELSEWHERE))))


@pytest.mark.parametrize("note", [None, "no JSON", "[]"])
def test_a_tenants_own_external_name_is_on_no_way(note):
    mine = service(type="ExternalName", externalName=NOWHERE, clusterIP=None, clusterIPs=None)
    mine["metadata"]["annotations"] = {MOVING: note} if note else {}
    (create,) = planned(mine)
    assert (create.side, create.body["spec"]["type"]) == (Side.HOST, "ExternalName")


def test_the_load_balancers_address_comes_back():
    host = hosts()
    host["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    (patch,) = planned(service(), host)
    assert isinstance(patch, Patch)
    assert (patch.side, patch.subresource, patch.body) == (
        Side.VIRTUAL,
        "status",
        {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}},
    )


def test_a_host_service_without_a_virtual_one_is_deleted():
    (action,) = planned(None, hosts())
    assert isinstance(action, Delete)
