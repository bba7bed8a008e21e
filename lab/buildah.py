"""Builds images from Dockerfiles with buildah, in a storage of the lab's own.

buildah runs in a mount namespace that ends with it, so nothing stays mounted. Steps see the machine's network and, when it has
settings for pip (a mirror, an authority), those too; neither ends up in the image.
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from lab import layout, shell

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_AUTHORITIES_INSIDE = "/run/machine-authorities.crt"
_PIP_SETTINGS = (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf")
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host")


def build(reference: str, context: Path, target: Path) -> None:
    """Builds the context's Dockerfile and writes the image to `target`, in the form of `docker save`."""
    volumes = [f"{_pip_settings()}:/etc/pip.conf:ro"]
    if _AUTHORITIES.exists():
        volumes.append(f"{_AUTHORITIES}:{_AUTHORITIES_INSIDE}:ro")
    _buildah(
        *("build", "--isolation", "chroot", "--network", "host", "--layers", "--pull-never", "--format", "oci"),
        *(word for volume in volumes for word in ("--volume", volume)),
        *("--tag", reference, str(context)),
    )
    _buildah("push", "--quiet", reference, f"docker-archive:{target}:{reference}")


def ensure(reference: str, archive: Path, digest: str) -> None:
    """Makes an image of an archive known to buildah, for the FROM of another."""
    marker = layout.build_storage() / f"{digest.removeprefix('sha256:')[:16]}.known"
    if not marker.exists():
        image = _buildah("pull", "--quiet", f"oci-archive:{archive}").split()[-1]
        _buildah("tag", image, reference)
        marker.touch()


def _buildah(*words: str) -> str:
    root, run_root = layout.build_storage(), layout.RUN / "buildah"
    storage = ("--root", str(root), "--runroot", str(run_root), "--storage-driver", "overlay")
    root.mkdir(parents=True, exist_ok=True)
    return shell.run("unshare", "--mount", "--propagation", "private", "--", "buildah", *storage, *words)


def _pip_settings() -> Path:
    """A pip.conf that says what the machine's own pip settings say about where packages come from."""
    files = configparser.ConfigParser(interpolation=None)
    files.read(_PIP_SETTINGS)
    settings = {key: files.get("global", key, fallback="") for key in _PIP_KEYS}
    settings |= {key: value for key in _PIP_KEYS if (value := os.environ.get(f"PIP_{key.upper().replace('-', '_')}"))}
    settings["cert"] = _AUTHORITIES_INSIDE if _AUTHORITIES.exists() else ""
    lines = [f"{key} = {' '.join(value.split())}" for key, value in settings.items() if value]
    target = layout.build_storage() / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(["[global]", *lines, ""]))
    return target
