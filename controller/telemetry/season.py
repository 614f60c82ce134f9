"""Owns what series are like at each phase of a season, in bounded memory: a mean for every few ticks of it.

Of each part of the season the last one that has gone by is kept, and a profile over several seasons. Between the
middles of parts it is interpolated. The phase is given and not counted, so ticks that were missed move nothing.
"""

import numpy as np
from numpy.typing import NDArray

from controller.telemetry.learnt import Learnt

Array = NDArray[np.float64]
_PROFILE_MEMORY = 0.25


class Season:
    """`period` ticks, kept as means of `every` ticks each, of `count` series: 8 octets for each part and series."""

    def __init__(self, count: int, period: int, every: int = 1) -> None:
        self.period = period
        self.seen = 0
        """Ticks so far; what began to be remembered later in a series that was taken over counts."""
        self._every = every
        self._parts = max(2, -(-period // every))
        self.latest = np.zeros((self._parts, count), dtype=np.float32)
        self.usual = np.zeros((self._parts, count), dtype=np.float32)
        self._part = -1
        self._sum: Array = np.zeros(count)
        self._ticks = 0
        self.waiting = -1
        """The part before: as long as the place between it and the next may be asked for, it is that of last season."""
        self.waits = np.zeros(count, dtype=np.float32)
        """What it will be."""

    @property
    def is_ready(self) -> bool:
        """Whether a whole season has been seen."""
        return self.seen > self.period + 2 * self._every

    def remember(self, phase: int, values: Array) -> None:
        """The values of a tick."""
        part = phase // self._every
        if part != self._part:
            self._close()
            self._part = part
        self._sum += values
        self._ticks += 1
        self.seen += 1

    def last(self, phase: int) -> Array:
        """What the series were at a phase when it was last gone through: a season ago, or less for one ahead."""
        return self._between(self.latest, phase)

    def profile(self, phase: int) -> Array:
        """What they use to be at a phase."""
        return self._between(self.usual, phase)

    def take(self, column: int, other: "Season", theirs: int) -> None:
        """Take over a series from another memory of the same season."""
        self.latest[:, column] = other.latest[:, theirs]
        self.usual[:, column] = other.usual[:, theirs]
        if other.waiting >= 0:
            self.latest[other.waiting, column] = other.waits[theirs]
        self._sum[column] = 0.0

    @property
    def learnt(self) -> Learnt:
        """All of it."""
        return Learnt("season", self, ("latest", "usual", "_sum", "waits"), ("seen", "_part", "_ticks", "waiting"))

    def _close(self) -> None:
        """Keep the part that is over, one part later."""
        if self.waiting >= 0:
            memory = _PROFILE_MEMORY if self.is_ready else 1.0
            self.usual[self.waiting] += memory * (self.waits - self.usual[self.waiting])
            self.latest[self.waiting] = self.waits
        self.waiting = self._part if self._ticks else -1
        self.waits = (self._sum / max(self._ticks, 1)).astype(np.float32)
        self._sum[:] = 0.0
        self._ticks = 0

    def _between(self, table: NDArray[np.float32], phase: int) -> Array:
        place = (phase % self.period + 0.5) / self._every - 0.5
        low = int(np.floor(place))
        share = place - low
        mixed: Array = table[low % self._parts] * (1.0 - share) + table[(low + 1) % self._parts] * share
        return mixed.astype(np.float64)
