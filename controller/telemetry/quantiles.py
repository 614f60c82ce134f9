"""Owns quantiles of what a forecast gets wrong, tracked online: adaptive conformal inference for many series at once.

Each quantile moves against the side on which it errs, so that its long-run coverage is right whatever the errors are
(Gibbs and Candes 2021; quantile tracking, Angelopoulos et al. 2023). Nothing is assumed of their distribution.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
LOWER, UPPER = LEVELS.index(0.05), LEVELS.index(0.95)
"""The bounds of the 90 % interval."""
_NORMAL = (-2.326, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 2.326)
_NORMAL_SPREAD = 1.2533  # standard deviation over mean absolute deviation
_FIRST_STEP = 3.0
_LAST_STEP = 0.15
"""In mean sizes of an error: the outer quantiles are about two of them away."""
_SIZE_MEMORY = 0.03
_HORIZONS = 10
"""An error's size is what it was over so many horizons at least: a change within one is over when it would be used."""
_FAR = 8.0
"""An error is learnt from no further than so many mean sizes, unless it is not far for a step of the series."""
_NO_CHANGE = 1e-300
_LOOK_ALWAYS, _LOOK_EVERY = 128, 8
"""How often it is seen how alike errors are: it costs as much as learning from them."""
_WARM = 10
"""So many errors tell their size, but not yet their quantiles."""


class TrackedQuantiles:
    """Quantiles of errors of `count` series `horizon` ticks ahead, (levels, n): multiples of an error's recent size.

    The size follows a change of the errors at once; the multiples, a normal law's at first, are what is tracked.
    """

    def __init__(self, count: int, horizon: int = 1) -> None:
        self._horizon = horizon
        self._seen = self._learnt = 0
        self._size: Array = np.full(count, horizon**0.5)
        self._last: Array = np.zeros(count)
        self._change: Array = np.zeros(count)
        self._most: Array = self._size
        self._alike: Array = np.full(count, float(horizon))
        """Errors in a row that say no more than one: up to the horizon where forecasts overlap, as in a random walk."""
        self._memory: Array = self._alike**-0.5
        """The more errors are alike, the slower anything may be concluded."""
        self._wider: Array = np.full(count, 2.0)
        self._multiples: Array = np.repeat(np.array(_NORMAL)[:, None] * _NORMAL_SPREAD, count, axis=1)

    @property
    def spread(self) -> Array:
        """What the multiples are multiples of: an error's size, more where it is known from few errors.

        By a tenth with ten of them, as Student's law is.
        """
        spread: Array = self._size * self._wider
        return spread

    def write(self, ordered: Array, spread: Array) -> None:
        """The quantiles, in the order of `LEVELS` and never crossing, into an array that is there."""
        ordered[:] = self._multiples
        for low, high in pairwise(ordered):  # a row at a time: accumulate goes down the columns, five times as slow
            np.maximum(low, high, out=high)
        ordered *= spread

    def forget(self) -> None:
        """The forecaster has become another one, such as one that knows a season: its errors are learnt anew."""
        self._seen = 0
        self._multiples[:] = np.array(_NORMAL)[:, None] * _NORMAL_SPREAD

    def learn(self, errors: Array, known: NDArray[np.bool_], said: Array, near: float = np.inf) -> None:
        """One error of each series for which it is known, and what `said` its quantiles were; up to `near` none is far.

        What was said is what has to be right so often: what would be said by now knows the errors in between.
        """
        learns = self._memory if known.all() else known * self._memory
        if self._seen >= _WARM:
            step = learns * max(_LAST_STEP, _FIRST_STEP / self._seen)
            at = np.empty_like(errors)
            for level, multiple, limit in zip(LEVELS, self._multiples, said, strict=True):
                np.subtract(level, errors <= limit, out=at)
                np.multiply(at, step, out=at)
                np.add(multiple, at, out=multiple)
        is_new = self._learnt < _LOOK_ALWAYS
        looks = is_new or self._learnt % _LOOK_EVERY == 0
        if looks:
            self._most = np.maximum(_FAR * self._size, near)
        learns = np.minimum(_SIZE_MEMORY * learns, 1.0 / (_HORIZONS * self._horizon))
        if self._seen < max(self._horizon**0.5 / _SIZE_MEMORY, _HORIZONS * self._horizon):
            np.maximum(learns, known / (self._seen + 1.0), out=learns)
        self._size += learns * (np.minimum(np.abs(errors), self._most) - self._size)
        self._seen += 1
        self._learnt += 1
        if looks:
            change = np.minimum(np.abs(errors - self._last), self._most)
            self._look(change, learns if is_new else np.minimum(_LOOK_EVERY * learns, 1.0))
        self._last = errors

    def _look(self, change: Array, learns: Array) -> None:
        """See how alike errors in a row are, and with that how much is known of their size."""
        self._change += learns * (change - self._change)
        if self._horizon > 1:
            ratio = np.minimum(self._size / np.maximum(self._change, _NO_CHANGE), self._horizon)
            self._alike = np.clip(2.0 * ratio * ratio, 1.0, self._horizon)
            self._memory = 1.0 / np.sqrt(self._alike)
        few = self._alike / np.minimum(self._seen, 1.0 / (_SIZE_MEMORY * self._memory))
        self._wider = 1.0 + np.minimum(few, 1.0)


def probability_above(threshold: Array, point: Array, quantiles: Array) -> Array:
    """The probability that the value exceeds `threshold`, given the forecast and the quantiles of its error.

    Between quantiles it is interpolated; beyond the outermost it falls off as far as the two outermost are apart.
    """
    excess = threshold - point
    below = np.zeros_like(point)
    for (low, high), (left, right) in zip(pairwise(range(len(LEVELS))), pairwise(LEVELS), strict=True):
        width = np.maximum(quantiles[high] - quantiles[low], 1e-12)
        share = np.clip((excess - quantiles[low]) / width, 0.0, 1.0)
        below = np.where(excess >= quantiles[low], left + (right - left) * share, below)
    below = np.where(excess < quantiles[0], _tail(quantiles[0] - excess, quantiles[1] - quantiles[0], LEVELS[0]), below)
    above_all = _tail(excess - quantiles[-1], quantiles[-1] - quantiles[-2], 1 - LEVELS[-1])
    below = np.where(excess > quantiles[-1], 1.0 - above_all, below)
    return 1.0 - below


def _tail(distance: Array, scale: Array, mass: float) -> Array:
    fallen: Array = mass * np.exp(-np.maximum(distance, 0.0) / np.maximum(scale, 1e-12))
    return fallen
