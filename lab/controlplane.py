"""The host's control plane: etcd, API server, controller-manager and scheduler, as plain processes in the hub's namespace."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import certificates, cluster, layout, network, processes, toolchain
from lab.certificates import kubeconfig, path
from lab.processes import Daemon
from lab.progress import wait_until

CGROUP = f"{layout.CGROUP}/control-plane"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns")
_ETCD = "http://127.0.0.1:2379"
_MANIFESTS = Path(__file__).parent / "manifests"

# Stands in for the outside world's name server: answers at once that a name does not exist, where a real one is out of reach.
_OUTSIDE_DNS = """.:53 {
    bind %s
    template ANY ANY {
        rcode NXDOMAIN
    }
}
"""


def start() -> None:
    """Starts what does not run yet and returns when the API server is ready."""
    certificates.ensure(certificates.control_plane())
    _write_files()
    for daemon in (etcd(), apiserver()):
        processes.start(daemon)
    processes.start(outside_dns())
    wait_until(
        cluster.ready,
        what="the host's API server is ready",
        seconds=60,
        remedy=f"see {layout.logs() / 'kube-apiserver.log'}",
        check=lambda: processes.require_alive("etcd", "kube-apiserver"),
    )
    for daemon in (controller_manager(), scheduler()):
        processes.start(daemon)


def running() -> bool:
    """Whether there is a host cluster to add to: its store is alive. Other components can be started again around it."""
    return processes.alive("etcd")


def forget() -> None:
    """Throws the cluster's content away: what the next `start` makes is empty."""
    shutil.rmtree(layout.state() / "etcd", ignore_errors=True)


def etcd() -> Daemon:
    """The host's store."""
    return _daemon(
        "etcd",
        f"--data-dir={layout.state() / 'etcd'}",
        "--unsafe-no-fsync",  # its data does not have to survive the machine
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
    )


def apiserver() -> Daemon:
    """The host's API server. It reads nothing of this checkout: another one would take the path for a change and restart it."""
    return _daemon(
        "kube-apiserver",
        f"--etcd-servers={_ETCD}",
        f"--advertise-address={layout.HUB_ADDRESS}",
        f"--secure-port={layout.API_PORT}",
        f"--service-cluster-ip-range={layout.SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        # The hub has no kube-proxy: webhooks and aggregated APIs are reached by their pods' addresses.
        "--enable-aggregator-routing=true",
        f"--client-ca-file={path('ca')}",
        f"--tls-cert-file={path('apiserver')}",
        f"--tls-private-key-file={path('apiserver', 'key')}",
        f"--kubelet-certificate-authority={path('ca')}",
        f"--kubelet-client-certificate={path('apiserver-kubelet-client')}",
        f"--kubelet-client-key={path('apiserver-kubelet-client', 'key')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={path('front-proxy-ca')}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={path('front-proxy-client')}",
        f"--proxy-client-key-file={path('front-proxy-client', 'key')}",
        f"--service-account-issuer=https://kubernetes.default.svc.{layout.CLUSTER_DOMAIN}",
        f"--service-account-signing-key-file={path('sa', 'key')}",
        f"--service-account-key-file={path('sa', 'pub')}",
        f"--audit-policy-file={_audit_policy()}",
        f"--audit-log-path={layout.audit_log()}",
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=2000",
        "--audit-log-maxbackup=1",
        reads=(_audit_policy(),),
    )


def controller_manager() -> Daemon:
    """The host's controllers, all that upstream runs by default."""
    return _daemon(
        "kube-controller-manager",
        *_client("controller-manager"),
        "--use-service-account-credentials=true",
        f"--root-ca-file={path('ca')}",
        f"--service-account-private-key-file={path('sa', 'key')}",
        f"--cluster-signing-cert-file={path('ca')}",
        f"--cluster-signing-key-file={path('ca', 'key')}",
        f"--cluster-cidr={layout.POD_RANGE}",
        f"--service-cluster-ip-range={layout.SERVICE_RANGE}",
        "--allocate-node-cidrs=false",
    )


def scheduler() -> Daemon:
    """The host's scheduler."""
    return _daemon("kube-scheduler", *_client("scheduler"))


def outside_dns() -> Daemon:
    """The name server that nodes are told to ask about the world outside."""
    return _daemon("outside-dns", "-conf", str(_corefile()), program="coredns", reads=(_corefile(),))


def _client(name: str) -> tuple[str, ...]:
    config = kubeconfig(name)
    return (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    )


def _corefile() -> Path:
    return layout.state() / "outside-dns.corefile"


def _audit_policy() -> Path:
    return layout.state() / "audit-policy.yaml"


def _write_files() -> None:
    _corefile().write_text(_OUTSIDE_DNS % layout.HUB_ADDRESS)
    shutil.copyfile(_MANIFESTS / "audit-policy.yaml", _audit_policy())


def _daemon(name: str, *arguments: str, program: str | None = None, reads: tuple[Path, ...] = ()) -> Daemon:
    return Daemon(
        name=name,
        command=(*network.inside(layout.HUB_NAMESPACE), str(toolchain.path(program or name)), *arguments),
        cgroup=CGROUP,
        reads=reads,
    )
