"""Members of the release's own etcd with a real etcd each: they form a cluster, come back with and without data, and become more."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import toolchain
from syncer.controlplane import etcd_certificates, etcd_member, material
from syncer.controlplane.certificates import Lifetimes
from syncer.controlplane.etcd_membership import Seat
from syncer.values import Cluster
from tests.integration.servers import Process, free_port

pytestmark = pytest.mark.timeout(400)

CLUSTER = Cluster(
    name="alpha", namespace="team", domain="cluster.local", service="alpha", owner={}, workload_service_account="w"
)
PATIENCE = 100.0


class Place:
    """Where one member lives: its seat, its disk and, when it runs, its etcd."""

    def __init__(self, folder: Path, number: int, files: etcd_member.Files) -> None:
        self.folder = folder / f"member-{number}"
        self.folder.mkdir()
        self.data = self.folder / "data"
        self.files = files
        urls = [f"https://127.0.0.1:{free_port()}" for _ in range(2)]
        self.seat = Seat(name=f"alpha-etcd-{number}", client=urls[0], peer=urls[1])
        self.metrics = free_port()
        self.process: Process | None = None

    def flags(self) -> list[str]:
        """As the chart gives them."""
        tls = [
            f"--{prefix}{name}={self.files.folder / file}"
            for prefix in ("", "peer-")
            for name, file in (
                ("trusted-ca-file", "ca.crt"),
                ("cert-file", "server.crt"),
                ("key-file", "server.key"),
                ("client-cert-file", "member.crt"),
                ("client-key-file", "member.key"),
            )
        ]
        auth = ["--client-cert-auth=true", "--peer-client-cert-auth=true"]
        return [f"--data-dir={self.data}", "--initial-cluster-token=team/alpha", "--unsafe-no-fsync", *tls, *auth]

    async def start(self, *others: Place) -> None:
        """The init step, then etcd."""
        out = self.folder / "etcd.yaml"
        seats = [other.seat for other in others]
        async with asyncio.timeout(PATIENCE):
            await etcd_member.run(
                self.seat,
                seats,
                [*self.flags(), "--grpc-keepalive-min-time=1s", "--quota-backend-bytes=1000000000"],
                files=self.files,
                out=out,
                listen="127.0.0.1",
                metrics=self.metrics,
            )
        etcd = toolchain.path("etcd")
        self.process = Process([etcd, f"--config-file={out}"], self.folder / "etcd.log")

    def kill(self) -> None:
        """kill -9, if it runs."""
        if self.process:
            self.process.kill9()
            self.process = None

    def lose_data(self) -> None:
        """As if its claim had been deleted."""
        self.kill()
        shutil.rmtree(self.data)

    def ready(self) -> bool:
        """Whether etcd says that it is ready, which it is with a majority only."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/readyz", timeout=2):
                return True
        except OSError:
            return False

    def call(self, path: str, body: str) -> str:
        """A request to etcd with the API server's certificate."""
        context: ssl.SSLContext = etcd_member.Files(folder=self.files.folder, identity="client").client()
        request = urllib.request.Request(f"{self.seat.client}{path}", data=body.encode())
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            text: str = answer.read().decode()
            return text


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[[int], Place]]:
    """Makes places; their processes end with the test."""
    toolchain.build(["etcd"])
    wanted = etcd_certificates.wanted(CLUSTER, Lifetimes())
    pki = tmp_path / "pki"
    pki.mkdir()
    for name, content in material.complete({}, wanted, dt.datetime.now(dt.UTC)).items():
        (pki / name).write_bytes(content)
    places: list[Place] = []

    def make(number: int) -> Place:
        places.append(Place(tmp_path, number, etcd_member.Files(folder=pki)))
        return places[-1]

    yield make
    for one in places:
        one.kill()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members look at each other more often than in pods."""
    monkeypatch.setattr(etcd_member, "_PAUSE", 0.2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members without a majority, who never answer, are not waited for as long as in pods."""
    monkeypatch.setattr(etcd_member, "_PATIENCE", 1.0)


