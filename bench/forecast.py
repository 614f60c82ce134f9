"""Owns `make bench-forecast`: what a tick of 10,000 series costs, how good forecasts are, and how soon alarms come.

Speed stands beside Holt-Winters in a loop over series, skill beside persistence and the same time yesterday (on series
made from published demands, and on delays recorded from the lab), and detection beside a plain robust z-score, in the
same run. `python -m bench.forecast`.
"""

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from bench.demand_series import TICKS_A_DAY, daily, demand_rates
from bench.lab_series import TICKS_A_DAY as LAB_TICKS_A_DAY
from bench.lab_series import recorded
from bench.table import Row, row, write
from controller.telemetry.detectors import Detectors, Shape
from controller.telemetry.evaluation import walk_forward
from controller.telemetry.forecast import Forecaster

Array = NDArray[np.float64]
NETWORKS = ("sndlib/abilene", "sndlib/geant", "sndlib/germany50")
HORIZONS = (1, 3, 6, 12)
COUNT = 10_000
TIMED_TICKS, WARM_TICKS = 30, TICKS_A_DAY + 12
BUDGET_MILLISECONDS = 20
JUDGED, JUDGED_DAYS = 60, 10
WATCHED, WATCHED_DAYS, TAUGHT_DAYS = 100, 8, 4
SIZES = {Shape.SPIKE: 0.5, Shape.LEVEL_SHIFT: 0.5, Shape.DRIFT: 1.0}
"""Of what is expected at that moment."""
DRIFT_TICKS = 48
IN_TIME = {Shape.SPIKE: 3, Shape.LEVEL_SHIFT: 12, Shape.DRIFT: 72}
PLAIN_Z = 5.0


class HoltWinters:
    """One series after another: additive, with a day's season and an interval from the spread of its errors."""

    def __init__(self, first: Array, season: int) -> None:
        self._states = [[value, 0.0, [0.0] * season, 0.0] for value in first.tolist()]
        self._season, self._tick = season, 0

    def step(self, values: Array) -> list[list[tuple[float, float, float]]]:
        """The point and 90 % interval of each horizon of each series."""
        at, season = self._tick % self._season, self._season
        made = []
        for state, value in zip(self._states, values.tolist(), strict=True):
            level, trend, seasonal, spread = state
            error = value - (level + trend + seasonal[at])
            new = level + trend + 0.2 * error
            trend += 0.02 * error
            seasonal[at] += 0.1 * error
            spread += 0.05 * (error * error - spread)
            state[0], state[1], state[3] = new, trend, spread
            width = 1.645 * spread**0.5
            points = [new + h * trend + seasonal[(at + h) % season] for h in HORIZONS]
            made.append([(p, p - width * h**0.5, p + width * h**0.5) for p, h in zip(points, HORIZONS, strict=True)])
        self._tick += 1
        return made


def _milliseconds(ticks: Array, step: Callable[[Array], object]) -> float:
    spent = []
    for values in ticks:
        begin = time.process_time()
        step(values)
        spent.append(1000 * (time.process_time() - begin))
    return statistics.median(spent)


def _speed() -> Iterator[Row]:
    rates = demand_rates(NETWORKS, COUNT)
    values = daily(rates, 2, 1, bursts=False, shifts=False).values[: TIMED_TICKS + WARM_TICKS]
    forecaster, detectors = Forecaster(COUNT, HORIZONS, (TICKS_A_DAY,)), Detectors(COUNT, HORIZONS)
    for row_ in values[:WARM_TICKS]:
        forecaster.step(row_)
    ours = _milliseconds(values[WARM_TICKS:], forecaster.step)
    baseline = _milliseconds(values[:5], HoltWinters(values[0], TICKS_A_DAY).step)
    made = forecaster.step(values[-1])
    alarms = _milliseconds(values[WARM_TICKS:], lambda now: detectors.step(now, made))
    what, unit = "10,000 series, 4 horizons with intervals, a tick", "ms of CPU"
    yield row(what, COUNT, ours, baseline, "Holt-Winters, a loop over series", unit, less_is_better=True)
    yield row(f"{what}, budget", COUNT, ours, BUDGET_MILLISECONDS, "the budget", unit, less_is_better=True)
    yield row("10,000 series watched by three detectors, a tick", COUNT, alarms, ours, "forecasting them", unit)


