"""The pki command beside an etcd of the release's own: its certificates, and how many members it has."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from syncer.controlplane import pki
from syncer.values import InvalidValue
from tests.unit.controlplane.keys import NOW, SECRETS, certificate, config, content, names

CERTS = f"{SECRETS}/alpha-etcd-certs"
FILES = {f"{name}.{kind}" for name in ("ca", "server", "member", "client") for kind in ("crt", "key")}


@pytest.fixture
def run(api, tmp_path):
    async def run(members=3, *, now=NOW, again=False, environment=None):
        out = tmp_path / "pki"
        document = config(store="etcd.deploy", etcdMembers=members)
        await pki.run(document, api.client, out, environment or {}, now=now, again=again, patience=0.0)
        return out / "etcd"

    return run


async def test_they_lie_in_a_secret_of_their_own_and_in_a_folder_beside_the_others(run, api):
    folder = await run()
    assert {path.name for path in folder.iterdir()} == set(api.objects[CERTS]["data"]) == FILES
    assert api.objects[CERTS]["metadata"]["ownerReferences"][0]["uid"] == "owner"
    assert "server.crt" not in api.objects[f"{SECRETS}/alpha-certs"]["data"]


async def test_without_such_an_etcd_there_are_none(api, tmp_path):
    await pki.run(config(), api.client, tmp_path / "pki", {}, now=NOW, patience=0.0)
    assert CERTS not in api.objects
    assert not (tmp_path / "pki" / "etcd").exists()


async def test_its_ca_signs_nothing_else(run):
    folder = await run()
    authority = certificate(folder / "ca.crt")
    assert authority.subject.rfc4514_string() == "CN=alpha-etcd-ca"
    assert (folder / "ca.crt").read_bytes() != (folder.parent / "ca.crt").read_bytes()
    for name in ("server", "member", "client"):
        certificate(folder / f"{name}.crt").verify_directly_issued_by(authority)


async def test_the_servers_certificate_names_every_member_there_may_ever_be(run):
    assert names(await run() / "server.crt") == {*("*.alpha-etcd-headless.team.svc", "localhost", "127.0.0.1", "::1")}


@pytest.mark.parametrize("name", ["member", "client"])
async def test_those_of_clients_name_no_host(run, name):
    extensions = certificate(await run() / f"{name}.crt").extensions
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.SubjectAlternativeName)


async def test_they_are_renewed_with_the_others(run, api):
    hour = {"SUBLET_CERTIFICATE_SECONDS": "3600"}
    folder = await run(environment=hour)
    before = {name: (folder / name).read_bytes() for name in FILES}
    due = json.loads((folder.parent / "renewal.json").read_text())["due"]
    assert due < (NOW + dt.timedelta(hours=1)).timestamp()
    await run(now=NOW + dt.timedelta(minutes=50), again=True, environment=hour)

    changed = {name for name in FILES if (folder / name).read_bytes() != before[name]}
    assert changed == FILES - {"ca.crt", "ca.key"}
    assert content(api, "server.crt", CERTS) == (folder / "server.crt").read_bytes()


async def test_a_secret_that_somebody_has_deleted_is_put_back_while_the_control_plane_runs(run, api):
    folder = await run()
    before = (folder / "ca.key").read_bytes()
    del api.objects[CERTS]
    await run(again=True)
    assert content(api, "ca.key", CERTS) == before


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 5), (3, 3)])
async def test_members_may_become_more(run, api, before, after):
    await run(before)
    await run(after)
    assert api.objects[CERTS]["metadata"]["annotations"] == {"sublet.dev/etcd-members": str(after)}


async def test_members_do_not_become_fewer_by_themselves(run, api):
    await run(3)
    with pytest.raises(InvalidValue, match="set it to 3 again") as caught:
        await run(1)
    assert caught.value.path.endswith("etcd.deploy.statefulSet.highAvailability.replicas")
    assert api.objects[CERTS]["metadata"]["annotations"] == {"sublet.dev/etcd-members": "3"}
