"""What the lab needs of the machine: root, cgroups, and a few Debian packages, which it installs when they are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab import cgroups, shell
from lab.errors import LabError
from lab.progress import step

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

RUNTIME = {  # what to look for -> the Debian package that has it
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
    "openssl": "openssl",
}
COMPILER = {"gcc": "gcc"}
IMAGES = {
    **COMPILER,  # for small static programs
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}


def check_machine() -> None:
    """Raises when this machine or user cannot carry the lab, with the remedy."""
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and cgroups: it needs root", "run it with sudo -E")
    if os.uname().sysname != "Linux":
        raise LabError("the lab runs on Linux only", "use a Linux machine or a virtual one")
    cgroups.hierarchies()


def find(command: str) -> Path | None:
    """A program on PATH or in one of the system's folders (sbin is not on everybody's PATH)."""
    found = shutil.which(command) or shutil.which(command, path=":".join(_SYSTEM_FOLDERS))
    return Path(found) if found else None


def cni_folder() -> Path:
    """The folder of the CNI plug-ins."""
    for folder in CNI_FOLDERS:
        if (folder / "ptp").exists():
            return folder
    raise LabError("no CNI plug-ins here", "install containernetworking-plugins, or put them in /opt/cni/bin")


def ensure(wanted: dict[str, str]) -> None:
    """Installs the packages of whatever is missing. Never removes or replaces a package."""
    packages = {package for command, package in wanted.items() if find(command) is None}
    if wanted is RUNTIME and not any((folder / "ptp").exists() for folder in CNI_FOLDERS):
        packages.add("containernetworking-plugins")
    if "gcc" in packages:
        packages.add("libc6-dev")
    if packages:
        _install(sorted(packages))


def search_path() -> str:
    """PATH for daemons: the user's, and the system's folders that may be missing in it."""
    return ":".join(dict.fromkeys([*os.environ.get("PATH", "").split(":"), *_SYSTEM_FOLDERS]))


def _install(packages: Iterable[str]) -> None:
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise LabError(f"missing here: {names} (Debian's names)", "install them with this system's package manager")
    environment = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
    remedy = f"install by hand: apt-get install --no-install-recommends {names}"
    with step(f"installing Debian packages: {names}"):
        # A third-party source that fails must not stop what Debian itself can deliver, so only the install has to succeed.
        shell.succeeds("apt-get", "update", "-q")
        shell.run(
            *("apt-get", "install", "-y", "-q", "--no-install-recommends", "--no-remove", *names.split()),
            environment=environment,
            remedy=remedy,
        )
