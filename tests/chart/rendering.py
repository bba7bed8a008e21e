"""Renders the chart as a user would, with `helm template`, and gives the objects back."""

from __future__ import annotations

import base64
import functools
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import toolchain

CHART = Path(__file__).resolve().parents[2] / "chart"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
VCLUSTER_FILES = sorted((Path(__file__).parent / "vcluster-files").glob("*.yaml"))

Object = dict[str, Any]


class Refused(Exception):
    """Helm did not render the chart; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects of one render; `text` is what helm printed."""

    text: str
    objects: tuple[Object, ...]

    def get(self, kind: str, name: str = "alpha") -> Object:
        """The one object of that kind and name."""
        (found,) = (item for item in self.objects if (item["kind"], item["metadata"]["name"]) == (kind, name))
        return found

    def of(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [item for item in self.objects if item["kind"] == kind]

    @property
    def pod(self) -> Object:
        """The spec of the control plane's pod."""
        spec: Object = self.get("StatefulSet")["spec"]["template"]["spec"]
        return spec

    def container(self, name: str) -> Object:
        """A container or init container of the control plane's pod."""
        (found,) = (item for item in self.pod["initContainers"] + self.pod["containers"] if item["name"] == name)
        return found

    @property
    def config(self) -> Object:
        """The config document that the syncer reads."""
        text = base64.b64decode(self.get("Secret", "vc-config-alpha")["data"]["config.yaml"]).decode()
        (document,) = documents(text)
        return document

    @property
    def manifests(self) -> list[Object]:
        """What the syncer applies in the virtual cluster."""
        return documents(self.config["manifests"])

    def manifest(self, kind: str) -> Object:
        """The one manifest of a kind."""
        (found,) = (item for item in self.manifests if item["kind"] == kind)
        return found


def documents(text: str) -> list[Object]:
    """What a YAML text holds, without empty documents."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, Loader=loader) if document]


def nested(path: str, value: Any) -> Object:
    """`a.b.c` and a value as nested maps."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def put(values: Object, path: str, value: object) -> None:
    """Sets the value at a dotted path; what lies above it already stays."""
    *above, last = path.split(".")
    for key in above:
        values = values.setdefault(key, {})
    values[last] = value


def helm(*arguments: str, program: str = "helm") -> str:
    """Runs helm, or another version of it; returns what it printed. Raises Refused."""
    binary = toolchain.build([program])[program]
    result = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Refused(result.stderr + result.stdout)
    return result.stdout


def render(values: Mapping[str, Any] | None = None, *, name: str = "alpha", namespace: str = "tenant") -> Rendered:
    """Renders release `name` in `namespace`. Raises Refused."""
    return _render(json.dumps(values or {}, sort_keys=True), name, namespace)


def template(values: str, name: str, namespace: str, *, program: str = "helm") -> str:
    """What `helm template` prints for values given as YAML or JSON."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        return helm("template", name, str(CHART), "--namespace", namespace, "--values", file.name, program=program)


@functools.cache
def _render(values: str, name: str, namespace: str) -> Rendered:
    text = template(values, name, namespace)
    return Rendered(text, tuple(documents(text)))


def pod_specs(rendered: Rendered) -> Iterator[tuple[str, Object]]:
    """Every pod spec of a render, those of the virtual cluster's manifests included, with what it belongs to."""
    for item in (*rendered.objects, *rendered.manifests):
        template = item.get("spec", {}).get("template")
        if template:
            yield f"{item['kind']} {item['metadata']['name']}", template["spec"]
