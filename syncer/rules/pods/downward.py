"""The downward API: what a container learns about its own pod must be what the tenant sees.

The host's kubelet fills these fields from the host pod, whose name, namespace, uid and labels are others. So each such field is
pointed at an annotation of the host pod that holds the virtual value. Values that every host pod carries anyway cost nothing; the
texts of all labels and of all annotations are stored only for a pod that reads them. Fields about the node, the pod's addresses
and resources are true as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from syncer.names import NAME, NAMESPACE, PREFIX, UID, Object, hashed
from syncer.rules.context import Context
from syncer.rules.pods.references import containers, items

LABELS = PREFIX + "labels"
ANNOTATIONS = PREFIX + "annotations"
SERVICE_ACCOUNT = PREFIX + "service-account"
HIDDEN_ANNOTATION = PREFIX + "annotation-"
"""Start of the key under which a virtual annotation that is kept off the host is stored for the pod's own use."""

_SOURCES = {
    "metadata.name": NAME,
    "metadata.namespace": NAMESPACE,
    "metadata.uid": UID,
    "metadata.labels": LABELS,
    "metadata.annotations": ANNOTATIONS,
    "spec.serviceAccountName": SERVICE_ACCOUNT,
}


def field_ref(reference: Object, context: Context) -> Object:
    """An ObjectFieldSelector that yields on the host what `reference` yields in the virtual cluster."""
    path = reference.get("fieldPath") or ""
    source = _SOURCES.get(path)
    if source is not None:
        return {**reference, "fieldPath": f"metadata.annotations['{source}']"}
    holder, key = split(path)
    if holder == "metadata.labels":
        return {**reference, "fieldPath": f"metadata.labels['{context.metadata.label_key(key)}']"}
    if holder == "metadata.annotations" and _hidden(key, context):
        return {**reference, "fieldPath": f"metadata.annotations['{HIDDEN_ANNOTATION}{hashed(key)}']"}
    return reference


def files(entries: list[Object], context: Context) -> list[Object]:
    """`items` of a downwardAPI volume or projection."""
    return [
        {**entry, "fieldRef": field_ref(entry["fieldRef"], context)} if entry.get("fieldRef") else entry
        for entry in entries
    ]


def values(pod: Object, context: Context) -> dict[str, str]:
    """Annotations of the host pod that the pod's downward API fields read."""
    metadata = pod["metadata"]
    result: dict[str, str] = {}
    for path in field_paths(pod["spec"]):
        if path == "metadata.labels":
            result[LABELS] = format_map(metadata.get("labels") or {})
        elif path == "metadata.annotations":
            result[ANNOTATIONS] = format_map(metadata.get("annotations") or {})
        elif path == "spec.serviceAccountName":
            result[SERVICE_ACCOUNT] = pod["spec"].get("serviceAccountName") or "default"
        elif path.startswith("metadata.annotations["):
            key = split(path)[1]
            value = (metadata.get("annotations") or {}).get(key)
            if value is not None and _hidden(key, context):
                result[HIDDEN_ANNOTATION + hashed(key)] = value
    return result


def field_paths(spec: Object) -> set[str]:
    """Every fieldPath that the pod reads, in containers and volumes of all kinds."""
    return {path for path in _field_paths(spec) if path}


def _field_paths(spec: Object) -> Iterator[str | None]:
    for container in containers(spec):
        for variable in items(container.get("env")):
            source = variable.get("valueFrom")
            if source and source.get("fieldRef"):
                yield source["fieldRef"].get("fieldPath")
    for volume in items(spec.get("volumes")):
        sources = [volume, *items((volume.get("projected") or {}).get("sources"))]
        for source in sources:
            for entry in items((source.get("downwardAPI") or {}).get("items")):
                yield (entry.get("fieldRef") or {}).get("fieldPath")


def split(path: str) -> tuple[str, str]:
    """`metadata.labels['app']` -> (`metadata.labels`, `app`); a path without subscript has an empty second part."""
    if not path.endswith("']"):
        return path, ""
    holder, found, key = path[:-2].partition("['")
    return (holder, key) if found else (path, "")


def _hidden(key: str, context: Context) -> bool:
    return not context.metadata.annotations({key: ""})


def format_map(values: Mapping[str, str]) -> str:
    """Labels or annotations as the kubelet writes them into a file: sorted lines of `key="value"`."""
    return "\n".join(f"{key}={quote(values[key])}" for key in sorted(values))


_ESCAPES = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", '"': r"\"", "\\": r"\\",
}  # fmt: skip


def quote(text: str) -> str:
    """`text` as Go's strconv.Quote has it: printable characters stand for themselves, all others are escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xD800 <= code <= 0xDFFF:
        return "\\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
