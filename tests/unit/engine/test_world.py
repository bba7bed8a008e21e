"""What follows from the indexes: who uses what, for how long after, and whom a change concerns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.engine.index import Index
from syncer.engine.world import DNS_SERVICE, LINGER, World
from syncer.names import Key
from syncer.rules.nodes import Sighting
from tests.unit.builders import key, table, virtual

POD, CONFIG, NODE = key("pods"), key("configmaps", "conf"), Key("nodes", "", "node-1")
SLICES = "endpointslices.discovery.k8s.io"


class Clocked:
    """A world with a clock that a test moves, and notes of what it wants looked at later."""

    def __init__(self) -> None:
        self.now = 0.0
        self.later: list[tuple[Key, float]] = []
        self.world = World(
            table(), later=lambda key, seconds: self.later.append((key, seconds)), clock=lambda: self.now
        )
        for side in (self.world.virtual, self.world.host):
            for rule in (*table(), "nodes"):
                side[rule] = Index(
                    lambda obj, rule=rule: Key(rule, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]),
                    lambda *_: None,
                )

    def say(self, name: Key, obj) -> list[Key]:
        """A change of the virtual side; returns whom it concerns."""
        index = self.world.virtual.get(name.rule)
        if index is not None and obj is not None:
            index.changed({**obj, "metadata": {**obj["metadata"], "resourceVersion": str(len(self.later) + self.now)}})
        return list(self.world.virtual_changed(name, obj))


@pytest.fixture
def it():
    return Clocked()


def pod(name="web", *, config="conf", node=None, status=None, metadata=None):
    volumes = [{"name": "v", "configMap": {"name": config}}] if config else []
    return virtual(
        "pods",
        name,
        spec={"containers": [], "volumes": volumes, "nodeName": node},
        status=status or {},
        metadata=metadata or {},
    )


def service(name="web", *, ip="10.0.0.5", namespace="shop", **spec):
    return virtual(
        "services", name, namespace, spec={"clusterIP": ip, "ports": [{"port": 80}], "selector": {"a": "b"}, **spec}
    )


# -- use ---------------------------------------------------------------------------------------------------------------


def test_what_a_pod_names_is_used_and_looked_at(it):
    assert CONFIG in it.say(POD, pod())
    assert it.world.used(CONFIG)


def test_what_is_used_twice_is_used_until_the_last_user_goes(it):
    it.say(POD, pod())
    it.say(key("pods", "other"), pod("other"))
    it.say(POD, None)
    it.now += 10 * LINGER
    assert it.world.used(CONFIG)
    it.say(key("pods", "other"), None)
    it.now += LINGER + 1
    assert not it.world.used(CONFIG)


def test_what_was_used_stays_for_a_while_and_is_looked_at_then(it):
    it.say(POD, pod())
    it.say(POD, None)
    assert it.world.used(CONFIG)
    assert (CONFIG, LINGER + 0.1) in it.later
    assert it.world.patience(CONFIG) == pytest.approx(LINGER + 0.1)
    it.now += LINGER
    assert not it.world.used(CONFIG)
    assert it.world.patience(CONFIG) is None


def test_a_pod_that_names_something_else_releases_the_old(it):
    it.say(POD, pod())
    assert it.say(POD, pod(config="other")) == [key("configmaps", "other")]
    it.now += LINGER + 1
    assert not it.world.used(CONFIG)


def test_a_change_that_concerns_no_reference_concerns_nobody(it):
    it.say(POD, pod())
    assert it.say(POD, pod(status={"phase": "Running"})) == []


def test_plain_kinds_carry_too(it):
    ingress = virtual("ingresses", spec={"tls": [{"secretName": "cert"}]})
    assert it.say(key("ingresses"), ingress) == [key("secrets", "cert")]


def test_a_kind_that_does_not_cross_the_border_counts_as_being_there(it):
    assert it.world.on_host(Key("widgets.example.com", "shop", "w"))
    assert not it.world.exists(Key("widgets.example.com", "shop", "w"))


pods = st.sampled_from(["p", "q", "r"])
histories = st.lists(
    st.tuples(pods, st.sampled_from(["a", "b", None, "gone"]), st.sampled_from([None, "n", "m"])), max_size=20
)


@given(histories)
def test_after_any_history_exactly_what_some_pod_names_is_used(history):
    it, configs, nodes = Clocked(), {}, {}
    for name, config, node in history:
        gone = config == "gone"
        it.say(key("pods", name), None if gone else pod(name, config=config, node=node))
        configs[name], nodes[name] = (None, None) if gone else (config, node)
    it.now += LINGER + 1
    for config in "ab":
        assert it.world.used(key("configmaps", config)) is (config in configs.values())
    for node in "nm":
        assert (it.world.sighting(node) is not None) is (node in nodes.values())


# -- nodes -------------------------------------------------------------------------------------------------------------


def daemon():
    return {"ownerReferences": [{"kind": "DaemonSet", "controller": True, "name": "d"}]}


def test_a_node_is_there_while_a_pod_runs_on_it_and_a_while_longer(it):
    assert NODE in it.say(POD, pod(node="node-1"))
    assert it.world.sighting("node-1") == Sighting()
    it.say(POD, None)
    assert it.world.sighting("node-1") is not None
    it.now += LINGER
    assert it.world.sighting("node-1") is None


@pytest.mark.parametrize("other", [{"status": {"phase": "Succeeded"}}, {"metadata": daemon()}])
def test_finished_pods_and_daemons_keep_no_node(it, other):
    it.say(POD, pod(node="node-1", **other))
    assert it.world.sighting("node-1") is None


def test_a_node_that_is_about_to_be_needed_is_there(it):
    it.world.expect("node-1")
    assert it.world.sighting("node-1") == Sighting()


def test_what_was_known_of_a_node_is_forgotten_with_it(it):
    it.say(POD, pod(node="node-1"))
    it.world.note_lost("node-1")
    it.say(POD, None)
    assert it.world.sighting("node-1").lost
    it.now += LINGER + 1
    assert it.world.sighting("node-1") is None
    it.world.expect("node-1")
    assert it.world.sighting("node-1") == Sighting()


def test_what_is_seen_of_a_node_before_it_is_used_is_kept(it):
    it.world.host_changed(POD, host_pod(hostIPs=[{"ip": "192.0.2.1"}]))
    assert it.world.sighting("node-1") is None
    it.world.expect("node-1")
    assert it.world.sighting("node-1") == Sighting(("192.0.2.1",))


def host_pod(node="node-1", **status):
    return {"metadata": {"name": "x"}, "spec": {"nodeName": node}, "status": status}


def test_pods_tell_the_addresses_of_their_node(it):
    it.say(POD, pod(node="node-1"))
    assert list(it.world.host_changed(POD, host_pod(hostIPs=[{"ip": "192.0.2.1"}, {"ip": "fd00::1"}, {}]))) == [NODE]
    assert it.world.sighting("node-1") == Sighting(("192.0.2.1", "fd00::1"))
    assert list(it.world.host_changed(POD, host_pod())) == []
    assert it.world.sighting("node-1") == Sighting(("192.0.2.1", "fd00::1"))


def test_a_lost_node_is_found_again_when_a_pod_on_it_is_ready(it):
    it.say(POD, pod(node="node-1"))
    assert it.world.note_lost("node-1")
    assert not it.world.note_lost("node-1")
    assert it.world.sighting("node-1").lost
    assert list(it.world.host_changed(POD, host_pod(conditions=[{"type": "Ready", "status": "False"}]))) == []
    assert list(it.world.host_changed(POD, host_pod(conditions=[{"type": "Ready", "status": "True"}]))) == [NODE]
    assert not it.world.sighting("node-1").lost


@pytest.mark.parametrize("odd", [{"spec": {}, "status": None}, {"spec": {"nodeName": ""}, "status": {}}])
def test_a_host_pod_without_a_node_tells_nothing(it, odd):
    assert list(it.world.host_changed(POD, {"metadata": {}, **odd})) == []


# -- services ----------------------------------------------------------------------------------------------------------


def names(it, namespace="shop"):
    return sorted((view.name, view.cluster_ip) for view in it.world.services(namespace))


def test_services_with_an_address_are_known_by_namespace(it):
    it.say(key("services"), service())
    it.say(key("services", "headless"), service("headless", ip="None"))
    it.say(key("services", "external"), service("external", type="ExternalName", ip=None))
    it.say(key("services", "fresh"), service("fresh", ip=""))
    it.say(key("services", "far", "other"), service("far", namespace="other"))
    assert names(it) == [("web", "10.0.0.5")]
    assert names(it, "other") == [("far", "10.0.0.5")]
    it.say(key("services"), None)
    assert names(it) == []


def test_a_service_that_loses_its_selector_has_its_endpoints_looked_at(it):
    slice_ = virtual("endpointslices", "web-1")
    it.say(key("endpointslices", "web-1"), slice_)
    it.say(key("services"), service())
    assert not it.world.has_own_endpoints("shop", "web")
    assert it.say(key("services"), service(selector=None)) == [key("endpointslices", "web-1")]
    assert it.world.has_own_endpoints("shop", "web")
    assert it.say(key("services"), service(selector=None, type="NodePort")) == []
    assert it.say(key("services"), None) == [key("endpointslices", "web-1")]
    assert not it.world.has_own_endpoints("shop", "web")


def test_a_new_dns_address_has_all_waiting_pods_looked_at(it):
    it.say(POD, pod())
    it.say(key("pods", "there"), pod("there"))
    it.world.host["pods"].changed(
        {"metadata": {"name": "there", "namespace": "shop", "uid": "u", "resourceVersion": "1"}}
    )
    assert list(it.world.host_changed(DNS_SERVICE, {"spec": {"clusterIP": "10.0.0.10"}})) == [POD]
    assert it.world.dns_address() == "10.0.0.10"
    assert list(it.world.host_changed(DNS_SERVICE, {"spec": {"clusterIP": "10.0.0.10"}})) == []


@pytest.mark.parametrize("gone", [None, {"spec": {}}, {"spec": {"clusterIP": ""}}])
def test_without_a_dns_service_there_is_no_address(it, gone):
    it.world.host_changed(DNS_SERVICE, {"spec": {"clusterIP": "10.0.0.10"}})
    it.world.host_changed(DNS_SERVICE, gone)
    assert it.world.dns_address() is None


# -- namespaces --------------------------------------------------------------------------------------------------------


def test_new_labels_of_a_namespace_have_its_pods_looked_at(it):
    it.say(POD, pod())
    it.say(key("pods", "far", "other"), {**pod("far"), "metadata": {"name": "far", "namespace": "other", "uid": "u"}})
    shop = Key("namespaces", "", "shop")
    assert it.say(shop, {"metadata": {"name": "shop", "labels": {"env": "dev"}}}) == [POD]
    assert it.say(shop, {"metadata": {"name": "shop", "labels": {"env": "dev"}}}) == []
    assert it.world.namespaces() == {"shop": {"env": "dev"}}
    it.say(shop, None)
    assert it.world.namespaces() == {}


@pytest.mark.parametrize("labels", [None, {}])
def test_a_namespace_without_labels_is_known(it, labels):
    it.say(Key("namespaces", "", "shop"), {"metadata": {"name": "shop", "labels": labels}})
    assert it.world.namespaces() == {"shop": {}}


# -- promises and bindings ---------------------------------------------------------------------------------------------


def test_a_promise_holds_for_its_time_and_is_looked_at_then(it):
    it.world.promise(key("services"), 20.0)
    assert it.world.is_promised(key("services"))
    assert it.later == [(key("services"), 20.1)]
    it.now += 20
    assert not it.world.is_promised(key("services"))
    assert not it.world.is_promised(key("services", "other"))


def test_a_kept_promise_is_over(it):
    it.world.promise(key("services"), 20.0)
    it.say(key("services"), service())
    assert not it.world.is_promised(key("services"))


def test_a_binding_is_known_until_the_watch_tells_of_it(it):
    it.world.note_bound(POD, uid="u", node="node-1")
    assert it.world.bound_to(POD, "u") == "node-1"
    assert it.world.bound_to(POD, "another") is None
    it.say(POD, pod())
    assert it.world.bound_to(POD, "u") == "node-1"
    it.say(POD, pod(node="node-1"))
    assert it.world.bound_to(POD, "u") is None


@pytest.mark.parametrize(("alone", "age", "promised"), [(False, 1, True), (False, 60, False), (True, 1, False)])
def test_a_new_host_service_without_a_virtual_one_may_be_another_replicas_promise(alone, age, promised):
    it = Clocked()
    it.world._alone = alone
    made = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    it.world.host_changed(key("services"), {"metadata": {"creationTimestamp": made}})
    assert it.world.is_promised(key("services")) == promised
