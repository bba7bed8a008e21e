"""Makes the archives of the catalogue's images and loads them into the nodes.

An archive's file name holds a key over everything that goes into the image, and a file beside it the digest that containerd will
show: finding out that nothing is to be done reads no image.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import archives, buildah, catalogue, layout, node, packages, shell, sources
from lab.catalogue import Assembled, Built, Image
from lab.errors import LabError
from lab.layout import Node
from lab.progress import step

_FORMAT = "2"  # raise it when archives are written differently for the same inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An image as a file. `digest` is that of its manifest; empty when unknown."""

    reference: str
    file: Path
    digest: str = ""


def build(images: Iterable[Image]) -> list[Archive]:
    """Makes what is missing and returns all, in order."""
    return [find(image) or _make(image) for image in images]


def find(image: Image) -> Archive | None:
    """The archive of an image as it should be now, if it has been made."""
    file = _file(image)
    digest = file.with_suffix(".digest")
    if not (file.exists() and digest.exists()):
        return None
    return Archive(reference=image.reference, file=file, digest=digest.read_text())


def load(wanted: Sequence[Archive], nodes: Iterable[Node]) -> None:
    """Puts images into the nodes' containerd, those it does not have yet."""
    missing = []
    for of in nodes:
        present = loaded(of)
        missing += [(of, archive) for archive in wanted if present.get(archive.reference) != archive.digest]
    if missing:
        count = len({archive.reference for _, archive in missing})
        with step(f"loading {count} images into the nodes"), ThreadPoolExecutor(max_workers=2) as pool:
            for _ in pool.map(lambda pair: _import(*pair), missing):
                pass


def loaded(of: Node) -> dict[str, str]:
    """References and digests of the images that a node has."""
    lines = shell.run(*node.ctr(of), "images", "list").splitlines()[1:]
    return {fields[0]: fields[2] for line in lines if len(fields := line.split()) > 2}


def from_user(name: str) -> Archive:
    """What a user named: a file (OCI or `docker save`), or a reference that the catalogue, buildah or docker can deliver."""
    if Path(name).is_file():
        return Archive(reference=name, file=Path(name).resolve())
    if name in catalogue.BY_REFERENCE:
        return build([catalogue.BY_REFERENCE[name]])[0]
    target = layout.image_archives() / "from-user.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    exports = (
        ("buildah", "push", "-q", name, f"oci-archive:{target}:{name}"),
        ("docker", "save", "-o", str(target), name),
    )
    for command in exports:
        if packages.find(command[0]) and shell.succeeds(*command):
            return Archive(reference=name, file=target)
    raise LabError(
        f"{name} is no file, no image of the lab's catalogue, and neither buildah nor docker has it",
        "give a file made by `docker save` or `buildah push ... oci-archive:FILE`",
    )


def key(image: Image) -> str:
    """Names everything that goes into an image: 12 hexadecimal digits."""
    digest = hashlib.sha256(_FORMAT.encode())
    if isinstance(image, Assembled):
        digest.update(repr(image).encode())
        names = list(image.programs.values())
    else:
        names = list(image.programs)
        for file in _context(image):
            digest.update(str(file.relative_to(image.folder)).encode() + file.read_bytes())
        if image.base:
            digest.update(key(catalogue.BY_REFERENCE[image.base]).encode())
    for name in names:
        digest.update(sources.identity(name).encode())
    return digest.hexdigest()[:12]


def _file(image: Image) -> Path:
    """Such as IMAGES/docker.io_library_busybox_1.37/0123456789ab.tar"""
    return layout.image_archives() / image.reference.replace("/", "_").replace(":", "_") / f"{key(image)}.tar"


def _make(image: Image) -> Archive:
    file = _file(image)
    with step(f"image {image.reference}"):
        shutil.rmtree(file.parent, ignore_errors=True)  # earlier versions
        file.parent.mkdir(parents=True)
        if isinstance(image, Assembled):
            digest = archives.write(file, image.reference, _entries(image), image.settings)
        else:
            digest = _build_from_dockerfile(image, file)
        file.with_suffix(".digest").write_text(digest)
    return Archive(reference=image.reference, file=file, digest=digest)


def _entries(image: Assembled) -> list[archives.Entry]:
    files = {program: sources.fetch(program) for program in image.programs.values()}
    applets = tuple(shell.run(files["busybox"], "--list").split()) if "busybox" in files else ()
    return catalogue.entries(image, files, applets=applets)


def _build_from_dockerfile(image: Built, target: Path) -> str:
    packages.ensure(packages.IMAGES)
    if image.base:
        base = build([catalogue.BY_REFERENCE[image.base]])[0]
        buildah.ensure(base.reference, base.file, base.digest)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        context, built = Path(scratch, "context"), Path(scratch, "built.tar")
        for file in _context(image):
            copy = context / file.relative_to(image.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)
        for program in image.programs:
            shutil.copy2(sources.fetch(program), context / program)
        buildah.build(image.reference, context, built)
        return archives.convert(built, target, image.reference)


def _context(image: Built) -> list[Path]:
    """All files that a Dockerfile may copy: what is built is exactly what the key is made of."""
    found = []
    for name in ("Dockerfile", *image.context):
        path = image.folder / name
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and "__pycache__" not in file.parts]
    return found


def _import(of: Node, archive: Archive) -> None:
    shell.run(*node.ctr(of), "images", "import", "--digests=false", archive.file)
