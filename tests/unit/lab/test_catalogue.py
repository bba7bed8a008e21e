"""The images of the lab and what names their versions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab import catalogue, images, toolchain
from lab.archives import Settings
from lab.catalogue import Assembled, Built

EVERY = catalogue.ALL + catalogue.CONFORMANCE + catalogue.OLDER + catalogue.EXAMPLES
BUILT = [image for image in EVERY if isinstance(image, Built)]


def test_no_reference_appears_twice() -> None:
    assert len(catalogue.BY_REFERENCE) == len(EVERY)


@pytest.mark.parametrize("image", EVERY, ids=lambda image: image.reference)
def test_a_reference_is_complete(image) -> None:
    registry, _, rest = image.reference.partition("/")

    assert "." in registry
    assert ":" in rest


@pytest.mark.parametrize("image", BUILT, ids=lambda image: image.reference)
def test_a_built_image_has_a_dockerfile_that_stands_on_its_base(image) -> None:
    dockerfile = (image.folder / "Dockerfile").read_text()

    assert image.base is None or image.base in dockerfile


def test_kubernetes_images_have_the_version_of_the_built_programs() -> None:
    assert f"registry.k8s.io/kube-apiserver:{catalogue.KUBERNETES}" in catalogue.BY_REFERENCE


def test_older_control_planes_are_made_on_request_only() -> None:
    newest = f"registry.k8s.io/kube-apiserver:{toolchain.version('kubernetes-1.35')}"

    assert newest in catalogue.BY_REFERENCE
    assert newest not in {image.reference for image in catalogue.ALL}


def test_the_name_server_may_bind_low_ports_as_upstream() -> None:
    image = catalogue.BY_REFERENCE[catalogue.COREDNS]
    entries = catalogue.entries(image, {"coredns": Path("coredns")})

    attributes = next(entry.attributes for entry in entries if entry.path == "/coredns")
    assert attributes["security.capability"].encode().hex() == "0100000200040000" + "00" * 12


def test_applets_do_not_replace_real_programs() -> None:
    image = catalogue.BY_REFERENCE[catalogue.BUSYBOX]
    sources = {name: Path(name) for name in image.programs.values()}
    entries = {entry.path: entry for entry in catalogue.entries(image, sources, applets=("sh", "bash", "ls"))}

    assert entries["/bin/ls"].link == "busybox"
    assert entries["/bin/sh"].source == Path("sh")
    assert entries["/bin/bash"].source == Path("bash-static")


def test_the_key_follows_the_settings() -> None:
    image = Assembled(reference="example.test/a:1", programs={"/pause": "pause"})
    other = dataclasses.replace(image, settings=Settings(user="1000"))

    assert images.key(image) != images.key(other)


def test_the_key_follows_the_files_of_a_dockerfile(tmp_path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "main.py").write_text("one")
    image = Built(reference="example.test/a:1", folder=tmp_path, context=("program",))
    before = images.key(image)

    (tmp_path / "program" / "main.py").write_text("two")

    assert images.key(image) != before


def test_the_key_ignores_bytecode_and_files_that_are_not_copied(tmp_path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    image = Built(reference="example.test/a:1", folder=tmp_path, context=("program",))
    (tmp_path / "program" / "__pycache__").mkdir(parents=True)
    before = images.key(image)

    (tmp_path / "program" / "__pycache__" / "main.pyc").write_text("bytecode")
    (tmp_path / "README.md").write_text("read me")

    assert images.key(image) == before


def test_the_key_follows_the_base_image() -> None:
    syncer = catalogue.BY_REFERENCE[catalogue.SYNCER]
    other = dataclasses.replace(syncer, base=catalogue.DEBIAN)

    assert images.key(syncer) != images.key(other)
