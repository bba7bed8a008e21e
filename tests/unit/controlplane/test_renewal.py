"""When a running control plane renews: in time, when something calls for it, and not without end."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt

import pytest

from syncer.controlplane import renewal
from syncer.controlplane.renewal import Follower, Renewal, State
from syncer.values import parse
from tests.unit.controlplane.keys import config

HOUR = 3600.0


class Clockwork:
    """A renewal whose clock is that of the event loop, which jumps; `runs` says when the command ran."""

    def __init__(self, folder, *, due, life=6 * HOUR, succeeds=True):
        self.folder, self.life, self.succeeds = folder, life, succeeds
        self.runs: list[float] = []
        self.told: list[float] = []
        self.write(due)
        self.job = Renewal(folder, self.renew, self.done, clock=self.now, jitter=lambda: 0.5)
        self.task = asyncio.create_task(self.job.run())

    @staticmethod
    def now():
        return asyncio.get_running_loop().time()

    def write(self, due):
        (self.folder / renewal.STATE).write_bytes(State(due=dt.datetime.fromtimestamp(due, dt.UTC)).render())

    async def renew(self):
        self.runs.append(self.now())
        if self.succeeds:
            self.write(self.now() + self.life)
        return self.succeeds

    async def done(self, state):
        self.told.append(state.due.timestamp())


@pytest.fixture
async def clockwork(tmp_path):
    made = []

    def make(**options):
        made.append(Clockwork(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in made), return_exceptions=True)


async def test_a_renewal_comes_when_it_is_due_and_replicas_spread_over_ten_seconds(clockwork):
    begin = Clockwork.now()
    running = clockwork(due=begin + 2 * HOUR)
    await asyncio.sleep(15 * HOUR)
    assert running.runs == pytest.approx([begin + 2 * HOUR + 5, begin + 8 * HOUR + 10, begin + 14 * HOUR + 15])


async def test_the_files_are_taken_up_at_the_start_and_after_each_renewal(clockwork):
    begin = Clockwork.now()
    running = clockwork(due=begin + HOUR)
    await asyncio.sleep(2 * HOUR)
    assert running.told == pytest.approx([begin + HOUR, begin + 7 * HOUR + 5])


async def test_whoever_asks_need_not_wait(clockwork):
    running = clockwork(due=Clockwork.now() + 100 * HOUR)
    await asyncio.sleep(5)
    running.job.soon()
    await asyncio.sleep(1)
    assert len(running.runs) == 1


async def test_what_fails_is_tried_again_with_growing_pauses(clockwork):
    begin = Clockwork.now()
    running = clockwork(due=begin, succeeds=False)
    await asyncio.sleep(3 * HOUR)
    pauses = [after - before for before, after in zip(running.runs, running.runs[1:], strict=False)]
    assert pauses[:4] == pytest.approx([60, 120, 240, 480])
    assert max(pauses) <= HOUR


async def test_leaves_that_get_ever_shorter_near_the_end_of_a_ca_are_no_reason_to_run_without_pause(clockwork):
    running = clockwork(due=Clockwork.now(), life=0.1)
    await asyncio.sleep(600)
    assert len(running.runs) <= 11


async def test_a_machine_that_has_slept_finds_out_within_an_hour(clockwork):
    running = clockwork(due=Clockwork.now() + 100 * HOUR)
    await asyncio.sleep(10)
    ahead = 99 * HOUR + 3000
    running.job._clock = lambda: Clockwork.now() + ahead
    await asyncio.sleep(HOUR + 20)
    assert len(running.runs) == 1


def encoded(**files):
    return {"data": {name.replace("_", "."): base64.b64encode(content).decode() for name, content in files.items()}}


def test_a_secret_that_holds_what_the_files_hold_calls_for_nothing(tmp_path):
    (tmp_path / "admin.crt").write_bytes(b"one")
    assert not renewal.differs(tmp_path, encoded(admin_crt=b"one", more=b"x"))


@pytest.mark.parametrize("secret", [encoded(admin_crt=b"two"), {"data": {"admin.crt": "%"}}])
def test_a_secret_that_holds_something_else_calls_for_a_renewal(tmp_path, secret):
    (tmp_path / "admin.crt").write_bytes(b"one")
    assert renewal.differs(tmp_path, secret)


def test_an_address_that_the_certificate_does_not_have_calls_for_a_renewal(tmp_path):
    cluster = parse(config()).cluster
    service = {"spec": {"clusterIP": "10.96.0.9"}}
    names = renewal.server_names(cluster, service)
    state = State(due=dt.datetime.now(dt.UTC), server_names=names)
    (tmp_path / renewal.STATE).write_bytes(state.render())
    assert not renewal.lacks_names(tmp_path, cluster, service)
    given = service | {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.5"}]}}}
    assert renewal.lacks_names(tmp_path, cluster, given)


def test_another_ca_in_the_users_secret_calls_for_a_renewal(tmp_path):
    secret = encoded(tls_crt=b"one", tls_key=b"one")
    state = State(due=dt.datetime.now(dt.UTC), source=renewal.digest(secret))
    (tmp_path / renewal.STATE).write_bytes(state.render())
    assert not renewal.has_another_source(tmp_path, secret | {"metadata": {"resourceVersion": "2"}})
    assert renewal.has_another_source(tmp_path, encoded(tls_crt=b"two", tls_key=b"two"))


def test_what_is_listed_counts_as_what_has_changed_and_what_is_gone_does_not():
    asked = []
    follower = Follower(lambda secret: secret["differs"], lambda: asked.append(1))
    follower.begin()
    follower.put({"differs": True})
    follower.end()
    follower.changed({"differs": True})
    follower.changed({"differs": False})
    follower.deleted({"differs": True})
    assert len(asked) == 2
