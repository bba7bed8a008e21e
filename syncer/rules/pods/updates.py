"""What follows on the host after a pod was created.

Kubernetes lets few fields of a pod change. Those that the tenant changed are sent, each in the smallest form: merge patches for
metadata, strategic ones where a list is merged by name, so that what the host added to the same list stays. What the host changed by
itself is not fought: see `syncer.rules.pods.asked`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from syncer.names import COPIED, NAMESPACE_LABEL, Key, Object
from syncer.rules.context import Context
from syncer.rules.metadata import metadata_patch
from syncer.rules.pods import conditions, placement
from syncer.rules.pods.asked import ASKED, Part, asked, changed
from syncer.rules.pods.containers import translator
from syncer.rules.pods.metadata import GATES, host_metadata
from syncer.rules.pods.references import items

_FINISHED = ("Succeeded", "Failed")
_RESIZABLE = ("cpu", "memory")
_SET_BY_BINDING = frozenset(("topology.kubernetes.io/zone", "topology.kubernetes.io/region"))
"""Labels that an API server gives a pod when it is bound; the host's does so itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPatch:
    """One PATCH of the host pod. Several are to be sent in order; the next one relies on the one before."""

    subresource: str | None
    """None = the pod itself."""
    body: Object
    content_type: Literal["merge", "strategic"] = "merge"
    """JSON merge patch (RFC 7396) or strategic merge patch."""


def patches(key: Key, virtual: Object, host: Object, context: Context) -> list[PodPatch]:
    """What must be sent so that the host pod follows the virtual one; empty when nothing is to be done."""
    if "deletionTimestamp" in host["metadata"]:
        return []
    spec, there = virtual["spec"], host["spec"]
    parts = pending_parts(virtual, host)
    result: list[PodPatch] = []
    if Part.RESOURCES in parts and (host.get("status") or {}).get("phase") not in _FINISHED:
        resized = _resized(spec, there)
        if resized:
            result.append(_strategic("resize", {"spec": resized}))
    changes: Object = {}
    if Part.IMAGES in parts:
        changes |= _images(spec, there, context)
    if Part.PLACEMENT in parts:
        changes |= _placement(spec, host, context)
    if changes:
        result.append(_strategic(None, {"spec": changes}))
    # After the changes above, for it says that they were asked for: what the host refuses is not asked for again.
    metadata = _metadata(host_metadata(key, virtual, context), host["metadata"])
    if metadata:
        result.append(PodPatch(subresource=None, body={"metadata": metadata}))
    # After the annotations, which it may read.
    debuggers = _new_ephemeral_containers(virtual, host, context)
    if debuggers:
        result.append(_strategic("ephemeralcontainers", {"spec": {"ephemeralContainers": debuggers}}))
    gates = conditions.for_host(_conditions(host), _conditions(virtual), spec)
    if gates:
        result.append(_strategic("status", {"status": {"conditions": gates}}))
    return result


def _strategic(subresource: str | None, body: Object) -> PodPatch:
    return PodPatch(subresource=subresource, body=body, content_type="strategic")


def pending_parts(virtual: Object, host: Object) -> frozenset[Part]:
    """The parts that the tenant changed since the host was last told."""
    remembered = (host["metadata"].get("annotations") or {}).get(ASKED)
    wanted = asked(virtual)
    return frozenset() if wanted == remembered else changed(wanted, remembered)


def is_pending(virtual: Object, host: Object) -> bool:
    """Whether the host has not been told yet of some change of the virtual pod's spec."""
    if pending_parts(virtual, host):
        return True
    known = {container["name"] for container in items(host["spec"].get("ephemeralContainers"))}
    return any(container["name"] not in known for container in items(virtual["spec"].get("ephemeralContainers")))


def _conditions(pod: Object) -> list[Object]:
    return items((pod.get("status") or {}).get("conditions"))


def _metadata(wanted: Object, host: Object) -> Object:
    labels = host.get("labels") or {}
    expected = {
        name: value for name, value in wanted["labels"].items() if name in labels or name not in _SET_BY_BINDING
    }
    patch = metadata_patch({**wanted, "labels": expected}, host)
    stale = {name: None for name in labels if name.startswith(NAMESPACE_LABEL) and name not in expected}
    if stale:
        patch["labels"] = {**patch.get("labels", {}), **stale}
    # The host had these labels or annotations already, by itself: there is nothing to say to it.
    return {} if patch.keys() == {"annotations"} and patch["annotations"].keys() == {COPIED} else patch


