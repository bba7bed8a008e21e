"""Whether memory grows, told from samples."""

import pytest

from tests.soak.memory import Sample, growing, lives

MIB = 2**20


def samples(sizes, *, pid=1, container="syncer", every=10.0):
    return [
        Sample(time=number * every, container=container, pid=pid, resident=int(size * MIB))
        for number, size in enumerate(sizes)
    ]


def test_a_steady_growth_is_found():
    found = lives(samples(50 + minute / 6 for minute in range(60)))

    assert found[0].slope == pytest.approx(1.0, abs=0.01)
    assert growing(found) == ["the syncer's memory grows by 1.00 MiB a minute over 10 minutes"]


def test_what_a_process_takes_while_it_warms_up_is_no_growth():
    found = lives(samples([10, 20, 30, 40, 50, 55, 60, 60, 60, 60, 60, 60] + [60] * 48))

    assert found[0].slope == pytest.approx(0.0)
    assert growing(found) == []


def test_a_short_life_tells_nothing():
    assert lives(samples(range(20)))[0].slope is None


def test_each_process_has_a_life_of_its_own():
    found = lives([*samples([50, 60], pid=1), *samples([40, 45], pid=2)])

    assert [(life.pid, life.highest, life.last) for life in found] == [(1, 60, 60), (2, 45, 45)]


def test_an_ended_process_does_not_count():
    assert lives(samples([0, 0])) == []


def test_only_the_syncer_is_judged():
    assert growing(lives(samples(range(60), container="apiserver"))) == []


def test_a_step_that_is_not_followed_by_others_is_no_growth():
    assert growing(lives(samples([60] * 50 + [90] * 50))) == []


def test_a_growth_that_pauses_now_and_then_is_found():
    assert growing(lives(samples(50 + number // 12 * 3 for number in range(100)))) != []
