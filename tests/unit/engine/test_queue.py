"""Keys wait once, are worked on by one worker at a time, and come back after growing pauses when they failed."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.engine.queue import Queue
from syncer.names import Key
from tests.unit.engine.fakes import passed

A, B = Key("pods", "shop", "a"), Key("pods", "shop", "b")


class Worked:
    """Workers on a queue that note what they did and when."""

    def __init__(self, queue: Queue, *, workers: int = 2) -> None:
        self.queue = queue
        self.done: list[tuple[Key, float]] = []
        self.tasks = [asyncio.create_task(queue.work(self._handle)) for _ in range(workers)]

    async def _handle(self, key: Key) -> None:
        self.done.append((key, passed()))

    async def until(self, seconds: float) -> list[tuple[Key, float]]:
        await asyncio.sleep(seconds - passed())
        done, self.done = self.done, []
        return done

    async def __aenter__(self) -> Worked:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_key_that_is_wanted_often_is_worked_on_once():
    queue = Queue()
    for _ in range(5):
        queue.add(A)
    assert len(queue) == 1
    async with Worked(queue) as worked:
        assert [key for key, _ in await worked.until(1)] == [A]


async def test_a_key_wanted_while_it_is_worked_on_is_looked_at_again():
    queue, seen = Queue(), []

    async def handle(key):
        async with queue.alone(key):
            seen.append(key)
            if len(seen) == 1:
                queue.add(A)
                await asyncio.sleep(1)

    tasks = [asyncio.create_task(queue.work(handle)) for _ in range(2)]
    queue.add(A)
    await asyncio.sleep(0.5)
    assert seen == [A]
    await asyncio.sleep(1)
    assert seen == [A, A]
    for task in tasks:
        task.cancel()


async def test_a_key_has_one_worker_at_a_time_and_others_are_not_held_up():
    queue, running, most, ended = Queue(), 0, 0, []

    async def work(key):
        nonlocal running, most
        async with queue.alone(key):
            if key == A:
                running += 1
                most = max(most, running)
                await asyncio.sleep(1)
                running -= 1
            ended.append(key)

    await asyncio.gather(work(A), work(A), work(A), work(B))
    assert most == 1
    assert ended == [B, A, A, A]


async def test_nothing_is_left_behind_when_nobody_holds_a_key():
    queue = Queue()

    async def hold():
        async with queue.alone(A):
            await asyncio.sleep(1)

    await asyncio.gather(hold(), hold())
    assert queue.busy == 0
    assert not queue.is_pending(A)


async def test_a_worker_that_gives_up_waiting_or_fails_frees_the_key():
    queue = Queue()

    async def hold():
        async with queue.alone(A):
            await asyncio.sleep(10)

    first, second = asyncio.create_task(hold()), asyncio.create_task(hold())
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    with pytest.raises(ZeroDivisionError):
        async with queue.alone(A):
            raise ZeroDivisionError
    assert queue.busy == 0


async def test_the_pause_after_a_failure_doubles_up_to_a_minute():
    queue = Queue(jitter=lambda: 0.5)
    pauses = [queue.failed(A) for _ in range(20)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == pauses[-5] == 60.0


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 60))
def test_the_pause_is_bounded_however_often_a_key_fails(luck, failures):
    async def last():
        queue = Queue(jitter=lambda: luck)
        return [queue.failed(A) for _ in range(failures)][-1]

    assert 0.05 <= asyncio.run(last()) <= 90


async def test_a_server_that_asks_for_patience_gets_it():
    assert Queue(jitter=lambda: 0.5).failed(A, at_least=7.0) == 7.0


async def test_a_failed_key_comes_back_after_its_pause_and_others_do_not_wait():
    queue = Queue(jitter=lambda: 0.5)
    async with Worked(queue) as worked:
        queue.failed(A)
        queue.add(B)
        assert await worked.until(1) == [(B, 0.0), (A, pytest.approx(0.1))]


async def test_news_of_a_failed_key_is_looked_at_at_once_and_cancels_the_later_look():
    queue = Queue(jitter=lambda: 0.5)
    async with Worked(queue) as worked:
        queue.failed(A, at_least=5)
        queue.add(A)
        assert await worked.until(10) == [(A, 0.0)]


async def test_success_forgets_the_failures():
    queue = Queue(jitter=lambda: 0.5)
    for _ in range(5):
        queue.failed(A)
    queue.succeeded(A)
    assert queue.failed(A) == 0.1


@pytest.mark.parametrize(("first", "second"), [(3.0, 1.0), (1.0, 3.0)])
async def test_of_two_wishes_for_later_the_earlier_counts(first, second):
    queue = Queue()
    async with Worked(queue) as worked:
        queue.add_later(A, first)
        queue.add_later(A, second)
        assert await worked.until(10) == [(A, 1.0)]


async def test_later_means_nothing_for_a_key_that_is_already_queued():
    queue = Queue()
    queue.add(A)
    queue.add_later(A, 1)
    async with Worked(queue) as worked:
        assert await worked.until(5) == [(A, 0.0)]


async def test_a_key_is_pending_while_somebody_will_see_to_it():
    queue = Queue()
    assert not queue.is_pending(A)
    queue.add(A)
    assert queue.is_pending(A)
    queue.failed(B)
    assert queue.is_pending(B)
    queue.succeeded(B)
    assert not queue.is_pending(B)
    async with queue.alone(B):
        assert queue.is_pending(B)


async def test_a_key_that_is_wanted_at_once_is_pending_from_that_moment():
    queue = Queue()
    async with queue.alone(A):
        queue.add_later(A, 0.0)
    assert queue.is_pending(A)


async def test_an_urgent_key_is_worked_on_before_those_that_came_earlier():
    queue = Queue()
    queue.add(B)
    queue.add(A, urgent=True)
    async with Worked(queue, workers=1) as worked:
        assert [key for key, _ in await worked.until(1)] == [A, B]


async def test_a_waiting_key_that_becomes_urgent_moves_up_and_is_worked_on_once():
    queue = Queue()
    queue.add(B)
    queue.add(A)
    queue.add(A, urgent=True)
    queue.add(A, urgent=True)
    assert len(queue) == 2
    async with Worked(queue, workers=1) as worked:
        assert [key for key, _ in await worked.until(1)] == [A, B]


async def test_a_key_that_was_urgent_once_is_not_urgent_for_ever():
    queue = Queue()
    queue.add(A, urgent=True)
    async with Worked(queue, workers=1) as worked:
        await worked.until(1)
    queue.add(B)
    queue.add(A)
    async with Worked(queue, workers=1) as worked:
        assert [key for key, _ in await worked.until(2)] == [B, A]
