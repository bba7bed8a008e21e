"""A Debian root file system as a tar file, made by debootstrap: what images on Debian stand on when there is no registry."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab import layout, shell

ROOT = "debian-root.tar"
SUITE = "trixie"
# As in the public "slim" image: nobody reads manuals in a container. Copyright files stay.
_LEFT_OUT = ("usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "var/cache/apt/*", "var/lib/apt/lists/*", "dev/*")


def root() -> Path:
    """The tar file; debootstrap makes it once and it stays in the cache."""
    target = layout.image_archives() / f"{identity()}.tar"
    if not target.exists():
        layout.image_archives().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=layout.image_archives(), prefix="debootstrap-") as folder:
            shell.run(
                *("debootstrap", "--variant=minbase", SUITE, folder),
                remedy="check that Debian's mirror can be reached, and run the same command again",
            )
            unfinished = target.with_suffix(".tmp")
            excludes = [f"--exclude=./{pattern}" for pattern in _LEFT_OUT]
            shell.run("tar", "--numeric-owner", "--sort=name", *excludes, "-C", folder, "-cf", unfinished, ".")
            unfinished.rename(target)
    return target


def identity() -> str:
    """Names the file system: a new one is made when the suite or the recipe changes, or after a purge."""
    return f"debian-root-{SUITE}-2"
