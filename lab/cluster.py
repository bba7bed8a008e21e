"""Talks to the running host cluster with its own kubectl, as admin."""

from __future__ import annotations

import json
import os
from typing import Any

from lab import certificates, shell, toolchain
from lab.errors import LabError


def kubectl(*words: str, stdin: str | None = None) -> str:
    """Runs kubectl and returns its output; raises LabError with its message when it fails."""
    program, admin = toolchain.path("kubectl"), certificates.kubeconfig("admin")
    direct = os.environ | {"NO_PROXY": "*"}
    return shell.run(program, "--kubeconfig", admin, *words, stdin=stdin, environment=direct)


def ready() -> bool:
    """Whether the API server says of itself that it is ready."""
    try:
        return kubectl("--request-timeout=2s", "get", "--raw", "/readyz") == "ok"
    except LabError:
        return False


def nodes() -> list[dict[str, Any]]:
    """All Node objects, fake ones too."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return found


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a Node object says of itself that it is ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
