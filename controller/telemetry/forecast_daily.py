"""Owns forecasts that use a season only of series that have one: proved in each, by what it would have got wrong.

A forecaster that knows no season goes on beside one that does, which begins when a season has gone by. Of each series
and horizon the second is believed where its squared errors have been clearly less, over up to some seasons; so what has
no season, or has lost it, is forecast as if none had been looked for.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from controller.telemetry.forecast import Forecast, Forecaster
from controller.telemetry.learnt import Learnt
from controller.telemetry.season import Season

Array = NDArray[np.float64]
_BETTER = 0.8
"""Of the squared errors of the forecaster without a season."""
_EVIDENCE = 0.5
"""Seasons that the two are compared for before the second is believed."""
_MEMORY = 3.0
"""Seasons that a comparison reaches back."""


class DailyForecaster:
    """Forecasts `count` series `horizons` ticks ahead; `period` ticks are a season, kept in parts of `every`."""

    def __init__(self, count: int, horizons: Sequence[int], period: int, every: int) -> None:
        self.season = Season(count, period, every)
        self._count, self._horizons = count, tuple(horizons)
        self._plain = Forecaster(count, horizons)
        self._seasonal: Forecaster | None = None
        self._made: list[list[Array | None]] = [[None] * horizon for horizon in horizons]
        """By horizon, what both said: (2, n)."""
        self._losses: Array = np.zeros((len(self._horizons), 2, count))
        self._compared = 0
        self._next: Array = np.zeros(count)

    def step(self, values: Array, phase: int | None = None) -> Forecast:
        """Take the values of a tick and forecast; without a phase in the season nothing is made of it."""
        plain = self._plain.step(values)
        filled = np.where(np.isfinite(values), values, self._next)
        self._next = plain.point[0]
        if phase is None:
            return plain
        self._learn(values)
        if self._seasonal is None and self.season.is_ready:
            self._seasonal = Forecaster(self._count, self._horizons, season=self.season)
        seasonal = self._seasonal.step(values, phase) if self._seasonal else None
        self.season.remember(phase, filled)
        return plain if seasonal is None else self._chosen(plain, seasonal)

    @property
    def learnt(self) -> tuple[Learnt, ...]:
        """What a day is like and where it has proved to help: what takes days to learn."""
        return self.season.learnt, Learnt("day", self, ("_losses",), ("_compared",))

    def _chosen(self, plain: Forecast, seasonal: Forecast) -> Forecast:
        for made, first, second in zip(self._made, plain.point, seasonal.point, strict=True):
            made[self._compared % len(made)] = np.stack([first, second])
        self._compared += 1
        if self._compared < _EVIDENCE * self.season.period:
            return Forecast(plain.horizons, plain.point, plain.quantiles, seasonal.season_ago)
        is_better = self._losses[:, 1] < _BETTER * self._losses[:, 0]
        return Forecast(
            plain.horizons,
            np.where(is_better, seasonal.point, plain.point),
            np.where(is_better[:, None], seasonal.quantiles, plain.quantiles),
            seasonal.season_ago,
        )

    def _learn(self, values: Array) -> None:
        """Compare what both said of this tick."""
        known = np.isfinite(values)
        longest = _MEMORY * self.season.period
        for made, losses in zip(self._made, self._losses, strict=True):
            said = made[self._compared % len(made)]
            if said is None:
                continue
            memory = 1.0 / min(self._compared - len(made) + 1.0, longest)
            learnt = np.where(known, memory * ((said - np.where(known, values, 0.0)) ** 2 - losses), 0.0)
            np.add(losses, learnt, out=losses)
