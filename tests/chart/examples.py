"""What the examples come to, made as kubectl and Argo CD make it, with the chart of this checkout in the place of the published one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from lab import toolchain
from tests.chart.rendering import CHART, Object, documents, template

EXAMPLES = CHART.parent / "examples"
NAMES = ("kustomize", "argocd")


def objects(name: str, folder: Path, *, values: Object | None = None) -> list[Object]:
    """The objects of an example. `folder` is free to write in; `values` go on top of the example's own."""
    return _kustomize(folder, values or {}) if name == "kustomize" else _argocd(values or {})


def _kustomize(folder: Path, values: Object) -> list[Object]:
    place = folder / "kustomize"
    shutil.copytree(EXAMPLES / "kustomize", place)
    # Where it would put the published one; it does not fetch what is there.
    (chart,) = yaml.safe_load((place / "kustomization.yaml").read_text())["helmCharts"]
    shutil.copytree(CHART, place / "charts" / f"{chart['name']}-{chart['version']}" / chart["name"])
    (place / "values.yaml").write_text(json.dumps(merged(yaml.safe_load((place / "values.yaml").read_text()), values)))
    programs = toolchain.build(["kubectl", "helm3"])
    return _loaded(
        [str(programs["kubectl"]), "kustomize", "--enable-helm", f"--helm-command={programs['helm3']}", str(place)]
    )


def _argocd(values: Object) -> list[Object]:
    spec = yaml.safe_load((EXAMPLES / "argocd" / "application.yaml").read_text())["spec"]
    namespace, policy = spec["destination"]["namespace"], spec["syncPolicy"]
    text = template(
        json.dumps(merged(spec["source"]["helm"]["valuesObject"], values)),
        spec["source"]["helm"]["releaseName"],
        namespace,
        program="helm3",
    )
    metadata = {"name": namespace, **policy["managedNamespaceMetadata"]}
    # Argo CD leaves out what only `helm test` makes.
    made = [item for item in documents(text) if "helm.sh/hook" not in item["metadata"].get("annotations", {})]
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, *made]


def merged(values: Object, over: Object) -> Object:
    """Values with others laid over them."""
    result = dict(values)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _loaded(command: Sequence[str]) -> list[Object]:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return documents(result.stdout)
