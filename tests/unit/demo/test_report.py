"""What the demo says of its proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.hosts import Host
from demo.kubectl import Kubectl
from demo.proofs import Proof, Scene, expect
from demo.release import Release
from demo.report import Line, show, table
from lab.errors import LabError


@pytest.fixture
def scene() -> Scene:
    kubectl = Kubectl(program="kubectl", kubeconfig=Path("none"))
    release = Release(host=Host(kubectl=kubectl, helm_program="helm"), name="alpha", namespace="tenant")
    return Scene(release=release, tenant=kubectl)


def holds(_: Scene) -> str:
    return "seen"


def does_not_hold(_: Scene) -> str:
    raise LabError("it is 1, not 2", "report it")


def test_a_failed_proof_does_not_stop_the_next(scene: Scene):
    lines = show([Proof(claim="first", show=does_not_hold), Proof(claim="second", show=holds)], scene)

    assert [(line.claim, line.passed) for line in lines] == [("first", False), ("second", True)]


def test_the_table_counts_what_was_proved():
    lines = [
        Line(claim="first", passed=True, seconds=1.0, seen="seen"),
        Line(claim="second", passed=False, seconds=2.0, seen="it is 1, not 2\n  -> report it"),
    ]

    assert table(lines).splitlines()[-1] == "1 of 2 proved"


def test_the_table_has_one_line_per_proof():
    line = Line(claim="first", passed=False, seconds=1.0, seen="one\ntwo")

    assert len(table([line, line]).splitlines()) == 3


def test_an_expectation_names_what_was_seen():
    with pytest.raises(LabError, match="the exit code is 1, not 7"):
        expect(1, 7, what="the exit code")


def labelled(labels: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"kind": "Secret", "metadata": {"name": "any", "labels": labels, **more}}


@pytest.mark.parametrize(
    "obj",
    [
        labelled({"sublet.dev/managed-by": "alpha"}),
        labelled({"app.kubernetes.io/instance": "alpha"}),
        labelled({}, ownerReferences=[{"name": "vc-owner-alpha"}]),
        labelled({}, name="sh.helm.release.v1.alpha.v1"),
    ],
)
def test_an_object_of_the_release_is_known_by_label_owner_or_record(scene: Scene, obj: dict[str, Any]):
    assert scene.release.is_ours(obj)


@pytest.mark.parametrize(
    "obj",
    [
        labelled({"sublet.dev/managed-by": "beta"}),
        labelled({}, ownerReferences=[{"name": "vc-owner-beta"}]),
        labelled({}, name="sh.helm.release.v1.alphabet.v1"),
    ],
)
def test_an_object_of_another_release_is_not_ours(scene: Scene, obj: dict[str, Any]):
    assert not scene.release.is_ours(obj)
