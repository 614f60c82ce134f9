"""Owns forecasts of many series at once: a point and quantiles for each horizon, one numpy pass a tick.

Three forecasters run beside each other: persistence, the value a season ago, and a regression of the change since now
on seasonal differences, levels and momentum, which begins as persistence and learns. They are mixed by their recent
losses (exponential weights: never much worse than the best of them), and the mixture's errors give its intervals.
A missing value (NaN) teaches nothing; its place is taken by the forecast of one step.

A season is kept tick by tick, or, where it has too many, outside, as a `Season` of parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.telemetry.least_squares import LeastSquares
from controller.telemetry.quantiles import LEVELS, LOWER, UPPER, TrackedQuantiles, probability_above
from controller.telemetry.season import Season

Array = NDArray[np.float64]
_FAST, _SLOW, _SCALE, _PHASE = 0.3, 0.03, 0.02, 0.25
"""Memories of the levels, of the size of steps, and of the seasonal profile."""
_LOSS_MEMORY, _LOSS_HORIZONS = 0.02, 4
"""Losses are remembered over so many horizons at least: those of forecasts that overlap are nearly one."""
_SHARPNESS = 6.0
_CLIP = 8.0
"""A step this many times the usual is a spike: it is learnt from no further."""
_FAR = 4 * _CLIP
"""In usual steps: what a change is learnt from no further than, and two steps more for each tick ahead."""
_FARTHEST = 1e12
_LEAST_STEP, _NOTHING = 1e-9, 1e-150
"""Of the largest value that was seen; and where there was none."""
_RARE, _SELDOM = 0.002, 0.1
"""Memory of the mean square of steps, and the least usual step as a share of its root."""
_UNKNOWN = 0.3
"""Of the usual step by now: one that was taken for so much less was not known yet."""
_UNTRIED, _TRIED = 3.0, 20.0
"""A member that begins late begins with so many times the losses of the best, as if they were so many ticks' mean."""
_WARM = 4
"""Ticks until the size of a usual step is known."""
_RIDGE = 20.0
"""Samples that the prior of the regressions is worth, a tick ahead; the further, the less each sample says."""
_MEMBERS, _SEASONAL = 3, 1
_PLAIN_FEATURES, _SEASON_FEATURES = 3, 3


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of every series: `point` is (horizons, n), `quantiles` of its error (horizons, levels, n)."""

    horizons: tuple[int, ...]
    point: Array
    quantiles: Array
    season_ago: Array | None = None
    """What the series were a season before now; None as long as no season has gone by."""

    @property
    def lower(self) -> Array:
        """The lower bound of the 90 % interval."""
        return self.point + self.quantiles[:, LOWER]

    @property
    def upper(self) -> Array:
        """The upper bound of the 90 % interval."""
        return self.point + self.quantiles[:, UPPER]

    def probability_above(self, threshold: Array | float) -> Array:
        """The probability of exceeding a threshold, (horizons, n)."""
        bounds = np.broadcast_to(np.asarray(threshold, dtype=float), self.point.shape[1:])
        pairs = zip(self.point, self.quantiles, strict=True)
        return np.stack([probability_above(bounds, point, errors) for point, errors in pairs])


@dataclass(slots=True)
class _Made:
    """What was made at one tick for one horizon, kept until its value is known."""

    features: Array
    members: Array
    mixed: Array
    now: Array
    scale: Array
    quantiles: Array
    """Of its error, as they were said."""


class Forecaster:
    """Forecasts `count` series `horizons` ticks ahead. `seasons` are periods in ticks, shortest first, at most two.

    `season` instead is one that is kept in parts by whoever steps, and has gone by once.
    """

    def __init__(
        self, count: int, horizons: Sequence[int], seasons: Sequence[int] = (), season: Season | None = None
    ) -> None:
        self.horizons = tuple(horizons)
        self._seasons = (*seasons[:2], *(0, 0))[:2]
        self._tick = 0
        length = max(self._seasons) + max(self.horizons) + 2
        self._past: Array = np.zeros((length, count))
        self._profile: Array = np.zeros((max(self._seasons[0], 1), count))
        self._fast: Array = np.zeros(count)
        self._slow: Array = np.zeros(count)
        self._scale: Array = np.zeros(count)
        self._largest: Array = np.zeros(count)
        self._square: Array = np.zeros(count)
        """Of steps on average, in largest values, as squares of what is huge would not fit."""
        self._made: dict[int, list[_Made | None]] = {h: [None] * h for h in self.horizons}
        features = _PLAIN_FEATURES + _SEASON_FEATURES * bool(seasons or season) + (len(seasons) > 1)
        self._models = {h: LeastSquares(features, count, ridge=_RIDGE * h**0.5) for h in self.horizons}
        self._losses = {h: np.ones((_MEMBERS, count)) for h in self.horizons}
        self._errors = {h: TrackedQuantiles(count, h) for h in self.horizons}
        self._next: Array = np.zeros(count)
        self._season = season
        self._phase = 0

    def step(self, values: Array, phase: int = 0) -> Forecast:
        """Take the values of this tick, learn from what was forecast for it, and forecast.

        `phase` is the tick's in the season that is kept in parts.
        """
        self._phase = phase
        known = np.isfinite(values)
        filled = np.where(known, values, self._next)
        if self._tick == 0:
            self._fast, self._slow = filled.copy(), filled.copy()
            self._past[:] = filled
            self._profile[:] = filled
        if self._tick and self._tick == self._seasons[0]:
            for losses in self._losses.values():
                losses[_SEASONAL] = _UNTRIED * losses.min(axis=0)
        self._measure(filled, known)
        self._learn(filled, known)
        self._remember(filled)
        quantiles = np.empty((len(self.horizons), len(LEVELS), len(filled)))
        points = [self._forecast(horizon, filled, out) for horizon, out in zip(self.horizons, quantiles, strict=True)]
        ago = self._season_ago()
        self._tick += 1
        self._next = points[0]
        return Forecast(self.horizons, np.stack(points), quantiles, ago)

    def _season_ago(self) -> Array | None:
        """What was a season before now."""
        if self._season is not None:
            return self._season.last(self._phase)
        season = self._seasons[0]
        return self._at(season).copy() if season and self._tick >= season else None

    def _at(self, ticks_ago: int) -> Array:
        row: Array = self._past[(self._tick - ticks_ago) % len(self._past)]
        return row

    def _measure(self, now: Array, known: NDArray[np.bool_]) -> None:
        """See what a usual step is."""
        step = np.abs(now - self._at(1)) if self._tick else np.zeros_like(now)
        learns = known * max(_SCALE, 1.0 / max(self._tick, 1))  # a gap does not make steps smaller
        most = np.where(self._scale > self._floor(), _CLIP * self._scale, np.inf)  # what never moved has no usual step
        usual = np.minimum(step, most) if self._tick > _WARM else step
        largest = np.maximum(self._largest, np.abs(now))
        unit = largest + _NOTHING
        self._square *= (self._largest / unit) ** 2
        self._square += known * max(_RARE, 1.0 / (self._tick + 1.0)) * ((step / unit) ** 2 - self._square)
        self._largest = largest
        self._scale = np.maximum(self._scale + learns * (usual - self._scale), self._floor())

    def _remember(self, now: Array) -> None:
        self._fast = self._fast + _FAST * (now - self._fast)
        self._slow = self._slow + max(_SLOW, 1.0 / (self._tick + 1.0)) * (now - self._slow)
        self._past[self._tick % len(self._past)] = now
        if self._seasons[0]:
            phase = self._tick % self._seasons[0]
            memory = 1.0 if self._tick < self._seasons[0] else _PHASE
            self._profile[phase] += memory * (now - self._profile[phase])

    def _floor(self) -> Array:
        """What moves seldom, such as a source that is on or off, has a usual step all the same."""
        floor: Array = np.maximum(_LEAST_STEP, _SELDOM * np.sqrt(self._square)) * self._largest + _NOTHING
        return floor

    def _features(self, horizon: int, now: Array) -> Array:
        """Everything as a difference from now, in usual steps; zero where a season has not gone by yet."""
        features = np.empty((len(self._models[horizon].weights), len(now)))
        np.subtract(self._slow, now, out=features[0])
        np.subtract(self._fast, now, out=features[1])
        np.subtract(now, self._at(1), out=features[2])
        seasons = [season for season in self._seasons if season]
        for row, season in zip(features[_PLAIN_FEATURES:], seasons, strict=False):
            self._since(season, horizon, row)
        if self._season is not None:
            _compare(self._season, self._phase, horizon, now, features[_PLAIN_FEATURES:])
        elif season := self._seasons[0]:
            ahead = self._profile[(self._tick + horizon) % season] if self._tick >= season else now
            today = self._profile[self._tick % season] if self._tick >= season else now
            np.subtract(ahead, today, out=features[-2])
            np.subtract(ahead, now, out=features[-1])
        features /= self._scale
        return np.clip(features, -_FAR, _FAR, out=features)

    def _since(self, season: int, horizon: int, out: Array) -> None:
        """What the same time ahead made of it a season ago; nothing as long as there was none."""
        ago = _back(season, horizon)
        if self._tick < season:
            out.fill(0.0)
        else:
            np.subtract(self._at(ago - horizon), self._at(ago), out=out)

    def _forecast(self, horizon: int, now: Array, quantiles: Array) -> Array:
        """The point, and its quantiles into the array that is there."""
        features = self._features(horizon, now)
        learnt = now + self._scale * self._models[horizon].predict(features)
        season = self._seasons[0]
        if self._season is not None:
            seasonal = self._season.last(self._phase + horizon)
        else:
            seasonal = self._at(-horizon % season) if season and self._tick >= season else now
        members = np.empty((_MEMBERS, len(now)))
        members[0], members[1], members[2] = now, seasonal, learnt
        losses = self._losses[horizon]
        weights = losses / losses.min(axis=0)
        weights -= 1.0
        weights *= -_SHARPNESS
        np.exp(weights, out=weights)
        mixed: Array = np.einsum("in,in->n", weights, members)
        mixed /= weights.sum(axis=0)
        errors = self._errors[horizon]
        errors.write(quantiles, errors.spread * self._scale)
        self._made[horizon][self._tick % horizon] = _Made(features, members, mixed, now, self._scale, quantiles)
        return mixed

    def _learn(self, values: Array, known: NDArray[np.bool_]) -> None:
        for horizon in self.horizons:
            made = self._made[horizon][self._tick % horizon]
            if made is None or self._tick - horizon < _WARM:
                continue
            if self._tick - horizon in self._seasons:
                self._errors[horizon].forget()
            far = _far(horizon)
            self._models[horizon].learn(made.features, _steps(values, made.now, made.scale, far), known)
            self._weigh(horizon, made, values, known)
            unit = np.maximum(made.scale, _UNKNOWN * self._scale)
            self._errors[horizon].learn(_steps(values, made.mixed, unit, _FARTHEST), known, made.quantiles / unit, far)

    def _weigh(self, horizon: int, made: _Made, values: Array, known: NDArray[np.bool_]) -> None:
        """Take what each member missed into its losses; in place, as it is the largest array of a tick."""
        losses = self._losses[horizon]
        missed = np.abs(self._said(horizon, made) - values)
        missed /= made.scale
        np.minimum(missed, _far(horizon), out=missed)
        missed *= missed
        missed += 1e-6
        missed -= losses
        missed *= self._memory(horizon)
        losses += missed if known.all() else np.where(known, missed, 0.0)

    def _said(self, horizon: int, made: _Made) -> Array:
        """What each member said; what the season would have, had it gone by already."""
        season = self._seasons[0]
        if season and _back(season, horizon) <= self._tick < season + horizon:
            made.members[_SEASONAL] = self._at(_back(season, horizon))
        return made.members

    def _memory(self, horizon: int) -> Array | float:
        """Of the losses of each member: the season is judged by all that it said until that is enough."""
        memory = min(_LOSS_MEMORY, 1.0 / (_LOSS_HORIZONS * horizon))
        memory = max(memory, 1.0 / (self._tick - horizon + _TRIED))
        since = self._tick - _back(self._seasons[0], horizon) if self._seasons[0] else -1
        if since < 0 or memory * (since + _TRIED) >= 1.0:
            return memory
        return np.array([[memory], [1.0 / (since + _TRIED)], [memory]])


def _back(season: int, horizon: int) -> int:
    """How long ago the same time of a season was known that far ahead."""
    return season * -(-horizon // season)


def _far(horizon: int) -> float:
    return max(_FAR, 1.5 * horizon)


def _steps(values: Array, expected: Array, scale: Array, far: float) -> Array:
    """How far off, in usual steps; what is absurd counts as very far."""
    off: Array = values - expected
    off /= scale
    return np.clip(off, -far, far, out=off)


def _compare(season: Season, phase: int, horizon: int, now: Array, out: Array) -> None:
    """What the same time ahead made of it a season ago, what it uses to make of it, and where that is from now."""
    ahead, today = season.profile(phase + horizon), season.profile(phase)
    np.subtract(season.last(phase + horizon), season.last(phase), out=out[0])
    np.subtract(ahead, today, out=out[1])
    np.subtract(ahead, now, out=out[2])
