"""What a user can ask of the lab. Each command leaves the lab in the state it promises, whatever state it finds."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import (
    addons,
    catalogue,
    certificates,
    cgroups,
    cluster,
    controlplane,
    images,
    kwok,
    layout,
    network,
    node,
    packages,
    processes,
    sysctls,
    toolchain,
)
from lab.errors import LabError
from lab.layout import Node
from lab.progress import say, step, wait_until

_LOCK = Path("/run/sublet-lab.lock")


def up(*, nodes: int | None = None, fake_nodes: int | None = None, tainted: bool = False) -> None:
    """Starts the host cluster, or brings a running one to the asked size. `None` keeps the size it has, at first one node."""
    packages.check_machine()
    if nodes is not None and not 1 <= nodes <= layout.MAX_NODES:
        raise LabError(f"{nodes} nodes are out of range", f"ask for 1 to {layout.MAX_NODES}")
    with _alone():
        packages.ensure(packages.RUNTIME)
        toolchain.build([*controlplane.PROGRAMS, *node.PROGRAMS, "kubectl", "helm"])
        system = images.build(catalogue.SYSTEM)
        wanted = layout.nodes(nodes or len(present_nodes()) or 1)
        if not controlplane.running():
            _clear_up()
            _create()
        for surplus in [of for of in present_nodes() if of not in wanted]:
            with step(f"removing {surplus.name}"):
                cluster.kubectl("delete", "node", surplus.name, "--ignore-not-found")
                node.destroy(surplus)
        available = [archive for image in catalogue.REST if _on_nodes(image) and (archive := images.find(image))]
        with ThreadPoolExecutor(max_workers=4) as pool:
            runtimes = [pool.submit(_start_runtime, of, [*system, *available]) for of in wanted]
            with step("control plane"):
                controlplane.start()
            for runtime in runtimes:
                runtime.result()
        with step(f"{len(wanted)} nodes"):
            for of in wanted:
                node.start_kubelet(of)
            addons.apply(wanted)
            _wait_for_nodes(wanted)
        with step("add-ons"):
            addons.wait()
        if fake_nodes is not None:
            toolchain.build([kwok.NAME])
            kwok.scale(fake_nodes, tainted=tainted)
        _link_tools()
    say('the host cluster is up; for kubectl and helm in this shell: eval "$(python3 -m lab env)"')


def down(*, purge: bool = False) -> None:
    """Ends the lab and leaves nothing running or mounted. `purge` also removes its state and images, not the built programs."""
    packages.check_machine()
    with _alone():
        with step("taking the lab down"):
            _clear_up()
            sysctls.restore()
            shutil.rmtree(layout.RUN, ignore_errors=True)
        if purge:
            with step("removing state and images"):
                for folder in (layout.state(), layout.image_archives(), layout.build_storage()):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def borrowed(*, nodes: int, fake_nodes: int = 0) -> Iterator[None]:
    """The lab with so many nodes and fake nodes at least, and all images. It is left as it was found."""
    before = len(present_nodes())
    fakes = kwok.count() if before else 0
    more = fake_nodes > fakes
    up(nodes=max(nodes, before), fake_nodes=fake_nodes if more else None, tainted=True)
    try:
        prepare_images()
        yield
    finally:
        if before == 0:
            down()
        elif before < nodes or more:
            up(nodes=before, fake_nodes=fakes if more else None, tainted=True)


def load_images(names: list[str]) -> None:
    """Loads what is named into every node."""
    packages.check_machine()
    with _alone():
        wanted = present_nodes()
        _require_running()
        for name in names:
            images.load([images.from_user(name)], wanted)


def prepare_images(references: list[str] | None = None) -> list[images.Archive]:
    """Builds the catalogue's images, or the named ones, and loads them into the nodes of a running lab."""
    packages.check_machine()
    unknown = [name for name in references or [] if name not in catalogue.BY_REFERENCE]
    if unknown:
        known = ", ".join(catalogue.BY_REFERENCE)
        raise LabError(f"not in the lab's catalogue: {', '.join(unknown)}", f"it has: {known}")
    wanted = [catalogue.BY_REFERENCE[name] for name in references] if references else list(catalogue.ALL)
    with _alone():
        built = images.build(wanted)
        if controlplane.running():
            for_nodes = {image.reference for image in wanted if _on_nodes(image)}
            images.load([archive for archive in built if archive.reference in for_nodes], present_nodes())
    return built


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One line of `status`. `memory` is resident bytes."""

    name: str
    state: str
    pid: int
    memory: int


def status() -> list[Component]:
    """All daemons of the lab and what became of them."""
    return [
        Component(
            name=record.name,
            state="running" if record.alive else "dead",
            pid=record.pid,
            memory=processes.resident_bytes(record.pid) if record.alive else 0,
        )
        for record in processes.known()
    ]


def present_nodes() -> tuple[Node, ...]:
    """The real nodes that the lab has now."""
    candidates = layout.nodes(layout.MAX_NODES)
    return tuple(of for of in candidates if network.exists(of.namespace))


def shell_exports() -> str:
    """What a shell needs to use the lab: KUBECONFIG, and the lab's kubectl and helm first on PATH."""
    exports = {
        "KUBECONFIG": str(layout.kubeconfig()),
        "PATH": f"{_tools()}:$PATH",
        "NO_PROXY": f"${{NO_PROXY:+$NO_PROXY,}}{layout.API_ADDRESS}",
    }
    return "\n".join(f'export {name}="{value}"' for name, value in exports.items())


