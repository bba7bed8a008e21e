"""Writes the images into chart/Chart.yaml for Artifact Hub, which looks through them, from the rows in chart/files/images.yaml."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parent.parent / "chart"
PAGE = CHART / "Chart.yaml"
_KEY = "  artifacthub.io/images: |\n"
_KUBERNETES = ("apiServer", "controllerManager", "scheduler")


def references() -> dict[str, str]:
    """Name and whole reference of each image. Raises ValueError for one of which nobody says the tag."""
    chart = yaml.safe_load(PAGE.read_text())
    version = yaml.safe_load((CHART / "values.yaml").read_text())["controlPlane"]["distro"]["k8s"]["version"]
    tags = {"syncer": chart["appVersion"], **dict.fromkeys(_KUBERNETES, version)}
    found = {}
    for name, row in yaml.safe_load((CHART / "files" / "images.yaml").read_text()).items():
        tag = row.get("tag") or tags.get(name)
        if not tag:
            raise ValueError(
                f"chart/files/images.yaml: {name} has no tag; say in docs/generate_images.py which it follows"
            )
        found[name] = f"{row['registry']}/{row['repository']}:{tag}"
    return found


def wanted() -> dict[Path, str]:
    """The file, with the list in the place of the one that is there."""
    text = PAGE.read_text()
    listed = "".join(f"    - name: {name}\n      image: {image}\n" for name, image in references().items())
    after, count = re.subn(rf"(?<=\n){re.escape(_KEY)}(?:    .*\n)*", _KEY + listed, text)
    if count != 1:
        raise ValueError(f"{PAGE} has no annotation artifacthub.io/images to write to")
    return {PAGE: after}
