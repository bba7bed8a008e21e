"""The certificates of one virtual cluster: what there is, what it must say, and the Secrets that keep it.

Secret `NAME-certs` in the host namespace is the only place where keys live on; an etcd of the release's own has one like it. The
authorities and the key that signs service account tokens are made once: with others, every kubeconfig and token out there would be
worth nothing. Leaves follow from them and are made anew whenever they are missing, spoilt, past two thirds of their life or lack a
name. Whoever creates the Secret first wins; whoever comes second reads it.

`ca.crt` holds the certificate that signs first, and after it those that are trusted still (see rotation).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from syncer.controlplane import secrets
from syncer.controlplane.certificates import (
    Authority,
    Leaf,
    Lifetimes,
    Pair,
    due,
    new_signing_key,
    public_half,
    split,
    unexpired,
)
from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, Conflict, NotFound
from syncer.names import Object
from syncer.values import InvalidValue

_log = logging.getLogger(__name__)
_TRIES = 10  # races with other replicas; each lost one means that somebody else has done the work

AUTHORITIES = ("ca", "front-proxy-ca")
"""File names of a cluster's authorities."""

Files = Mapping[str, bytes]
"""Content by file name, as in the Secret: `ca.crt`, `ca.key`, `sa.pub`, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a Secret is to hold."""

    secret: str
    """Its name."""
    namespace: str
    cluster: str
    """The virtual cluster's name."""
    leaves: tuple[Leaf, ...]
    authorities: tuple[str, ...] = AUTHORITIES
    """File names of those that sign the leaves. Their common names are these, behind the Secret's name without `-certs`."""
    signing_key: bool = True
    """Whether a key for service account tokens is among it."""
    lifetimes: Lifetimes

    @property
    def where(self) -> str:
        """For messages."""
        return f"Secret {self.namespace}/{self.secret}"

    def common_name(self, authority: str) -> str:
        """That of an authority."""
        return f"{self.secret.removesuffix('-certs')}-{authority}"


Change = Callable[[Files], Files]
"""What is to become of the content before it is completed. Raises InvalidValue."""


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


def cross(authority: str) -> str:
    """The file that goes behind an authority's leaves while an older authority is trusted still."""
    return f"{authority}-cross.crt"


def complete(files: Files, wanted: Wanted, now: dt.datetime) -> dict[str, bytes]:
    """`files` with everything that is missing or no longer good made anew; equal to `files` when all is well.

    Authorities are made only as long as nothing has been signed: later they cannot be missing by intention. Raises InvalidValue,
    naming the Secret, for what cannot be repaired.
    """
    result = dict(files)
    fresh = not any(f"{leaf.file}.crt" in files for leaf in wanted.leaves)
    for file in wanted.authorities:
        if fresh and f"{file}.crt" not in files and f"{file}.key" not in files:
            pair = Authority.create(wanted.common_name(file), wanted.lifetimes.authority, now)
            result[f"{file}.crt"], result[f"{file}.key"] = pair.certificate, pair.key
    if wanted.signing_key:
        if fresh and "sa.key" not in files:
            result["sa.key"], _ = new_signing_key()
        result["sa.pub"] = _signing_key(result, wanted.where)
    authorities = {}
    for file in wanted.authorities:
        _forget_expired(result, file, now)
        authority = authorities[file] = authority_of(result, file, wanted)
        if authority.expires <= now:
            raise _broken(wanted.where, f"{file}.crt", f"has expired at {authority.expires.isoformat()}")
    for leaf in wanted.leaves:
        authority = authorities[leaf.authority]
        certificate, key = f"{leaf.file}.crt", f"{leaf.file}.key"
        fault = "it is missing"
        if certificate in files and key in files:
            fault = authority.fault(leaf, Pair(files[certificate], files[key]), now)
        if fault:
            if not fresh:
                _log.info("certificate is made anew", extra={"certificate": leaf.file, "reason": fault})
            pair = authority.issue(leaf, wanted.lifetimes.leaf, now)
            result[certificate], result[key] = pair.certificate, pair.key
    return result


def next_due(files: Files, wanted: Wanted) -> dt.datetime:
    """When the first of the leaves is to be renewed."""
    return min(due(files[f"{leaf.file}.crt"]) for leaf in wanted.leaves)


async def ensure(
    client: Client,
    wanted: Wanted,
    *,
    owner: Object,
    now: dt.datetime,
    change: Change = lambda files: files,
    lost: Files | None = None,
) -> dict[str, bytes]:
    """The content of the Secret, created or brought up to date. Raises InvalidValue, KubeError.

    `lost` is what the Secret has held, should it be gone; without it a Secret that is gone begins with new keys.
    """
    for _ in range(_TRIES):
        try:
            found = await client.get(SECRETS, wanted.namespace, wanted.secret)
        except NotFound:
            files = complete(change(lost or {}), wanted, now)
            body = secrets.build(
                wanted.secret,
                namespace=wanted.namespace,
                cluster=wanted.cluster,
                component="certificates",
                owner=owner,
                data=files,
            )
            try:
                await client.create(SECRETS, body, namespace=wanted.namespace)
            except AlreadyExists:
                continue
            return files
        before = decode(found, wanted.where)
        files = complete(change(before), wanted, now)
        patch = _difference(found, before, files, cluster=wanted.cluster, owner=owner)
        if not patch:
            return files
        try:
            await client.patch(SECRETS, wanted.namespace, wanted.secret, patch)
        except (Conflict, NotFound):
            continue
        return files
    raise InvalidValue(wanted.where, "changes faster than it can be read", "find out who else writes it")


def authority_of(files: Files, file: str, wanted: Wanted) -> Authority:
    """The authority that signs. Raises InvalidValue."""
    for key in (f"{file}.crt", f"{file}.key"):
        if key not in files:
            raise _broken(wanted.where, key, "is missing")
    try:
        return Authority(Pair(files[f"{file}.crt"], files[f"{file}.key"]), files.get(cross(file), b""))
    except ValueError as error:
        raise _broken(wanted.where, f"{file}.crt and {file}.key", f"are no CA: {error}") from error


def decode(secret: Object, where: str) -> dict[str, bytes]:
    """The data of a Secret. Raises InvalidValue."""
    files = {}
    for file, text in (secret.get("data") or {}).items():
        try:
            files[file] = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise _broken(where, file, "is not base64") from error
    return files


def _forget_expired(files: dict[str, bytes], file: str, now: dt.datetime) -> None:
    """Takes out what has been trusted beside the authority and has expired by now."""
    try:
        signing, *others = split(files.get(f"{file}.crt", b""))
    except ValueError:
        return  # none, or spoilt, which is told elsewhere
    if others and not (left := unexpired(b"".join(others), now)):
        files.pop(cross(file), None)
    if others:
        files[f"{file}.crt"] = signing + left


def _difference(found: Object, before: Files, files: Files, *, cluster: str, owner: Object) -> Object:
    """The patch for what has changed, which fails if somebody else was faster; empty when nothing has."""
    patch: Object = {}
    changed = {file: content for file, content in files.items() if before.get(file) != content}
    gone = dict.fromkeys(before.keys() - files.keys())
    if changed or gone:
        patch["data"] = {**secrets.encode(changed), **gone}
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


def _broken(secret: str, key: str, problem: str) -> InvalidValue:
    return InvalidValue(
        f"{secret}, key {key}",
        problem,
        "restore the Secret from a backup, or delete it to start with new keys, which ends all kubeconfigs and tokens in use",
    )
