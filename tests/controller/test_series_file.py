"""Recorded series from CSV, and `accord bench assure` over them."""

import json
import math

import numpy as np
import pytest

from controller.adapters.series_file import read_series
from controller.cli.main import main
from controller.model.errors import InvalidInputError, NotFoundError


def written(tmp_path, text):
    file = tmp_path / "series.csv"
    file.write_text(text)
    return file


def test_series_come_on_an_even_grid_with_holes_where_nothing_was_recorded(tmp_path):
    rows = "".join(f"2026-01-01T00:{minute:02}:00+00:00,a,{minute}\n" for minute in range(0, 20, 2) if minute != 6)
    one = read_series(written(tmp_path, f"time,series,value\n{rows}"))[0]
    assert (one.step_seconds, len(one.values), one.has_dates) == (120.0, 10, True)
    assert math.isnan(one.values[3])
    assert one.values[4] == 8


@pytest.mark.parametrize(
    "text,named",
    [
        ("a,b\n", "first line"),
        ("time,series,value\n", "no values"),
        ("time,series,value\n1,a\n", "line 2 has 2 columns"),
        ("time,series,value\nyesterday,a,1\n", "line 2: 'yesterday'"),
        ("time,series,value\n1,a,x\n", "line 2: 'x' is not a number"),
        ("time,series,value\n1,a,1\n2,a,2\n", "series 'a' has 2 values"),
    ],
)
def test_a_file_that_is_none_is_refused_naming_the_place(tmp_path, text, named):
    with pytest.raises(InvalidInputError, match=named):
        read_series(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        read_series(tmp_path / "none.csv")


def test_bench_assure_prints_skill_and_coverage_overall_and_per_series(tmp_path, capsys):
    random = np.random.default_rng(2)
    lines = ["time,series,value"]
    for name, phase in (("p1-p2", 0.0), ("p3-p4", 2.0)):
        lines += [
            f"{3600 * hour},{name},{100 + 40 * math.sin(2 * math.pi * hour / 24 + phase) + random.normal() * 5}"
            for hour in range(24 * 30)
        ]
    file = written(tmp_path, "\n".join(lines))
    assert main(["bench", "assure", "--series", str(file), "--horizon", "6h", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["series"] for row in told["per_series"]] == ["p1-p2", "p3-p4"]
    assert {row["season"] for row in told["per_series"]} == {24}
    assert told["skill_vs_persistence"] > 0.5
    assert told["skill_vs_seasonal_naive"] > 0
    assert told["coverage"] == pytest.approx(0.9, abs=0.03)
    assert main(["bench", "assure", "--series", str(file), "--horizon", "soon"]) == 1
    assert "'soon' is no horizon" in capsys.readouterr().err
