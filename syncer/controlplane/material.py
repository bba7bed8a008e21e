"""The certificates of one virtual cluster: what there is, what it must say, and the Secret that keeps it.

Secret `NAME-certs` in the host namespace is the only place where keys live on. The authorities and the key that signs service
account tokens are made once: with others, every kubeconfig and token out there would be worth nothing. Leaves follow from them and
are made anew whenever they are missing, spoilt, past two thirds of their life or lack a name. Whoever creates the Secret first
wins; whoever comes second reads it.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import logging
from collections.abc import Iterable, Mapping

from syncer.controlplane import secrets
from syncer.controlplane.certificates import Authority, Leaf, Lifetimes, Pair, new_signing_key, public_half
from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, Conflict, NotFound
from syncer.names import Object
from syncer.values import InvalidValue

_log = logging.getLogger(__name__)
_TRIES = 10  # races with other replicas; each lost one means that somebody else has done the work

AUTHORITIES = ("ca", "front-proxy-ca")
"""File names; with the cluster's name in front they are the common names too."""

Files = Mapping[str, bytes]
"""Content by file name, as in the Secret: `ca.crt`, `ca.key`, `sa.pub`, ..."""


def leaves(server_names: Iterable[str]) -> tuple[Leaf, ...]:
    """All certificates that are not authorities; `server_names` are the API server's DNS names and IPs."""
    return (
        Leaf(file="apiserver", common_name="kube-apiserver", names=frozenset(server_names)),
        Leaf(file="syncer", common_name="sublet-syncer", names=frozenset({"localhost", "127.0.0.1", "::1"})),
        Leaf(file="apiserver-kubelet-client", common_name="sublet:kubelet-client"),
        Leaf(file="front-proxy-client", common_name="front-proxy-client", authority="front-proxy-ca"),
        Leaf(file="admin", common_name="kubernetes-admin", organization="system:masters"),
        Leaf(file="syncer-client", common_name="sublet:syncer", organization="system:masters"),
        Leaf(file="controller-manager", common_name="system:kube-controller-manager"),
        Leaf(file="scheduler", common_name="system:kube-scheduler"),
        Leaf(file="coredns", common_name="system:coredns"),
    )


def complete(
    files: Files,
    wanted: Iterable[Leaf],
    *,
    cluster: str,
    secret: str,
    lifetimes: Lifetimes,
    now: dt.datetime,
) -> dict[str, bytes]:
    """`files` with everything that is missing or no longer good made anew; equal to `files` when all is well.

    Authorities are made only as long as nothing has been signed: later they cannot be missing by intention. Raises InvalidValue,
    naming `secret`, for what cannot be repaired.
    """
    wanted = tuple(wanted)
    result = dict(files)
    fresh = not any(f"{leaf.file}.crt" in files for leaf in wanted)
    for file in AUTHORITIES:
        if fresh and f"{file}.crt" not in files and f"{file}.key" not in files:
            pair = Authority.create(f"{cluster}-{file}", lifetimes.authority, now)
            result[f"{file}.crt"], result[f"{file}.key"] = pair.certificate, pair.key
    if fresh and "sa.key" not in files:
        result["sa.key"], _ = new_signing_key()
    result["sa.pub"] = _signing_key(result, secret)
    authorities = {file: _authority(result, file, secret, now) for file in AUTHORITIES}
    for leaf in wanted:
        authority = authorities[leaf.authority]
        certificate, key = f"{leaf.file}.crt", f"{leaf.file}.key"
        fault = "it is missing"
        if certificate in files and key in files:
            fault = authority.fault(leaf, Pair(files[certificate], files[key]), now)
        if fault:
            if not fresh:
                _log.info("certificate is made anew", extra={"certificate": leaf.file, "reason": fault})
            pair = authority.issue(leaf, lifetimes.leaf, now)
            result[certificate], result[key] = pair.certificate, pair.key
    return result


async def ensure(
    client: Client,
    wanted: Iterable[Leaf],
    *,
    cluster: str,
    namespace: str,
    owner: Object,
    lifetimes: Lifetimes,
    now: dt.datetime,
) -> dict[str, bytes]:
    """The content of Secret `CLUSTER-certs`, created or brought up to date. Raises InvalidValue, KubeError."""
    name = f"{cluster}-certs"
    where = f"Secret {namespace}/{name}"
    wanted = tuple(wanted)
    for _ in range(_TRIES):
        try:
            found = await client.get(SECRETS, namespace, name)
        except NotFound:
            files = complete({}, wanted, cluster=cluster, secret=where, lifetimes=lifetimes, now=now)
            body = secrets.build(
                name, namespace=namespace, cluster=cluster, component="certificates", owner=owner, data=files
            )
            try:
                await client.create(SECRETS, body, namespace=namespace)
            except AlreadyExists:
                continue
            return files
        before = _decode(found, where)
        files = complete(before, wanted, cluster=cluster, secret=where, lifetimes=lifetimes, now=now)
        patch = _difference(found, before, files, cluster=cluster, owner=owner)
        if not patch:
            return files
        try:
            await client.patch(SECRETS, namespace, name, patch)
        except (Conflict, NotFound):
            continue
        return files
    raise InvalidValue(where, "changes faster than it can be read", "find out who else writes it")


def _difference(found: Object, before: Files, files: Files, *, cluster: str, owner: Object) -> Object:
    """The patch for what has changed, which fails if somebody else was faster; empty when nothing has."""
    patch: Object = {}
    changed = {file: content for file, content in files.items() if before.get(file) != content}
    if changed:
        patch["data"] = secrets.encode(changed)
    metadata: Object = {}
    # A Secret that the user has made is not ours to delete.
    if secrets.cluster_of(found) == cluster and (owners := secrets.owners_with(found, owner)):
        metadata["ownerReferences"] = owners
    if patch or metadata:
        patch["metadata"] = metadata | {"resourceVersion": found["metadata"]["resourceVersion"]}
    return patch


def _signing_key(files: Files, secret: str) -> bytes:
    """The public half of sa.key."""
    if "sa.key" not in files:
        raise _broken(secret, "sa.key", "is missing")
    try:
        return public_half(files["sa.key"])
    except ValueError as error:
        raise _broken(secret, "sa.key", "is not a private key") from error


def _authority(files: Files, file: str, secret: str, now: dt.datetime) -> Authority:
    for key in (f"{file}.crt", f"{file}.key"):
        if key not in files:
            raise _broken(secret, key, "is missing")
    try:
        authority = Authority(Pair(files[f"{file}.crt"], files[f"{file}.key"]))
    except ValueError as error:
        raise _broken(secret, f"{file}.crt and {file}.key", f"are no CA: {error}") from error
    if authority.expires <= now:
        raise _broken(secret, f"{file}.crt", f"has expired at {authority.expires.isoformat()}")
    return authority


def _broken(secret: str, key: str, problem: str) -> InvalidValue:
    return InvalidValue(
        f"{secret}, key {key}",
        problem,
        "restore the Secret from a backup, or delete it to start with new keys, which ends all kubeconfigs and tokens in use",
    )


def _decode(secret: Object, where: str) -> dict[str, bytes]:
    files = {}
    for file, text in (secret.get("data") or {}).items():
        try:
            files[file] = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise _broken(where, file, "is not base64") from error
    return files
