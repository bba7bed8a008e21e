"""ServiceAccounts of the virtual cluster whose tokens go into kubeconfigs: the account, its rights and a token that lasts."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, NotFound
from syncer.kube.resource import Resource
from syncer.names import Object
from syncer.values import InvalidValue

Sleep = Callable[[float], Awaitable[object]]

_NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
_ACCOUNT_NAME = "kubernetes.io/service-account.name"
_TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105  the type of a Secret
_TOKEN_POLL = 0.25  # seconds
_TOKEN_TRIES = 240  # the controller manager may still be starting


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """An account of the virtual cluster; `cluster_role` is bound to it unless empty."""

    name: str
    namespace: str
    cluster_role: str = ""


async def ensure_account(virtual: Client, account: ServiceAccount) -> None:
    """Creates the account, and its namespace if need be."""
    body: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account.name}}
    try:
        await _ensure(virtual, _ACCOUNTS, body, account.namespace)
    except NotFound:
        namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": account.namespace}}
        await _ensure(virtual, _NAMESPACES, namespace, None)
        await _ensure(virtual, _ACCOUNTS, body, account.namespace)


async def ensure_binding(virtual: Client, account: ServiceAccount, *, name: str) -> None:
    """Makes binding `name` give exactly `cluster_role`: a changed one is replaced, and an empty one takes the rights away."""
    wanted: Object = {
        "apiVersion": _BINDINGS.api_version,
        "kind": _BINDINGS.kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _BINDINGS.group, "kind": "ClusterRole", "name": account.cluster_role},
        "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}],
    }
    try:
        found = await virtual.get(_BINDINGS, None, name)
    except NotFound:
        found = None
    if found is not None:
        if all(found.get(field) == wanted[field] for field in ("roleRef", "subjects")):
            return
        await virtual.delete(_BINDINGS, None, name)  # what a binding refers to cannot be changed
    if account.cluster_role:
        await _ensure(virtual, _BINDINGS, wanted, None)


async def lasting_token(virtual: Client, account: ServiceAccount, *, sleep: Sleep = asyncio.sleep) -> str:
    """A token without expiry. It lives in a Secret of the virtual cluster and ends when that or the account is deleted.

    Raises InvalidValue when the Secret is something else, or is not filled within a minute.
    """
    name = f"{account.name}-kubeconfig-token"
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "annotations": {_ACCOUNT_NAME: account.name}},
        "type": _TOKEN_TYPE,
    }
    await _ensure(virtual, SECRETS, body, account.namespace)
    where = f"virtual Secret {account.namespace}/{name}"
    for _ in range(_TOKEN_TRIES):
        found = await virtual.get(SECRETS, account.namespace, name)
        annotations = found["metadata"].get("annotations") or {}
        if found.get("type") != _TOKEN_TYPE or annotations.get(_ACCOUNT_NAME) != account.name:
            raise InvalidValue(where, f"is no token of ServiceAccount {account.name}", "delete it there")
        token = (found.get("data") or {}).get("token")
        if token:
            return base64.b64decode(token).decode()
        await sleep(_TOKEN_POLL)
    raise InvalidValue(where, "was not given a token", "look at the log of the virtual controller manager")


async def _ensure(client: Client, resource: Resource, body: Object, namespace: str | None) -> None:
    try:
        await client.create(resource, body, namespace=namespace)
    except AlreadyExists:
        return
