"""Messages of the host, with the host's names turned back into the tenant's."""

from __future__ import annotations

import re

from syncer.names import Key
from syncer.rules.context import Context


def to_virtual_text(text: str, key: Key, context: Context) -> str:
    """`text` as a tenant understands it: their own names, and nothing that tells the host's namespace."""
    text = text.replace(context.host_name(key.name, key.namespace), key.name)
    plain = re.compile(rf"([a-z0-9][a-z0-9.-]*?)-x-([a-z0-9-]+?)-x-{re.escape(context.cluster)}\b")
    text = plain.sub(r"\1", text)
    host_namespace = re.escape(context.host_namespace)
    return re.sub(rf"(?<![\w.-]){host_namespace}(?![\w-])", key.namespace or "default", text)
