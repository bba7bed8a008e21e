"""The images of the lab, each under the reference it has upstream, so that charts run unchanged with `IfNotPresent`.

Two kinds: an Assembled image is programs on an empty file system, written by lab.archives; a Built one has a Dockerfile. This is
data: lab.sources knows where programs come from, lab.images makes and loads the images.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lab import debian, nodeconfig, toolchain
from lab.archives import Entry, Settings

REPOSITORY = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "images"

KUBERNETES = toolchain.version("kubernetes")
# Checkouts that share one lab name their images differently; SUBLET_SYNCER_IMAGE says how.
SYNCER = os.environ.get("SUBLET_SYNCER_IMAGE", "ghcr.io/sublet/syncer:0.1.0")
COREDNS = f"docker.io/coredns/coredns:{toolchain.version('coredns').removeprefix('v')}"
KINE = f"docker.io/rancher/kine:{toolchain.version('kine')}"
ETCD = "registry.k8s.io/etcd:3.6.8-0"  # what Kubernetes 1.36 names; the program is that of the lab
LOCAL_PATH_PROVISIONER = f"docker.io/rancher/local-path-provisioner:{toolchain.version('local-path-provisioner')}"
BUSYBOX = "docker.io/library/busybox:1.37"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"
NGINX = "docker.io/library/nginx:1.29"
POSTGRES = "docker.io/library/postgres:17"
MARIADB = "docker.io/library/mariadb:11.8"
DEBIAN = "docker.io/library/debian:trixie-slim"
PYTHON = "docker.io/library/python:3.13-slim-trixie"

# cap_net_bind_service=+ep as `setcap` stores it: revision 2 with the effective flag, then bit 10 of the permitted set.
_BIND_LOW_PORTS = {"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00" + "\x00" * 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """Programs on an empty file system. `programs` maps a path in the image to a name of lab.toolchain or lab.sources."""

    reference: str
    programs: dict[str, str]
    attributes: dict[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Made by buildah from a Dockerfile.

    `context` lists files and folders, relative to `folder`, that the Dockerfile copies; `programs` are put beside them by name;
    `base` is another image of this catalogue that its FROM names.
    """

    reference: str
    folder: Path
    context: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    base: str | None = None
    on_nodes: bool = True


Image = Assembled | Built


def _kubernetes(name: str, *, minor: str = "") -> Assembled:
    """No entrypoint, as upstream: whoever runs it says what to run. `minor`: of an older version than the host's."""
    version = toolchain.version(f"kubernetes-{minor}") if minor else KUBERNETES
    program = f"{name}-{minor}" if minor else name
    return Assembled(reference=f"registry.k8s.io/{name}:{version}", programs={f"/usr/local/bin/{name}": program})


def _pause(reference: str) -> Assembled:
    return Assembled(
        reference=reference,
        programs={"/pause": "pause"},
        settings=Settings(entrypoint=("/pause",), user="65535:65535"),
    )


def _busybox(reference: str) -> Assembled:
    return Assembled(
        reference=reference,
        programs={"/bin/busybox": "busybox", "/bin/bash": "bash-static", "/bin/sh": "sh"},
        settings=Settings(command=("sh",)),
    )


def _etcd(reference: str) -> Assembled:
    return Assembled(reference=reference, programs={"/usr/local/bin/etcd": "etcd"})


def _agnhost(reference: str) -> Built:
    return Built(reference=reference, folder=FOLDER / "agnhost", programs=("agnhost",), base=DEBIAN)


def _database(reference: str, name: str) -> Built:
    return Built(reference=reference, folder=FOLDER / name, context=("docker-entrypoint.sh",), base=DEBIAN)


def _nginx(reference: str) -> Built:
    return Built(reference=reference, folder=FOLDER / "nginx", base=DEBIAN)


# What the host cluster itself needs; `up` cannot do without.
SYSTEM: tuple[Image, ...] = (
    _pause(nodeconfig.PAUSE_IMAGE),
    Assembled(
        reference=COREDNS,
        programs={"/coredns": "coredns"},
        attributes=_BIND_LOW_PORTS,
        settings=Settings(entrypoint=("/coredns",), user="65532:65532"),
    ),
    Assembled(
        reference=LOCAL_PATH_PROVISIONER,
        programs={"/usr/bin/local-path-provisioner": "local-path-provisioner"},
        settings=Settings(entrypoint=("local-path-provisioner",)),
    ),
    _busybox(BUSYBOX),
)

