"""Messages of the host, with the host's names turned back into the tenant's.

Messages of the host's kubelet, scheduler and API server name host objects: `secret "db-x-shop-x-alpha" not found`. Names in their
plain form are recognised by their ending. A name that was cut cannot be read back: those that a message may hold have to be given.
The host namespace is replaced only where it stands next to such a name or is called a namespace, for it may be any word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from syncer.names import Key
from syncer.rules.context import Context


def to_virtual_text(text: str, key: Key, context: Context, *, known: Iterable[Key] = ()) -> str:
    """`text`, which is about the virtual object `key`, as its tenant understands it.

    `known` are other objects that it may mention; only needed for those whose host names are cut.
    """
    cut = {}
    for other in (key, *known):
        host_name = context.host_name(other.name, other.namespace)
        if not host_name.endswith(f"-x-{context.cluster}"):
            cut[host_name] = other
    plain, about_namespace = _patterns(context.cluster, context.host_namespace)

    def virtual(match: re.Match[str]) -> str:
        groups = match.groupdict()
        named = cut.get(match["name"])
        namespace = groups.get("namespace") or (named or key).namespace
        before = (match["before"] or "").replace(context.host_namespace, namespace)
        return before + (named.name if named else match["name"]) + (f"_{namespace}" if match["after"] else "")

    if cut:
        listed = "|".join(map(re.escape, cut))
        text = re.sub(_surrounded(f"(?P<name>{listed})", context.host_namespace), virtual, text)
    text = plain.sub(virtual, text)
    return about_namespace.sub(rf"\g<before>{key.namespace or 'default'}", text)


@lru_cache(maxsize=8)
def _patterns(cluster: str, host_namespace: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    # Bounded, so that a text made to have many beginnings takes no longer than another.
    name = rf"(?P<name>[a-z0-9](?:[a-z0-9.-]{{0,60}}?[a-z0-9])?)-x-(?P<namespace>[a-z0-9-]{{1,60}}?)-x-{re.escape(cluster)}"
    about = rf"(?P<before>\bnamespaces?:? [\"']?){re.escape(host_namespace)}(?![\w-])"
    return re.compile(_surrounded(name, host_namespace)), re.compile(about)


def _surrounded(name: str, host_namespace: str) -> str:
    own = re.escape(host_namespace)
    before = rf"(?P<before>(?<![\w.-])[\"']?{own}[\"']?/[\"']?)?"
    return rf"{before}(?<![a-z0-9.-]){name}(?![a-z0-9]|-[a-z0-9])(?P<after>_{own}(?=[_(]))?"
