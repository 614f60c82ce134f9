"""Forecasts: better than naive where there is something to learn, else no worse, and with honest intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.telemetry.evaluation import season_of, walk_forward
from controller.telemetry.forecast import Forecaster
from controller.telemetry.quantiles import LEVELS, probability_above

DAY, TICKS, COUNT = 48, 900, 24


def daily(random):
    time = np.arange(TICKS)[:, None]
    phase = random.uniform(0, 6, COUNT)
    return 100 + 30 * np.sin(2 * np.pi * time / DAY + phase) + 4 * random.normal(size=(TICKS, COUNT))


def bursty(random):
    return daily(random) + (random.random((TICKS, COUNT)) < 0.02) * random.exponential(60, (TICKS, COUNT))


def shifted(random):
    made = daily(random)
    for column in range(COUNT):
        made[random.integers(100, TICKS) :, column] += random.normal(0, 50)
    return made


def wandering(random):
    return random.normal(size=(TICKS, COUNT)).cumsum(axis=0)


def noise(random):
    return 50 + random.normal(size=(TICKS, COUNT))


def judged(make, horizon, seasons=(DAY,)):
    values = make(np.random.default_rng(7))
    skills = walk_forward({str(n): values[:, n] for n in range(COUNT)}, horizon, seasons)
    return [
        float(np.mean([getattr(skill, part) for skill in skills]))
        for part in ("skill_vs_persistence", "skill_vs_seasonal_naive", "coverage")
    ]


@pytest.mark.parametrize("make", [daily, bursty, shifted])
@pytest.mark.parametrize("horizon", [1, 6, 12])
def test_a_daily_pattern_is_learnt_and_the_interval_covers_what_it_says(make, horizon):
    against_persistence, against_season, coverage = judged(make, horizon)
    assert against_persistence > 0.03
    assert against_season > 0.03
    assert coverage == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("horizon", [1, 6])
def test_where_nothing_can_be_learnt_it_is_persistence_with_honest_intervals(horizon):
    against_persistence, _, coverage = judged(wandering, horizon, seasons=())
    assert against_persistence == pytest.approx(0, abs=0.02)
    assert coverage == pytest.approx(0.9, abs=0.02)


def test_noise_is_forecast_by_its_mean():
    against_persistence, _, coverage = judged(noise, 3, seasons=())
    assert against_persistence > 0.25, "the mean is 1 - 1/sqrt(2) better than the last value"
    assert coverage == pytest.approx(0.9, abs=0.02)


@given(st.integers(5, 60), st.integers(0, 2**32 - 1))
def test_nothing_that_comes_later_changes_a_forecast(tick, seed):
    random = np.random.default_rng(seed)
    one = random.normal(size=(80, 3)).cumsum(axis=0)
    other = one.copy()
    other[tick:] += random.normal(size=other[tick:].shape) * 100
    first, second = (Forecaster(3, (1, 4), (7,)) for _ in range(2))
    for before, after in zip(one[:tick], other[:tick], strict=True):
        made, again = first.step(before), second.step(after)
        assert np.array_equal(made.point, again.point)
        assert np.array_equal(made.quantiles, again.quantiles)


@given(
    st.lists(
        st.one_of(st.floats(-1e12, 1e12), st.just(float("nan")), st.just(float("inf")), st.just(0.0)),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_comes_in_what_comes_out_is_finite_and_in_order(values):
    forecaster = Forecaster(1, (1, 3), (5,))
    for value in values:
        made = forecaster.step(np.array([value]))
        assert np.isfinite(made.point).all()
        assert (np.diff(made.quantiles, axis=1) >= 0).all()
        assert (made.lower <= made.upper).all()


def test_a_gap_teaches_nothing_and_the_forecast_goes_on():
    values = daily(np.random.default_rng(3))
    whole, holed = Forecaster(COUNT, (1,), (DAY,)), Forecaster(COUNT, (1,), (DAY,))
    errors = []
    for tick, row in enumerate(values[:-1]):
        whole.step(row)
        made = holed.step(np.where(tick % 9 == 4, np.nan, row))
        errors.append(np.abs(made.point[0] - values[tick + 1]).mean())
    assert np.isfinite(errors).all()
    assert np.mean(errors[-200:]) < 6


def test_the_probability_of_a_breach_is_what_happens_that_often():
    values = noise(np.random.default_rng(5))
    forecaster = Forecaster(COUNT, (2,))
    said, came = [], []
    for tick, row in enumerate(values[:-2]):
        made = forecaster.step(row)
        if tick > 300:
            said.append(made.probability_above(51.0)[0])
            came.append(values[tick + 2] > 51.0)
    assert np.mean(said) == pytest.approx(np.mean(came), abs=0.03)
    assert 0.1 < np.mean(came) < 0.25


@given(st.floats(-50, 50), st.floats(0.01, 10))
def test_a_higher_threshold_is_exceeded_less_often(threshold, width):
    quantiles = np.linspace(-2, 2, len(LEVELS))[:, None] * width
    point = np.zeros(1)
    low, high = (probability_above(np.array([t]), point, quantiles)[0] for t in (threshold, threshold + 0.5))
    assert 0 <= high <= low <= 1


def test_the_period_of_a_series_is_found_and_noise_has_none():
    random = np.random.default_rng(1)
    assert season_of(daily(random)[:300, 0], 300) == DAY
    assert season_of(random.normal(size=300), 300) == 0


@pytest.mark.parametrize("horizon,ticks,named", [(0, 900, "not ahead"), (48, 60, "too few")])
def test_what_cannot_be_judged_is_refused_with_the_reason(horizon, ticks, named):
    values = daily(np.random.default_rng(1))[:ticks, 0]
    with pytest.raises(InvalidInputError, match=named):
        walk_forward({"load": values}, horizon, ())


@pytest.mark.parametrize("horizon", [12, 48])
@pytest.mark.parametrize("make", [wandering, noise])
def test_far_ahead_the_interval_covers_what_it_says_though_forecasts_overlap(make, horizon):
    coverage = judged(make, horizon, ())[2]
    assert coverage == pytest.approx(0.9, abs=0.02)


def test_a_steady_rise_is_foreseen_further_than_any_usual_step():
    values = {"counter": 1000.0 * np.arange(600.0) + np.random.default_rng(3).normal(0, 10, 600)}
    assert walk_forward(values, 48, ())[0].skill_vs_persistence > 0.6


def test_an_interval_is_wide_before_any_error_was_seen():
    walk = Forecaster(1, (48,))
    made = [walk.step(np.array([value])) for value in np.random.default_rng(5).normal(size=20).cumsum()]
    assert made[-1].upper[0, 0] - made[-1].lower[0, 0] > 5


def test_a_state_that_lasts_is_covered_though_it_lies_far_from_a_usual_step():
    random = np.random.default_rng(6)
    flips = random.random((2000, 12)) < 0.02
    on = 100.0 * (flips.cumsum(axis=0) % 2)
    skills = walk_forward({str(n): on[:, n] for n in range(12)}, 48, ())
    assert np.mean([one.coverage for one in skills]) > 0.8


@pytest.mark.parametrize("horizon", [6, 48])
def test_what_moves_seldom_and_far_has_a_usual_step_all_the_same(horizon):
    random = np.random.default_rng(6)
    on = 100.0 * ((random.random((1500, 12)) < 0.08).cumsum(axis=0) % 2)
    skills = walk_forward({str(n): on[:, n] for n in range(12)}, horizon, ())
    assert 0.87 < np.mean([one.coverage for one in skills]) < 0.96
    assert np.mean([one.skill_vs_persistence for one in skills]) > 0.1


def test_what_was_nothing_at_first_does_not_make_intervals_absurd_when_it_begins_to_move():
    flips = np.random.default_rng(4).random(200) < 0.08
    values = 100.0 * ((flips & (np.arange(200) > 8)).cumsum() % 2)
    forecaster = Forecaster(1, (48,))
    made = [forecaster.step(np.array([value])) for value in values]
    assert made[-1].upper[0, 0] - made[-1].lower[0, 0] < 2000


def test_a_season_that_says_nothing_is_not_believed_when_it_begins():
    walk = (np.random.default_rng(8).normal(size=(1500, 8)) + 0.3).cumsum(axis=0)
    skills = walk_forward({str(n): walk[:, n] for n in range(8)}, 1, (480,))
    assert min(one.skill_vs_persistence for one in skills) > -0.05


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1e12])
def test_a_forecast_is_the_same_in_any_unit(unit):
    values = daily(np.random.default_rng(7))[:400, :3]
    plain, scaled = (walk_forward({"a": values[:, 0] * by}, 6, (DAY,))[0] for by in (1.0, unit))
    assert scaled.skill_vs_persistence == pytest.approx(plain.skill_vs_persistence, abs=1e-6)
    assert scaled.coverage == pytest.approx(plain.coverage, abs=0.01)


def test_a_baseline_that_errs_by_rounding_alone_is_none():
    time = np.arange(480)
    exact = walk_forward({"a": 100 + 30 * np.sin(2 * np.pi * time / DAY)}, 3, (DAY,))[0]
    assert np.isnan(exact.skill_vs_seasonal_naive)
