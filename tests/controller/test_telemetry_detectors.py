"""Alarms take two of three detectors, come soon, seldom without a cause, and say what shape the change has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.telemetry.detectors import Detectors, Deviations, Shape
from controller.telemetry.forecast import Forecaster
from controller.telemetry.half_space_trees import HalfSpaceTrees

COUNT, DAY, TICKS, AT = 20, 48, 500, 420
HORIZONS = (1, 12)


def quiet(seed=1):
    random = np.random.default_rng(seed)
    turn = 2 * np.pi * np.arange(TICKS)[:, None] / DAY + random.uniform(0, 6, COUNT)
    return 100 + 10 * np.sin(turn) + 2 * random.normal(size=(TICKS, COUNT))


def watched(values):
    forecaster, detectors = Forecaster(values.shape[1], HORIZONS, (DAY,)), Detectors(values.shape[1], HORIZONS)
    return [detectors.step(row, forecaster.step(row)) for row in values]


def said(alarms, begin, ticks):
    """Per series, the last shape said of an alarm in these ticks, NONE where there was none."""
    shapes = np.stack([one.shapes for one in alarms[begin : begin + ticks]])
    return [Shape(column[column > 0][-1]) if (column > 0).any() else Shape.NONE for column in shapes.T]


def test_quiet_series_with_a_day_raise_hardly_an_alarm():
    began = np.stack([one.began for one in watched(quiet())])
    assert began[100:].sum() <= 2, "of 8,000 values"


def test_a_spike_is_alarmed_at_once_and_stays_a_spike():
    values = quiet()
    values[AT] += 80
    alarms = watched(values)
    assert alarms[AT].began.mean() > 0.9
    assert said(alarms, AT, 6).count(Shape.SPIKE) > 0.8 * COUNT


@pytest.mark.parametrize("size", [80, -60])
def test_a_level_that_stays_is_named_a_shift_within_four_ticks(size):
    values = quiet()
    values[AT:] += size
    alarms = watched(values)
    assert alarms[AT].began.mean() > 0.9
    assert said(alarms, AT, 4).count(Shape.LEVEL_SHIFT) > 0.8 * COUNT


def test_the_alarm_over_a_shift_ends_when_the_new_level_is_learnt():
    values = quiet()
    values[AT:] += 80
    assert watched(values)[-1].active.mean() < 0.3


def test_a_slow_rise_in_which_no_value_stands_out_is_a_drift():
    values = 100 + 2 * np.random.default_rng(5).normal(size=(TICKS, COUNT))
    values[AT:] += 1.5 * np.arange(TICKS - AT)[:, None]
    shapes = said(watched(values), AT, TICKS - AT)
    assert shapes.count(Shape.DRIFT) > 0.6 * COUNT


def test_a_drift_that_forecasts_have_learnt_is_seen_beside_what_was_so_a_day_ago():
    """It rises no faster than the day itself does, and from the day's trough on: no value is unheard of."""
    turn = 2 * np.pi * np.arange(800)[:, None] / 288
    values = 100 - 40 * np.cos(turn) + 2 * np.random.default_rng(7).normal(size=(800, COUNT))
    begin = 576
    values[begin:] += np.minimum(np.arange(800 - begin) / 60, 1.0)[:, None] * 40
    forecaster, detectors = Forecaster(COUNT, HORIZONS, (288,)), Detectors(COUNT, HORIZONS)
    alarms = [detectors.step(row, forecaster.step(row)) for row in values]
    found = np.stack([one.began for one in alarms[begin : begin + 72]]).any(axis=0)
    assert found.mean() > 0.8
    assert said(alarms, begin, 72).count(Shape.DRIFT) > 0.8 * COUNT
    assert not np.stack([one.votes[2] for one in alarms[begin : begin + 72]]).any(axis=0).mean() > 0.5


def test_a_spike_has_no_echo_a_day_later():
    values = quiet()
    values[AT - DAY] += 80
    alarms = watched(values)
    assert not np.stack([one.began for one in alarms[AT - 1 : AT + 3]]).any()


def test_silence_alarms_by_itself_after_three_ticks_and_ends_with_the_next_value():
    values = quiet()
    values[AT : AT + 6, 0] = np.nan
    alarms = watched(values)
    assert [bool(one.active[0]) for one in alarms[AT : AT + 7]] == [False, False, True, True, True, True, False]
    assert [bool(one.began[0]) for one in alarms[AT : AT + 4]] == [False, False, True, False]
    assert alarms[AT + 3].shapes[0] == Shape.SILENCE


def test_one_detector_alone_raises_no_alarm():
    alarms = watched(quiet())
    alone = sum(int(((one.votes.sum(axis=0) == 1) & ~one.began).sum()) for one in alarms)
    assert alone > 10, "single votes happen"
    held = np.zeros((3, COUNT))
    for one in alarms:
        held = np.where(one.votes, 3, np.maximum(held - 1, 0))
        assert not (one.began & ((held > 0).sum(axis=0) < 2)).any()


def test_deviations_are_those_of_a_normal_law_and_outliers_do_not_widen_them():
    random, deviations = np.random.default_rng(1), Deviations(200)
    scores = []
    for tick in range(600):
        values = 7 + 3 * random.normal(size=200)
        outlier = random.random(200) < 0.05
        made = deviations.step(np.where(outlier, values + 1e6, values))
        if tick > 200:
            scores.append(np.where(outlier, np.nan, made))
    assert np.nanstd(scores) == pytest.approx(1, abs=0.25)
    assert np.nanmean(scores) == pytest.approx(0, abs=0.15)


def test_what_was_constant_and_begins_to_vary_is_not_far_off_for_long():
    random, deviations = np.random.default_rng(1), Deviations(200)
    for _ in range(100):
        deviations.step(np.full(200, 7.0))
    for _ in range(150):
        scores = deviations.step(7 + 3 * random.normal(size=200))
    assert (np.abs(scores) > 5).mean() < 0.05


def test_trees_know_where_points_fell_and_find_others_novel():
    random, trees = np.random.default_rng(1), HalfSpaceTrees(3, 50)
    known = np.ones(50, dtype=bool)
    for _ in range(300):
        usual = trees.step(0.5 + 0.05 * random.normal(size=(3, 50)), known)
    assert usual.mean() < 0.05
    assert trees.step(np.full((3, 50), 0.95), known).mean() > 0.6


@settings(max_examples=40)
@given(st.lists(st.one_of(st.floats(-1e12, 1e12), st.floats()), min_size=1, max_size=120))
def test_whatever_comes_in_alarms_have_shapes_and_no_alarm_has_none(values):
    with np.errstate(all="ignore"):
        for one in watched(np.array(values)[:, None]):
            assert ((one.shapes > 0) == one.active).all()
            assert (one.active | ~one.began).all()
