"""Where the files come from that go into images: built Go programs, our own small ones in C, Debian."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab import debian, layout, packages, shell, toolchain

_FOLDER = Path(__file__).parent / "images"
_IN_C = {name: _FOLDER / f"{name}.c" for name in ("pause", "nnp", "sh")}


def fetch(name: str) -> Path:
    """The file itself; makes it when it is not there yet."""
    if name in toolchain.BY_NAME:
        return toolchain.build([name])[name]
    return _compile(name) if name in _IN_C else debian.fetch(name)


def identity(name: str) -> str:
    """What tells one version of the file from another, without making it."""
    if name in toolchain.BY_NAME:
        return toolchain.path(name).parent.name
    return _digest(name) if name in _IN_C else debian.identity()


def _compile(name: str) -> Path:
    target = layout.image_archives() / f"{name}-{_digest(name)}"
    if not target.exists():
        packages.ensure(packages.IMAGES)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".tmp")
        shell.run("gcc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o", unfinished, _IN_C[name])
        unfinished.rename(target)
    return target


def _digest(name: str) -> str:
    return hashlib.sha256(_IN_C[name].read_bytes()).hexdigest()[:12]
