"""Where the files come from that go into images: built Go programs, Debian's static shells, our own pause, a Debian root."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab import debian, layout, packages, shell, toolchain
from lab.errors import LabError

_PAUSE = Path(__file__).parent / "images" / "pause.c"


def fetch(name: str) -> Path:
    """The file itself; makes it when it is not there yet."""
    if name in toolchain.BY_NAME:
        return toolchain.build([name])[name]
    packages.ensure(packages.IMAGES)
    if name == "pause":
        return _pause()
    if name == debian.ROOT:
        return debian.root()
    found = packages.find(name)
    if found is None:
        raise LabError(f"no program {name} here", f"install the Debian package {packages.IMAGES.get(name, name)}")
    return found


def identity(name: str) -> str:
    """What tells one version of the file from another, without making it."""
    if name in toolchain.BY_NAME:
        return toolchain.path(name).parent.name
    if name == "pause":
        return hashlib.sha256(_PAUSE.read_bytes()).hexdigest()
    if name == debian.ROOT:
        return debian.identity()
    found = packages.find(name)
    return hashlib.sha256(found.read_bytes()).hexdigest() if found else "missing"


def _pause() -> Path:
    target = layout.image_archives() / f"pause-{identity('pause')[:12]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".tmp")
        shell.run("gcc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o", unfinished, _PAUSE)
        unfinished.rename(target)
    return target
