"""A virtual cluster whose certificates change: who works in it meanwhile, and what it shows."""

from __future__ import annotations

import base64
import tempfile
import threading
from pathlib import Path

from tests.e2e import processes
from tests.e2e.objects import plain
from tests.e2e.tenancy import CommandFailed, Kubectl, Release, tenant_kubeconfig


class Tenant(threading.Thread):
    """Makes a ConfigMap again and again; one that fails is tried once more, with the kubeconfig that the host has then."""

    def __init__(self, release: Release, kubectl: Kubectl) -> None:
        super().__init__(name="tenant", daemon=True)
        self._release, self._kubectl = release, kubectl
        self._done = threading.Event()
        self.made: list[str] = []
        self.retried: list[str] = []
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._done.wait(1.0):
            name = f"note-{len(self.made)}"
            try:
                self._make(name)
            except CommandFailed as first:
                self.retried.append(str(first))
                fetch_kubeconfig(self._release)
                try:
                    self._make(name)
                except CommandFailed as second:
                    self.failed.append(str(second))
                    continue
            self.made.append(name)

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _make(self, name: str) -> None:
        self._kubectl.apply(plain("ConfigMap", name, data={"a": "b"}), namespace=self._kubectl.namespace)


def insistently(release: Release, kubectl: Kubectl, *arguments: str) -> str:
    """Once more, with the kubeconfig that the host has then, if it fails."""
    try:
        return kubectl(*arguments, timeout=150)
    except CommandFailed:
        fetch_kubeconfig(release)
        return kubectl(*arguments, timeout=150)


def fetch_kubeconfig(release: Release) -> None:
    """Puts the host's kubeconfig in the place of the one in use, which others may be reading."""
    with tempfile.TemporaryDirectory(dir=release.tenant.kubeconfig.parent) as folder:
        tenant_kubeconfig(release.host, release.name, release.namespace, Path(folder)).replace(
            release.tenant.kubeconfig
        )


def certificates(release: Release) -> dict[str, str]:
    """All certificates in Secret NAME-certs."""
    data = release.host.get("secret", f"{release.name}-certs", "--namespace", release.namespace)["data"]
    return {name: base64.b64decode(text).decode() for name, text in data.items() if name.endswith(".crt")}


def shown(release: Release, port: int, *, pod: str = "") -> str:
    """The certificate that a server of the control plane's pod shows."""
    code = f"import ssl; print(ssl.get_server_certificate(('localhost', {port})), end='')"
    return release.on_host("exec", pod or release.pod, "--container=syncer", "--", "python", "-c", code)


def identities(release: Release) -> dict[str, tuple[str, int]]:
    """Each container, and how often it has been started again."""
    found = processes.pod_of(release)
    return {one["name"]: (one["containerID"], one["restartCount"]) for one in processes.statuses(found)}
