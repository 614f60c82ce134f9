"""Owns alarms: a value, a level or a trend that does not belong there, in many series at once.

Three detectors that see different things: how far a value is from its forecast, or from what it was a season ago, in
robust deviations (Iglewicz and Hoaglin 1993), what deviations from an older forecast add up to (Page's CUSUM 1954), and
how unheard of the values are whatever was forecast (half-space trees). An alarm takes two of three. What shape it has
is decided a few ticks later by what stayed; silence is alarming by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from controller.telemetry.forecast import Forecast
from controller.telemetry.half_space_trees import HalfSpaceTrees
from controller.telemetry.learnt import Learnt

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_FAR_TICKS = 12
"""The older forecast is about so old: long enough that a shift is seen before it is learnt."""
_WARM = 30
_MEMORY = 0.02
_NORMAL = 0.6745  # median absolute deviation of a normal law, in standard deviations
_FAR_OFF = 5.0
_FAR_FROM_AGO = 8.0
"""A season ago is further off than a forecast, but has not learnt the drift."""
_ABSURD = 30.0
_SLACK, _DECISION, _CLIP = 1.0, 12.0, 4.0
_NOVEL = 0.08
"""Share of trees: one of them is enough. The vote alone alarms nobody."""
_HELD = 3
"""Ticks that a vote counts: detectors do not notice at the same moment."""
_DECIDED = 4
"""Ticks after which it is seen what stayed; not more than the older forecast is old."""
_STAYED = 0.5
_SILENT = 3
_FAST, _SLOW = 0.3, 0.003


class Shape(IntEnum):
    """What an alarm is about."""

    NONE = 0
    SPIKE = 1
    """A value stands out; said until it is seen that it stays."""
    LEVEL_SHIFT = 2
    DRIFT = 3
    """No value stands out, but they add up."""
    SILENCE = 4

    @property
    def word(self) -> str:
        """As it is told: `level-shift`; empty where nothing is unusual."""
        return "" if self is Shape.NONE else self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Alarms:
    """Of one tick, a column per series. `votes` are of deviation, CUSUM and trees; `began` alarms are new."""

    votes: Mask
    active: Mask
    began: Mask
    shapes: NDArray[np.int8]


class Deviations:
    """Robust deviations of streams: the median and the median absolute deviation are tracked, not stored."""

    def __init__(self, count: int, memory: float = _MEMORY) -> None:
        self._memory = memory
        self._median: Array = np.zeros(count)
        self._spread: Array = np.zeros(count)
        self._seen: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self._absurd: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        """For how many values on end deviations have been beyond all reason."""

    def learnt(self, name: str) -> Learnt:
        """What is usual of each."""
        return Learnt(name, self, ("_median", "_spread", "_seen", "_absurd"))

    def step(self, values: Array) -> Array:
        """How many standard deviations each value is off; 0 as long as too little is known, or for NaN."""
        known = np.isfinite(values)
        off = np.where(known, values - self._median, 0.0)
        scores: Array = np.where(self._seen >= _WARM, _NORMAL * off / np.maximum(self._spread, 1e-12), 0.0)
        self._seen += known
        memory = known * np.maximum(self._memory, 1.0 / np.maximum(self._seen, 1))
        first = (self._seen <= 1) & known
        self._spread = np.where(first, np.abs(off), self._spread)
        # Tracked by the sign: one value moves either no further than a share of the spread, however far off it is.
        size = np.minimum(memory * 2.0, 0.5) * self._spread + 1e-15
        # What was constant and is no longer would be far off for hundreds of ticks.
        self._absurd = np.where(known & (np.abs(off) > _ABSURD * self._spread), self._absurd + 1, 0)
        size = np.where(self._absurd >= _HELD, 0.5 * self._spread, size)
        self._median = np.where(first, values, self._median + size * np.sign(off))
        self._spread = np.maximum(self._spread + size * np.sign(np.abs(off) - self._spread) * (~first), 1e-12)
        return scores


class Detectors:
    """Watches `count` series beside the forecasts that a `Forecaster` of `horizons` made for them."""

    def __init__(self, count: int, horizons: Sequence[int]) -> None:
        self._near, self._far = min(horizons), max([h for h in horizons if h <= _FAR_TICKS] or [min(horizons)])
        self._rows = [tuple(horizons).index(horizon) for horizon in (self._near, self._far)]
        self._made: list[list[Array | None]] = [[None] * self._near, [None] * self._far]
        self._tick = 0
        self._deviations = Deviations(count), Deviations(count), Deviations(count, _SLOW)
        self._sums: Array = np.zeros((2, count))
        self._novelty = _Novelty(count)
        self._held: NDArray[np.int8] = np.zeros((3, count), dtype=np.int8)
        self._stood: NDArray[np.int8] = np.zeros(count, dtype=np.int8)
        """For how long yet a value counts as standing out from its forecast."""
        self._age: NDArray[np.int64] = np.full(count, -1)
        self._jump: Array = np.zeros(count)
        self._stayed: Array = np.zeros(count)
        self._shapes: NDArray[np.int8] = np.zeros(count, dtype=np.int8)
        self._silence: NDArray[np.int64] = np.zeros(count, dtype=np.int64)

    def step(self, values: Array, forecast: Forecast) -> Alarms:
        """The values of this tick, and the forecast that was made with them."""
        known = np.isfinite(values)
        near, far = (self._missed(number, values) for number in (0, 1))
        deviation = self._deviations[0].step(near)
        stands_out = np.abs(deviation) > _FAR_OFF
        self._stood = np.where(stands_out, _HELD, np.maximum(self._stood - 1, 0)).astype(np.int8)
        if forecast.season_ago is not None:
            stands_out = stands_out | (np.abs(self._deviations[2].step(values - forecast.season_ago)) > _FAR_FROM_AGO)
        votes = np.stack([stands_out, self._added_up(self._deviations[1].step(far)), self._novelty.step(values)])
        self._held = np.where(votes, _HELD, np.maximum(self._held - 1, 0)).astype(np.int8)
        active = (self._held > 0).sum(axis=0) >= 2
        began = self._shape(active, self._stood > 0, far)
        self._silence = np.where(known, 0, self._silence + 1)
        silent = self._silence >= _SILENT
        shapes = np.where(silent, Shape.SILENCE, self._shapes).astype(np.int8)
        for number, row in enumerate(self._rows):
            made = self._made[number]
            made[self._tick % len(made)] = forecast.point[row]
        self._tick += 1
        return Alarms(votes, (self._age >= 0) | silent, began | (self._silence == _SILENT), shapes)

    @property
    def learnt(self) -> tuple[Learnt, ...]:
        """What is usual, by which values are judged; alarms of the moment are not of it."""
        usual = [one.learnt(f"deviations-{number}") for number, one in enumerate(self._deviations)]
        return *usual, *self._novelty.learnt

    def _missed(self, number: int, values: Array) -> Array:
        made = self._made[number]
        expected = made[self._tick % len(made)]
        return np.full_like(values, np.nan) if expected is None else values - expected

    def _added_up(self, deviation: Array) -> Mask:
        clipped = np.clip(deviation, -_CLIP, _CLIP)
        self._sums = np.minimum(np.maximum(self._sums + np.stack([clipped, -clipped]) - _SLACK, 0.0), 1.5 * _DECISION)
        found: Mask = self._sums.max(axis=0) > _DECISION
        return found

    def _shape(self, active: Mask, stands_out: Mask, far: Array) -> Mask:
        """Follow each alarm by its age: it is one as long as two vote, and until it is known what stayed."""
        began: Mask = active & (self._age < 0)
        self._jump = np.where(began, np.nan_to_num(far), self._jump)
        self._shapes = np.where(began, np.where(stands_out, Shape.SPIKE, Shape.DRIFT), self._shapes).astype(np.int8)
        going_on = (self._age >= 0) & (active | (self._age < _DECIDED - 1))
        self._age = np.where(began, 0, np.where(going_on, self._age + 1, -1))
        late = (self._age >= _DECIDED - 2) & (self._age < _DECIDED)
        self._stayed = np.where(late, self._stayed + np.nan_to_num(far) / 2.0, np.where(began, 0.0, self._stayed))
        stayed = self._stayed * np.sign(self._jump) > _STAYED * np.abs(self._jump)
        shifted = (self._age == _DECIDED - 1) & (self._shapes == Shape.SPIKE) & stayed
        self._shapes = np.where(shifted, Shape.LEVEL_SHIFT, self._shapes).astype(np.int8)
        self._shapes = np.where(self._age < 0, Shape.NONE, self._shapes).astype(np.int8)
        return began


class _Novelty:
    """Whether where a series is, and how it got there, is unheard of in it."""

    def __init__(self, count: int) -> None:
        self._trees = HalfSpaceTrees(3, count)
        self._slow: Array = np.zeros(count)
        self._fast: Array = np.zeros(count)
        self._last: Array = np.zeros(count)
        self._spread: Array = np.zeros(count)
        self._step: Array = np.zeros(count)
        self._seen: NDArray[np.int64] = np.zeros(count, dtype=np.int64)

    @property
    def learnt(self) -> tuple[Learnt, ...]:
        """Where values use to be, and the trees."""
        names = ("_slow", "_fast", "_last", "_spread", "_step", "_seen")
        return Learnt("novelty", self, names), self._trees.learnt

    def step(self, values: Array) -> Mask:
        known = np.isfinite(values)
        first = known & (self._seen == 0)
        now = np.where(known, values, self._last)
        self._slow, self._fast, self._last = (np.where(first, now, old) for old in (self._slow, self._fast, self._last))
        self._fast = self._fast + _FAST * (now - self._fast)
        spread, size = np.maximum(self._spread, 1e-12), np.maximum(self._step, 1e-12)
        coordinates = (now - self._slow) / spread, (now - self._last) / size, (self._fast - self._slow) / spread
        points = np.stack([0.5 + 0.5 * one / (2.0 + np.abs(one)) for one in coordinates])
        novel = self._trees.step(points, known & (self._seen >= _WARM // 2))
        memory = known * np.maximum(_SLOW, 1.0 / np.maximum(self._seen, 1))
        self._spread += memory * (
            np.minimum(np.abs(now - self._slow), 8 * spread + (self._seen < _WARM) * 1e300) - spread
        )
        self._step += memory * (np.minimum(np.abs(now - self._last), 8 * size + (self._seen < _WARM) * 1e300) - size)
        self._slow = self._slow + memory * (now - self._slow)
        self._last = now
        self._seen += known
        found: Mask = known & (self._seen > 2 * _WARM) & (novel > _NOVEL)
        return found
