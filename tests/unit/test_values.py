"""The config document becomes settings; a value that cannot work is refused by its path, with what to do."""

from __future__ import annotations

import pytest
import yaml

from syncer.values import InvalidValue, Restore, Store, Toleration, load, parse, parse_toleration

LEAST = {
    "cluster": {
        "name": "vc",
        "namespace": "hns",
        "service": "vc",
        "owner": {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-vc"},
        "workloadServiceAccount": "vc-workload-vc",
    }
}


def test_the_least_document_gets_defaults():
    settings = parse(LEAST)
    assert settings.cluster.domain == "cluster.local"
    assert settings.cluster.service_cidr == ""
    assert settings.log_level == "info"
    assert settings.rules == ()
    assert not settings.pods.rewrite_hosts.enabled


def test_sections_that_are_null_count_as_empty():
    settings = parse({**LEAST, "pods": None, "nodes": None, "metadata": None, "rules": None, "logging": None})
    assert settings == parse(LEAST)


def test_everything_said_arrives():
    settings = parse(
        {
            "cluster": {
                **LEAST["cluster"],
                "domain": "d.local",
                "store": "etcd.embedded",
                "distro": "k3s",
                "kubernetes": "v1.35.4",
                "serviceCIDR": "10.0.0.0/16",
                "extraSANs": ["a.example"],
            },
            "pods": {
                "translateImage": {"a": "b"},
                "enforceTolerations": ["dedicated=tenants:NoSchedule"],
                "runtimeClassName": "gvisor",
                "priorityClassName": "low",
                "rewriteHosts": {"enabled": True, "image": "busybox", "resources": {"limits": {"cpu": "1"}}},
            },
            "nodes": {"fromHost": True, "selector": {"all": True, "labels": {"pool": "a"}}},
            "metadata": {"denyLabels": ["a"], "denyAnnotations": ["b/*"]},
            "logging": {"level": "debug"},
            "rules": [{"resource": "pods"}],
            "kubeconfigs": [{"secret": "vc-vc"}],
            "manifests": "a: 1",
        }
    )
    assert (settings.cluster.domain, settings.cluster.service_cidr) == ("d.local", "10.0.0.0/16")
    assert settings.cluster.distro == "k3s"
    assert settings.cluster.kubernetes == "v1.35.4"
    assert settings.cluster.store == "etcd.embedded"
    assert settings.cluster.extra_sans == ("a.example",)
    assert settings.pods.translate_image == {"a": "b"}
    assert settings.pods.enforce_tolerations == (Toleration(key="dedicated", value="tenants", effect="NoSchedule"),)
    assert (settings.pods.runtime_class_name, settings.pods.priority_class_name) == ("gvisor", "low")
    assert settings.pods.rewrite_hosts.enabled
    assert settings.pods.rewrite_hosts.resources == {"limits": {"cpu": "1"}}
    assert (settings.nodes.from_host, settings.nodes.all, settings.nodes.labels) == (True, True, {"pool": "a"})
    assert (settings.metadata.deny_labels, settings.metadata.deny_annotations) == (("a",), ("b/*",))
    assert settings.log_level == "debug"
    assert settings.manifests == "a: 1"


def test_hosts_are_not_rewritten_without_an_image():
    assert not parse({**LEAST, "pods": {"rewriteHosts": {"enabled": True, "image": ""}}}).pods.rewrite_hosts.enabled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b:NoSchedule", {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}),
        ("a:NoExecute", {"key": "a", "operator": "Exists", "effect": "NoExecute"}),
        ("a=b", {"key": "a", "operator": "Equal", "value": "b"}),
        ("a", {"key": "a", "operator": "Exists"}),
        ("example.com/a_b=c.d:PreferNoSchedule", {
            "key": "example.com/a_b", "operator": "Equal", "value": "c.d", "effect": "PreferNoSchedule",
        }),
        (":NoSchedule", {"operator": "Exists", "effect": "NoSchedule"}),
    ],
)  # fmt: skip
def test_a_toleration_reads_as_kubectl_writes_taints(text, expected):
    assert parse_toleration(text, "p").as_object() == expected


@pytest.mark.parametrize("text", ["", "a=b:Never", "a:b:NoSchedule", "a b", "=b:NoSchedule", "a=b=c", 5, None])
def test_what_is_no_toleration_is_refused_with_its_path(text):
    with pytest.raises(InvalidValue) as caught:
        parse({**LEAST, "pods": {"enforceTolerations": ["a", text]}})
    assert caught.value.path == "sync.toHost.pods.enforceTolerations[1]"
    assert "write key=value:Effect" in str(caught.value)


@pytest.mark.parametrize("name", ["name", "namespace", "service", "owner", "workloadServiceAccount"])
def test_a_document_without_an_identity_is_refused_with_what_is_missing(name):
    cluster = {key: value for key, value in LEAST["cluster"].items() if key != name}
    with pytest.raises(InvalidValue, match=f"cluster.{name}"):
        parse({"cluster": cluster})


def test_an_unknown_log_level_is_refused():
    with pytest.raises(InvalidValue, match=r"logging\.level.*debug, info, warning, error"):
        parse({**LEAST, "logging": {"level": "chatty"}})


@pytest.mark.parametrize("text", ["", "a: 1", "- cluster", "cluster: null", "cluster: [", "just text"])
def test_a_file_that_is_no_config_document_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InvalidValue) as caught:
        load(path)
    assert caught.value.path == str(path)


def test_a_file_is_read_both_parsed_and_raw(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**LEAST, "more": 1}))
    settings, document = load(path)
    assert settings.cluster.name == "vc"
    assert document["more"] == 1


def test_how_the_store_is_reached_and_what_is_restored_into_it():
    assert parse(LEAST).store == Store()
    assert parse(LEAST).restore == Restore()

    store = {"endpoints": "https://a:2379, https://b:2379", "prefix": "/x", "caFile": "/ca", "file": ""}
    restore = {"id": "one", "file": "/f", "replace": True, "fromCluster": "beta", "raiseRevision": False}
    settings = parse({**LEAST, "store": store, "restore": restore})
    assert settings.store == Store(endpoints=("https://a:2379", "https://b:2379"), prefix="/x", ca_file="/ca")
    assert settings.restore == Restore(id="one", file="/f", replace=True, from_cluster="beta", raise_revision=False)
