"""The host cluster's certificates and kubeconfigs, made with the openssl command.

One authority signs everything but the front proxy, which has its own as Kubernetes requires. Files are kept from one `up` to the
next and made again only when what they must say has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import layout, shell

_DAYS = "3650"
_ADMINS = "system:masters"  # the group that RBAC is not asked about
_REQUEST = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A leaf. `organisation` becomes the user's group; `names` are DNS:... and IP:... entries for a server."""

    name: str
    user: str
    organisation: str = ""
    names: tuple[str, ...] = ()
    authority: str = "ca"


def control_plane() -> tuple[Certificate, ...]:
    """All leaves that do not belong to one node."""
    service = ("kubernetes", "default", "svc", *layout.CLUSTER_DOMAIN.split("."))
    dns = ["localhost", *(".".join(service[:length]) for length in range(1, len(service) + 1))]
    addresses = [layout.API_ADDRESS, layout.HUB_ADDRESS, layout.KUBERNETES_SERVICE_ADDRESS, "127.0.0.1"]
    server = (*(f"DNS:{name}" for name in dns), *(f"IP:{address}" for address in addresses))
    return (
        Certificate(name="apiserver", user="kube-apiserver", names=server),
        Certificate(name="apiserver-kubelet-client", user="kube-apiserver-kubelet-client", organisation=_ADMINS),
        Certificate(name="front-proxy-client", user="front-proxy-client", authority="front-proxy-ca"),
        Certificate(name="admin", user="kubernetes-admin", organisation=_ADMINS),
        Certificate(name="controller-manager", user="system:kube-controller-manager"),
        Certificate(name="scheduler", user="system:kube-scheduler"),
        Certificate(name="kube-proxy", user="system:kube-proxy"),
        Certificate(name="kwok", user="kwok", organisation=_ADMINS),
    )


def node(of: layout.Node) -> Certificate:
    """The kubelet's certificate, used both to serve and to call."""
    return Certificate(
        name=of.name,
        user=f"system:node:{of.name}",
        organisation="system:nodes",
        names=(f"DNS:{of.name}", f"IP:{of.address}"),
    )


def path(name: str, kind: str = "crt") -> Path:
    """A certificate (crt) or key (key)."""
    return layout.certificates() / f"{name}.{kind}"


def kubeconfig(name: str) -> Path:
    """The kubeconfig of a leaf's user."""
    return layout.kubeconfig() if name == "admin" else layout.certificates() / f"{name}.kubeconfig"


def ensure(leaves: Sequence[Certificate]) -> None:
    """Makes what is missing: the authorities, the service account key, the leaves and their kubeconfigs."""
    layout.certificates().mkdir(parents=True, exist_ok=True, mode=0o700)
    for authority in ("ca", "front-proxy-ca"):
        if not path(authority).exists():
            _make_authority(authority)
    if not path("sa", "pub").exists():
        _make_service_account_key()
    for leaf in leaves:
        stamp = path(leaf.name, "stamp")
        wanted = hashlib.sha256(repr(leaf).encode() + path(leaf.authority).read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != wanted:
            _make_leaf(leaf)
            _write_kubeconfig(leaf)
            stamp.write_text(wanted)


def _make_authority(name: str) -> None:
    key, certificate = path(name, "key"), path(name, "part")
    usage = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
    extensions = [word for extension in usage for word in ("-addext", extension)]
    subject = ["-subj", f"/CN=sublet-lab-{name}"]
    shell.run(*_REQUEST, "-x509", "-days", _DAYS, *subject, *extensions, "-keyout", key, "-out", certificate)
    certificate.rename(path(name))


def _make_service_account_key() -> None:
    shell.run("openssl", "genrsa", "-out", path("sa", "key"), "2048")
    shell.run("openssl", "rsa", "-in", path("sa", "key"), "-pubout", "-out", path("sa", "pub"))


def _make_leaf(leaf: Certificate) -> None:
    subject = (f"/O={leaf.organisation}" if leaf.organisation else "") + f"/CN={leaf.user}"
    usage = "serverAuth,clientAuth" if leaf.names else "clientAuth"
    extensions = ["keyUsage=critical,digitalSignature", f"extendedKeyUsage={usage}"]
    if leaf.names:
        extensions.append(f"subjectAltName={','.join(leaf.names)}")
    request = shell.run(*_REQUEST, "-new", "-subj", subject, "-keyout", path(leaf.name, "key"))
    extension_file = path(leaf.name, "ext")
    extension_file.write_text("\n".join(extensions))
    authority: list[str | Path] = [
        "-CA",
        path(leaf.authority),
        "-CAkey",
        path(leaf.authority, "key"),
        "-CAcreateserial",
    ]
    result = ("-days", _DAYS, "-extfile", extension_file, "-out", path(leaf.name))
    shell.run("openssl", "x509", "-req", *authority, *result, stdin=request)
    extension_file.unlink()


def _write_kubeconfig(leaf: Certificate) -> None:
    """The address is the hub's end of the veth pair: it works from the machine, the hub and every node."""
    entry = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sublet-lab",
        "clusters": [
            {
                "name": "sublet-lab",
                "cluster": {
                    "server": f"https://{layout.API_ADDRESS}:{layout.API_PORT}",
                    "certificate-authority": str(path("ca")),
                },
            }
        ],
        "users": [
            {
                "name": leaf.user,
                "user": {"client-certificate": str(path(leaf.name)), "client-key": str(path(leaf.name, "key"))},
            }
        ],
        "contexts": [{"name": "sublet-lab", "context": {"cluster": "sublet-lab", "user": leaf.user}}],
    }
    target = kubeconfig(leaf.name)
    target.touch(mode=0o600)
    target.write_text(json.dumps(entry, indent=2))
