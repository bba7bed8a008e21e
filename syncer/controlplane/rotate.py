"""The command `rotate-ca`, given by a person in a running syncer's container. All pods of the control plane see what it has done and
renew their files; this writes the Secret only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from syncer.controlplane import material, pki, rotation, source
from syncer.kube.client import Client
from syncer.kube.resource import Resource
from syncer.values import InvalidValue, Settings

_CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
_ROOT = ("kube-system", "kube-root-ca.crt")


async def begin(settings: Settings, host: Client, virtual: Client, environment: Mapping[str, str]) -> str:
    """New authorities sign, the ones before are trusted still; returns what comes next. Raises InvalidValue, KubeError."""
    del virtual
    found = await pki.look(settings, host, environment)
    if found.brought is not None:
        name = settings.certificates.authority_secret
        raise InvalidValue(
            source.VALUE,
            f"the CA comes from Secret {settings.cluster.namespace}/{name}",
            "put another one there, and it is followed; --finish works as ever",
        )
    now = dt.datetime.now(dt.UTC)
    await material.ensure(
        host,
        found.wanted,
        owner=found.owner,
        now=now,
        change=lambda files: rotation.begun(files, found.wanted, now),
    )
    return (
        "a new CA signs, the old one is trusted still; next: "
        f"1. {_restart(settings)} 2. hand out the kubeconfigs anew 3. python -m syncer rotate-ca --finish"
    )


async def finish(settings: Settings, host: Client, virtual: Client, environment: Mapping[str, str]) -> str:
    """The older authorities are trusted no more; returns what comes next. Raises InvalidValue, KubeError."""
    found = await pki.look(settings, host, environment)
    now = dt.datetime.now(dt.UTC)
    root = await virtual.get(_CONFIG_MAPS, *_ROOT)

    def drop(files: material.Files) -> material.Files:
        after = rotation.finished(files, found.wanted)
        if after["ca.crt"].decode() not in (root.get("data") or {}).get("ca.crt", ""):
            raise InvalidValue(
                f"ConfigMap {'/'.join(_ROOT)} of the virtual cluster",
                "does not have the new CA yet, so pods would trust their API server no more",
                _restart(settings),
            )
        return after

    await material.ensure(host, found.wanted, owner=found.owner, now=now, change=drop)
    return f"only the CA that signs is trusted; next, so that no process remembers another: {_restart(settings)}"


def _restart(settings: Settings) -> str:
    cluster = settings.cluster
    return f"kubectl --namespace {cluster.namespace} rollout restart statefulset/{cluster.name}"