def _skill() -> Iterator[Row]:
    rates = demand_rates(NETWORKS, JUDGED)
    series = [("days", daily(rates, JUDGED_DAYS, 2, bursts=False, shifts=False).values, TICKS_A_DAY)]
    series.append(("days, bursts, shifts", daily(rates, JUDGED_DAYS, 2).values, TICKS_A_DAY))
    series.append(("delays recorded from the lab", recorded(JUDGED_DAYS, 3), LAB_TICKS_A_DAY))
    for name, values, season in series:
        count = values.shape[1]
        for horizon in HORIZONS:
            skills = walk_forward({str(n): values[:, n] for n in range(count)}, horizon, (season,))
            means = [
                statistics.fmean(getattr(one, part) for one in skills)
                for part in ("skill_vs_persistence", "skill_vs_seasonal_naive", "coverage")
            ]
            what = f"{name}: {horizon} ticks ahead"
            yield row(
                f"{what}, error against persistence",
                count,
                1 - means[0],
                1,
                "persistence",
                "RMSE ratio",
                less_is_better=True,
            )
            yield row(
                f"{what}, error against yesterday",
                count,
                1 - means[1],
                1,
                "the same time yesterday",
                "RMSE ratio",
                less_is_better=True,
            )
            yield row(f"{what}, coverage of the 90 % interval", count, 100 * means[2], 90, "nominal", "%")


def _watched(values: Array) -> tuple[Array, Array, Array]:
    """Where alarms of ours and of a plain z-score began, and the shapes of ours."""
    forecaster, detectors = Forecaster(WATCHED, HORIZONS, (TICKS_A_DAY,)), Detectors(WATCHED, HORIZONS)
    alarms = [detectors.step(now, forecaster.step(now)) for now in values]
    plain = _plain_z(values)
    ours = np.stack([one.began for one in alarms])
    return ours, plain & ~np.roll(plain, 1, axis=0), np.stack([one.shapes for one in alarms])


def _plain_z(values: Array) -> Array:
    """Deviation of a step from the median of a day's steps, in robust deviations: what a recording rule would do."""
    steps = np.diff(values, axis=0, prepend=values[:1])
    found = np.zeros(values.shape, dtype=bool)
    for tick in range(TICKS_A_DAY, len(values)):
        day = steps[tick - TICKS_A_DAY : tick]
        middle = np.median(day, axis=0)
        spread = np.median(np.abs(day - middle), axis=0) / 0.6745
        found[tick] = np.abs(steps[tick] - middle) > PLAIN_Z * spread
    return found


def _changed(made: Array, expected: Array, shape: Shape, at: Array) -> Array:
    values = made.copy()
    for column, begin in enumerate(at):
        size = SIZES[shape] * expected[begin, column]
        if shape is Shape.SPIKE:
            values[begin, column] += size
        elif shape is Shape.LEVEL_SHIFT:
            values[begin:, column] += size
        else:
            values[begin:, column] += size * np.minimum(np.arange(1, len(values) - begin + 1) / DRIFT_TICKS, 1.0)
    return values


def _detection() -> Iterator[Row]:
    rates = demand_rates(NETWORKS, WATCHED)
    made = daily(rates, WATCHED_DAYS, 3, bursts=False, shifts=False)
    ours, plain, _ = _watched(made.values)
    days = WATCHED * (WATCHED_DAYS - 2)
    false = [one[2 * TICKS_A_DAY :].sum() / days for one in (ours, plain)]
    name = f"a plain robust z-score of {PLAIN_Z:g}"
    yield row("false alarms", days, *false, name, "a series and day", less_is_better=True)
    at = np.random.default_rng(4).integers(TAUGHT_DAYS * TICKS_A_DAY, (WATCHED_DAYS - 1) * TICKS_A_DAY, WATCHED)
    for shape, within in IN_TIME.items():
        ours, plain, shapes = _watched(_changed(made.values, made.expected, shape, at))
        delays = [[_delay(one[:, c], begin, within) for c, begin in enumerate(at)] for one in (ours, plain)]
        found = [[delay for delay in one if delay is not None] for one in delays]
        what = f"{shape.name.lower().replace('_', ' ')} of {SIZES[shape]:.0%}"
        yield row(
            f"{what}, found within {within} ticks", WATCHED, *(100 * len(one) / WATCHED for one in found), name, "%"
        )
        if found[0]:
            middle = statistics.median(found[0]), statistics.median(found[1] or [within])
            yield row(f"{what}, delay, median", WATCHED, *middle, name, "ticks", less_is_better=True)
            right = [
                shape in shapes[begin + d : begin + d + 5, c]
                for c, (begin, d) in enumerate(zip(at, delays[0], strict=True))
                if d is not None
            ]
            yield row(f"{what}, shape named", len(right), 100 * statistics.fmean(right), 100, "all", "%")


def _delay(began: Array, at: int, within: int) -> int | None:
    hits = np.flatnonzero(began[at : at + within])
    return int(hits[0]) if len(hits) else None


def main() -> None:
    """Speed, skill and coverage, detection."""
    write("forecast", [*_speed(), *_skill(), *_detection()])


if __name__ == "__main__":
    main()
