"""The pki command: one set of keys whatever happens, files as the control plane reads them, kubeconfigs that work."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import stat

import pytest
import yaml

from syncer.controlplane import pki, store
from syncer.controlplane.renewal import State
from syncer.controlplane.server_names import server_names
from syncer.values import InvalidValue, parse
from tests.unit.controlplane.keys import CERTS, NOW, SECRETS, certificate, config, content, names
from tests.unit.controlplane.memory_api import MemoryApi
from tests.unit.kube.doubles import refusal

FILES = {
    *("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"),
    *("apiserver.crt", "apiserver.key", "apiserver-kubelet-client.crt", "apiserver-kubelet-client.key"),
    *("front-proxy-client.crt", "front-proxy-client.key", "syncer.crt", "syncer.key", "admin.crt", "admin.key"),
    *("admin.conf", "syncer.conf", "controller-manager.conf", "scheduler.conf", "coredns.conf"),
    *(
        f"{user}.{half}"
        for user in ("syncer-client", "controller-manager", "scheduler", "coredns")
        for half in ("crt", "key")
    ),
    *("ca-signing.crt", "renewal.json"),
}


async def test_exactly_the_files_that_the_control_plane_reads_are_written(run):
    assert {path.name for path in (await run()).iterdir()} == FILES


async def test_secrets_are_for_the_owner_only(run):
    out = await run()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {modes[name] for name in FILES if name.endswith((".key", ".conf"))} == {0o600}
    assert {modes[name] for name in FILES if name.endswith((".crt", ".pub"))} == {0o644}


@pytest.mark.parametrize(
    ("file", "subject"),
    [
        ("apiserver", "CN=kube-apiserver"),
        ("apiserver-kubelet-client", "CN=sublet:kubelet-client"),
        ("front-proxy-client", "CN=front-proxy-client"),
        ("admin", "CN=kubernetes-admin,O=system:masters"),
        ("ca", "CN=alpha-ca"),
        ("front-proxy-ca", "CN=alpha-front-proxy-ca"),
    ],
)
async def test_each_certificate_is_somebodys(run, file, subject):
    assert certificate(await run() / f"{file}.crt").subject.rfc4514_string() == subject


@pytest.mark.parametrize(
    ("file", "subject"),
    [
        ("admin", "CN=kubernetes-admin,O=system:masters"),
        ("syncer", "CN=sublet:syncer,O=system:masters"),
        ("controller-manager", "CN=system:kube-controller-manager"),
        ("scheduler", "CN=system:kube-scheduler"),
    ],
)
async def test_each_kubeconfig_names_its_user_and_the_server_next_door(run, file, subject):
    out = await run()
    document = yaml.safe_load((out / f"{file}.conf").read_text())
    user, cluster = document["users"][0]["user"], document["clusters"][0]["cluster"]
    assert certificate(out / user["client-certificate"]).subject.rfc4514_string() == subject
    assert (out / user["client-key"]).exists()
    assert cluster["certificate-authority"] == "ca.crt"
    assert cluster["server"] == "https://127.0.0.1:8443"
    assert document["current-context"] == "alpha"


async def test_the_api_server_is_known_by_all_its_names(run):
    assert names(await run(config(extraSANs=["tenant.example.com", "192.0.2.10"])) / "apiserver.crt") == {
        *("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
        *("alpha", "alpha.team", "alpha.team.svc", "alpha.team.svc.cluster.local"),
        *("alpha-headless", "alpha-headless.team", "alpha-headless.team.svc", "alpha-headless.team.svc.cluster.local"),
        *("*.alpha-headless", "*.alpha-headless.team", "*.alpha-headless.team.svc"),
        "*.alpha-headless.team.svc.cluster.local",
        *("localhost", "127.0.0.1", "::1", "10.96.0.9", "fd00::9", "tenant.example.com", "192.0.2.10"),
    }


def test_the_addresses_of_a_load_balancer_are_names_too():
    service = {
        "spec": {"clusterIP": "None"},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.5"}, {"hostname": "LB.example.com"}]}},
    }
    found = server_names(parse(config()).cluster, service)
    assert {"203.0.113.5", "lb.example.com"} <= found
    assert "none" not in found


@pytest.mark.parametrize("name", ["", "a b", "https://x", "1.2.3.4:443", "-a", "ä.example", "*.*.a", "a" * 254])
async def test_an_extra_name_that_is_none_is_refused(run, name):
    with pytest.raises(InvalidValue, match=r"controlPlane\.proxy\.extraSANs\[1\]: .* neither a DNS name nor an IP"):
        await run(config(extraSANs=["good.example", name]))


async def test_the_secret_belongs_to_the_owner_and_is_not_swept(run, api):
    await run()
    metadata = api.objects[CERTS]["metadata"]
    assert metadata["labels"] == {
        "app.kubernetes.io/name": "sublet",
        "app.kubernetes.io/component": "certificates",
        "sublet.dev/cluster": "alpha",
    }
    assert metadata["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-alpha", "uid": "owner"}
    ]


async def test_a_restart_changes_nothing(run, api):
    out = await run()
    before = {path.name: (path.read_bytes(), path.stat().st_ino) for path in out.iterdir()}
    writes = list(api.writes)
    await run()
    assert {path.name: (path.read_bytes(), path.stat().st_ino) for path in out.iterdir()} == before
    assert api.writes == writes


async def test_two_that_start_at_once_end_with_the_keys_of_the_first(run, api, tmp_path):
    other = MemoryApi()
    for path, obj in api.objects.items():
        other.put(path, obj)
    await pki.run(config(), other.client, tmp_path / "first", {}, now=NOW, patience=0)

    def first_wins(request):
        if request.method == "POST" and request.path == SECRETS and CERTS not in api.objects:
            api.put(CERTS, copy.deepcopy(other.objects[CERTS]))

    api.before = first_wins
    out = await run()
    for name in FILES:
        assert (out / name).read_bytes() == (tmp_path / "first" / name).read_bytes()


async def test_old_leaves_are_renewed_under_the_same_authority(run, api):
    out = await run()
    before = {name: (out / name).read_bytes() for name in FILES}
    await run(now=NOW + dt.timedelta(days=250))
    renewed = {name for name in FILES if (out / name).read_bytes() != before[name]}
    assert renewed == {
        name for name in FILES if not name.startswith(("ca", "front-proxy-ca.", "sa.")) and name[-5:] != ".conf"
    }
    assert certificate(out / "admin.crt").not_valid_after_utc == NOW + dt.timedelta(days=250 + 365)


async def test_a_renewal_reaches_the_exported_kubeconfig(run, api):
    await run()
    out = await run(now=NOW + dt.timedelta(days=250))
    assert content(api, "client-certificate", f"{SECRETS}/vc-alpha") == (out / "admin.crt").read_bytes()


async def test_a_new_name_renews_the_api_servers_certificate_only(run):
    out = await run()
    before = {name: (out / name).read_bytes() for name in FILES}
    await run(config(extraSANs=["new.example"]))
    renewed = {name for name in FILES if (out / name).read_bytes() != before[name]}
    assert renewed == {"apiserver.crt", "apiserver.key", "renewal.json"}


async def test_a_renewal_that_somebody_else_has_done_is_taken_over(run, api):
    await run()
    later = NOW + dt.timedelta(days=250)
    other = MemoryApi()
    for path, obj in api.objects.items():
        other.put(path, copy.deepcopy(obj))
    await pki.run(config(), other.client, (await run()).parent / "first", {}, now=later, patience=0)

    def first_wins(request):
        if request.method == "PATCH" and request.path == CERTS and not done:
            done.append(api.put(CERTS, copy.deepcopy(other.objects[CERTS])))

    done: list[object] = []
    api.before = first_wins
    out = await run(now=later)
    assert (out / "admin.crt").read_bytes() == (out.parent / "first" / "admin.crt").read_bytes()


async def test_lifetimes_can_be_shortened(run):
    out = await run(environment={"SUBLET_CA_SECONDS": "7200", "SUBLET_CERTIFICATE_SECONDS": "60"})
    assert certificate(out / "ca.crt").not_valid_after_utc == NOW + dt.timedelta(hours=2)
    assert certificate(out / "admin.crt").not_valid_after_utc == NOW + dt.timedelta(minutes=1)


async def test_a_lifetime_that_is_no_number_is_refused(run):
    with pytest.raises(InvalidValue, match="SUBLET_CA_SECONDS"):
        await run(environment={"SUBLET_CA_SECONDS": "1y"})


@pytest.mark.parametrize("key", ["ca.crt", "ca.key", "front-proxy-ca.crt", "sa.key"])
@pytest.mark.parametrize("damage", ["missing", "junk", "not base64"])
async def test_a_damaged_secret_is_named_with_key_and_remedy(run, api, key, damage):
    await run()
    data = api.objects[CERTS]["data"]
    if damage == "missing":
        del data[key]
    else:
        data[key] = {"junk": "anVuaw==", "not base64": "%"}[damage]
    with pytest.raises(InvalidValue, match=rf"Secret team/alpha-certs, key .*{key}.*: .*; restore .* or delete it"):
        await run()


async def test_leaves_that_expired_while_nothing_ran_are_made_anew(run):
    await run()
    later = NOW + dt.timedelta(days=500)
    assert certificate(await run(now=later) / "apiserver.crt").not_valid_after_utc == later + dt.timedelta(days=365)


async def test_a_secret_that_is_gone_while_the_control_plane_runs_gets_what_it_had(run, api, tmp_path):
    await run()
    had = api.objects.pop(CERTS)["data"]
    await pki.run(config(), api.client, tmp_path / "pki", {}, again=True, now=NOW, patience=0)
    assert api.objects[CERTS]["data"] == had


async def test_when_to_renew_lies_beside_the_files(run):
    due = State.read(await run()).due
    assert NOW + dt.timedelta(days=243) < due < NOW + dt.timedelta(days=244)


async def test_an_expired_authority_is_named(run):
    await run()
    with pytest.raises(InvalidValue, match=r"ca\.crt: has expired at 2036"):
        await run(now=NOW + dt.timedelta(days=3651))


async def test_a_damaged_leaf_is_repaired(run, api):
    await run()
    api.objects[CERTS]["data"]["admin.crt"] = "anVuaw=="
    del api.objects[CERTS]["data"]["scheduler.key"]
    assert certificate(await run() / "admin.crt").subject.rfc4514_string() == "CN=kubernetes-admin,O=system:masters"


async def test_a_ca_that_the_user_has_put_there_is_used(run, api, tmp_path):
    await run()
    own = {key: api.objects[CERTS]["data"][key] for key in ("ca.crt", "ca.key")}
    api.put(CERTS, {"data": own})
    out = await run()
    assert (out / "ca.crt").read_bytes() == base64.b64decode(own["ca.crt"])
    assert api.objects[CERTS]["data"].keys() >= {"front-proxy-ca.key", "sa.key", "admin.key"}
    assert "ownerReferences" not in api.objects[CERTS]["metadata"]


async def test_a_secret_left_by_an_earlier_release_gets_the_new_owner(run, api):
    await run()
    api.put("/api/v1/namespaces/team/configmaps/vc-owner-alpha", {"metadata": {"uid": "new"}})
    await run()
    owners = [owner["uid"] for owner in api.objects[CERTS]["metadata"]["ownerReferences"]]
    assert owners == ["owner", "new"]


async def test_a_service_that_comes_late_is_waited_for(run, api):
    service = api.objects.pop("/api/v1/namespaces/team/services/alpha")
    asked = []

    def appear(request):
        if request.path.endswith("/services/alpha"):
            asked.append(request)
            if len(asked) == 2:
                api.put(request.path, service)

    api.before = appear
    await run(patience=20)
    assert len(asked) == 2


async def test_a_host_that_is_busy_is_asked_again(run, api):
    refused = []

    def busy(request):
        if request.method == "POST" and not refused:
            refused.append(request)
            return refusal(500, "InternalError")
        return None

    api.before = busy
    await run(patience=20)
    assert CERTS in api.objects


async def test_no_kubeconfig_is_written_for_a_service_account(run, api):
    document = config()
    document["kubeconfigs"][0]["serviceAccount"] = {"name": "viewer", "namespace": "kube-system", "clusterRole": "view"}
    await run(document)
    assert f"{SECRETS}/vc-alpha" not in api.objects


async def test_the_store_is_remembered_beside_the_keys(api, run):
    await run()
    assert api.objects[CERTS]["metadata"]["annotations"] == {"sublet.dev/store": "database.embedded"}


async def test_another_store_is_refused_with_the_way_back(api, run, tmp_path):
    await run()
    with pytest.raises(InvalidValue) as caught:
        await run(config(store="etcd.embedded"))
    assert "controlPlane.backingStore.etcd.embedded" in str(caught.value)
    assert "lie in database.embedded" in str(caught.value)
    assert "annotate secret alpha-certs sublet.dev/store-" in str(caught.value)


async def test_a_store_that_was_given_up_makes_room_for_another(api, run):
    await run()
    del api.objects[CERTS]["metadata"]["annotations"]
    await run(config(store="etcd.embedded"))
    assert api.objects[CERTS]["metadata"]["annotations"] == {"sublet.dev/store": "etcd.embedded"}


async def test_a_version_that_cannot_follow_is_refused_and_the_one_that_ran_comes_back(api, run):
    await run(config(kubernetes="v1.34.4"))
    api.objects[CERTS]["metadata"]["annotations"]["sublet.dev/kubernetes"] = "v1.34.4"
    with pytest.raises(InvalidValue, match=r"set it to a version 1\.35 first"):
        await run(config(kubernetes="v1.36.3"))
    await run(config(kubernetes="v1.34.4"))


async def test_another_store_is_taken_when_a_snapshot_is_to_be_restored_into_it(api, run):
    await run()
    restoring = config(store="etcd.embedded") | {"restore": {"id": "one"}}
    await run(restoring)
    assert api.objects[CERTS]["metadata"]["annotations"] == {"sublet.dev/store": "database.embedded"}

    await store.restored(api.client, parse(restoring))
    await run(restoring)
    assert api.objects[CERTS]["metadata"]["annotations"]["sublet.dev/store"] == "etcd.embedded"
    with pytest.raises(InvalidValue, match=r"lie in etcd\.embedded"):
        await run(config(store="database.external") | {"restore": {"id": "one"}})
    await run(config(store="database.external") | {"restore": {"id": "two"}})


async def test_a_damaged_file_of_the_store_is_refused_at_the_start_and_not_looked_at_while_the_store_runs(
    run, tmp_path
):
    file = tmp_path / "state.db"
    file.write_bytes(b"x" * 5000)
    document = config() | {"store": {"file": str(file)}}
    with pytest.raises(InvalidValue, match="finds it damaged"):
        await run(document)
    file.rename(tmp_path / "away")
    await run(document)
    (tmp_path / "away").rename(file)
    await run(document, again=True)
