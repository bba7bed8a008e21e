"""The status of a virtual pod: what the host says, in the tenant's terms.

Containers that the tenant did not ask for are left out, images and names are translated back, generations are those of the virtual
pod, and what only the host's scheduler needs is dropped.
"""

from __future__ import annotations

from syncer.names import Key, Object
from syncer.rules.context import Context
from syncer.rules.pods import conditions
from syncer.rules.pods.hosts import VOLUME
from syncer.rules.pods.references import carried, items
from syncer.rules.pods.updates import is_pending
from syncer.rules.text import to_virtual_text

_HOSTS_OWN = frozenset(("nominatedNodeName", "extendedResourceClaimStatus", "nodeAllocatableResourceClaimStatuses"))
_STATUSES = {
    "initContainerStatuses": "initContainers",
    "containerStatuses": "containers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}


def status(host: Object, virtual: Object, context: Context) -> Object:
    """The status that the virtual pod should have."""
    theirs = host.get("status") or {}
    own = virtual.get("status") or {}
    result = {name: value for name, value in theirs.items() if name not in _HOSTS_OWN}
    result["qosClass"] = own.get("qosClass")
    text = _Text(host, virtual, context)
    for name, containers in _STATUSES.items():
        if theirs.get(name):
            result[name] = _container_statuses(theirs[name], virtual["spec"].get(containers), text, context)
    if result.get("message"):
        result["message"] = text.translated(result["message"])
    result |= _generations(host, virtual, text)
    return {name: value for name, value in result.items() if value is not None and value != []}


class _Text:
    """Translates messages of one pod, and gathers the names that they may hold only when there is a message."""

    __slots__ = ("_context", "_host_uid", "_known", "_virtual")

    def __init__(self, host: Object, virtual: Object, context: Context) -> None:
        self._host_uid, self._virtual, self._context = host["metadata"].get("uid"), virtual, context
        self._known: frozenset[Key] | None = None

    def translated(self, text: str) -> str:
        metadata = self._virtual["metadata"]
        if self._known is None:
            self._known = carried(self._virtual)
        if self._host_uid:
            text = text.replace(self._host_uid, metadata["uid"])
        key = Key("pods", metadata["namespace"], metadata["name"])
        return to_virtual_text(text, key, self._context, known=self._known)

    def within(self, item: Object) -> Object:
        """`item` with its own message translated; the same object when there is nothing to translate."""
        message = item.get("message")
        text = self.translated(message) if message else message
        return item if text == message else {**item, "message": text}


def _container_statuses(
    statuses: list[Object], containers: list[Object] | None, text: _Text, context: Context
) -> list[Object]:
    images = context.settings.pods.translate_image
    known = {container["name"]: container.get("image") for container in items(containers)}
    result = []
    for status_ in statuses:
        if status_["name"] not in known:
            continue
        changes: Object = {}
        if known[status_["name"]] in images:
            changes["image"] = known[status_["name"]]
        for field in ("state", "lastState"):
            state = status_.get(field)
            if state:
                told = {name: text.within(detail or {}) for name, detail in state.items()}
                if told != state:
                    changes[field] = told
        mounts = status_.get("volumeMounts")
        if mounts and any(mount["name"] == VOLUME for mount in mounts):
            changes["volumeMounts"] = [mount for mount in mounts if mount["name"] != VOLUME]
        result.append({**status_, **changes} if changes else status_)
    return result


def _generations(host: Object, virtual: Object, text: _Text) -> Object:
    """Conditions, and the generations that they and the status were observed at, counted as the virtual pod counts."""
    theirs, own = host.get("status") or {}, virtual.get("status") or {}
    host_generation = host["metadata"].get("generation") or 0
    generation = virtual["metadata"].get("generation")
    in_step: bool | None = None

    def observed(seen: int | None, before: int | None) -> int | None:
        nonlocal in_step
        if seen is None or generation is None:
            return None
        if before == generation:
            return before
        if in_step is None:
            in_step = not is_pending(virtual, host)
        return generation if in_step and seen >= host_generation else before

    earlier = {condition["type"]: condition for condition in items(own.get("conditions"))}
    gates = conditions.gate_types(virtual["spec"])
    mine = []
    for condition in items(theirs.get("conditions")):
        # A readiness gate goes both ways, so its words stay as they are.
        told = condition if condition["type"] in gates else text.within(condition)
        seen = condition.get("observedGeneration")
        if seen is not None:
            told = {name: value for name, value in told.items() if name != "observedGeneration"}
            now = observed(seen, earlier.get(condition["type"], {}).get("observedGeneration"))
            if now is not None:
                told["observedGeneration"] = now
        mine.append(told)
    return {
        "observedGeneration": observed(theirs.get("observedGeneration"), own.get("observedGeneration")),
        "conditions": conditions.merged(mine, items(own.get("conditions")), virtual["spec"]),
    }
