"""What holds for the house as a whole: which way imports go, and what a running syncer never loads."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("kubernetes", "pydantic", "requests", "cryptography", "grpclib", "google.protobuf")


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def test_imports_go_one_way():
    linter = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert linter is not None, "import-linter is not installed next to this interpreter"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_running_syncer_loads_no_heavy_library():
    loaded = python(f"import sys, syncer.wiring.syncer; print(*(name for name in {HEAVY!r} if name in sys.modules))")
    assert loaded == ""


def test_the_pure_rooms_load_neither_an_event_loop_nor_http():
    code = (
        "import sys, syncer.plan, syncer.values; print(*({'asyncio', 'aiohttp', 'ssl', 'socket'} & set(sys.modules)))"
    )
    assert python(code) == ""


@pytest.mark.parametrize("path", sorted((ROOT / "syncer").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_and_stays_small(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "a module needs a docstring"
    assert path.stem not in ("utils", "helpers", "common", "misc")
    assert len(text.splitlines()) <= 400
