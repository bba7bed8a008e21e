"""Names that have been seen lately."""

import tracemalloc

from syncer.engine.remembered import Remembered


def test_what_was_noted_is_remembered_and_nothing_else():
    names = Remembered(10)
    names.add("a/1")

    assert "a/1" in names
    assert "a/2" not in names


def test_a_name_can_be_forgotten_in_either_generation():
    names = Remembered(1)
    for name in ("old", "young"):
        names.add(name)
    for name in ("old", "young", "never seen"):
        names.discard(name)

    assert len(names) == 0


def test_the_newest_are_remembered_and_the_oldest_are_not():
    names = Remembered(100)
    for number in range(1000):
        names.add(str(number))

    assert all(str(number) in names for number in range(900, 1000))
    assert "0" not in names
    assert len(names) <= 200


def test_twenty_thousand_names_take_less_than_three_mebibytes():
    tracemalloc.start()
    names = Remembered(10_000)
    for number in range(20_000):
        names.add(f"some-namespace/some-name-{number}.18eadaa0289b7f11")
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(names) == 20_000
    assert size < 3 * 2**20
