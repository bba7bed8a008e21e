"""Volumes: every reference to another object gets its host name, and service account tokens come from a Secret.

A token has to be signed by the virtual cluster, so the host's kubelet cannot issue it. The syncer does, and keeps it fresh in one
Secret per pod; the projection then reads that Secret. A claim template has been turned into a claim by the virtual cluster, so the
host pod names that claim. Trust bundles and pod certificates are left to the host.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from syncer.names import Object, token_secret_name
from syncer.rules.context import Context
from syncer.rules.pods import downward
from syncer.rules.pods.references import PROJECTIONS, VOLUME_SOURCES, claim_name, items, with_host_names

_TOKEN = "serviceAccountToken"  # noqa: S105
_DEFAULT_EXPIRATION = 3600
_READ_BY_ALL = 0o444


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """A service account token that a pod wants."""

    file: str
    """Key in the pod's token Secret."""
    audience: str | None
    """None = the virtual API server's own."""
    expiration_seconds: int


def tokens(pod: Object) -> tuple[TokenSpec, ...]:
    """The tokens that must be in the pod's token Secret; empty when the pod needs none."""
    return tuple(_tokens(pod))


def _tokens(pod: Object) -> Iterator[TokenSpec]:
    for volume in items(pod["spec"].get("volumes")):
        for index, source in enumerate(items((volume.get("projected") or {}).get("sources"))):
            token = source.get(_TOKEN)
            if token:
                yield TokenSpec(
                    file=_token_file(volume["name"], index),
                    audience=token.get("audience") or None,
                    expiration_seconds=int(token.get("expirationSeconds") or _DEFAULT_EXPIRATION),
                )


def _token_file(volume: str, index: int) -> str:
    return f"{volume}.{index}"


def step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that translates `spec.volumes`."""
    if not spec.get("volumes"):
        return {}
    return {"volumes": [_volume(volume, pod["metadata"], context) for volume in spec["volumes"]]}


def _volume(volume: Object, metadata: Object, context: Context) -> Object:
    result = dict(volume)
    for kind, source in volume.items():
        if kind in VOLUME_SOURCES:
            if source:
                result[kind] = _named(kind, source, metadata["namespace"], context)
        elif kind == "projected":
            result[kind] = _projected(volume["name"], source or {}, metadata, context)
        elif kind == "downwardAPI":
            if source and source.get("items"):
                result[kind] = {**source, "items": downward.files(source["items"], context)}
        elif kind == "ephemeral":
            del result[kind]
            claim = context.host_name(claim_name(metadata["name"], volume["name"]), metadata["namespace"])
            result["persistentVolumeClaim"] = {"claimName": claim}
    return result


def _named(kind: str, source: Object, namespace: str, context: Context) -> Object:
    holder, field, _ = VOLUME_SOURCES[kind]
    reference = source.get(holder) if holder else source
    if not reference or not reference.get(field):
        return source
    renamed = {**reference, field: context.host_name(reference[field], namespace)}
    return {**source, holder: renamed} if holder else renamed


def _projected(volume: str, projected: Object, metadata: Object, context: Context) -> Object:
    default_mode = projected.get("defaultMode")
    sources = [
        _token(source[_TOKEN], _token_file(volume, index), default_mode, metadata, context)
        if source.get(_TOKEN)
        else _projection(source, metadata["namespace"], context)
        for index, source in enumerate(items(projected.get("sources")))
    ]
    return {**projected, "sources": sources}


def _projection(source: Object, namespace: str, context: Context) -> Object:
    result = with_host_names(source, PROJECTIONS, namespace, context)
    files = source.get("downwardAPI")
    if files and files.get("items"):
        return {**result, "downwardAPI": {**files, "items": downward.files(files["items"], context)}}
    return result


def _token(token: Object, file: str, default_mode: int | None, metadata: Object, context: Context) -> Object:
    item: Object = {"key": file, "path": token["path"]}
    if default_mode is not None and default_mode & _READ_BY_ALL != _READ_BY_ALL:
        # The kubelet gives a token's file to the container's user, but a Secret's to root: others must be able to read it.
        item["mode"] = default_mode | _READ_BY_ALL
    secret = token_secret_name(metadata["name"], metadata["namespace"], context.cluster)
    return {"secret": {"name": secret, "items": [item]}}
