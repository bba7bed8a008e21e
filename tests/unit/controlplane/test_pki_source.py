"""A CA from a Secret of the user's: taken over with its key, followed when it changes, refused with what is wrong in it."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from cryptography import x509

from syncer.controlplane.certificates import Authority, Pair, split
from syncer.controlplane.renewal import State
from syncer.values import InvalidValue
from tests.unit.controlplane.keys import CERTS, NOW, SECRETS, certificate, config, content

COMPANY = f"{SECRETS}/company"
YEARS = dt.timedelta(days=700)
BROUGHT = {**config(), "certificates": {"authoritySecret": "company", "followService": False}}


def put(api, pair, **more):
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, **more}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items() if value}
    return api.put(COMPANY, {"type": "kubernetes.io/tls", "data": encoded})


def authority(name="company", life=YEARS):
    return Authority.create(name, life, NOW)


async def test_leaves_are_signed_by_the_ca_that_the_user_brings(run, api):
    company = authority()
    put(api, company)
    out = await run(BROUGHT)
    assert (out / "ca.crt").read_bytes() == (out / "ca-signing.crt").read_bytes() == company.certificate
    assert (out / "ca.key").read_bytes() == company.key
    ca = x509.load_pem_x509_certificate(company.certificate)
    for leaf in ("apiserver", "admin", "syncer", "controller-manager"):
        certificate(out / f"{leaf}.crt").verify_directly_issued_by(ca)
    assert content(api, "certificate-authority", f"{SECRETS}/vc-alpha") == company.certificate


async def test_authorities_above_the_users_are_not_trusted(run, api):
    company, root = authority(), authority("root")
    put(api, Pair(company.certificate + root.certificate, company.key), **{"ca.crt": root.certificate})
    assert (await run(BROUGHT) / "ca.crt").read_bytes() == company.certificate


async def test_another_ca_in_the_secret_is_followed_and_the_one_before_is_trusted_still(run, api):
    first, second = authority(), authority()
    put(api, first)
    await run(BROUGHT)
    put(api, second)
    out = await run(BROUGHT)
    assert split((out / "ca.crt").read_bytes()) == [second.certificate, first.certificate]
    assert (out / "ca-signing.crt").read_bytes() == second.certificate
    assert len(split((out / "apiserver.crt").read_bytes())) == 2


async def test_a_cluster_that_has_its_own_ca_can_be_given_another(run, api):
    own = (await run() / "ca.crt").read_bytes()
    company = authority()
    put(api, company)
    assert split((await run(BROUGHT) / "ca.crt").read_bytes()) == [company.certificate, own]


async def test_what_the_files_were_made_of_is_told_to_the_syncer(run, api):
    put(api, authority())
    first = State.read(await run(BROUGHT)).source
    put(api, authority())
    assert first
    assert State.read(await run(BROUGHT)).source != first


async def test_a_secret_that_is_not_there_is_waited_for_and_then_named(run):
    with pytest.raises(
        InvalidValue, match=r"certificateAuthority\.secretName: there is no Secret team/company; create it"
    ):
        await run(BROUGHT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pair: Pair(b"", pair.key), r"tls\.crt: is missing"),
        (lambda pair: Pair(pair.certificate, b""), r"tls\.key: is missing"),
        (lambda pair: Pair(b"junk", pair.key), r"tls\.crt: the certificate cannot be read"),
        (lambda pair: Pair(pair.certificate, b"junk"), r"tls\.key: the private key cannot be read"),
        (lambda pair: Pair(pair.certificate, authority().key), r"tls\.crt: certificate and private key do not belong"),
        (lambda _: authority(life=dt.timedelta(seconds=-1)), r"tls\.crt: has expired at 2026"),
    ],
)
async def test_what_is_wrong_with_it_is_named_with_secret_key_and_remedy(run, api, change, words):
    put(api, change(authority()))
    with pytest.raises(InvalidValue, match=rf"Secret team/company, key {words}.*; put the certificate of a CA"):
        await run(BROUGHT)
    assert CERTS not in api.objects


async def test_a_certificate_that_is_no_ca_is_refused(run, api):
    await run()
    leaf = Pair(content(api, "admin.crt"), content(api, "admin.key"))
    put(api, leaf)
    with pytest.raises(InvalidValue, match=r"Secret team/company, key tls\.crt: the certificate is not that of a CA"):
        await run(BROUGHT)
