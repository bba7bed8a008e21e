"""A CA that the user brings in a Secret of type kubernetes.io/tls, as people make it with kubectl and cert-manager with `isCA: true`.

Only `tls.crt` (its first certificate) and `tls.key` count. `ca.crt` is not read: trust in an authority above the user's would let
everybody in who has a certificate of that one with the right name in it.
"""

from __future__ import annotations

import datetime as dt

from syncer.controlplane.certificates import Authority, Pair
from syncer.controlplane.material import decode
from syncer.controlplane.secrets import SECRETS
from syncer.kube.client import Client
from syncer.kube.errors import NotFound
from syncer.names import Object
from syncer.values import InvalidValue

VALUE = "controlPlane.advanced.certificateAuthority.secretName"
_REMEDY = f"put the certificate of a CA into tls.crt and its key into tls.key, or unset {VALUE}"


class NotThere(InvalidValue):
    """The Secret may yet come."""


async def read(client: Client, namespace: str, name: str) -> Object:
    """The Secret. Raises NotThere, KubeError."""
    try:
        return await client.get(SECRETS, namespace, name)
    except NotFound as error:
        raise NotThere(VALUE, f"there is no Secret {namespace}/{name}", f"create it, or unset {VALUE}") from error


def authority(secret: Object, now: dt.datetime) -> Pair:
    """The CA in it. Raises InvalidValue, naming Secret and key."""
    where = f"Secret {secret['metadata']['namespace']}/{secret['metadata']['name']}"
    files = decode(secret, where)
    for key in ("tls.crt", "tls.key"):
        if not files.get(key):
            raise InvalidValue(f"{where}, key {key}", "is missing", _REMEDY)
    pair = Pair(files["tls.crt"], files["tls.key"])
    try:
        found = Authority(pair)
    except ValueError as error:
        key = "tls.key" if str(error).startswith("the private key") else "tls.crt"
        raise InvalidValue(f"{where}, key {key}", str(error), _REMEDY) from error
    if found.expires <= now:
        raise InvalidValue(f"{where}, key tls.crt", f"has expired at {found.expires.isoformat()}", _REMEDY)
    return Pair(found.certificate, pair.key)
