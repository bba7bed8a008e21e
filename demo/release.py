"""The release that the demo installs: into a namespace of its own that enforces Pod Security "restricted", and out of it again."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.hosts import Host, folder
from demo.kubectl import PATIENCE, Kubectl, Object, eventually, labels
from demo.tunnel import tunnel
from lab.errors import LabError

CHART = Path(__file__).resolve().parent.parent / "chart"
MANAGED_BY = "sublet.dev/managed-by"
_INSTANCE = "app.kubernetes.io/instance"
_OURS = "sublet.dev/demo"
_NAMESPACE_LABELS = {"pod-security.kubernetes.io/enforce": "restricted", _OURS: "true"}
_PASSING = ("events", "events.events.k8s.io", "bindings", "pods.metrics.k8s.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release called `name` in `namespace` of `host`."""

    host: Host
    name: str
    namespace: str

    def kubectl(self, *arguments: str) -> str:
        """kubectl in the host namespace."""
        return self.host.kubectl("--namespace", self.namespace, *arguments)

    # -- coming and going --------------------------------------------------------------------------------------------

    def make_namespace(self) -> None:
        """Makes the host namespace. Raises LabError when there is one that is not the demo's."""
        host = self.host.kubectl
        if not host.exists("namespace", self.namespace):
            host("create", "namespace", self.namespace)
        elif labels(host.get("namespace", self.namespace)).get(_OURS) != "true":
            raise LabError(
                f"there is a namespace {self.namespace} that the demo did not make", "choose another: NAMESPACE=..."
            )
        host("label", "--overwrite", "namespace", self.namespace, *(f"{k}={v}" for k, v in _NAMESPACE_LABELS.items()))

    def install(self, *, values: Path | None) -> float:
        """Installs the chart, with its defaults unless `values` says otherwise; returns the seconds until it was ready."""
        began = time.monotonic()
        more = ["--values", str(values)] if values else []
        self.host.helm("upgrade", "--install", self.name, str(CHART), "--namespace", self.namespace, *more)
        rollout = self.host.kubectl.run(
            "--namespace", self.namespace, "rollout", "status", f"statefulset/{self.name}", f"--timeout={PATIENCE:.0f}s"
        )
        if rollout.returncode != 0:
            raise LabError(
                f"the control plane is not ready: {rollout.stderr.strip()}\n{self._what_it_says()}",
                f"look at it: kubectl --namespace {self.namespace} describe pod {self.name}-0",
            )
        return time.monotonic() - began

    def uninstall(self) -> None:
        """Uninstalls it, if it is installed, and waits until only what the values say to keep is left."""
        self.host.helm("uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found")
        kept = {f"PersistentVolumeClaim/data-{self.name}-0"}
        eventually(
            lambda: {identity(obj) for obj in self.objects() if self.is_ours(obj)} <= kept,
            what=f"everything of release {self.name} is gone",
        )

    def remove_namespace(self) -> float:
        """Deletes the host namespace; returns the seconds it took to disappear."""
        began = time.monotonic()
        self.host.kubectl("delete", "namespace", self.namespace, f"--timeout={PATIENCE:.0f}s")
        return time.monotonic() - began

    def _what_it_says(self) -> str:
        """What helps to see why the control plane does not come up."""
        run = self.host.kubectl.run
        space = ("--namespace", self.namespace)
        pods = run(*space, "get", "pods", "--output=wide").stdout
        events = run(*space, "events", "--types=Warning").stdout.splitlines()[-10:]
        logs = run(*space, "logs", f"{self.name}-0", "--all-containers", "--prefix", "--tail=5").stdout
        return "\n".join([pods, *events, logs])

    # -- what is there -----------------------------------------------------------------------------------------------

    def objects(self) -> list[Object]:
        """Every object of the host namespace, but events and metrics."""
        host = self.host.kubectl
        kinds = host("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        return host.items(",".join(kind for kind in kinds if kind not in _PASSING), "--namespace", self.namespace)

    def is_tenants(self, obj: Object) -> bool:
        """Whether a host object stands for one of the tenant's."""
        return labels(obj).get(MANAGED_BY) == self.name

    def is_ours(self, obj: Object) -> bool:
        """Whether a host object is the tenant's or part of the release: by label, by owner, or helm's own record."""
        metadata = obj["metadata"]
        owners = {owner["name"] for owner in metadata.get("ownerReferences") or ()}
        return (
            self.is_tenants(obj)
            or labels(obj).get(_INSTANCE) == self.name
            or bool(owners & {f"vc-owner-{self.name}", self.name})
            or metadata["name"].startswith(f"sh.helm.release.v1.{self.name}.")
        )

    # -- the virtual cluster -----------------------------------------------------------------------------------------

    @contextmanager
    def connected(self, *, port: int = 0) -> Iterator[Connection]:
        """Reaches the virtual API server through a port on loopback (0: a free one), with the kubeconfig of Secret vc-NAME."""
        forward = self.host.kubectl.command("--namespace", self.namespace, "port-forward", f"service/{self.name}")
        with tunnel(forward, port=port) as local:
            kubectl = Kubectl(program=self.host.kubectl.program, kubeconfig=self._kubeconfig(local))
            yield Connection(port=local, kubectl=kubectl)

    def _kubeconfig(self, port: int) -> Path:
        secret = eventually(
            lambda: self.host.kubectl.get("secret", f"vc-{self.name}", "--namespace", self.namespace),
            what=f"Secret vc-{self.name} is there",
            patience=10,
        )
        path = folder() / "kubeconfig"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(secret["data"]["config"]))
        kubectl = Kubectl(program=self.host.kubectl.program, kubeconfig=path)
        cluster = kubectl("config", "view", "--output=jsonpath={.clusters[0].name}")
        kubectl("config", "set-cluster", cluster, f"--server=https://localhost:{port}")
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A way into the virtual cluster: `kubectl` goes through `port` on loopback."""

    port: int
    kubectl: Kubectl


def identity(obj: Object) -> str:
    """Kind and name of an object."""
    return f"{obj['kind']}/{obj['metadata']['name']}"
