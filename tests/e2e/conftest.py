"""The lab with two nodes, and one release with default values that most tests share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import commands
from tests.e2e.tenancy import Kubectl, Release, install, uninstall

_PATIENCE = 240
"""Seconds for a test with what it sets up and takes down, which may be whole releases on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives tests of this folder more time than the unit tests have, unless they ask for another."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_PATIENCE))


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """A host cluster with two nodes and all images."""
    with commands.borrowed(nodes=2):
        yield


@pytest.fixture(scope="session")
def release(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A virtual cluster installed with default values into a namespace that enforces Pod Security "restricted"."""
    installed = install("vc", f"e2e-{uuid.uuid4().hex[:6]}", tmp_path_factory.mktemp("release"))
    yield installed
    uninstall(installed)


@pytest.fixture(scope="session")
def neighbour(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A second release of the same name in another host namespace."""
    installed = install("vc", f"next-{uuid.uuid4().hex[:6]}", tmp_path_factory.mktemp("neighbour"))
    yield installed
    uninstall(installed)


@pytest.fixture
def space(release: Release) -> Iterator[str]:
    """A namespace of the virtual cluster for one test."""
    with release.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield name


@pytest.fixture
def kubectl(release: Release, space: str) -> Kubectl:
    """The tenant's kubectl in that namespace."""
    return release.tenant.within(space)


@pytest.fixture(scope="module")
def stage(release: Release) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace that the tests of one module share, for things that none of them changes."""
    with release.tenant_namespace(f"m-{uuid.uuid4().hex[:6]}") as name:
        yield release.tenant.within(name)
