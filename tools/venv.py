"""Makes the Python environment of checks and tests, outside the checkout, and prints its folder.

    python3 -m tools.venv            # make it if it is not there, print the folder
    python3 -m tools.venv --path     # print the folder only

The folder's name holds a digest of the lock and the version of Python: another lock is another environment, the same lock costs
nothing the second time. Every package is pinned and hashed in requirements-dev.txt (see tools.lock).
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.toolchain import cache_root

LOCK = Path(__file__).resolve().parent.parent / "requirements-dev.txt"
MINIMUM = (3, 11)
_COMPLETE = "complete"


class CannotMake(Exception):
    """Why there is no environment, and what to do."""


def folder() -> Path:
    """Where the environment for this lock and this Python is, or will be."""
    version = "{}.{}".format(*sys.version_info)
    digest = hashlib.sha256(LOCK.read_bytes() + version.encode()).hexdigest()[:12]
    return cache_root() / f"venv-{digest}"


def make() -> Path:
    """Makes the environment unless it is complete; returns its folder. Raises CannotMake."""
    if sys.version_info < MINIMUM:
        raise CannotMake(
            f"Python {sys.version.split()[0]} is too old\n  -> run make PYTHON=... with Python 3.11 or newer"
        )
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / _COMPLETE).exists():
            _fill(target)
            (target / _COMPLETE).touch()
    return target


def _fill(target: Path) -> None:
    print(f"making the Python environment {target} ...", file=sys.stderr, flush=True)
    shutil.rmtree(target, ignore_errors=True)
    remedy = "install what venv needs: apt-get install python3-venv on Debian"
    if importlib.util.find_spec("ensurepip") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # Debian has it in a package of its own.
        _run(["apt-get", "update", "-q"], remedy=remedy)
        _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "python3-venv"], remedy=remedy)
    _run([sys.executable, "-m", "venv", str(target)], remedy=remedy)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    _run(
        [str(target / "bin" / "python"), *install, "--require-hashes", "--requirement", str(LOCK)],
        remedy="see that the package index can be reached, and run the same command again",
    )


def _run(command: list[str], *, remedy: str) -> None:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = (result.stdout + result.stderr).strip()[-2000:]
        raise CannotMake(f"{' '.join(command[:4])} ... failed:\n{said}\n  -> {remedy}")


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.venv", description="the environment of checks and tests")
    parser.add_argument("--path", action="store_true", help="print where it is, or will be, and do nothing")
    options = parser.parse_args()
    try:
        print(folder() if options.path else make())
    except CannotMake as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
