"""Where the files come from that go into images: built Go programs, our own pause, Debian."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab import debian, layout, packages, shell, toolchain

_PAUSE = Path(__file__).parent / "images" / "pause.c"


def fetch(name: str) -> Path:
    """The file itself; makes it when it is not there yet."""
    if name in toolchain.BY_NAME:
        return toolchain.build([name])[name]
    return _pause() if name == "pause" else debian.fetch(name)


def identity(name: str) -> str:
    """What tells one version of the file from another, without making it."""
    if name in toolchain.BY_NAME:
        return toolchain.path(name).parent.name
    return _pause_digest() if name == "pause" else debian.identity()


def _pause() -> Path:
    target = layout.image_archives() / f"pause-{_pause_digest()}"
    if not target.exists():
        packages.ensure(packages.IMAGES)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".tmp")
        shell.run("gcc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o", unfinished, _PAUSE)
        unfinished.rename(target)
    return target


def _pause_digest() -> str:
    return hashlib.sha256(_PAUSE.read_bytes()).hexdigest()[:12]