def _by_name(containers: list[Object] | None) -> dict[str, Object]:
    return {container["name"]: container for container in items(containers)}


def _images(virtual: Object, host: Object, context: Context) -> Object:
    translations = context.settings.pods.translate_image
    result: Object = {}
    for kind in ("initContainers", "containers"):
        there = _by_name(host.get(kind))
        images = []
        for container in items(virtual.get(kind)):
            name, image = container["name"], container.get("image")
            image = translations.get(image or "", image)
            if name in there and image and there[name].get("image") != image:
                images.append({"name": name, "image": image})
        if images:
            result[kind] = images
    return result


def _resized(virtual: Object, host: Object) -> Object:
    result: Object = {}
    for kind in ("initContainers", "containers"):
        there = _by_name(host.get(kind))
        changes = []
        for container in items(virtual.get(kind)):
            name = container["name"]
            difference = (
                _more(container.get("resources"), there.get(name, {}).get("resources")) if name in there else {}
            )
            if difference:
                changes.append({"name": name, "resources": difference})
        if changes:
            result[kind] = changes
    pod_level = _more(virtual.get("resources"), host.get("resources"))
    if pod_level:
        result["resources"] = pod_level
    return result


def _more(wanted: Object | None, have: Object | None) -> Object:
    """Requests and limits that can be resized and differ."""
    result: Object = {}
    for kind in ("requests", "limits"):
        here = (have or {}).get(kind) or {}
        asked_for = (wanted or {}).get(kind) or {}
        difference = {
            name: asked_for[name] for name in _RESIZABLE if name in asked_for and asked_for[name] != here.get(name)
        }
        if difference:
            result[kind] = difference
    return result


def _placement(virtual: Object, host: Object, context: Context) -> Object:
    spec = host["spec"]
    result: Object = {}
    deadline, current = virtual.get("activeDeadlineSeconds"), spec.get("activeDeadlineSeconds")
    if deadline is not None and (current is None or deadline < current):
        result["activeDeadlineSeconds"] = deadline
    tolerations = _with_tolerations(items(spec.get("tolerations")), placement.tolerations(virtual, context))
    if tolerations is not None:
        result["tolerations"] = tolerations
    gates = {gate["name"] for gate in items(spec.get("schedulingGates"))}
    if gates and not context.settings.schedules:
        result |= _while_gated(virtual, host, gates, context)
    return result


def _with_tolerations(have: list[Object], wanted: list[Object]) -> list[Object] | None:
    """All of `have`, with the seconds that `wanted` has, and what it has besides; None when that is `have`."""
    result = {_kind_of_toleration(toleration): toleration for toleration in have}
    result |= {_kind_of_toleration(toleration): toleration for toleration in wanted}
    merged = list(result.values())
    return merged if merged != have else None


def _kind_of_toleration(toleration: Object) -> tuple[Any, ...]:
    return tuple(toleration.get(field) for field in ("key", "operator", "value", "effect"))


def _while_gated(virtual: Object, host: Object, gates: set[str], context: Context) -> Object:
    """A gated pod may still be narrowed to fewer nodes; its gates go one by one."""
    spec = host["spec"]
    result: Object = {}
    selector = spec.get("nodeSelector") or {}
    narrower = {
        name: value for name, value in placement.node_selector(virtual, context).items() if name not in selector
    }
    if narrower:
        result["nodeSelector"] = narrower
    affinity = (virtual.get("affinity") or {}).get("nodeAffinity")
    if affinity and affinity != (spec.get("affinity") or {}).get("nodeAffinity"):
        result["affinity"] = {"nodeAffinity": affinity}
    # Only the tenant's: the host may have added gates of its own.
    tenants = (host["metadata"].get("annotations") or {}).get(GATES, "").split()
    still = {gate["name"] for gate in items(virtual.get("schedulingGates"))}
    lifted = [name for name in tenants if name in gates and name not in still]
    if lifted:
        result["schedulingGates"] = [{"$patch": "delete", "name": name} for name in lifted]
    return result


def _new_ephemeral_containers(virtual: Object, host: Object, context: Context) -> list[Object]:
    wanted = items(virtual["spec"].get("ephemeralContainers"))
    known = _by_name(host["spec"].get("ephemeralContainers"))
    new = [container for container in wanted if container["name"] not in known]
    if not new:
        return []
    translate = translator(virtual, context)
    return [translate(container) for container in new]
