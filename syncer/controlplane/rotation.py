"""Another CA in place of the one that signs, while the one before is trusted still.

From the first moment everything is signed by the new CA, and whoever checks certificates trusts both. Who has heard of the old one only
(a kubeconfig in use, a pod's file, a process that reads its CA at start) is led to the new one by a certificate for it that the old one
has signed, which goes behind every leaf. So nothing has to happen at one moment. The old key is forgotten at once.
"""

from __future__ import annotations

import datetime as dt

from syncer.controlplane.certificates import Authority, Pair, split, unexpired
from syncer.controlplane.material import Files, Wanted, authority_of, cross
from syncer.values import InvalidValue


def begun(files: Files, wanted: Wanted, now: dt.datetime) -> Files:
    """With new authorities. Raises InvalidValue while older ones are trusted beside the present ones."""
    result = files
    for file in wanted.authorities:
        authority_of(files, file, wanted)
        if len(split(files[f"{file}.crt"])) > 1:
            raise InvalidValue(
                f"{wanted.where}, key {file}.crt",
                "holds an older CA beside the one that signs",
                "end that rotation first: python -m syncer rotate-ca --finish",
            )
        name = f"{wanted.common_name(file)}@{int(now.timestamp())}"
        pair = Authority.create(name, wanted.lifetimes.authority, now)
        result = succeeded(result, file, pair, wanted=wanted, now=now)
    return result


def finished(files: Files, wanted: Wanted) -> Files:
    """Without those that do not sign any more. Raises InvalidValue."""
    result = dict(files)
    for file in wanted.authorities:
        result[f"{file}.crt"] = authority_of(files, file, wanted).certificate
        result.pop(cross(file), None)
    return result


def succeeded(files: Files, file: str, pair: Pair, *, wanted: Wanted, now: dt.datetime) -> Files:
    """With `pair` as the authority `file`; the one that was there before is trusted still. Raises InvalidValue."""
    certificate, key = f"{file}.crt", f"{file}.key"
    new = Authority(pair)
    if certificate not in files and key not in files:
        return {**files, certificate: new.certificate, key: pair.key}
    old = authority_of(files, file, wanted)
    if new.certificate == old.certificate:
        return files
    trusted = split(files[certificate])
    others = trusted[1:] if new.replaces(old) else trusted
    result = {**files, certificate: new.certificate + unexpired(b"".join(others), now), key: pair.key}
    if not new.replaces(old) and old.expires > now:
        result[cross(file)] = old.introduce(new, now)
    return result
