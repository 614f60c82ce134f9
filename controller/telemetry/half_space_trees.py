"""Owns how unheard of a point is, by half-space trees (Tan, Ting and Liu 2011): mass in random halvings of space.

All series share the halvings, which are drawn from a fixed seed; each has its own mass, which fades. Points are in the
unit cube. A tree finds a point novel if next to nothing fell lately where it falls.
"""

import numpy as np
from numpy.typing import NDArray

from controller.telemetry.learnt import Learnt

Array = NDArray[np.float64]
_SEED = 20260101
_MEMORY = 0.002
_NEXT_TO_NOTHING = 0.001


class HalfSpaceTrees:
    """`trees` trees of `depth` halvings over points of `dimensions` coordinates, for `count` series."""

    def __init__(self, dimensions: int, count: int, *, trees: int = 12, depth: int = 4) -> None:
        draw = np.random.Generator(np.random.PCG64(_SEED))
        self._axes = draw.integers(dimensions, size=(trees, depth))
        self._cuts = draw.uniform(0.05, 0.95, size=(trees, depth))
        self._series = np.arange(count)
        self._mass = np.zeros((trees, 1 << depth, count), dtype=np.float32)
        self._seen = 0

    @property
    def learnt(self) -> Learnt:
        """The mass of each series."""
        return Learnt("trees", self, ("_mass",), ("_seen",))

    def step(self, points: Array, known: NDArray[np.bool_]) -> Array:
        """The share of trees that find each point (dimensions, n) novel; then remember those that are known."""
        memory = max(_MEMORY, 1.0 / (self._seen + 1.0))
        self._seen += 1
        kept, added = (1.0 - memory * known).astype(np.float32), (memory * known).astype(np.float32)
        novel: Array = np.zeros(points.shape[1])
        for number, (axes, cuts) in enumerate(zip(self._axes, self._cuts, strict=True)):
            leaf = np.zeros(points.shape[1], dtype=np.int64)
            for axis, cut in zip(axes, cuts, strict=True):
                leaf = 2 * leaf + (points[axis] > cut)
            mass = self._mass[number]
            novel += mass[leaf, self._series] < _NEXT_TO_NOTHING
            mass *= kept
            mass[leaf, self._series] += added
        return novel / len(self._axes)
