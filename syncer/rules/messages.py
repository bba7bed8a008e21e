"""Texts of the host, told in the tenant's words.

Messages of the host's kubelet, scheduler and API server name host objects: `secret "db-x-shop-x-alpha" not found`. The tenant knows
them by other names. A host name that was cut cannot be read back, so those that may occur are given; names in their plain form are
recognised by their ending.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from syncer.names import Key, host_name


def virtual_text(text: str, *, namespace: str, cluster: str, host_namespace: str, known: Iterable[Key] = ()) -> str:
    """`text` with host names of objects of one virtual namespace, and the host namespace before or after them, translated back.

    `known` are objects that the text may mention; only needed for names that are cut on the host.
    """
    names = {host_name(key.name, key.namespace, cluster): key.name for key in known if key.namespace == namespace}
    plain, about_namespace = _patterns(namespace, cluster, host_namespace)

    def virtual(match: re.Match[str]) -> str:
        before, name, after = match["before"], match["cut"] or match["name"], match["after"]
        before = before.replace(host_namespace, namespace) if before else ""
        after = f"_{namespace}(" if after else ""
        return f"{before}{names.get(name, name)}{after}"

    if names:
        listed = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        text = re.sub(_surrounded(f"(?P<cut>{listed})(?P<name>)", host_namespace), virtual, text)
    text = plain.sub(virtual, text)
    return about_namespace.sub(lambda match: match["before"] + namespace, text)


@lru_cache(maxsize=4096)
def _patterns(namespace: str, cluster: str, host_namespace: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    name = rf"(?P<cut>)(?P<name>[a-z0-9](?:[a-z0-9.-]*?[a-z0-9])?)-x-{re.escape(namespace)}-x-{re.escape(cluster)}"
    about = rf'(?P<before>\bnamespace:? ?"?){re.escape(host_namespace)}(?![\w-])'
    return re.compile(_surrounded(name, host_namespace)), re.compile(about)


def _surrounded(name: str, host_namespace: str) -> str:
    own = re.escape(host_namespace)
    before = rf'(?P<before>(?<![\w.-])"?{own}"?/"?)?'
    return rf"{before}(?<![a-z0-9.-]){name}(?![a-z0-9]|-[a-z0-9])(?P<after>_{own}\()?"
