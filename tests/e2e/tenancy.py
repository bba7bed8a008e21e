"""Installs the chart on the lab as a user would, and speaks to both clusters with kubectl."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab import catalogue, layout, network, toolchain

CHART = Path(__file__).parents[2] / "chart"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
BUSYBOX = "docker.io/library/busybox:1.37"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"


class CommandFailed(AssertionError):
    """A command ended with an error; the text is its standard error."""


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """kubectl for one cluster; `prefix` is what runs it in the right network."""

    kubeconfig: Path
    prefix: Sequence[str] = ()
    namespace: str | None = None
    """Namespace of all commands that do not name another; None = that of the kubeconfig."""

    def within(self, namespace: str) -> Kubectl:
        """kubectl for one namespace."""
        return replace(self, namespace=namespace)

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        space = [f"--namespace={self.namespace}"] if self.namespace else []
        return [*self.prefix, str(toolchain.path("kubectl")), f"--kubeconfig={self.kubeconfig}", *space, *arguments]

    def __call__(self, *arguments: str, stdin: str | bytes | None = None, timeout: float = 90) -> str:
        """Runs it and returns its output. Raises CommandFailed."""
        result = self.run(*arguments, stdin=stdin, timeout=timeout)
        if result.returncode != 0:
            raise CommandFailed(
                f"kubectl {' '.join(arguments)}: {result.stderr.decode()}{result.stdout.decode()[-500:]}"
            )
        return result.stdout.decode()

    def run(
        self, *arguments: str, stdin: str | bytes | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs it and returns everything."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        return subprocess.run(self.command(*arguments), capture_output=True, timeout=timeout, check=False, **options)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Starts it and lets it run."""
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def apply(self, *objects: dict[str, Any], namespace: str | None = None) -> None:
        """Applies objects; does nothing when there are none."""
        if not objects:
            return
        space = [f"--namespace={namespace}"] if namespace else []
        self("apply", *space, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get` as JSON."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """`kubectl get` of a list as JSON."""
        found: list[dict[str, Any]] = self.get(*arguments)["items"]
        return found

    def names(self, *arguments: str) -> set[str]:
        """Names that `kubectl get` gives."""
        return {item["metadata"]["name"] for item in self.items(*arguments)}

    def ready(self, *pods: str, timeout: int = 60) -> None:
        """Waits until pods are ready; without names all of the namespace."""
        chosen = [f"pod/{name}" for name in pods] or ["pod", "--all"]
        self("wait", "--for=condition=Ready", *chosen, f"--timeout={timeout}s", timeout=timeout + 30)

    def execute(self, pod: str, script: str, *options: str) -> str:
        """What a shell script prints in a pod's container, without the last line's end. Raises CommandFailed."""
        return self("exec", pod, *options, "--", "sh", "-c", script).rstrip("\n")


def eventually(probe: Callable[[], Any], *, patience: float = 60.0, every: float = 0.25) -> Any:
    """The first truthy answer of `probe`; a failing command counts as no. Fails with the last answer."""
    deadline = time.monotonic() + patience
    while True:
        try:
            answer = last = probe()
        except CommandFailed as error:
            answer, last = None, error
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {last!r} after {patience:.0f} s"
        time.sleep(every)


def becomes(wanted: Any, probe: Callable[[], Any], *, patience: float = 60.0) -> None:
    """Waits until `probe` gives exactly `wanted`; a failing command is another answer. Fails with the difference."""
    deadline = time.monotonic() + patience
    while True:
        try:
            found = probe()
        except CommandFailed as error:
            found = error
        if found == wanted or time.monotonic() >= deadline:
            break
        time.sleep(0.25)
    assert found == wanted, f"after {patience:.0f} s: {found!r}, not {wanted!r}"


@dataclass(frozen=True, kw_only=True)
class Release:
    """An installed virtual cluster, with kubectl for the host (`host`) and for the tenant (`tenant`)."""

    name: str
    namespace: str
    host: Kubectl
    tenant: Kubectl
    seconds_to_ready: float
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def pod(self) -> str:
        """The control plane's pod."""
        return f"{self.name}-0"

    def on_host(self, *arguments: str) -> str:
        """kubectl in the host namespace."""
        return self.host("--namespace", self.namespace, *arguments)

    def tenant_namespace(self, name: str) -> contextlib.AbstractContextManager[str]:
        """A namespace of the virtual cluster for the length of a test."""
        return _temporary_namespace(self.tenant, name)


@contextlib.contextmanager
def _temporary_namespace(kubectl: Kubectl, name: str) -> Iterator[str]:
    kubectl("create", "namespace", name)
    eventually(lambda: kubectl("get", "serviceaccount", "default", "--namespace", name))
    try:
        yield name
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false", "--timeout=30s")


def host_kubectl() -> Kubectl:
    """kubectl as the host's admin, inside the host cluster's network, so that Service IPs can be reached too."""
    return Kubectl(kubeconfig=layout.kubeconfig(), prefix=inside())


def inside() -> tuple[str, ...]:
    """The command prefix for the network of the lab's first node."""
    return network.inside(layout.nodes(1)[0].namespace)


def helm(*arguments: str, timeout: float = 300) -> str:
    """Runs helm against the host cluster."""
    command = [*inside(), str(toolchain.path("helm")), f"--kubeconfig={layout.kubeconfig()}", *arguments]
    if arguments[0] in ("install", "upgrade") and "SUBLET_SYNCER_IMAGE" in os.environ:
        command += ["--set", f"controlPlane.statefulSet.image={catalogue.SYNCER}"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
    )
    if result.returncode != 0:
        raise CommandFailed(f"helm {' '.join(arguments)}: {result.stderr}")
    return result.stdout


def install(
    name: str, namespace: str, folder: Path, *arguments: str, labels: Mapping[str, str] = RESTRICTED
) -> Release:
    """Installs the chart into a namespace with `labels`, which may be new, and waits until it is ready."""
    host = host_kubectl()
    host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": dict(labels)}})
    began = time.monotonic()
    helm("install", name, str(CHART), "--namespace", namespace, "--wait", "--timeout", "180s", *arguments)
    seconds = time.monotonic() - began
    tenant = Kubectl(kubeconfig=tenant_kubeconfig(host, name, namespace, folder), prefix=inside())
    # The node's kube-proxy needs a moment to hear that the Service has a ready pod.
    eventually(lambda: tenant("get", "--raw", "/readyz"))
    return Release(name=name, namespace=namespace, host=host, tenant=tenant, seconds_to_ready=seconds)


def tenant_kubeconfig(host: Kubectl, name: str, namespace: str, folder: Path) -> Path:
    """The exported kubeconfig with the Service's IP in the place of its server: a name that pods look up, or one outside."""
    secret = host.get("secret", f"vc-{name}", "--namespace", namespace)
    path = folder / f"{namespace}-{name}.kubeconfig"
    path.write_bytes(base64.b64decode(secret["data"]["config"]))
    point(path, host, name, namespace)
    return path


def point(kubeconfig: Path, host: Kubectl, name: str, namespace: str) -> None:
    """Puts the Service's IP in the place of the file's server."""
    address = host.get("service", name, "--namespace", namespace)["spec"]["clusterIP"]
    kubeconfig.write_text(re.sub(r"server: \S+", f"server: https://{address}", kubeconfig.read_text()))


def uninstall(release: Release) -> None:
    """Removes the release and its host namespace."""
    remove(release.host, release.name, release.namespace)


def remove(host: Kubectl, name: str, namespace: str) -> None:
    """Removes a release, or what is left of it, and its host namespace."""
    with contextlib.suppress(CommandFailed):
        helm("uninstall", name, "--namespace", namespace, "--wait")
    host("delete", "namespace", namespace, "--timeout=120s", timeout=150)


def restricted(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod spec that passes Pod Security "restricted"."""
    hardened = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"fsGroup": 1000},
        **spec,
        "containers": [{"securityContext": hardened, **container} for container in containers],
    }


def shell(script: str, *, name: str = "main", **more: Any) -> dict[str, Any]:
    """A busybox container that runs a script."""
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", script], **more}


def web(**more: Any) -> dict[str, Any]:
    """A container that serves HTTP on port 8080 (agnhost netexec)."""
    return {
        "name": "web",
        "image": AGNHOST,
        "args": ["netexec", "--http-port=8080"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        **more,
    }


def pod(name: str, *containers: dict[str, Any], labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A restricted pod."""
    metadata = {"name": name, "labels": labels or {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": restricted(*containers, **spec)}
