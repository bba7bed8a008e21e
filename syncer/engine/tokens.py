"""Gets a pod's service account tokens from the virtual API server and keeps them in one host Secret.

The tokens have the audience and life that the pod asked for and are bound to it (TokenRequest API); the Secret says when they are
due for renewal. https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import datetime

from syncer.engine.index import Index
from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, NotFound
from syncer.kube.resource import Resource
from syncer.names import Key, Object, marks, token_secret_name
from syncer.plan.tokens import REFRESH_AT
from syncer.rules import pods
from syncer.rules.context import Context

_SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)
_USED_UP = 0.8
_SHORTEST = 10.0


class NoToken(Exception):
    """The virtual cluster has no such ServiceAccount any more."""


class TokenIssuer:
    """Issues and renews; `now` is Unix time in seconds."""

    def __init__(self, *, host: Client, virtual: Client, context: Context, now: Callable[[], float]) -> None:
        self._host = host
        self._virtual = virtual
        self._context = context
        self._now = now

    async def issue(self, key: Key, virtual_pods: Index) -> Object | None:
        """Writes fresh tokens for the pod of a token key; returns the Secret, or None when the pod is gone or needs none."""
        pod = virtual_pods.get(Key("pods", key.namespace, key.name))
        specs = pods.tokens(pod) if pod is not None else ()
        if pod is None or not specs:
            return None
        answers = await asyncio.gather(*(self._request(pod, spec) for spec in specs))
        data = {
            spec.file: base64.b64encode(answer["status"]["token"].encode()).decode()
            for spec, answer in zip(specs, answers, strict=True)
        }
        refresh_at = min(self._refresh_at(answer) for answer in answers)
        return await self._write(self._secret(key, pod, data, refresh_at))

    async def _request(self, pod: Object, spec: pods.TokenSpec) -> Object:
        metadata = pod["metadata"]
        wanted: Object = {
            "audiences": [spec.audience] if spec.audience else [],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        }
        if spec.expiration_seconds:
            wanted["expirationSeconds"] = spec.expiration_seconds
        account = pod["spec"].get("serviceAccountName") or "default"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted}
        try:
            return await self._virtual.post_subresource(
                _SERVICE_ACCOUNTS, metadata["namespace"], account, "token", body
            )
        except NotFound as error:
            if error.details.get("kind") != _SERVICE_ACCOUNTS.plural:
                raise  # the pod has gone meanwhile
            raise NoToken(f"the pod gets no token: {error.message}") from error

    def _refresh_at(self, answer: Object) -> float:
        now = self._now()
        # The server may grant another life than the one asked for; the API server's own clock decides when it ends.
        expiry = datetime.fromisoformat(answer["status"]["expirationTimestamp"]).timestamp()
        return now + max(_SHORTEST, (expiry - now) * _USED_UP)

    def _secret(self, key: Key, pod: Object, data: dict[str, str], refresh_at: float) -> Object:
        cluster = self._context.cluster
        labels, annotations = marks(key, uid=pod["metadata"]["uid"], cluster=cluster)
        metadata: Object = {
            "name": token_secret_name(key.name, key.namespace, cluster),
            "namespace": self._context.host_namespace,
            "labels": labels,
            "annotations": {**annotations, REFRESH_AT: f"{refresh_at:.0f}"},
        }
        if self._context.owner is not None:
            metadata["ownerReferences"] = [self._context.owner]
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}

    async def _write(self, secret: Object) -> Object:
        metadata = secret["metadata"]
        try:
            return await self._host.create(SECRETS, secret, namespace=metadata["namespace"])
        except AlreadyExists:
            change = {"metadata": {"annotations": metadata["annotations"]}, "data": secret["data"]}
            return await self._host.patch(SECRETS, metadata["namespace"], metadata["name"], change)
