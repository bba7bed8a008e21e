"""The specs that `make test` runs."""

from __future__ import annotations

import json

from tests.conformance import published
from tests.conformance.__main__ import SUBSET, chosen


def test_remarks_and_empty_lines_name_no_spec() -> None:
    assert chosen("# why\n\n[sig-node] Pods should run [Conformance]\n") == ["[sig-node] Pods should run [Conformance]"]


def test_every_chosen_spec_passed_in_the_published_run_with_default_values() -> None:
    specs = json.loads(published.FILE.read_text())["specs"]

    assert {name: specs.get(name, {}).get("default") for name in chosen(SUBSET.read_text())} == dict.fromkeys(
        chosen(SUBSET.read_text()), "passed"
    )


def test_every_group_that_has_quick_specs_is_among_them() -> None:
    groups = {name.partition("]")[0].removeprefix("[sig-") for name in chosen(SUBSET.read_text())}

    assert groups >= {
        "api-machinery",
        "apps",
        "auth",
        "cli",
        "instrumentation",
        "network",
        "node",
        "scheduling",
        "storage",
    }
