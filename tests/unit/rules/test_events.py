"""The host's events, told of the tenant's objects in the tenant's names."""

from __future__ import annotations

import pytest

from syncer.names import token_secret_name
from syncer.rules.events import is_told, to_virtual
from tests.unit.builders import HOST_NAMESPACE, SUBDOMAIN, context, key, there, virtual


def host_event(name="web-x-shop-x-vc.17abc", **fields):
    return {
        "metadata": {
            "name": name,
            "namespace": HOST_NAMESPACE,
            "uid": "e",
            "resourceVersion": "5",
            "labels": {"a": "b"},
        },
        "involvedObject": {
            "kind": "Pod",
            "name": there(),
            "namespace": HOST_NAMESPACE,
            "uid": "host",
            "resourceVersion": "4",
        },
        "type": "Normal",
        "reason": "Pulled",
        "message": f"Pulled image for {HOST_NAMESPACE}/{there()}",
        "count": 3,
        **fields,
    }


def told(event, name="web", resource="pods", **spec):
    subject = virtual(resource, name, spec=spec)
    return to_virtual(event, key(resource, name), subject, context())


def test_an_event_is_about_the_virtual_object_and_lies_next_to_it():
    event = told(host_event())
    assert event["metadata"] == {"name": "web.17abc", "namespace": "shop"}
    assert event["involvedObject"] == {
        "apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": "shop", "uid": "virtual-web",
    }  # fmt: skip
    assert event["message"] == "Pulled image for shop/web"


def test_an_event_of_another_kind_says_so():
    assert told(host_event(), resource="ingresses")["involvedObject"]["apiVersion"] == "networking.k8s.io/v1"


def test_the_container_that_an_event_is_about_is_kept():
    about = {**host_event()["involvedObject"], "fieldPath": "spec.containers{app}"}
    assert told(host_event(involvedObject=about))["involvedObject"]["fieldPath"] == "spec.containers{app}"


@pytest.mark.parametrize(
    "field", ["type", "reason", "count", "source", "series", "eventTime", "reportingComponent", "action"]
)
def test_who_said_what_and_how_often_is_kept(field):
    value = {"some": "value"}
    assert told(host_event(**{field: value}))[field] == value


def test_fields_that_the_host_left_empty_are_not_made_up():
    event = told(host_event(eventTime=None, series=None))
    assert "eventTime" not in event
    assert "series" not in event


@pytest.mark.parametrize("name", ["a" * 253, "a" * 229 + "-b", "a" * 230 + ".b" * 11, "b." * 126 + "b"])
@pytest.mark.parametrize("suffix", ["17abc", "no-dot-at-all" * 15])
def test_an_event_about_an_object_with_a_long_name_has_a_valid_one(name, suffix):
    host_name = f"x.{suffix}" if len(suffix) < 20 else suffix
    made = told(host_event(host_name), name)["metadata"]["name"]
    assert SUBDOMAIN.fullmatch(made)
    assert len(made) <= 253


def test_a_message_that_grew_in_translation_is_still_short_enough():
    assert len(told(host_event(message="x" * 2000))["message"]) <= 1024


@pytest.mark.parametrize("odd", [{"message": None}, {"involvedObject": None}])
def test_an_event_that_says_little_is_told_as_far_as_it_goes(odd):
    assert told(host_event(**odd))["involvedObject"]["name"] == "web"


def about_container(path, **fields):
    subject = virtual(
        "pods", "web", spec={"containers": [{"name": "app"}], "ephemeralContainers": [{"name": "visitor"}]}
    )
    event = host_event(involvedObject={"kind": "Pod", "fieldPath": path}, **fields)
    return is_told(event, key("pods"), subject, context())


@pytest.mark.parametrize(
    "path", ["spec.containers{app}", "spec.ephemeralContainers{visitor}", "spec.nodeName", "", None]
)
def test_what_happens_to_the_pod_and_its_containers_is_told(path):
    assert about_container(path)


@pytest.mark.parametrize("path", ["spec.initContainers{sublet-rewrite-hosts}", "spec.containers{injected}"])
def test_what_goes_well_in_a_container_of_the_host_only_is_not_told(path):
    assert not about_container(path)


def test_what_fails_in_a_container_of_the_host_only_is_told():
    assert about_container("spec.initContainers{sublet-rewrite-hosts}", type="Warning")


def test_names_that_were_cut_are_given_back_when_the_pod_refers_to_them():
    name = "settings-" * 8 + "end"
    message = f'configmap "{there(name)}" not found'
    volumes = [{"name": "v", "configMap": {"name": name}}]
    assert told(host_event(message=message), volumes=volumes)["message"] == f'configmap "{name}" not found'


def test_that_the_kubelet_was_faster_than_the_pods_tokens_is_not_told():
    secret = token_secret_name("web", "shop", "vc")
    late = host_event(type="Warning", reason="FailedMount", message=f'secret "{secret}" not found')
    assert not is_told(late, key("pods"), virtual("pods", spec={}), context())
