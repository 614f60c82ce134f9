"""Series of many families, as the bench judges forecasts on them."""

import numpy as np
import pytest

from bench.forecast_families import figures
from bench.series_families import FAMILIES, HELD_OUT, LEARNT_ON, write_csv
from controller.adapters.series_file import read_series


@pytest.mark.parametrize("name", ["short", "mixed, holes", "mixed, milliseconds, holes", "office hours"])
def test_a_family_is_written_as_the_command_reads_it(tmp_path, name):
    file = tmp_path / "series.csv"
    write_csv(name, 1, file)
    family, found = FAMILIES[name], read_series(file)
    assert len(found) == family.count
    assert [one.step_seconds for one in found] == pytest.approx([family.step_seconds] * family.count)
    assert {one.has_dates for one in found} == {family.has_dates}
    missing = np.mean([np.isnan(one.values).mean() for one in found])
    assert missing == pytest.approx(family.missing, abs=0.03)


def test_a_seed_makes_the_same_series_again_and_families_are_held_out_once(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    for file in (one, other):
        write_csv("short", 3, file)
    assert one.read_text() == other.read_text()
    assert not LEARNT_ON.keys() & HELD_OUT.keys()


def test_figures_are_what_the_command_says(tmp_path):
    (row,) = figures(["short"], [3])
    assert (row["family"], row["horizon"]) == ("short", 3)
    assert 0.8 < row["coverage"] < 1
    assert row["skill_vs_persistence"] > -0.05
