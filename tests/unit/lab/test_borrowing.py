"""A lab that is borrowed is given back as it was."""

from __future__ import annotations

import contextlib

import pytest

from lab import commands, kwok


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """What is done to the lab, as words."""
    words: list[str] = []

    def up(*, nodes=None, fake_nodes=None, tainted=False) -> None:
        words.append(f"up {nodes} {fake_nodes}")

    monkeypatch.setattr(commands, "up", up)
    monkeypatch.setattr(commands, "down", lambda: words.append("down"))
    monkeypatch.setattr(commands, "prepare_images", lambda: words.append("images"))
    return words


@pytest.mark.parametrize(
    ("present", "fakes", "before", "after"),
    [
        ((), 0, "up 2 5", ["down"]),
        (("a",), 0, "up 2 5", ["up 1 0"]),
        (("a", "b"), 5, "up 2 None", []),
        (("a", "b", "c"), 2, "up 3 5", ["up 3 2"]),
        (("a",), 9, "up 2 None", ["up 1 None"]),
    ],
    ids=["was down", "was smaller", "was as asked", "had too few fake nodes", "had more fake nodes"],
)
def test_a_borrowed_lab_is_left_as_it_was_found(monkeypatch, done, present, fakes, before, after) -> None:
    monkeypatch.setattr(commands, "present_nodes", lambda: present)
    monkeypatch.setattr(kwok, "count", lambda: fakes)

    with contextlib.suppress(ZeroDivisionError), commands.borrowed(nodes=2, fake_nodes=5):
        raise ZeroDivisionError

    assert done == [before, "images", *after]
