"""Talks to the running host cluster with its own kubectl, as admin."""

from __future__ import annotations

import json
from typing import Any

from lab import certificates, controlplane, shell


def kubectl(*words: str, stdin: str | None = None) -> str:
    """Runs kubectl and returns its output; raises LabError with its message when it fails."""
    return shell.run(controlplane.kubectl(), "--kubeconfig", certificates.kubeconfig("admin"), *words, stdin=stdin)


def nodes() -> list[dict[str, Any]]:
    """All Node objects, fake ones too."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return found


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a Node object says of itself that it is ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