def _create() -> None:
    sysctls.prepare()
    controlplane.forget()
    shutil.rmtree(layout.logs(), ignore_errors=True)
    layout.logs().mkdir(parents=True)
    cgroups.create(controlplane.CGROUP)
    network.create_hub()
    certificates.ensure(certificates.control_plane())


def _clear_up() -> None:
    """Ends whatever an earlier lab left, in whichever state."""
    for record in processes.known():
        if record.name.endswith("-kubelet"):
            processes.stop(record.name, grace=0)
    for record in processes.known():
        if record.name.endswith("-containerd"):
            processes.stop(record.name, grace=2)
    cgroups.destroy(layout.CGROUP)
    for of in layout.nodes(layout.MAX_NODES):
        if of.folder.exists() or of.run.exists():
            node.destroy(of)
    if network.available():
        network.remove_all()


def _start_runtime(of: Node, archives: list[images.Archive]) -> None:
    node.start_runtime(of)
    images.load(archives, [of])


def _wait_for_nodes(wanted: tuple[Node, ...]) -> None:
    daemons = [f"{of.name}-{part}" for of in wanted for part in ("kubelet", "containerd")]

    def ready() -> bool:
        names = {item["metadata"]["name"] for item in cluster.nodes() if cluster.is_ready(item)}
        return names.issuperset(of.name for of in wanted)

    wait_until(
        ready,
        what="nodes are ready",
        seconds=90,
        remedy=f"see the logs of the kubelets in {layout.logs()}",
        check=lambda: processes.require_alive(*daemons),
        every=0.25,
    )


def _on_nodes(image: catalogue.Image) -> bool:
    return not isinstance(image, catalogue.Built) or image.on_nodes


def _require_running() -> None:
    if not controlplane.running():
        raise LabError("the lab is not running", "run: python3 -m lab up")


def _tools() -> Path:
    return layout.state() / "bin"


def _link_tools() -> None:
    _tools().mkdir(parents=True, exist_ok=True)
    for name in ("kubectl", "helm"):
        link = _tools() / name
        link.unlink(missing_ok=True)
        link.symlink_to(toolchain.path(name))


@contextmanager
def _alone() -> Iterator[None]:
    """One command at a time may change the lab."""
    with _LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another lab command is at work: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
