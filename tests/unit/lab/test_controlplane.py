"""The commands of the host's control plane."""

from __future__ import annotations

import pytest

from lab import catalogue, controlplane


@pytest.mark.parametrize("part", ["etcd", "apiserver", "controller_manager", "scheduler", "outside_dns"])
def test_no_component_depends_on_where_the_checkout_is(part: str) -> None:
    daemon = getattr(controlplane, part)()
    named = [text for text in (*daemon.command, *map(str, daemon.reads)) if str(catalogue.REPOSITORY) in text]
    assert named == []
