"""Events: what the host says of a host object, told of the virtual one."""

from __future__ import annotations

import re

from syncer.names import Key, Object, hashed, token_secret_name
from syncer.rules.context import Context
from syncer.rules.pods.references import carried
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


_LONGEST_NAME = 253
_LONGEST_MARK = 40
LONGEST_MESSAGE = 1024
"""Characters that an API server accepts in an event's message."""
_CONTAINER = re.compile(r"spec\.(\w+)\{(.+)\}\Z")


def is_told(event: Object, key: Key, subject: Object, context: Context) -> bool:
    """Whether an event about the counterpart of `subject`, which is `key`, is the tenant's business.

    What goes well in a container that only the host pod has (one of ours, an injected sidecar) is not; what fails there keeps the
    tenant's pod from running. Nor is it that the kubelet was faster than the Secret with the pod's tokens: it will try again.
    """
    if key.rule == "pods" and token_secret_name(key.name, key.namespace, context.cluster) in (
        event.get("message") or ""
    ):
        return False
    part = _CONTAINER.match((event.get("involvedObject") or {}).get("fieldPath") or "")
    if part is None or event.get("type") == "Warning":
        return True
    containers = subject.get("spec", {}).get(part[1]) or ()
    return any(container["name"] == part[2] for container in containers)


def event_name(subject: str, mark: str) -> str:
    """A valid name for an event about the object `subject`; `mark` tells it from others about the same object."""
    mark = mark if len(mark) <= _LONGEST_MARK else hashed(mark)
    return f"{subject[: _LONGEST_NAME - 1 - len(mark)].rstrip('-.')}.{mark}"


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
    name = event_name(metadata["name"], event["metadata"]["name"].rpartition(".")[2])
    known = carried(subject) if key.rule == "pods" else ()
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": involved,
        "message": to_virtual_text(event.get("message") or "", key, context, known=known)[:LONGEST_MESSAGE],
    }
    return wanted | {name: event[name] for name in _KEPT if event.get(name) is not None}