# What a default installation and the tests use besides.
REST: tuple[Image, ...] = (
    *(_kubernetes(name) for name in toolchain.CONTROL_PLANE),
    _etcd(ETCD),
    Assembled(
        reference=KINE,
        programs={"/bin/kine": "kine"},
        settings=Settings(entrypoint=("/bin/kine",), user="nobody"),
    ),
    Built(reference=DEBIAN, folder=FOLDER / "debian", programs=(debian.ROOT,), on_nodes=False),
    Built(reference=PYTHON, folder=FOLDER / "python", base=DEBIAN, on_nodes=False),
    Built(
        reference=SYNCER,
        folder=REPOSITORY,
        context=(".dockerignore", "requirements.txt", "syncer"),
        base=PYTHON,
    ),
    _agnhost(AGNHOST),
    _nginx(NGINX),
    _database(POSTGRES, "postgres"),
    _database(MARIADB, "mariadb"),
)
ALL = SYSTEM + REST

# What Kubernetes' conformance tests use besides, made on request only. `e2e.test --list-images` names all; those that are not
# here belong to other tests. Programs are of the versions above, whatever the tag says.
_E2E = "registry.k8s.io/e2e-test-images"
CONFORMANCE: tuple[Image, ...] = (
    _pause("registry.k8s.io/pause:3.10.2"),
    _busybox(f"{_E2E}/busybox:1.37.0-1"),
    _agnhost(f"{_E2E}/agnhost:2.55"),
    _nginx(f"{_E2E}/nginx:1.15-4"),
    Assembled(
        reference=f"{_E2E}/sample-apiserver:1.29.2",
        programs={"/sample-apiserver": "sample-apiserver"},
        settings=Settings(entrypoint=("/sample-apiserver",)),
    ),
    Built(reference=f"{_E2E}/nautilus:1.8", folder=FOLDER / "nautilus", base=AGNHOST),
    Built(reference=f"{_E2E}/nonewprivs:1.4", folder=FOLDER / "nonewprivs", programs=("nnp",), base=DEBIAN),
    Built(reference=f"{_E2E}/glibc-dns-testing:2.0.0", folder=FOLDER / "glibc-dns-testing", base=DEBIAN),
)

# Control planes of older versions for virtual clusters, made on request only: each takes minutes to build.
OLDER: tuple[Image, ...] = tuple(
    _kubernetes(name, minor=minor) for minor in toolchain.OLDER_MINORS for name in toolchain.CONTROL_PLANE
)

# For the example that installs charts into a virtual cluster, made on request only.
HELM = f"docker.io/alpine/helm:{toolchain.version('helm').removeprefix('v')}"
EXAMPLES: tuple[Image, ...] = (
    Assembled(reference=HELM, programs={"/usr/bin/helm": "helm"}, settings=Settings(entrypoint=("helm",))),
)
BY_REFERENCE = {image.reference: image for image in ALL + CONFORMANCE + OLDER + EXAMPLES}


def entries(image: Assembled, sources: dict[str, Path], *, applets: tuple[str, ...] = ()) -> list[Entry]:
    """The file system of an assembled image. `sources` maps each of its programs to a file; `applets` are busybox's."""
    found = [
        *(Entry(path=folder) for folder in _FOLDERS),
        Entry(path="/tmp", mode=0o1777),
        Entry(path="/etc/passwd", text=_PASSWD, mode=0o644),
        Entry(path="/etc/group", text=_GROUP, mode=0o644),
    ]
    for path, program in image.programs.items():
        found.append(Entry(path=path, source=sources[program], attributes=image.attributes))
    links = {f"/bin/{applet}": "busybox" for applet in applets if f"/bin/{applet}" not in image.programs}
    return found + [Entry(path=path, link=target, mode=0o777) for path, target in links.items()]


_FOLDERS = ("/bin", "/etc", "/usr", "/usr/bin", "/usr/local", "/usr/local/bin", "/var")
_PASSWD = """root:x:0:0:root:/:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
nonroot:x:65532:65532:nonroot:/:/bin/false
"""
_GROUP = """root:x:0:
nobody:x:65534:
nonroot:x:65532:
"""
