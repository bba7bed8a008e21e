"""Real PostgreSQL, MariaDB and etcd servers as pods of the host, which speak TLS only, for virtual clusters to keep their objects in."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import catalogue
from syncer.controlplane.certificates import Authority, Leaf
from tests.e2e import processes
from tests.e2e.objects import Object, plain, service
from tests.e2e.tenancy import Kubectl, host_kubectl

PASSWORD = "a/b:c@d%e"
"""With what a URL has to escape."""
ESCAPED = "a%2Fb%3Ac%40d%25e"
SECRET = "store-tls"
"""Name of the Secret with files for a client, which a release mounts at FILES."""
FILES = "/tls"
_DOCS = Path(__file__).parents[2] / "docs"
_NAME = "db"
_CLIENT = {"caFile": f"{FILES}/ca.crt", "certFile": f"{FILES}/client.crt", "keyFile": f"{FILES}/client.key"}
_ETCD_FILES = ("--trusted-ca-file=/tls/ca.crt", "--cert-file=/tls/server.crt", "--key-file=/tls/server.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How to run one, and how a release reaches it: `values` below backingStore, with HOST in them."""

    image: str
    folder: str
    port: int
    values: Object
    ready: Object
    variable: str = "UNUSED"
    arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    sharing: tuple[str, Path] | None = None
    """What makes it fit for several pods, as docs/stores.md says: a shell script, and the file that it reads."""


KINDS = {
    "postgres": Kind(
        image=catalogue.POSTGRES,
        folder="/var/lib/postgresql/data",
        port=5432,
        values={"database": {"external": {"dataSource": f"postgres://postgres:{ESCAPED}@HOST/tenant", **_CLIENT}}},
        ready={"exec": {"command": ["pg_isready", "--host=localhost"]}},
        variable="POSTGRES_PASSWORD",
        arguments=(
            "postgres",
            *("-c", "ssl=on", "-c", "ssl_ca_file=/tls/ca.crt"),
            *("-c", "ssl_cert_file=/tls/server.crt", "-c", "ssl_key_file=/tls/server.key"),
        ),
        sharing=("createdb tenant && psql --set=ON_ERROR_STOP=1 tenant", _DOCS / "postgresql-order.sql"),
    ),
    "mysql": Kind(
        image=catalogue.MARIADB,
        folder="/var/lib/mysql",
        port=3306,
        values={"database": {"external": {"dataSource": f"mysql://root:{PASSWORD}@tcp(HOST)/tenant", **_CLIENT}}},
        ready={"exec": {"command": ["mariadb-admin", "ping", "--host=localhost"]}},
        variable="MARIADB_ROOT_PASSWORD",
        arguments=(
            *("mariadbd", "--require-secure-transport=ON", "--ssl-ca=/tls/ca.crt"),
            *("--ssl-cert=/tls/server.crt", "--ssl-key=/tls/server.key"),
        ),
    ),
    "external-etcd": Kind(
        image=catalogue.ETCD,
        folder="/data",
        port=2379,
        values={"etcd": {"external": {"endpoint": "https://HOST", "tls": _CLIENT}}},
        ready={"tcpSocket": {"port": 2379}},
        command=(
            *("etcd", "--data-dir=/data/etcd", "--client-cert-auth", *_ETCD_FILES),
            *("--listen-client-urls=https://0.0.0.0:2379", "--advertise-client-urls=https://localhost:2379"),
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs."""

    kind: Kind
    host: Kubectl
    files: dict[str, str]

    def values(self) -> Object:
        """Values of a release whose namespace has the Secret."""
        (family,) = self.kind.values
        ((form, settings),) = self.kind.values[family].items()
        address = f"{_NAME}.{self.host.namespace}.svc:80"
        filled = {
            name: text.replace("HOST", address) if isinstance(text, str) else text for name, text in settings.items()
        }
        persistence = {
            "addVolumes": [{"name": "tls", "secret": {"secretName": SECRET, "defaultMode": 0o440}}],
            "addVolumeMounts": [{"name": "tls", "mountPath": FILES, "readOnly": True}],
        }
        stores = {family: {form: {"enabled": True, **filled}}}
        return {"controlPlane": {"backingStore": stores, "statefulSet": {"persistence": persistence}}}

    def secret(self) -> Object:
        """What a client needs."""
        return plain("Secret", SECRET, stringData=self.files)

    def pids(self) -> list[int]:
        """Its processes; none while it starts again."""
        return processes.census(self.host.get("pod", _NAME)).get(_NAME, [])

    def run(self, script: str, *, stdin: str) -> str:
        """What a shell script prints beside it. Raises CommandFailed."""
        return self.host("exec", "--stdin", _NAME, "--", "sh", "-c", script, stdin=stdin)


@contextlib.contextmanager
def server(name: str, *, shared: bool = False) -> Iterator[Server]:
    """Runs one in a host namespace of its own, whose data lasts as long as the pod. `shared`: several pods will use it."""
    kind, namespace = KINDS[name], f"db-{uuid.uuid4().hex[:6]}"
    host = host_kubectl()
    host("create", "namespace", namespace)
    try:
        files = _certificates(f"{_NAME}.{namespace}.svc")
        found = Server(kind=kind, host=host.within(namespace), files=files)
        host.apply(
            found.secret(), _pod(found.kind), service(_NAME, target=found.kind.port, app=_NAME), namespace=namespace
        )
        found.host.ready(_NAME)
        if shared and kind.sharing:
            script, file = kind.sharing
            found.run(script, stdin=file.read_text())
        yield found
    finally:
        host("delete", "namespace", namespace, "--timeout=60s")


def _certificates(name: str) -> dict[str, str]:
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    authority = Authority.create("stores", day, now)
    files = {"ca.crt": authority.certificate}
    leaves = (
        Leaf(file="server", common_name="server", names=frozenset({name, "localhost"})),
        Leaf(file="client", common_name="postgres"),
    )
    for leaf in leaves:
        pair = Authority(authority).issue(leaf, day, now)
        files |= {f"{leaf.file}.crt": pair.certificate, f"{leaf.file}.key": pair.key}
    return {file: content.decode() for file, content in files.items()}


def _pod(kind: Kind) -> Object:
    container: dict[str, Any] = {
        "name": _NAME,
        "image": kind.image,
        "command": list(kind.command),
        "args": list(kind.arguments),
        "env": [{"name": kind.variable, "value": PASSWORD}],
        "volumeMounts": [{"name": "data", "mountPath": kind.folder}, {"name": "tls", "mountPath": FILES}],
        "readinessProbe": {**kind.ready, "periodSeconds": 1},
    }
    spec = {
        "containers": [container],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "tls", "secret": {"secretName": SECRET, "defaultMode": 0o440}},
        ],
        "securityContext": {"fsGroup": 2000},
        "terminationGracePeriodSeconds": 5,
    }
    return plain("Pod", _NAME, labels={"app": _NAME}, spec=spec)
