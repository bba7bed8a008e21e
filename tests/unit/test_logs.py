"""Logs are one JSON object a line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from syncer import logs


@pytest.fixture
def lines(capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:], root.level = handlers, level


def test_a_line_tells_what_happened_to_which_object(lines):
    logs.configure("info")
    logging.getLogger("syncer.x").info("refused", extra={"object": "pods/shop/web", "count": 2})
    (line,) = lines()
    assert (
        line.items() >= {"level": "info", "logger": "syncer.x", "message": "refused", "object": "pods/shop/web"}.items()
    )
    assert line["count"] == 2
    assert line["time"].endswith("+00:00")


def test_lines_below_the_level_are_left_out(lines):
    logs.configure("warning")
    logging.getLogger("syncer.x").info("quiet")
    assert lines() == []


def test_what_is_no_json_is_told_as_text(lines):
    logs.configure("info")
    logging.getLogger("syncer.x").info("odd", extra={"path": Path("/a"), "keys": {1, 2}})
    assert lines()[0]["path"] == "/a"


def test_an_exception_comes_with_its_traceback_on_the_same_line(lines):
    logs.configure("info")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("syncer.x").exception("failed")
    (line,) = lines()
    assert "ValueError: why" in line["exception"]
