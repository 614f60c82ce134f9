"""Owns the greedy weighted set cover of symptoms by risk groups (as in SCORE): quick, and enough for the obvious."""

import numpy as np
from numpy.typing import NDArray

LEAST_HIT_RATIO = 0.8
"""Of what a group covers so much has to be a symptom; below 1, because sensors err."""


def greedy_cover(
    covers: NDArray[np.bool_], is_symptom: NDArray[np.bool_], costs: NDArray[np.float64], least_hit_ratio: float
) -> tuple[int, ...]:
    """Groups by position that explain the symptoms, each the one that explains most of what is left for its cost.

    `covers` is by observation and group. Symptoms that no group with enough hits explains stay unexplained.
    """
    hits, seen = covers[is_symptom].sum(axis=0), covers.sum(axis=0)
    eligible = (hits > 0) & (hits >= least_hit_ratio * seen)
    left = is_symptom.copy()
    chosen: list[int] = []
    while True:
        worth = np.where(eligible, covers[left].sum(axis=0) / costs, 0.0)
        if not worth.any():
            return tuple(chosen)
        best = int(worth.argmax())
        chosen.append(best)
        left &= ~covers[:, best]


def obvious(covers: NDArray[np.bool_], is_symptom: NDArray[np.bool_]) -> int | None:
    """The one group that covers every symptom and nothing else, where there is exactly one such."""
    exact = np.flatnonzero((covers == is_symptom[:, None]).all(axis=0))
    return int(exact[0]) if len(exact) == 1 and is_symptom.any() else None
