"""Owns the way to HiGHS, for linear and mixed-integer programs that minimise, built by rows and then columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import highspy
import numpy as np

UNBOUNDED: float = highspy.kHighsInf


class Outcome(Enum):
    """How a solution ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    OUT_OF_TIME = "out of time"


@dataclass(frozen=True, slots=True)
class Column:
    """A variable of at least 0: its cost, its upper bound, and the rows it is in with which factors."""

    cost: float
    upper: float
    rows: Sequence[int]
    factors: Sequence[float]
    is_integer: bool = False


class LinearProgram:
    """A program that can grow and be solved again from where it was; its time limit is for all of that together.

    `gap`: how far from the best an answer in whole numbers may be, instead of the solver's usual 0.01 % of it.
    """

    def __init__(self, time_limit_seconds: float, *, gap: float | None = None) -> None:
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("time_limit", time_limit_seconds)
        if gap is not None:
            self._highs.setOptionValue("mip_rel_gap", 0.0)
            self._highs.setOptionValue("mip_abs_gap", gap)

    def add_rows(self, bounds: Iterable[tuple[float, float]]) -> None:
        """Rows of (at least, at most), empty as yet; numbered on from those before."""
        lower, upper = (np.array(side, dtype=np.float64) for side in zip(*bounds, strict=True))
        nothing = np.array([], dtype=np.int32)
        starts = np.zeros(len(lower), dtype=np.int32)
        self._highs.addRows(len(lower), lower, upper, 0, starts, nothing, np.array([], dtype=np.float64))

    def add_columns(self, columns: Sequence[Column]) -> None:
        """Variables; numbered on from those before."""
        first = self._highs.getNumCol()
        sizes = [len(column.rows) for column in columns]
        self._highs.addCols(
            len(columns),
            np.array([column.cost for column in columns], dtype=np.float64),
            np.zeros(len(columns)),
            np.array([column.upper for column in columns], dtype=np.float64),
            sum(sizes),
            np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32),
            np.fromiter((row for column in columns for row in column.rows), dtype=np.int32, count=sum(sizes)),
            np.fromiter((factor for column in columns for factor in column.factors), np.float64, count=sum(sizes)),
        )
        integers = [first + number for number, column in enumerate(columns) if column.is_integer]
        if integers:
            kinds = np.full(len(integers), highspy.HighsVarType.kInteger)
            self._highs.changeColsIntegrality(len(integers), np.array(integers, dtype=np.int32), kinds)

    def solve(self) -> Outcome:
        """Minimise the cost, from the last solution on."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            return Outcome.OPTIMAL
        if status == highspy.HighsModelStatus.kTimeLimit:
            return Outcome.OUT_OF_TIME
        return Outcome.INFEASIBLE

    @property
    def cost(self) -> float:
        """What the solution costs."""
        return float(self._highs.getObjectiveValue())

    @property
    def values(self) -> list[float]:
        """The solution, by column."""
        return list(self._highs.getSolution().col_value)

    @property
    def duals(self) -> list[float]:
        """The price of each row at the optimum of a linear program."""
        return list(self._highs.getSolution().row_dual)
