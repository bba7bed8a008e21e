"""Real Kubernetes API servers as child processes on this machine, without kubelets; ready in seconds.

    host = ApiServer(folder / "host", store="etcd")
    host.wait_ready()
    ...
    host.kill9(); host.restart()        # same address, same data
    host.stop()

The store is etcd without fsync or kine on SQLite, as in a virtual cluster. Every server has its own CA, so that
credentials of one are worth nothing at the other.
"""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import yaml

from lab import toolchain
from tests.integration.certificates import Authority

_START = 60.0  # seconds until a server must be ready
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_STORE_TEMPLATE = Path(__file__).parents[2] / "chart" / "templates" / "control-plane" / "_store.tpl"

# Below those that Linux gives to clients and Kubernetes to Services, in an order of each run's own.
_PORTS = iter(random.sample(range(20000, 30000), 10000))

CONTROLLERS = "*,-nodelifecycle,-nodeipam,-persistentvolume-binder,-attachdetach,-persistentvolume-expander,-ttl"


class Process:
    """A child process that can be killed and started again with the same arguments; its output goes to `log`."""

    def __init__(self, arguments: Sequence[str | Path], log: Path) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        self.restart()

    def restart(self) -> None:
        """Starts it again after stop() or kill9()."""
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(self.arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    def stop(self) -> None:
        """Ends it in order, or by force after a few seconds; does nothing when it has ended."""
        self._child.terminate()
        try:
            self._child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill9()

    def kill9(self) -> None:
        """Ends it without a chance to say goodbye."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def check(self) -> None:
        """Raises with the end of the log if it has ended."""
        if self._child.poll() is not None:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{self.arguments[0]} ended with {self._child.returncode}:\n{tail}")


class ApiServer:
    """kube-apiserver with its store. `kubeconfig` is that of a cluster admin; `ca` signs further identities.

    `flags` are appended to kube-apiserver's own. `database` is a folder that several servers share, each with a kine of its own as
    in several pods. Started without waiting; call `wait_ready` before use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: Literal["etcd", "kine"],
        service_cidr: str = "10.96.0.0/16",
        flags: Sequence[str] = (),
        database: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = Authority(folder / "pki")
        self.service_account_key, public = self.ca.key_pair("sa")
        port, store_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{port}"
        self.store_url = f"http://127.0.0.1:{store_port}"
        self.kubeconfig = self.kubeconfig_for("admin", groups=("system:masters",))
        stored = _STORES[store](database or folder / "store", self.store_url)
        self.store = Process([*stored, *_chart_flags_of_several(database)], folder / "store.log")
        certificate, key = self.ca.issue("kube-apiserver", hosts=("127.0.0.1", "localhost"))
        kubelet_certificate, kubelet_key = self.ca.issue("sublet:kubelet-client")
        self.server = Process(
            [
                toolchain.path("kube-apiserver"),
                f"--etcd-servers={self.store_url}",
                f"--secure-port={port}",
                "--bind-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged=true",
                f"--client-ca-file={self.ca.certificate}",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={key}",
                f"--kubelet-client-certificate={kubelet_certificate}",
                f"--kubelet-client-key={kubelet_key}",
                "--kubelet-preferred-address-types=InternalDNS,InternalIP,Hostname",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={public}",
                f"--service-account-signing-key-file={self.service_account_key}",
                f"--service-cluster-ip-range={service_cidr}",
                *flags,
            ],
            folder / "kube-apiserver.log",
        )

    def wait_ready(self) -> None:
        """Returns when the server answers as ready. Raises if it ended, or RuntimeError after a minute."""
        context = ssl.create_default_context(cafile=str(self.ca.certificate))
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            self.store.check()
            self.server.check()
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=2):
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise RuntimeError(f"kube-apiserver was not ready after {_START:.0f} s, see {self.server.log}")

    def kubeconfig_for(self, user: str, *, groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig with a client certificate for `user` in `groups`."""
        certificate, key = self.ca.issue(user, groups=groups)
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.ca.certificate)}
        identity = {"client-certificate": str(certificate), "client-key": str(key)}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "it", "cluster": cluster}],
                    "users": [{"name": user, "user": identity}],
                    "contexts": [{"name": "it", "context": {"cluster": "it", "user": user}}],
                    "current-context": "it",
                }
            )
        )
        return path

    def kubectl(self, *arguments: str, manifest: object = None) -> str:
        """Runs kubectl as admin and returns its output; `manifest` goes to its standard input as JSON (for `-f -`)."""
        result = subprocess.run(
            [str(toolchain.path("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=None if manifest is None else json.dumps(manifest),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def make_namespace(self, name: str) -> None:
        """Creates a namespace with what a controller manager would put there for pods: the default ServiceAccount."""
        account = {"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        items = [{"apiVersion": "v1", **item} for item in ({"kind": "Namespace", "metadata": {"name": name}}, account)]
        # A controller manager, which some tests start, may have been faster: what is there is no error.
        self.kubectl("apply", "--server-side", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": items})

    def stop(self) -> None:
        """Ends server and store."""
        self.server.stop()
        self.store.stop()

    def kill9(self) -> None:
        """Kills the server, not the store, as a crash or the OOM killer would."""
        self.server.kill9()

    def restart(self) -> None:
        """Starts the server again after kill9() or server.stop(), with the same address and data, and waits."""
        self.server.restart()
        self.wait_ready()


class ControllerManager:
    """kube-controller-manager for a server, with the controllers that a virtual cluster runs."""

    def __init__(self, api: ApiServer, *, controllers: str = CONTROLLERS) -> None:
        self.process = Process(
            [
                toolchain.path("kube-controller-manager"),
                f"--kubeconfig={api.kubeconfig}",
                f"--controllers={controllers}",
                f"--service-account-private-key-file={api.service_account_key}",
                f"--root-ca-file={api.ca.certificate}",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--secure-port=0",
            ],
            api.folder / "kube-controller-manager.log",
        )

    def stop(self) -> None:
        """Ends it."""
        self.process.stop()


class Scheduler:
    """kube-scheduler for a server."""

    def __init__(self, api: ApiServer) -> None:
        self.process = Process(
            [
                toolchain.path("kube-scheduler"),
                f"--kubeconfig={api.kubeconfig}",
                "--leader-elect=false",
                "--secure-port=0",
            ],
            api.folder / "kube-scheduler.log",
        )

    def stop(self) -> None:
        """Ends it."""
        self.process.stop()


def free_port() -> int:
    """A loopback port that nobody uses now and nobody else is given: here none twice, and clients none of these by the kernel."""
    for port in _PORTS:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("no port is left")


def _etcd(folder: Path, url: str) -> list[str | Path]:
    peer = f"http://127.0.0.1:{free_port()}"
    return [
        toolchain.path("etcd"),
        f"--data-dir={folder}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]


def _kine(folder: Path, url: str) -> list[str | Path]:
    folder.mkdir(exist_ok=True)
    return [
        toolchain.path("kine"),
        f"--endpoint=sqlite://{folder}/state.db?{_chart_tuning()}",
        f"--listen-address={url.removeprefix('http://')}",
        "--metrics-bind-address=0",
    ]


def _chart_tuning() -> str:
    """The parameters of the chart's own data source."""
    (found,) = re.findall(r'\$tuning := "([^"]+)"', _STORE_TEMPLATE.read_text())
    return str(found)


def _chart_flags_of_several(database: Path | None) -> list[str]:
    """What the chart adds for a kine that is not the only one."""
    return re.findall(r"- (--emulated-etcd-version=\S+)", _STORE_TEMPLATE.read_text()) if database else []


_STORES = {"etcd": _etcd, "kine": _kine}
