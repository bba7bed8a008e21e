"""Where the control plane keeps its objects, by values."""

from __future__ import annotations

import base64

import pytest

from tests.chart.rendering import Object, Refused, put, render

STORES = "controlPlane.backingStore"
SOURCES = {
    "postgres": "postgres://user:p%2Fw@db.example:5432/tenant?sslmode=verify-full",
    "mysql": "mysql://user:p/w@tcp(db.example:3306)/tenant",
}


def values(**settings: object) -> Object:
    """Values from paths below controlPlane.backingStore, with `__` for dots."""
    found: Object = {}
    for path, value in settings.items():
        put(found, f"{STORES}.{path.replace('__', '.')}", value)
    return found


def external(source: str = SOURCES["postgres"], **more: object) -> Object:
    """Values for an external database."""
    return values(database__external__enabled=True, database__external__dataSource=source, **more)


def etcd(**more: object) -> Object:
    """Values for an external etcd."""
    return values(etcd__external__enabled=True, etcd__external__endpoint="https://a:2379,https://b:2379", **more)


def mounts(container: Object) -> set[str]:
    return {item["mountPath"] for item in container["volumeMounts"]}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_data_source_lies_in_a_secret_and_nowhere_else(source):
    rendered = render(external(source))
    (endpoint,) = (item for item in rendered.container("store")["env"] if item["name"] == "KINE_ENDPOINT")

    assert endpoint["valueFrom"]["secretKeyRef"] == {"name": "vc-config-alpha", "key": "dataSource"}
    assert base64.b64decode(rendered.get("Secret", "vc-config-alpha")["data"]["dataSource"]).decode() == source
    assert source not in rendered.text


def test_a_data_source_can_lie_in_a_secret_of_the_users():
    rendered = render(values(database__external__enabled=True, database__external__connector="mine"))
    (endpoint,) = rendered.container("store")["env"]

    assert endpoint["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "dataSource"}
    assert "dataSource" not in rendered.get("Secret", "vc-config-alpha")["data"]


def test_another_data_source_rolls_the_pod():
    checksums = {
        render(external(source)).get("StatefulSet")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for source in SOURCES.values()
    }
    assert len(checksums) == 2


@pytest.mark.parametrize("settings", [external(), etcd()], ids=["database", "etcd"])
def test_a_store_that_lies_elsewhere_needs_no_volume(settings):
    rendered = render(settings)

    assert "volumeClaimTemplates" not in rendered.get("StatefulSet")["spec"]
    assert "data" not in {volume["name"] for volume in rendered.pod["volumes"]}


def test_embedded_etcd_lies_on_the_claim_and_listens_on_sockets_only():
    rendered = render(values(etcd__embedded__enabled=True))
    store = rendered.container("store")
    urls = [argument.partition("=")[2] for argument in store["command"] if "-urls=" in argument]

    assert len(urls) == 4
    assert all(url.startswith("unix:///run/store/") for url in urls)
    assert "--data-dir=/data/etcd" in store["command"]
    assert rendered.get("StatefulSet")["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "data"


def test_an_external_etcd_has_no_container_and_a_prefix_for_each_virtual_cluster():
    files = {name: f"/tls/{name}" for name in ("caFile", "certFile", "keyFile")}
    rendered = render(etcd(etcd__external__tls=files))
    server = rendered.container("apiserver")

    assert "store" not in {item["name"] for item in rendered.pod["initContainers"]}
    assert {
        "--etcd-servers=https://a:2379,https://b:2379",
        "--etcd-cafile=/tls/caFile",
        "--etcd-certfile=/tls/certFile",
        "--etcd-keyfile=/tls/keyFile",
        "--etcd-prefix=/tenant/alpha",
    } <= set(server["command"])
    assert "/run/store" not in mounts(server)


def test_files_for_the_connection_reach_kine():
    files = {name: f"/tls/{name}" for name in ("caFile", "certFile", "keyFile")}
    settings = external()
    settings["controlPlane"]["backingStore"]["database"]["external"] |= files

    assert {"--ca-file=/tls/caFile", "--cert-file=/tls/certFile", "--key-file=/tls/keyFile"} <= set(
        render(settings).container("store")["command"]
    )


def test_volumes_of_the_users_are_in_every_container():
    persistence = {
        "addVolumes": [{"name": "tls", "secret": {"secretName": "mine"}}],
        "addVolumeMounts": [{"name": "tls", "mountPath": "/tls", "readOnly": True}],
    }
    rendered = render({"controlPlane": {"statefulSet": {"persistence": persistence}}})

    assert rendered.pod["volumes"][-1] == persistence["addVolumes"][0]
    for container in rendered.pod["initContainers"] + rendered.pod["containers"]:
        assert "/tls" in mounts(container)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (external(etcd__embedded__enabled=True), "database.external and etcd.embedded are enabled"),
        (values(database__external__enabled=True), "set dataSource, or connector"),
        (external(database__external__connector="mine"), "unset one"),
        (external("sqlite:///data/x"), "begin it with postgres:// or mysql://"),
        (external("postgres://user:pw@db.example:5432"), "write /DATABASE after the server"),
        (external("mysql://user:pw@tcp(db.example:3306)"), "write /DATABASE after the server"),
        (external(database__external__certFile="/tls/crt"), "certFile and keyFile belong together"),
        (values(etcd__external__enabled=True), "etcd.external.endpoint is empty"),
        (values(etcd__external__enabled=True, etcd__external__endpoint="a:2379"), "endpoint"),
        (etcd(etcd__external__tls__keyFile="/tls/key"), "certFile and keyFile belong together"),
        (values(database__embedded__dataSource="postgres://a:b@c/d"), "begin it with sqlite://"),
        (etcd(etcd__deploy__enabled=True), "etcd.deploy and etcd.external are enabled"),
    ],
)
def test_what_cannot_work_is_refused_with_its_remedy(settings, said):
    with pytest.raises(Refused) as caught:
        render(settings)
    assert STORES.split(".")[1] in str(caught.value)
    assert said in str(caught.value)


def test_a_claim_for_a_store_that_lies_elsewhere_is_refused():
    settings = external()
    put(settings, "controlPlane.statefulSet.persistence.volumeClaim.enabled", True)
    with pytest.raises(Refused, match="set it to auto"):
        render(settings)
