"""The Gateway API's own definitions on the host, so that its API server judges the routes that the chart makes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab import toolchain
from tests.e2e.tenancy import host_kubectl

MODULE = "sigs.k8s.io/gateway-api@v1.6.3"


def definition(plural: str) -> Path:
    """The file with the CustomResourceDefinition of a kind, out of the project's Go module."""
    command = [str(toolchain.find_go()), "mod", "download", "-json", MODULE]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tempfile.gettempdir())
    folder = Path(json.loads(found.stdout)["Dir"])
    return folder / "config" / "crd" / "standard" / f"gateway.networking.k8s.io_{plural}.yaml"


@contextlib.contextmanager
def defined(plural: str) -> Iterator[None]:
    """The host knows this kind, and forgets it afterwards."""
    host, file = host_kubectl(), str(definition(plural))
    host("apply", "--server-side", "--force-conflicts", "-f", file)
    try:
        host("wait", "--for=condition=Established", "-f", file, "--timeout=30s")
        yield
    finally:
        host("delete", "-f", file, "--ignore-not-found", "--timeout=60s")
