"""Writes container images as OCI archives, straight from files: no build tool, no daemon, the same bytes every time.

Used for images that are one program on an empty file system, as most of Kubernetes' own images are, and for what a build tool
has built. Format: OCI image layout 1.0 inside a tar file, as `ctr images import` and `buildah pull oci-archive:` read it.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_EXTENDED = "SCHILY.xattr."  # how tar's PAX headers spell an extended attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of the image: a file copied from `source` or holding `text`, a link, or else a folder."""

    path: str
    source: Path | None = None
    text: str | None = None
    link: str | None = None
    mode: int = 0o755
    owner: int = 0
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a Dockerfile says with ENTRYPOINT, CMD, USER, ENV and WORKDIR."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    environment: tuple[str, ...] = (f"PATH={_SYSTEM_PATH}",)
    folder: str = "/"


def write(target: Path, reference: str, entries: Sequence[Entry], settings: Settings) -> str:
    """Writes the archive and returns the digest of the image's manifest."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".tmp")
    with tempfile.TemporaryFile(dir=target.parent) as layer, tarfile.open(unfinished, "w") as archive:
        _write_layer(layer, entries)
        layer_blob = _add_blob(archive, layer, _LAYER)
        config = json.dumps(_config(layer_blob["digest"], settings)).encode()
        config_blob = _add_blob(archive, io.BytesIO(config), _CONFIG)
        digest = _add_manifest(archive, reference, config_blob, [layer_blob])
    unfinished.rename(target)
    return digest


def convert(source: Path, target: Path, reference: str) -> str:
    """Writes what `docker save` wrote as an OCI archive, and returns the digest of the image's manifest.

    Layers are taken as they are, where a build tool would compress each of them anew.
    """
    with tarfile.open(source) as content, tarfile.open(target, "w") as archive:

        def take(name: str, media_type: str) -> dict[str, Any]:
            file = content.extractfile(name)
            if file is None:
                raise ValueError(f"{source}: {name} is not a file")
            return _add_blob(archive, file, media_type)

        manifest = json.loads(content.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
        layers = [take(name, _LAYER) for name in manifest["Layers"]]
        return _add_manifest(archive, reference, take(manifest["Config"], _CONFIG), layers)


def _config(layer_digest: str, settings: Settings) -> dict[str, Any]:
    return {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Entrypoint": list(settings.entrypoint),
            "Cmd": list(settings.command),
            "User": settings.user,
            "Env": list(settings.environment),
            "WorkingDir": settings.folder,
        },
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    }


def _write_layer(layer: IO[bytes], entries: Sequence[Entry]) -> None:
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as content:
        for entry in entries:
            info = tarfile.TarInfo(entry.path.lstrip("/"))
            info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
            info.pax_headers = {_EXTENDED + name: value for name, value in entry.attributes.items()}
            if entry.source is not None:
                info.size = entry.source.stat().st_size
                with entry.source.open("rb") as data:
                    content.addfile(info, data)
            elif entry.text is not None:
                info.size = len(entry.text.encode())
                content.addfile(info, io.BytesIO(entry.text.encode()))
            else:
                info.type = tarfile.DIRTYPE if entry.link is None else tarfile.SYMTYPE
                info.linkname = entry.link or ""
                content.addfile(info)


def _add_blob(archive: tarfile.TarFile, data: IO[bytes], media_type: str) -> dict[str, Any]:
    data.seek(0)
    digest = _digest(data)
    size = data.seek(0, io.SEEK_END)
    data.seek(0)
    info = tarfile.TarInfo(f"blobs/sha256/{digest}")
    info.size = size
    archive.addfile(info, data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _add_manifest(
    archive: tarfile.TarFile, reference: str, config: dict[str, Any], layers: list[dict[str, Any]]
) -> str:
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
    blob = _add_blob(archive, io.BytesIO(json.dumps(manifest).encode()), _MANIFEST)
    names = {"org.opencontainers.image.ref.name": reference, "io.containerd.image.name": reference}
    index = {"schemaVersion": 2, "manifests": [blob | {"annotations": names}]}
    _add_file(archive, "index.json", json.dumps(index).encode())
    _add_file(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    return str(blob["digest"])


def _digest(data: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := data.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
