"""Kubeconfigs, as files for the control plane and as Secrets for those who use the virtual cluster.

A Secret holds `config` and the same parts again one by one: `certificate-authority`, and `client-certificate` with `client-key`,
or `token`. It is written only when its content changes, and never over a Secret that somebody else has filled.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from syncer.controlplane import secrets
from syncer.controlplane.accounts import ServiceAccount, Sleep, ensure_account, ensure_binding, lasting_token
from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, NotFound
from syncer.names import Object, hashed
from syncer.values import InvalidValue

_KEYS = ("config", "certificate-authority", "client-certificate", "client-key", "token")


@dataclass(frozen=True, slots=True)
class Identity:
    """How a user proves who they are: certificate and key (PEM), or a token."""

    certificate: bytes = b""
    key: bytes = b""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One kubeconfig Secret that is wanted (exportKubeConfig)."""

    secret: str
    namespace: str
    """The host namespace of the Secret."""
    context: str
    server: str
    insecure: bool = False
    """The server's certificate is not verified, and no CA is exported."""
    service_account: ServiceAccount | None = None
    """Whose token is exported; None = the admin's certificate."""

    @classmethod
    def parse(cls, row: Mapping[str, Any], *, cluster: str) -> Entry:
        """Reads one row of the config document's `kubeconfigs`."""
        account = row.get("serviceAccount")
        return cls(
            secret=row["secret"],
            namespace=row["namespace"],
            context=row.get("context") or cluster,
            server=row["server"],
            insecure=bool(row.get("insecure")),
            service_account=ServiceAccount(
                name=account["name"],
                namespace=account.get("namespace") or "kube-system",
                cluster_role=account.get("clusterRole") or "",
            )
            if account
            else None,
        )


def render(*, context: str, server: str, authority: bytes, identity: Identity) -> str:
    """A kubeconfig as YAML, everything inline. An empty `authority` means that the server is not verified."""
    cluster: Object = {"server": server}
    if authority:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    else:
        cluster["insecure-skip-tls-verify"] = True
    user: Object = {}
    if identity.token:
        user["token"] = identity.token
    else:
        user["client-certificate-data"] = base64.b64encode(identity.certificate).decode()
        user["client-key-data"] = base64.b64encode(identity.key).decode()
    return _document(context, cluster, user)


def of_files(*, context: str, server: str, leaf: str) -> str:
    """A kubeconfig whose parts are files beside it: whoever uses it reads them again when they are renewed."""
    cluster = {"server": server, "certificate-authority": "ca.crt"}
    return _document(context, cluster, {"client-certificate": f"{leaf}.crt", "client-key": f"{leaf}.key"})


def _document(context: str, cluster: Object, user: Object) -> str:
    """All entries have the context's name, so that kubeconfigs of several clusters can be merged."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }
    text: str = yaml.safe_dump(config, sort_keys=False)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose kubeconfigs are written."""

    cluster: str
    """The virtual cluster's name."""
    namespace: str
    """The host namespace of its release."""
    owner: Object
    """Owner reference for Secrets in that namespace; owners do not reach into others."""
    authority: bytes
    """The virtual cluster's CA (PEM)."""


def secret(entry: Entry, issuer: Issuer, identity: Identity) -> Object:
    """The Secret for `entry`."""
    trusted = b"" if entry.insecure else issuer.authority
    config = render(context=entry.context, server=entry.server, authority=trusted, identity=identity)
    parts = (config.encode(), trusted, identity.certificate, identity.key, identity.token.encode())
    return secrets.build(
        entry.secret,
        namespace=entry.namespace,
        cluster=issuer.cluster,
        component="kubeconfig",
        owner=issuer.owner if entry.namespace == issuer.namespace else None,
        data={key: part for key, part in zip(_KEYS, parts, strict=True) if part},
    )


async def write(client: Client, wanted: Object) -> bool:
    """Creates the Secret or brings it up to date; False when nothing had to change. Raises KubeError.

    Raises InvalidValue for a Secret that holds something else than a kubeconfig of this cluster. An empty one is filled: the chart
    makes such ones in other namespaces, where it may grant rights on a name only.
    """
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    try:
        found = await client.get(SECRETS, namespace, name)
    except NotFound:
        try:
            await client.create(SECRETS, wanted, namespace=namespace)
        except AlreadyExists:
            found = await client.get(SECRETS, namespace, name)
        else:
            return True
    patch = _difference(found, wanted)
    if patch:
        await client.patch(SECRETS, namespace, name, patch)
    return bool(patch)


async def export_with_token(
    host: Client, virtual: Client, entry: Entry, issuer: Issuer, *, sleep: Sleep = asyncio.sleep
) -> bool:
    """Makes account, binding and token of `entry` in the virtual cluster and writes the Secret; returns and raises as `write`."""
    account = entry.service_account
    if account is None:
        raise ValueError(f"kubeconfig Secret {entry.secret} wants a certificate, not a token")
    await ensure_account(virtual, account)
    # One binding per Secret, under a name that tells the tenant nothing about the host.
    await ensure_binding(virtual, account, name=f"sublet:kubeconfig:{hashed(f'{entry.namespace}/{entry.secret}')}")
    identity = Identity(token=await lasting_token(virtual, account, sleep=sleep))
    return await write(host, secret(entry, issuer, identity))


def _difference(found: Object, wanted: Object) -> Object:
    """The merge patch that makes `found` what is wanted; empty when it is. Foreign labels, owners and keys stay."""
    metadata, data = found["metadata"], found.get("data") or {}
    cluster = secrets.cluster_of(wanted)
    maker = secrets.cluster_of(found)
    if maker != cluster and (maker or data):
        raise InvalidValue(
            f"Secret {metadata['namespace']}/{metadata['name']}",
            f"exists and is not a kubeconfig of cluster {cluster}",
            "delete it, or choose another name in exportKubeConfig.additionalSecrets",
        )
    patch: Object = {}
    changes = {key: wanted["data"].get(key) for key in _KEYS if data.get(key) != wanted["data"].get(key)}
    if changes:
        patch["data"] = changes
    if maker is None:
        patch.setdefault("metadata", {})["labels"] = {secrets.CLUSTER_LABEL: cluster}
    for owner in wanted["metadata"].get("ownerReferences") or ():
        if owners := secrets.owners_with(found, owner):
            patch.setdefault("metadata", {})["ownerReferences"] = owners
    return patch
