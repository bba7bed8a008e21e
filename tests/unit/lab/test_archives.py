"""Images written without a build tool."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest

from lab import archives
from lab.archives import Entry, Settings

ENTRIES = [
    Entry(path="/bin"),
    Entry(path="/bin/hello", text="hello", mode=0o755, attributes={"security.capability": "\x01\x00\x02"}),
    Entry(path="/bin/hi", link="hello", mode=0o777),
    Entry(path="/tmp", mode=0o1777),
]
SETTINGS = Settings(entrypoint=("/bin/hello",), user="65532:65532")


@pytest.fixture
def image(tmp_path):
    """The archive's files by name."""
    target = tmp_path / "image.tar"
    archives.write(target, "example.test/hello:1", ENTRIES, SETTINGS)
    return read(target)


def read(target) -> dict[str, bytes]:
    with tarfile.open(target) as content:
        return {member.name: content.extractfile(member).read() for member in content}


def blob(image: dict[str, bytes], descriptor: dict) -> bytes:
    return image["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]


def manifest(image: dict[str, bytes]) -> dict:
    return json.loads(blob(image, json.loads(image["index.json"])["manifests"][0]))


def test_blobs_are_named_by_their_digests(image) -> None:
    blobs = {name: data for name, data in image.items() if name.startswith("blobs/")}

    assert blobs
    assert all(name.endswith(hashlib.sha256(data).hexdigest()) for name, data in blobs.items())


def test_sizes_in_descriptors_are_those_of_the_blobs(image) -> None:
    descriptors = [manifest(image)["config"], *manifest(image)["layers"], *json.loads(image["index.json"])["manifests"]]

    assert [descriptor["size"] for descriptor in descriptors] == [len(blob(image, one)) for one in descriptors]


def test_the_image_carries_its_reference_for_containerd(image) -> None:
    annotations = json.loads(image["index.json"])["manifests"][0]["annotations"]

    assert annotations["io.containerd.image.name"] == "example.test/hello:1"


def test_settings_arrive_in_the_configuration(image) -> None:
    config = json.loads(blob(image, manifest(image)["config"]))["config"]

    assert config["Entrypoint"] == ["/bin/hello"]
    assert config["User"] == "65532:65532"
    assert any(value.startswith("PATH=") for value in config["Env"])


def test_the_layer_has_files_links_modes_and_attributes(image) -> None:
    with tarfile.open(fileobj=io.BytesIO(blob(image, manifest(image)["layers"][0]))) as layer:
        members = {member.name: member for member in layer}
        hello = members["bin/hello"]

        assert layer.extractfile(hello).read() == b"hello"
        assert hello.pax_headers["SCHILY.xattr.security.capability"] == "\x01\x00\x02"
        assert members["bin/hi"].linkname == "hello"
        assert members["tmp"].mode == 0o1777
        assert members["bin"].isdir()


def test_the_same_content_gives_the_same_digest(tmp_path) -> None:
    digests = {
        archives.write(tmp_path / name, "example.test/hello:1", ENTRIES, SETTINGS) for name in ("one.tar", "two.tar")
    }

    assert len(digests) == 1


@pytest.fixture
def saved(tmp_path):
    """An archive as `docker save` writes it."""
    layer, config = b"a layer", json.dumps({"os": "linux"}).encode()
    manifest = [{"Config": "c.json", "RepoTags": ["other:1"], "Layers": ["l.tar"]}]
    files = {"l.tar": layer, "c.json": config, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(tmp_path / "saved.tar", "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return tmp_path / "saved.tar"


def test_a_saved_image_keeps_its_layers_and_configuration(saved, tmp_path) -> None:
    digest = archives.convert(saved, tmp_path / "image.tar", "example.test/hello:1")

    image = read(tmp_path / "image.tar")
    assert json.loads(image["index.json"])["manifests"][0]["digest"] == digest
    assert blob(image, manifest(image)["layers"][0]) == b"a layer"
    assert json.loads(blob(image, manifest(image)["config"])) == {"os": "linux"}


def test_a_saved_image_gets_the_asked_reference(saved, tmp_path) -> None:
    archives.convert(saved, tmp_path / "image.tar", "example.test/hello:1")

    annotations = json.loads(read(tmp_path / "image.tar")["index.json"])["manifests"][0]["annotations"]
    assert annotations["io.containerd.image.name"] == "example.test/hello:1"


def test_nothing_unfinished_is_left_beside_the_archive(tmp_path) -> None:
    archives.write(tmp_path / "image.tar", "example.test/hello:1", ENTRIES, SETTINGS)

    assert [path.name for path in tmp_path.iterdir()] == ["image.tar"]
