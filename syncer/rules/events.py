"""Events: what the host says of a host object, told of the virtual one."""

from __future__ import annotations

from syncer.names import Key, Object
from syncer.rules.context import Context
from syncer.rules.text import to_virtual_text

_KEPT = (
    "type",
    "reason",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "eventTime",
    "series",
    "action",
    "reportingComponent",
    "reportingInstance",
)


def to_virtual(event: Object, key: Key, subject: Object, context: Context) -> Object:
    """The virtual Event for a host Event about the counterpart of `subject`."""
    metadata = subject["metadata"]
    namespace = metadata.get("namespace") or "default"
    about = event.get("involvedObject") or {}
    involved = {
        "apiVersion": subject["apiVersion"],
        "kind": subject["kind"],
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "uid": metadata["uid"],
    }
    if about.get("fieldPath"):
        involved["fieldPath"] = about["fieldPath"]
    suffix = event["metadata"]["name"].rpartition(".")[2]
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:230]}.{suffix}", "namespace": namespace},
        "involvedObject": involved,
        "message": to_virtual_text(event.get("message") or "", key, context),
    }
    return wanted | {name: event[name] for name in _KEPT if event.get(name) is not None}
