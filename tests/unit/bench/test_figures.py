"""Statistics of the benchmark, and the file its figures are kept in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.figures import Figure, Results, load, percentile, rounded


def figure(target: str, value: float, *, measure: str = "serial.object", detail: str = "p50") -> Figure:
    return Figure(measure=measure, detail=detail, target=target, value=value)


def results(*figures: Figure) -> Results:
    return Results({"commit": "abc"}, figures)


@pytest.mark.parametrize(("percent", "value"), [(0, 1.0), (50, 2.5), (90, 3.7), (100, 4.0)])
def test_a_percentile_lies_between_the_two_nearest_values(percent: float, value: float):
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == pytest.approx(value)


def test_a_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("value", "kept"), [(123456.0, 123500.0), (0.00123456, 0.001235), (0.0, 0.0), (-2.34567, -2.346)]
)
def test_four_digits_of_a_number_are_kept(value: float, kept: float):
    assert rounded(value) == pytest.approx(kept)


def test_a_ratio_is_to_the_bare_hosts_figure_of_the_same_name():
    found = results(figure("host", 2.0), figure("host", 9.0, detail="p90"), figure("sublet", 5.0))

    assert found.ratio(found.figures[2]) == pytest.approx(2.5)


@pytest.mark.parametrize("base", [0.0, -0.4])
def test_there_is_no_ratio_to_nothing(base: float):
    found = results(figure("host", base), figure("sublet", 5.0))

    assert found.ratio(found.figures[1]) is None


def test_the_bare_host_comes_first_whatever_was_found_first():
    assert results(figure("other", 1.0), figure("sublet", 1.0), figure("host", 1.0)).targets == [
        "host",
        "other",
        "sublet",
    ]


def test_what_was_written_is_read_again(tmp_path: Path):
    written = results(figure("host", 2.0), figure("sublet", 5.0))
    (tmp_path / "results.json").write_text(written.text())

    assert load(tmp_path / "results.json") == written


def test_ratios_are_written_for_readers_of_the_file():
    assert (
        '"target": "sublet", "value": 5.0, "ratio": 2.5}' in results(figure("host", 2.0), figure("sublet", 5.0)).text()
    )
