"""What a day is like, as the daemon's forecasts use it: much better where there is one, and nowhere worse."""

from dataclasses import replace

import numpy as np
import pytest

from controller.assurance.foresight import Foresight, Seen
from controller.telemetry.forecast import Forecaster
from controller.telemetry.forecast_daily import DailyForecaster
from controller.telemetry.season import Season
from tests.controller.assurance_world import DELAY

DAY, EVERY, DAYS, COUNT = 288, 6, 4, 12
HORIZONS = (1, 12)
JUDGED_FROM = 2 * DAY
T = np.arange(DAYS * DAY)[:, None]


def made(kind: str) -> np.ndarray:
    random = np.random.default_rng(11)
    shape = (len(T), COUNT)
    noise = random.normal(size=shape)
    if kind == "daily":
        return 100 + 30 * np.sin(2 * np.pi * T / DAY + random.uniform(0, 6, COUNT)) + 2 * noise
    if kind == "walk":
        return 100 + np.cumsum(noise, axis=0)
    if kind == "steps":
        return 100 + 50 * (np.cumsum(random.random(shape) < 0.005, axis=0) % 2) + noise
    if kind == "constant":
        return np.full(shape, 5.0)
    return 100 + 2 * noise


def errors(values: np.ndarray, *, with_day: bool, ticks: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squares (horizons, n) and coverage (horizons), from the third day on."""
    count = values.shape[1]
    daily, plain = DailyForecaster(count, HORIZONS, DAY, EVERY), Forecaster(count, HORIZONS)
    phases = np.arange(len(values)) if ticks is None else ticks
    told = [
        daily.step(row, int(at) % DAY) if with_day else plain.step(row) for row, at in zip(values, phases, strict=True)
    ]
    squares, inside = [], []
    for row, horizon in enumerate(HORIZONS):
        point, low, high = (
            np.stack([getattr(one, part)[row] for one in told[JUDGED_FROM:-horizon]])
            for part in ("point", "lower", "upper")
        )
        actual = values[JUDGED_FROM + horizon :]
        squares.append(np.sqrt(((point - actual) ** 2).mean(axis=0)))
        inside.append(((actual >= low) & (actual <= high)).mean())
    return np.stack(squares), np.array(inside)


def test_an_hour_ahead_a_series_with_a_day_is_forecast_far_better_for_knowing_it():
    values = made("daily")
    ours, coverage = errors(values, with_day=True)
    theirs, _ = errors(values, with_day=False)
    assert (ours[1] < 0.7 * theirs[1]).all()
    assert (ours[0] < theirs[0]).all()
    assert coverage == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("kind", ["noise", "walk", "steps", "constant"])
def test_a_series_without_a_day_is_forecast_no_worse_for_one_being_looked_for(kind):
    values = made(kind)
    ours, theirs = errors(values, with_day=True)[0], errors(values, with_day=False)[0]
    assert (ours.mean(axis=1) <= 1.02 * theirs.mean(axis=1)).all()
    assert (ours <= 1.15 * theirs + 1e-9).all()


def test_until_a_day_and_a_half_have_gone_by_nothing_is_another():
    values = made("daily")[: DAY + DAY // 2]
    daily, plain = DailyForecaster(COUNT, HORIZONS, DAY, EVERY), Forecaster(COUNT, HORIZONS)
    for tick, row in enumerate(values):
        one, other = daily.step(row, tick % DAY), plain.step(row)
        assert (one.point == other.point).all()
        assert (one.quantiles == other.quantiles).all()


def test_ticks_that_were_missed_do_not_shift_the_day():
    """A fifth of them: the phase is the time of the day, and not a count."""
    values = made("daily")
    kept = np.flatnonzero(np.random.default_rng(2).random(len(values)) > 0.2)
    forecaster = DailyForecaster(COUNT, (1,), DAY, EVERY)
    for at in kept:
        forecaster.step(values[at], int(at) % DAY)
    off = [forecaster.season.last(phase) - values[-DAY + phase] for phase in range(0, DAY - EVERY * 3, 5)]
    assert np.sqrt(np.mean(np.square(off))) < 4.0, "noise of 2, and parts of half an hour"


def test_the_part_that_has_just_gone_by_is_told_as_it_was_a_season_ago_where_it_still_borders_on_now():
    season = Season(1, 24, 4)
    for tick in range(48):
        season.remember(tick % 24, np.array([100.0 * (tick // 24)]))
    for tick in range(48, 72):
        season.remember(tick % 24, np.array([200.0]))
        if 52 <= tick < 70:  # before, it borders on the season before that; at the end, on what has gone by of this one
            assert season.last(tick % 24) == pytest.approx([100.0])


def test_memory_is_bounded_whatever_the_pace():
    for tick_seconds in (1.0, 10.0, 60.0):
        foresight = Foresight((30,), tick_seconds)
        for tick in range(3):
            foresight.step({DELAY: Seen(0.01, 1.0)}, 1_700_000_000.0 + tick * tick_seconds)
        (group,) = foresight._groups
        season = group.forecaster.season
        assert season.latest.nbytes + season.usual.nbytes <= 2 * 4 * 290


def test_objectives_are_foreseen_by_the_time_of_the_day_on_the_daemons_clock():
    """Five-minute ticks, an hour ahead, a delay that follows the day: what is told of it with a clock, and without."""
    values = made("daily")[:, :4] / 1e4
    objectives = [replace(DELAY, subject=f"a>{number}", target=1.0) for number in range(4)]

    def missed(begin: float | None) -> float:
        foresight, wrong = Foresight((12,), 300.0), []
        for tick, row in enumerate(values):
            seen = {one: Seen(float(value), 1.0) for one, value in zip(objectives, row, strict=True)}
            told = foresight.step(seen, None if begin is None else begin + 300.0 * tick)
            for number, one in enumerate(objectives):
                at = tick + round(told[one].horizon_seconds / 300.0)
                if told[one].horizon_seconds == 3600.0 and tick >= JUDGED_FROM and at < len(values):
                    wrong.append(told[one].point - values[at, number])
        assert len(wrong) > DAY
        return float(np.sqrt(np.mean(np.square(wrong))))

    assert missed(1_700_000_000.0) < 0.7 * missed(None)


def test_what_a_day_is_like_outlives_groups_becoming_one():
    """Quarter-hour ticks; objectives that come one a tick are groups of one until there are too many."""
    day, begin = 96, 19_700 * 86_400.0
    foresight = Foresight((4,), 900.0)
    objectives = [replace(DELAY, subject=f"a>{number}", target=1.0) for number in range(30)]
    for tick in range(day + 40):
        known = objectives[: min(20, tick + 1)] if tick < day + 20 else objectives[: tick - day + 1]
        foresight.step({one: Seen(0.01 + 0.001 * (tick % day), 1.0) for one in known}, begin + 900.0 * tick)
    joined = [group for group in foresight._groups if len(group.columns) > 5]
    assert joined, "there were too many groups"
    old = {str(one) for one in objectives[:20]}
    columns = [(group, column) for group in joined for name, column in group.columns.items() if name in old]
    assert columns
    for group, column in columns:
        assert group.forecaster.season.last(60)[column] == pytest.approx(0.07, rel=0.02)
