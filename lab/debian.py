"""A Debian root file system made by debootstrap, and two of its programs: what images stand on when there is no registry."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lab import layout, packages, shell
from lab.progress import step

SUITE = "trixie"
ROOT = "debian-root.tar"
# Static shells for images without a C library. The machine's own would do, were older busybox-static packages not broken.
SHELLS = {"busybox": "busybox-static", "bash-static": "bash-static"}
_VERSION = "3"  # raise it to have everybody's root made again
# As in the public "slim" image: nobody reads manuals in a container. Copyright files stay. The shells are only taken from here.
_LEFT_OUT = (
    *("usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "var/cache/apt/*", "var/lib/apt/lists/*", "dev/*"),
    *(f"usr/bin/{name}" for name in SHELLS),
)


def fetch(name: str) -> Path:
    """ROOT, a tar file, or one of SHELLS. Made once; they stay in the cache until a purge."""
    folder = layout.image_archives() / identity()
    if not (folder / name).exists():
        with step(f"a Debian {SUITE} root file system"):
            _make(folder)
    return folder / name


def identity() -> str:
    """Names what `fetch` returns: it changes when the suite or the recipe does."""
    return f"debian-{SUITE}-{_VERSION}"


def _make(folder: Path) -> None:
    packages.ensure(packages.IMAGES)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="debootstrap-") as scratch:
        root, made = Path(scratch, "root"), Path(scratch, "made")
        shell.run(
            *("unshare", "--mount", "--propagation", "private", "--", "debootstrap", "--variant=minbase"),
            *(f"--include={','.join(SHELLS.values())}", SUITE, root),
            remedy="check that Debian's mirror can be reached, and run the same command again",
        )
        made.mkdir()
        for name in SHELLS:
            shutil.copy2(root / "usr/bin" / name, made / name)
        excludes = [f"--exclude=./{pattern}" for pattern in _LEFT_OUT]
        shell.run("tar", "--numeric-owner", "--sort=name", *excludes, "-C", root, "-cf", made / ROOT, ".")
        made.rename(folder)
