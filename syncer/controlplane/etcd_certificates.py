"""The certificates of the release's own etcd, from a CA that signs nothing else: whoever it has signed for may read and write everything.

They lie in Secret `NAME-etcd-certs`, of which the members mount what is theirs; the API server's lie in a folder beside its other files.
"""

from __future__ import annotations

from syncer.controlplane import material
from syncer.controlplane.certificates import Leaf, Lifetimes
from syncer.controlplane.etcd_membership import service_of
from syncer.values import Cluster

FOLDER = "etcd"
"""Below the control plane's folder for certificates."""


def secret_name(cluster: Cluster) -> str:
    """The Secret's name."""
    return f"{cluster.name}-etcd-certs"


def wanted(cluster: Cluster, lifetimes: Lifetimes) -> material.Wanted:
    """What the Secret is to hold, whatever the number of members."""
    members = f"*.{service_of(cluster)}"
    return material.Wanted(
        secret=secret_name(cluster),
        namespace=cluster.namespace,
        cluster=cluster.name,
        leaves=(
            Leaf(file="server", common_name="etcd", names=frozenset({members, "localhost", "127.0.0.1", "::1"})),
            # Names no host: etcd would ask DNS whether whoever comes is among those that are named.
            Leaf(file="member", common_name="etcd-member"),
            Leaf(file="client", common_name="kube-apiserver"),
        ),
        authorities=("ca",),
        signing_key=False,
        lifetimes=lifetimes,
    )
