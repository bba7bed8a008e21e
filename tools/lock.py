"""Pins what pyproject.toml asks for, with hashes: requirements.txt for the image, requirements-dev.txt for checks and tests.

python -m tools.lock             # resolve anew (needs uv on PATH and the package index)
python -m tools.lock --verify    # offline: exit 1 unless the pins satisfy pyproject.toml and each other
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
RUNTIME, DEVELOPMENT = "requirements.txt", "requirements-dev.txt"
_COMPILE = (
    "uv pip compile pyproject.toml --universal --python-version 3.11"
    " --generate-hashes --no-annotate --no-header --no-emit-index-url"
)
_MORE = {RUNTIME: "", DEVELOPMENT: f" --group dev --constraint {RUNTIME}"}
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def update() -> None:
    """Resolves both files anew; the comment at their head stays."""
    for file, more in _MORE.items():
        result = subprocess.run((_COMPILE + more).split(), cwd=ROOT, capture_output=True, text=True, check=True)
        head = [line for line in (ROOT / file).read_text().splitlines(keepends=True) if line.startswith("#")]
        (ROOT / file).write_text("".join(head) + result.stdout)


def problems() -> Iterator[str]:
    """What is wrong with the pins, one sentence each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, development = (pins((ROOT / file).read_text()) for file in (RUNTIME, DEVELOPMENT))
    wanted = project["project"]["dependencies"]
    yield from _unmet(wanted, runtime, RUNTIME)
    yield from _unmet([*wanted, *_group(project, "dev")], development, DEVELOPMENT)
    for name in runtime.keys() & development.keys():
        if runtime[name] != development[name]:
            yield f"{name} is {runtime[name]} in {RUNTIME}, but {development[name]} in {DEVELOPMENT}"


def pins(text: str) -> dict[str, Version]:
    """Name -> version of a requirements file."""
    return {canonicalize_name(match["name"]): Version(match["version"]) for match in _PIN.finditer(text)}


def _group(project: dict[str, Any], name: str) -> list[str]:
    group: list[str] = project["dependency-groups"][name]
    return group


def _unmet(wanted: Iterable[str], found: dict[str, Version], file: str) -> Iterator[str]:
    for line in wanted:
        requirement = Requirement(line)
        version = found.get(canonicalize_name(requirement.name))
        if version is None:
            yield f"{file} does not pin {requirement.name}"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{file} pins {requirement.name} {version}, which is not {requirement.specifier}"


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.lock", description="pins of Python packages")
    parser.add_argument("--verify", action="store_true", help="only say whether the pins are up to date")
    options = parser.parse_args()
    if not options.verify:
        update()
        return 0
    found = list(problems())
    for problem in found:
        print(f"{problem}\n  -> run make lock", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
