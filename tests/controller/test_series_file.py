"""Recorded series from CSV, and `accord bench assure` over them."""

import json
import math
import time

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


def test_columns_are_known_by_their_names_whatever_stands_beside_them(tmp_path):
    text = "unit,Value,series,TIME\nms,3,a,0\nms,4,a,60\n"
    (one,) = read_series(written(tmp_path, text))
    assert (one.name, one.step_seconds, list(one.values)) == ("a", 60.0, [3.0, 4.0])


@pytest.mark.parametrize(
    "text,named",
    [
        ("a,b\n", "first line"),
        ("time,series,value,time\n", "first line"),
        ("time,series,value\n", "no values"),
        ("time,series,value\n1,a\n", "line 2 has 2 columns"),
        ("time,series,value\nyesterday,a,1\n", "line 2: 'yesterday'"),
        ("time,series,value\n1,a,x\n", "line 2: 'x' is not a number"),
        ("time,series,value\nnan,a,1\n", "line 2: 'nan' is no time"),
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


def assured(tmp_path, capsys, rows, horizon="3"):
    """What `accord bench assure` says of (time, series, value)."""
    text = "".join(f"{time},{name},{value}\n" for time, name, value in rows)
    file = written(tmp_path, "time,series,value\n" + text)
    assert main(["bench", "assure", "--series", str(file), "--horizon", horizon, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    return told, {row["series"]: row for row in told["per_series"]}


def wave(count, name="a", step=60.0, begin=0.0):
    random = np.random.default_rng(5)
    return [(begin + step * n, name, 10 + 3 * math.sin(n / 5) + 0.3 * random.normal()) for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_series_that_is_too_short_is_said_to_be_unknown_and_keeps_no_other_from_being_judged(tmp_path, capsys, count):
    told, rows = assured(tmp_path, capsys, wave(400) + wave(count, "b"))
    assert (rows["b"]["scored"], rows["b"]["coverage"]) == (0, None)
    assert told["skill_vs_persistence"] == rows["a"]["skill_vs_persistence"] > 0


def test_a_series_that_never_changes_is_forecast_without_error(tmp_path, capsys):
    told, rows = assured(tmp_path, capsys, [(60 * n, "a", 5) for n in range(200)])
    assert (rows["a"]["rmse"], told["coverage"], told["skill_vs_persistence"]) == (0.0, 1.0, None)


@pytest.mark.parametrize("nothing", ["", "nan", "inf", None])
def test_missing_values_are_neither_learnt_nor_scored(tmp_path, capsys, nothing):
    rows = [(time, name, nothing if n % 5 == 2 else value) for n, (time, name, value) in enumerate(wave(500))]
    told, found = assured(tmp_path, capsys, [row for row in rows if row[2] is not None])
    assert found["a"]["scored"] < 450 * 0.85
    assert told["skill_vs_persistence"] > 0.2
    assert 0.8 < told["coverage"] < 1.0


def test_ticks_that_are_irregular_or_out_of_order_are_put_on_a_grid(tmp_path, capsys):
    random = np.random.default_rng(3)
    rows = [(time + random.uniform(-20, 20), name, value) for time, name, value in wave(500)]
    told, _ = assured(tmp_path, capsys, [rows[n] for n in random.permutation(len(rows))])
    assert told["skill_vs_persistence"] > 0.2


def test_a_long_hole_is_no_season_and_leaves_the_intervals_as_wide_as_they_were(tmp_path, capsys):
    told, rows = assured(tmp_path, capsys, wave(200) + wave(200, begin=6000 * 60.0))
    assert rows["a"]["season"] < 100
    assert told["coverage"] > 0.75


def test_of_a_period_and_its_multiples_the_period_is_found(tmp_path, capsys):
    _, rows = assured(tmp_path, capsys, [(n, "a", n % 9) for n in range(400)])
    assert rows["a"]["season"] == 9


def test_small_values_are_told_with_their_digits(tmp_path, capsys):
    _, rows = assured(tmp_path, capsys, [(time, name, value * 1e-6) for time, name, value in wave(300)])
    assert 0 < rows["a"]["rmse"] < 1e-5


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    file = tmp_path / "series.csv"
    file.write_text("time,series,value\n0,a,1\n", encoding="utf-8-sig")
    assert read_series(file)[0].name == "a"


def test_a_directory_is_refused_by_name(tmp_path):
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_series(tmp_path)


def test_of_two_values_for_one_time_the_later_line_counts_unless_it_says_nothing(tmp_path):
    one = read_series(written(tmp_path, "time,series,value\n0,a,9\n1,a,5\n0,a,2\n1,a,nan\n2,a,4\n"))[0]
    assert one.values.tolist() == [2, 5, 4]


def test_ticks_that_come_unevenly_do_not_drift_off_the_grid(tmp_path):
    random = np.random.default_rng(7)
    rows = "".join(f"{300 * n + random.uniform(-60, 60)},a,{n}\n" for n in range(1500))
    one = read_series(written(tmp_path, "time,series,value\n" + rows))[0]
    assert one.step_seconds == pytest.approx(300, rel=1e-3)
    assert len(one.values) == 1500
    assert np.isfinite(one.values).all()


def test_a_date_without_an_offset_is_utc_whatever_the_clock_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    text = "time,series,value\n2026-03-29T01:00:00,a,1\n2026-03-29T02:00:00,a,2\n2026-03-29T03:00:00,a,3\n"
    found = read_series(written(tmp_path, text))[0].values.tolist()
    monkeypatch.undo()
    time.tzset()
    assert found == [1, 2, 3]


def test_series_forecast_together_are_judged_as_each_alone(tmp_path, capsys):
    _, together = assured(tmp_path, capsys, wave(300, "a") + wave(300, "b", step=30.0) + wave(290, "c"))
    for name, rows in (("a", wave(300, "a")), ("b", wave(300, "b", step=30.0)), ("c", wave(290, "c"))):
        _, alone = assured(tmp_path, capsys, rows)
        assert alone[name] == pytest.approx(together[name])
    assert list(together) == ["a", "b", "c"]


@pytest.mark.parametrize("factor", [1e300, 1e-150])
def test_values_of_any_size_are_judged(tmp_path, capsys, factor):
    told, _ = assured(tmp_path, capsys, [(time, name, value * factor) for time, name, value in wave(300)])
    assert told["coverage"] is not None
    assert told["skill_vs_persistence"] is not None


@pytest.mark.parametrize("horizon", ["infh", "nanh", "0", "-3", "1w"])
def test_a_horizon_that_is_none_is_refused_by_name(tmp_path, capsys, horizon):
    file = written(tmp_path, "time,series,value\n0,a,1\n1,a,2\n")
    assert main(["bench", "assure", "--series", str(file), "--horizon", horizon]) == 1
    assert f"'{horizon}' is no horizon" in capsys.readouterr().err


def test_what_could_not_be_judged_is_named(tmp_path, capsys):
    file = written(tmp_path, "time,series,value\n0,brief,1\n1,brief,2\n")
    assert main(["bench", "assure", "--series", str(file), "--horizon", "3"]) == 0
    assert "to be judged at this horizon: brief" in capsys.readouterr().out


@pytest.mark.parametrize(
    "factor, word", [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")], ids=["ms", "us", "ns"]
)
def test_times_in_smaller_units_since_1970_are_taken_as_such_and_it_is_said(tmp_path, capsys, factor, word):
    rows = "".join(f"{round((1_700_000_000 + 300 * n) * factor)},a,{n % 7}\n" for n in range(60))
    file = written(tmp_path, f"time,series,value\n{rows}")
    (one,) = read_series(file)
    assert (round(one.step_seconds), len(one.values)) == (300, 60)
    assert main(["bench", "assure", "--series", str(file), "--horizon", "5m", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["notes"] == [f"times are taken as {word} since 1970"]
    assert told["per_series"][0]["scored"] > 0


def test_seconds_since_1970_are_seconds_and_nothing_is_said(tmp_path):
    rows = "".join(f"{1_700_000_000 + 300 * n},a,{n % 7}\n" for n in range(60))
    (one,) = read_series(written(tmp_path, f"time,series,value\n{rows}"))
    assert (one.step_seconds, one.notes) == (300.0, ())


def test_a_time_that_is_far_from_all_others_is_refused_by_name_or_its_hole_is_told(tmp_path):
    rows = "".join(f"{10 * n},a,{n}\n" for n in range(50))
    with pytest.raises(InvalidInputError, match="most of them before the time 17000000000") as refused:
        read_series(written(tmp_path, f"time,series,value\n{rows}17000000000,a,1\n"))
    assert "leave them out" in refused.value.remedy
    (one,) = read_series(written(tmp_path, f"time,series,value\n{rows}5000,a,1\n"))
    assert one.notes == ("a: nothing for 450 of 501 steps before the time 5000",)


def test_times_that_come_wildly_are_taken_to_the_nearest_step_and_it_is_said(tmp_path, capsys):
    times = np.cumsum(np.random.default_rng(3).exponential(30.0, 300))
    rows = "".join(f"{time:.3f},a,{n % 5}\n" for n, time in enumerate(times))
    file = written(tmp_path, f"time,series,value\n{rows}")
    (one,) = read_series(file)
    assert [note.partition(";")[0] for note in one.notes] == ["a: times come unevenly"]
    assert main(["bench", "assure", "--series", str(file), "--horizon", "3"]) == 0
    assert "times come unevenly" in capsys.readouterr().out
