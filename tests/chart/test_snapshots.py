"""How the control plane's pod takes and restores snapshots, by values."""

from __future__ import annotations

import copy

import pytest

from tests.chart.rendering import Object, Refused, nested, put, render

RESTORE = "controlPlane.backingStore.restore"
STORES = {
    "sqlite": {},
    "etcd": nested("controlPlane.backingStore.etcd.embedded.enabled", value=True),
    "database": nested(
        "controlPlane.backingStore.database.external", {"enabled": True, "dataSource": "postgres://u:p@db/tenant"}
    ),
    "external etcd": nested(
        "controlPlane.backingStore.etcd.external",
        {"enabled": True, "endpoint": "https://a:2379,https://b:2379", "tls": {"caFile": "/tls/ca.crt"}},
    ),
}


def restoring(store: str = "sqlite", **values: object) -> Object:
    settings = copy.deepcopy(STORES[store])
    for name, value in {"id": "one", **values}.items():
        put(settings, f"{RESTORE}.{name}", value)
    return settings


def names(rendered):
    return [container["name"] for container in rendered.pod["initContainers"]]


def mounts(container: Object) -> set[str]:
    return {item["mountPath"] for item in container["volumeMounts"]}


def test_nothing_is_restored_unless_it_is_asked_for():
    assert names(render()) == ["pki", "store", "syncer", "apiserver"]


@pytest.mark.parametrize("store", STORES)
def test_a_snapshot_is_restored_between_the_start_of_the_store_and_that_of_the_api_server(store):
    found = names(render(restoring(store)))
    assert [name for name in found if name != "store"] == ["pki", "restore", "syncer", "apiserver"]
    assert found[1:2] == ["store"] or store == "external etcd"


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("container", ["syncer", "restore"])
def test_who_carries_snapshots_reaches_the_store_as_the_api_server_does(store, container):
    rendered = render(restoring(store))
    server = rendered.container("apiserver")
    flags = dict(flag.partition("=")[::2] for flag in server["command"] if flag.startswith("--etcd-"))
    connection = rendered.config["store"]

    assert connection["endpoints"] == flags["--etcd-servers"]
    assert connection["prefix"] == flags["--etcd-prefix"]
    assert connection.get("caFile") == flags.get("--etcd-cafile")
    assert {"/pki", "/run/store"} & mounts(server) <= mounts(rendered.container(container))


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("", "/data/state.db"),
        ("sqlite:///data/other.db?_synchronous=FULL", "/data/other.db"),
        ("sqlite://file:/data/state.db?cache=shared", "/data/state.db"),
        ("sqlite://state.db", ""),
    ],
)
def test_the_file_of_sqlite_is_looked_at_before_the_store_starts(source, file):
    rendered = render(nested("controlPlane.backingStore.database.embedded.dataSource", source))
    assert rendered.config["store"]["file"] == file
    assert ("/data" in mounts(rendered.container("pki"))) == bool(file)


@pytest.mark.parametrize("store", ["etcd", "database", "external etcd"])
def test_no_other_store_has_a_file_to_look_at(store):
    rendered = render(STORES[store])
    assert rendered.config["store"]["file"] == ""
    assert "/data" not in mounts(rendered.container("pki"))


def test_the_syncer_is_told_what_to_restore():
    order = {"id": "one", "file": "/backup/x", "replace": True, "fromCluster": "beta", "raiseRevision": False}
    rendered = render(restoring(**order))
    assert rendered.config["restore"] == order


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"id": "", "file": "/backup/x"}, "set id to a word of your choice"),
        ({"id": "", "replace": True}, "set id to a word of your choice"),
        ({"id": "a/b"}, "restore"),
        ({"file": "backup"}, "restore"),
    ],
)
def test_what_cannot_be_restored_is_refused(values, said):
    with pytest.raises(Refused, match=said):
        render(restoring(**values))


def test_a_restore_among_several_pods_is_refused_with_the_remedy():
    settings = restoring("database")
    put(settings, "controlPlane.statefulSet.highAvailability.replicas", 2)
    with pytest.raises(Refused, match=r"restore\.id is set with 2 replicas.*set replicas to 1"):
        render(settings)


def test_values_for_snapshots_by_a_schedule_are_refused_with_the_command():
    with pytest.raises(Refused, match="python -m syncer snapshot"):
        render({"snapshots": {"auto": {"schedule": "0 * * * *"}}})
