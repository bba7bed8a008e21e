"""What the tenant last asked for in those parts of a pod that may change after its creation.

The host may change the same parts: a LimitRange fills in resources, a webhook rewrites images, a gate is added. Comparing both sides
would therefore fight the host for ever. Instead each host pod remembers, in one short annotation, a digest of what the tenant asked
for; only a part whose digest has changed is looked at and sent.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Any

import orjson

from syncer.names import PREFIX, Object
from syncer.rules.pods.references import items

ASKED = PREFIX + "asked"
_DIGEST_BYTES = 5


class Part(IntEnum):
    """Parts of a pod that may change, in the order of their digests."""

    IMAGES = 0
    RESOURCES = 1
    PLACEMENT = 2


def asked(pod: Object) -> str:
    """The digests of all parts, as the annotation has them."""
    spec = pod["spec"]
    containers = [*items(spec.get("initContainers")), *items(spec.get("containers"))]
    return ".".join(
        (
            _digest([container.get("image") for container in containers]),
            _digest([spec.get("resources"), *(container.get("resources") for container in containers)]),
            _digest(
                [
                    spec.get("activeDeadlineSeconds"),
                    spec.get("tolerations"),
                    spec.get("schedulingGates"),
                    spec.get("nodeSelector"),
                    (spec.get("affinity") or {}).get("nodeAffinity"),
                ]
            ),
        )
    )


def changed(wanted: str, remembered: str | None) -> frozenset[Part]:
    """The parts in which two annotation values differ; all of them when there was none."""
    before = (remembered or "").split(".")
    if len(before) != len(Part):
        return frozenset(Part)
    now = wanted.split(".")
    return frozenset(part for part in Part if now[part] != before[part])


def _digest(value: Any) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=_DIGEST_BYTES).hexdigest()