async def becomes(condition: Callable[[], object]) -> None:
    """Waits until it holds; no answer is another one."""
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(_holds, condition):  # noqa: ASYNC110  etcd tells nobody
            await asyncio.sleep(0.1)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except OSError:
        return False


async def cluster_of(places: list[Place]) -> None:
    """Starts them as the members of one cluster and waits for all."""
    await asyncio.gather(*(one.start(*(other for other in places if other is not one)) for one in places))
    for one in places:
        await becomes(one.ready)


async def write(one: Place, key: str) -> None:
    """Until it is acknowledged: without the leader that was killed a moment ago nothing is."""
    await becomes(lambda: one.call("/v3/kv/put", f'{{"key": "{key}", "value": "{key}"}}'))


def reads(one: Place, key: str) -> bool:
    return '"kvs"' in one.call("/v3/kv/range", f'{{"key": "{key}"}}')


def started(one: Place) -> int:
    return one.call("/v3/cluster/member/list", "{}").count('"clientURLs"')


async def test_three_members_form_a_cluster_and_go_on_with_their_data_after_all_have_been_killed(place):
    places = [place(number) for number in range(3)]
    await cluster_of(places)
    await write(places[0], "YQ==")
    for one in places:
        one.kill()
    await cluster_of(places)

    await becomes(lambda: reads(places[2], "YQ=="))
    await becomes(lambda: started(places[0]) == 3)


async def test_a_member_that_has_lost_its_data_comes_back_with_those_of_the_others(place):
    places = [place(number) for number in range(3)]
    await cluster_of(places)
    await write(places[0], "YQ==")
    lost = places.pop(0)
    lost.lose_data()
    await write(places[0], "Yg==")
    await lost.start(*places)
    await becomes(lost.ready)

    await becomes(lambda: reads(lost, "YQ=="))
    await becomes(lambda: reads(lost, "Yg=="))
    await becomes(lambda: started(lost) == 3)


@pytest.mark.usefixtures("impatient")
async def test_a_member_without_data_waits_as_long_as_another_one_may_have_some(place):
    first, second, third = places = [place(number) for number in range(3)]
    await cluster_of(places)
    await write(first, "YQ==")
    for one in places:
        one.kill()
    second.lose_data()
    waiting = asyncio.create_task(second.start(first, third))
    await third.start(first, second)
    done, _ = await asyncio.wait({waiting}, timeout=4)  # several looks
    assert not done
    await first.start(second, third)
    await waiting
    await becomes(second.ready)

    await becomes(lambda: reads(second, "YQ=="))
    await becomes(lambda: started(second) == 3)


@pytest.mark.usefixtures("impatient")
async def test_one_member_becomes_three_and_three_become_five(place):
    places = [place(0)]
    await cluster_of(places)
    await write(places[0], "YQ==")
    for count in (3, 5):
        more = [place(number) for number in range(len(places), count)]
        places += more
        await asyncio.gather(*(one.start(*(other for other in places if other is not one)) for one in more))
        for one in places:
            await becomes(one.ready)

    await becomes(lambda: reads(places[4], "YQ=="))
    await becomes(lambda: started(places[4]) == 5)


async def test_the_data_of_a_member_that_was_taken_out_are_set_aside(place):
    places = [place(number) for number in range(3)]
    await cluster_of(places)
    first, _, third = places
    third.kill()
    await write(first, "YQ==")
    members = first.call("/v3/cluster/member/list", "{}")
    identity = members.partition(third.seat.name)[0].rpartition('"ID":"')[2].partition('"')[0]
    await becomes(lambda: first.call("/v3/cluster/member/remove", f'{{"ID": "{identity}"}}'))
    await third.start(*places[:2])
    await becomes(third.ready)

    await becomes(lambda: reads(third, "YQ=="))
    assert third.data.with_name("data-removed").is_dir()


async def test_a_client_without_a_certificate_of_this_etcds_ca_is_refused(place):
    one = place(0)
    await cluster_of([one])
    stranger = ssl.create_default_context(cafile=one.files.folder / "ca.crt")

    with pytest.raises(OSError, match="certificate required"):
        await asyncio.to_thread(urllib.request.urlopen, f"{one.seat.client}/version", context=stranger, timeout=5)
