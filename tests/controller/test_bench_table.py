"""What the benches print: one table of everything that was measured."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.table import read_all, row, table


def test_a_ratio_says_how_many_times_better_than_the_baseline() -> None:
    assert row("calls", 1, 300.0, 100.0, "theirs", "1/s").ratio == 3.0
    assert row("start", 1, 2.0, 10.0, "replay", "s", less_is_better=True).ratio == 5.0
    assert row("start", 1, 0.0, 10.0, "replay", "s", less_is_better=True).ratio is None


def test_one_table_has_the_rows_of_all_benches_in_columns_that_line_up() -> None:
    rows = [row("start with a name that is longer than others", 1000, 2.0, 10.0, "replay", "s", less_is_better=True)]
    lines = table({"restart": rows, "plan": [row("add", 3, 0.0, 1.5, "create", "ms", less_is_better=True)]}).split("\n")
    assert len(lines) == 3
    assert lines[1].split()[-6:] == ["1000", "2.00", "10.00", "5.00", "s", "replay"]
    assert lines[2].split()[-5:] == ["0.00", "1.50", "-", "ms", "create"]
    column = lines[0].index("unit")
    assert [line[column:].split()[0] for line in lines] == ["unit", "s", "ms"]


def test_results_are_read_as_they_were_written_and_rubbish_is_named(tmp_path: Path) -> None:
    rows = [row("add", 3, 1.0, 2.0, "create", "ms")]
    (tmp_path / "plan.json").write_text(json.dumps([asdict(item) for item in rows]))
    assert read_all(tmp_path) == {"plan": rows}
    for rubbish in ("", "{", '[{"name": "x"}]', "[1]"):
        (tmp_path / "worse.json").write_text(rubbish)
        with pytest.raises(ValueError, match=r"worse\.json holds no results"):
            read_all(tmp_path)
