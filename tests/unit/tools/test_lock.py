"""Pins of Python packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from tools import lock

PROJECT = """
[project]
dependencies = ["aiohttp>=3.14"]
[dependency-groups]
dev = ["pytest>=8"]
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    return tmp_path


def write(checkout: Path, *, runtime: str, development: str) -> None:
    (checkout / lock.RUNTIME).write_text(runtime)
    (checkout / lock.DEVELOPMENT).write_text(development)


def test_pins_are_read_with_hashes_and_markers_around_them():
    text = "# made\naiohttp==3.14.5 \\\n    --hash=sha256:00\nColorama==0.4.6 ; sys_platform == 'win32' \\\n"

    assert lock.pins(text) == {"aiohttp": Version("3.14.5"), "colorama": Version("0.4.6")}


def test_pins_that_satisfy_the_project_are_no_problem(checkout: Path):
    write(checkout, runtime="aiohttp==3.14.5", development="aiohttp==3.14.5\npytest==8.4.0")

    assert list(lock.problems()) == []


@pytest.mark.parametrize(
    ("runtime", "development", "problem"),
    [
        ("aiohttp==3.13.0", "aiohttp==3.13.0\npytest==8.4.0", "requirements.txt pins aiohttp 3.13.0"),
        ("", "aiohttp==3.14.5\npytest==8.4.0", "requirements.txt does not pin aiohttp"),
        ("aiohttp==3.14.5", "aiohttp==3.14.5", "requirements-dev.txt does not pin pytest"),
        ("aiohttp==3.14.5", "aiohttp==3.15.0\npytest==8.4.0", "aiohttp is 3.14.5 in requirements.txt, but 3.15.0"),
    ],
)
def test_a_problem_is_named(checkout: Path, runtime: str, development: str, problem: str):
    write(checkout, runtime=runtime, development=development)

    assert any(problem in found for found in lock.problems())


def test_the_pins_of_this_checkout_name_no_index():
    for file in (lock.RUNTIME, lock.DEVELOPMENT):
        text = (lock.ROOT / file).read_text()
        assert "://" not in text
        assert "--index" not in text
