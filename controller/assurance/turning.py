"""Owns finding when a series changed: the stretch whose mean stands out most from the rest (Olshen and others 2004).

What is found is told by a narrative, so it has to be plain: two levels, and one of them began at a moment.
"""

from collections.abc import Sequence

import numpy as np

from controller.telemetry.sample import Sample

_LEAST = 2
"""Samples that are a level."""
_STANDS_OUT = 6.0
"""Standard errors by which the two levels differ at least."""
_LEAST_CHANGE = 0.05
"""Of the larger level: what changed by less is no story, however sure it is."""
_MOST = 400

Levels = tuple[list[Sample], list[Sample]]


def levels(samples: Sequence[Sample]) -> Levels | None:
    """The samples before a change and those after it; None where nothing stands out.

    A stretch at the end, or one that is over, is told against what was before it; one at the beginning is what the
    rest is told against.
    """
    usable = [one for one in sorted(samples, key=lambda one: one.source_time) if one.counts_for_billing][-_MOST:]
    if len(usable) < 2 * _LEAST:
        return None
    values = np.array([one.value for one in usable])
    begin, end = _stretch(values)
    inside, outside = values[begin:end], np.concatenate([values[:begin], values[end:]])
    if not _differ(inside, outside):
        return None
    if begin < _LEAST:
        return usable[:end], usable[end:]
    return usable[:begin], usable[begin:end]


def _stretch(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int]:
    """The stretch, and not the whole, whose mean differs most from that of the rest for its length."""
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values - values.mean())])
    begins, ends = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
    lengths = ends - begins
    possible = (lengths >= _LEAST) & (count - lengths >= _LEAST)
    # A level before the stretch of which too little is left is no level, and neither is one after it.
    weights = np.sqrt(np.where(possible, lengths * (count - lengths) / count, 1.0))
    differences = np.abs(sums[None, :] - sums[:, None]) * count / np.where(possible, lengths * (count - lengths), 1.0)
    best = np.where(possible, differences * weights, -1.0)
    begin, end = np.unravel_index(int(best.argmax()), best.shape)
    return int(begin), int(end)


def _differ(
    one: np.ndarray[tuple[int], np.dtype[np.float64]], other: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> bool:
    spread = np.sqrt(one.var() / len(one) + other.var() / len(other))
    difference = abs(float(one.mean() - other.mean()))
    larger = max(abs(float(one.mean())), abs(float(other.mean())))
    return bool(difference > _STANDS_OUT * spread and difference >= _LEAST_CHANGE * larger and difference > 1e-9)
