"""Values files as users of vCluster have them: each is understood or refused by the name of a key in it, never half of it.

A file's first line says what becomes of it: it `installs` (on the lab, tests/e2e does so), it `renders` but needs what the lab does not
have, it is `refused` for the key that is named, or its keys decide.
"""

import pytest
import yaml

from docs.generate_values import leaves
from tests.chart.rendering import VCLUSTER_FILES, Refused, render
from tests.chart.test_security import violations


def verdict(file):
    """The word and what stands behind it."""
    word, _, rest = file.read_text().splitlines()[0].removeprefix("# ").partition(": ")
    return word, rest


def refusal(file):
    try:
        render(yaml.safe_load(file.read_text()))
    except Refused as refused:
        return str(refused)
    return ""


def of(*words):
    return pytest.mark.parametrize(
        "file", [file for file in VCLUSTER_FILES if verdict(file)[0] in words], ids=lambda file: file.stem
    )


def test_there_are_at_least_twelve_and_each_says_what_becomes_of_it():
    assert len(VCLUSTER_FILES) >= 12
    assert {verdict(file)[0] for file in VCLUSTER_FILES} == {"installs", "renders", "refused", "decided by its keys"}


@of("installs", "renders")
def test_a_file_that_is_understood_makes_a_control_plane(file):
    assert refusal(file) == ""


@of("installs")
def test_what_it_makes_satisfies_pod_security_restricted(file):
    assert violations(render(yaml.safe_load(file.read_text())).pod) == []


@of("refused")
def test_a_file_that_is_not_understood_is_refused_for_its_key(file):
    assert verdict(file)[1] in refusal(file)


@of("decided by its keys")
def test_any_other_is_understood_or_refused_for_one_of_its_keys(file):
    said = refusal(file)
    if said:
        keys = list(leaves(yaml.safe_load(file.read_text())))
        above = {".".join(path.split(".")[:depth]) for path in keys for depth in range(2, path.count(".") + 2)}
        assert any(path in said for path in above), said
