"""The members of a release's own etcd: its values, its processes, and what they say of each other."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e import processes
from tests.e2e.objects import Object
from tests.e2e.tenancy import CommandFailed, Release, becomes, eventually, inside

STORE = "deployed-etcd"
_FILES = ("ca.crt", "client.crt", "client.key")


def values(members: int) -> Object:
    """Values of a release with so many."""
    deploy = {"enabled": True, "statefulSet": {"highAvailability": {"replicas": members}}}
    return {"controlPlane": {"backingStore": {"etcd": {"deploy": deploy}}}}


def processes_of(release: Release) -> list[int]:
    """Ids of the etcd processes of all members."""
    return [pid for pod in pods(release) for pid in processes.census(pod).get("etcd", ())]


def pods(release: Release) -> list[Object]:
    """The members' pods."""
    return release.host.items("pods", "--namespace", release.namespace, "--selector=app.kubernetes.io/component=etcd")


def whole(release: Release, members: int, folder: Path) -> None:
    """Waits until all are ready and each of them counts so many that are at work."""
    rolled = lambda: release.on_host("rollout", "status", f"statefulset/{release.name}-etcd", "--timeout=60s")  # noqa: E731
    eventually(rolled, patience=240)
    becomes([members] * members, lambda: [_started(release, pod, folder) for pod in pods(release)], patience=60)


def lose(release: Release, member: str) -> None:
    """Deletes a member's claim and pod, as with a node that has burnt."""
    release.on_host("delete", "persistentvolumeclaim", f"data-{member}", "--wait=false")
    release.on_host("delete", "pod", member, "--force", "--grace-period=0")


def take_out(release: Release, asked: Object, name: str, folder: Path) -> bool:
    """Removes a member as a person does who wants fewer; whether it is no member any more."""
    members = call(release, asked, "list", folder)["members"]
    for member in members:
        if member["name"] == name:
            call(release, asked, "remove", folder, ID=member["ID"])
    return all(member["name"] != name for member in members)


def _started(release: Release, pod: Object, folder: Path) -> int:
    """How many members are at work, as that of a pod knows them."""
    members = call(release, pod, "list", folder)["members"]
    return sum(bool(member.get("clientURLs")) for member in members)


def call(release: Release, pod: Object, method: str, folder: Path, **request: Any) -> Any:
    """A request about members to that of a pod, with the API server's certificate. Raises CommandFailed."""
    secret = release.host.get("secret", f"{release.name}-etcd-certs", "--namespace", release.namespace)
    for name in _FILES:
        (folder / name).write_bytes(base64.b64decode(secret["data"][name]))
    address = pod["status"].get("podIP", "0.0.0.0")  # none yet: nobody answers there
    name = f"{pod['metadata']['name']}.{release.name}-etcd-headless.{release.namespace}.svc"
    authority, certificate, key = (str(folder / file) for file in _FILES)
    command = [
        *(*inside(), "curl", "--silent", "--show-error", "--max-time", "5"),
        *("--cacert", authority, "--cert", certificate, "--key", key, "--data", json.dumps(request)),
        *("--resolve", f"{name}:2379:{address}", f"https://{name}:2379/v3/cluster/member/{method}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise CommandFailed(done.stderr)
    return json.loads(done.stdout)
