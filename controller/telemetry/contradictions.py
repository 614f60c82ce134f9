"""Owns witnesses that cannot all be right: the two ends of a link, and probes beside counters; many links at once.

What comes out of a link cannot be more than went in. What did not come out was lost, and then probes over the link lose
as much; where they do not, or where probes lose what no counter misses, somebody is wrong. Readings of two ends are not
taken at one moment, so rates are averaged before they are compared, and a small difference is none.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_MEMORY = 0.25
_LEAST_PACKETS = 1.0
_WARM = 4
"""Readings of both ends, before which their average means little."""
_CERTAIN = 4.0
"""Standard errors of a probe's loss that are no chance."""


class LinkWitnesses:
    """Compares both ends of `count` links, and probes over them where there are any.

    `tolerance` is the share by which two ends may differ for being read at different moments, `least_rate` below which
    a share means nothing.
    """

    def __init__(self, count: int, *, tolerance: float = 0.05, least_rate: float = 1000.0) -> None:
        self._tolerance, self._least = tolerance, least_rate
        self._out: Array = np.full(count, np.nan)
        self._in: Array = np.full(count, np.nan)
        self._heard = np.zeros(count, dtype=np.int64)
        self._sent: Array = np.zeros(count)
        self._lost: Array = np.zeros(count)

    def step(self, out_rates: Array, in_rates: Array, sent: Array | None = None, lost: Array | None = None) -> Mask:
        """Which links' ends, or probes, contradict one another; NaN is what is not known. Probes count packets."""
        both = np.isfinite(out_rates) & np.isfinite(in_rates)
        self._heard += both
        self._out = _averaged(self._out, np.where(both, out_rates, np.nan))
        self._in = _averaged(self._in, np.where(both, in_rates, np.nan))
        if sent is not None and lost is not None:
            told = np.isfinite(sent) & np.isfinite(lost) & (sent >= lost) & (lost >= 0)
            self._sent += np.where(told, sent, 0.0) - _MEMORY * self._sent
            self._lost += np.where(told, lost, 0.0) - _MEMORY * self._lost
        return self._contradicted()

    def _contradicted(self) -> Mask:
        heard = self._heard >= _WARM
        went_in, came_out = np.nan_to_num(self._out), np.nan_to_num(self._in)
        heard &= np.maximum(went_in, came_out) > self._least
        missing = (went_in - came_out) / np.maximum(np.maximum(went_in, came_out), self._least)
        probed = self._sent >= _LEAST_PACKETS
        packets = np.maximum(self._sent, _LEAST_PACKETS)
        share = self._lost / packets
        # A rule of succession: no loss of ten packets is no proof that there is none.
        likely = (self._lost + 1.0) / (packets + 2.0)
        doubt = np.where(probed, _CERTAIN * np.sqrt(likely * (1.0 - likely) / packets), 0.0)
        explained = np.where(probed, share, 0.0)
        found: Mask = heard & (np.abs(missing - explained) > self._tolerance + doubt)
        return found


def _averaged(old: Array, new: Array) -> Array:
    moved = np.where(np.isfinite(old), old + _MEMORY * (new - old), new)
    return np.where(np.isfinite(new), moved, old)
