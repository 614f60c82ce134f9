"""Owns judging forecasts: walking forward over a series, never looking ahead, beside persistence and seasonal naive.

Skill is 1 - RMSE / RMSE of the baseline at the same horizon (the normaliser of NRMSE cancels): above 0 is better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.model.errors import InvalidInputError
from controller.telemetry.forecast import Forecaster

Array = NDArray[np.float64]
_LEAST_CORRELATION = 0.3
_AS_GOOD = 0.95
_LEAST_PERIOD = 4
_WARM_SHARE = 0.1
_LEAST_SCORED = 10
_ROUNDING = 1e-12
"""Of the largest value."""


@dataclass(frozen=True, slots=True)
class Skill:
    """How well one series was forecast. NaN where a baseline made no error or was not there."""

    series: str
    scored: int
    """Forecasts that were compared with what came."""
    season: int
    """Period in ticks that was used; 0 for none."""
    rmse: float
    skill_vs_persistence: float
    skill_vs_seasonal_naive: float
    coverage: float
    """Share of values within the 90 % interval."""


def walk_forward(values: Mapping[str, Array], horizon: int, seasons: Sequence[int]) -> list[Skill]:
    """Forecast series of one length tick by tick and compare; the first season and the first tenth only teach.

    `InvalidInputError` for a horizon that is not positive, or series too short to say anything.
    """
    names, table = list(values), np.stack(list(values.values()), axis=1)
    season = seasons[0] if seasons else 0
    begin = max(season, int(len(table) * _WARM_SHARE))
    if horizon < 1:
        raise InvalidInputError(f"a horizon of {horizon} ticks is not ahead", path="horizon")
    if is_too_short(len(table), horizon, season):
        raise InvalidInputError(
            f"{len(table)} values are too few to judge a forecast {horizon} ahead",
            remedy=f"give at least {begin + horizon + _LEAST_SCORED}, or a shorter horizon",
            path=names[0],
        )
    forecaster = Forecaster(len(names), (horizon,), seasons)
    made = [forecaster.step(row) for row in table[:-horizon]]
    point, lower, upper = (np.stack([getattr(one, part)[0] for one in made]) for part in ("point", "lower", "upper"))
    return [
        _skill(name, table[:, n], (point[begin:, n], lower[begin:, n], upper[begin:, n]), horizon, season)
        for n, name in enumerate(names)
    ]


def is_too_short(ticks: int, horizon: int, season: int = 0) -> bool:
    """Whether so many values are too few to judge a forecast."""
    return ticks - max(season, int(ticks * _WARM_SHARE)) - horizon < _LEAST_SCORED


def _skill(name: str, values: Array, forecast: tuple[Array, Array, Array], horizon: int, season: int) -> Skill:
    point, lower, upper = forecast
    begin = len(values) - horizon - len(point)
    actual = values[begin + horizon :]
    now = _last_known(values)[begin:-horizon]
    past = values[begin + horizon - _seasons_back(horizon, season) : len(values) - _seasons_back(horizon, season)]
    ours = _rmse(point, actual)
    inside = (actual >= lower) & (actual <= upper)
    known = np.isfinite(actual)
    return Skill(
        series=name,
        scored=int(known.sum()),
        season=season,
        rmse=ours,
        skill_vs_persistence=_skill_against(point, now, actual),
        skill_vs_seasonal_naive=_skill_against(point, past, actual) if season else float("nan"),
        coverage=float(inside[known].mean()) if known.any() else float("nan"),
    )


def _seasons_back(horizon: int, season: int) -> int:
    """The fewest whole seasons that reach back to what was known when the forecast was made."""
    return season * -(-horizon // season) if season else horizon


def _rmse(forecast: Array, actual: Array) -> float:
    errors = (forecast - actual)[np.isfinite(forecast) & np.isfinite(actual)]
    largest = float(np.abs(errors).max(initial=0.0)) or 1.0  # squares of what is huge or tiny would not fit
    return largest * float(np.sqrt(np.mean((errors / largest) ** 2))) if len(errors) else float("nan")


def _last_known(values: Array) -> Array:
    """What persistence says: the last value that was there; NaN before the first."""
    places = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), 0))
    return values[places]


def _skill_against(point: Array, baseline: Array, actual: Array) -> float:
    """Where the baseline says anything: both are judged by the same values. NaN where it errs by rounding alone."""
    theirs = _rmse(baseline, actual)
    if theirs <= _ROUNDING * float(np.abs(actual[np.isfinite(actual)]).max(initial=0.0)):
        return float("nan")
    ours = _rmse(np.where(np.isfinite(baseline), point, np.nan), actual)
    return 1.0 - ours / theirs if theirs > 0 else float("nan")


def season_of(values: Array, longest: int) -> int:
    """The period in ticks at which a series is most like itself, 0 when it is not; looks at these values only."""
    if len(values) < _LEAST_PERIOD:
        return 0
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0  # what is huge could not be squared
    values = values / largest
    known = np.where(np.isfinite(values), values, np.nanmean(values) if np.isfinite(values).any() else 0.0)
    flat = known - np.linspace(known[0], known[-1], len(known))
    flat = flat - flat.mean()
    power = float(flat @ flat)
    if power <= 0:
        return 0
    size = 1 << (2 * len(flat) - 1).bit_length()
    spectrum = np.fft.rfft(flat, size)
    lags = np.arange(len(flat))
    alike = np.fft.irfft(spectrum * np.conj(spectrum), size)[: len(flat)] / power * (len(flat) / (len(flat) - lags))
    peaks = [
        lag
        for lag in range(_LEAST_PERIOD, min(longest, len(flat) // 2))
        if alike[lag] > _LEAST_CORRELATION and alike[lag] >= alike[lag - 1] and alike[lag] > alike[lag + 1]
    ]
    best = max((alike[lag] for lag in peaks), default=0.0)
    return next((lag for lag in peaks if alike[lag] >= _AS_GOOD * best), 0)  # twice a period is like it as well
