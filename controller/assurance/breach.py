"""Owns breach prediction: the probability that an objective is broken within the horizons of its series' forecast.

TS 28.536 calls this the predicted status of a target. How far the series can be trusted multiplies the probability:
an alarm on bad data is no alarm. It doesn't multiply the all-clear, which bad data cannot give at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import nan

import numpy as np

from controller.assurance.objectives import Objective
from controller.model.errors import InvalidInputError
from controller.telemetry.forecast import Forecast
from controller.telemetry.quality import FLOOR


@dataclass(frozen=True, slots=True)
class Breach:
    """What is forecast of one objective, where a breach is likeliest, or else farthest ahead. In the objective's unit.

    `lower` and `upper` bound the 90 % interval, `quality` is how far the series can be trusted, 0 to 1.
    """

    objective: Objective
    horizon_seconds: float
    point: float
    lower: float
    upper: float
    probability: float
    quality: float

    @property
    def confidence(self) -> float:
        """The probability as far as it can be trusted."""
        return self.probability * self.quality

    def __str__(self) -> str:
        return f"breach of {self.objective.label} within {self.horizon_seconds:g} s at {self.probability:.0%}"


def unforeseen(objective: Objective) -> Breach:
    """Of an objective that nobody has measured: no alarm, and no all-clear either."""
    return Breach(objective, 0.0, nan, nan, nan, 0.0, 0.0)


def predict(
    objectives: Sequence[Objective], forecast: Forecast, tick_seconds: float, qualities: Sequence[float]
) -> tuple[Breach, ...]:
    """One for each objective; column n of the forecast is the series of objective n.

    A forecast that is not a number is no forecast: its probability and its quality are 0. None is told below zero, or
    of a ratio above one.
    """
    columns = forecast.point.shape[1]
    if not len(objectives) == len(qualities) == columns:
        raise InvalidInputError(
            f"{len(objectives)} objectives and {len(qualities)} qualities for {columns} forecast series",
            remedy="give one of each for every series",
            path="objectives",
        )
    targets = np.array([one.target for one in objectives])
    # Mirrored at zero a floor is a ceiling, so that a constant series that stands on its floor keeps it.
    floors = np.array([one.name.is_floor for one in objectives], dtype=bool)
    sign = np.where(floors, -1.0, 1.0)
    errors = np.where(floors, -forecast.quantiles[:, ::-1], forecast.quantiles)
    probability = Forecast(forecast.horizons, sign * forecast.point, errors).probability_above(sign * targets)
    known = np.isfinite(forecast.point) & np.isfinite(probability)
    probability = np.where(known, probability, 0.0)
    last = len(forecast.horizons) - 1
    rows, every = last - np.argmax(probability[::-1], axis=0) if columns else np.zeros(0, dtype=int), np.arange(columns)
    highest = np.array([1.0 if one.unit == "ratio" else np.inf for one in objectives])
    bounded = [np.clip(table, 0.0, highest) for table in (forecast.point, forecast.lower, forecast.upper)]
    likeliest = [table[rows, every].tolist() for table in (*bounded, probability)]
    horizons = [forecast.horizons[row] * tick_seconds for row in rows]
    trusted = np.where(known.all(axis=0), np.asarray(qualities, dtype=float), 0.0).tolist()
    return tuple(map(Breach, objectives, horizons, *likeliest, trusted))


class Level(StrEnum):
    """Where the probability of a breach stands between the two thresholds of a Schmitt trigger."""

    ABOVE = "above"
    BETWEEN = "between"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class SchmittTrigger:
    """Two thresholds, so that what moves between them changes nothing; its memory is the state of the instance."""

    enter: float = 0.8
    leave: float = 0.3
    quality_floor: float = FLOOR

    def __post_init__(self) -> None:
        """Refuse thresholds that are no hysteresis."""
        if not 0.0 <= self.leave < self.enter <= 1.0:
            raise InvalidInputError(
                f"leaving at {self.leave:g} and entering at {self.enter:g} is no hysteresis",
                remedy="give 0 <= leave < enter <= 1",
                path="leave",
            )

    def level(self, breaches: Iterable[Breach]) -> Level:
        """Above for one alarm that can be trusted; below when all are clear and each can be trusted."""
        found = tuple(breaches)
        if any(one.confidence >= self.enter and self.trusts(one) for one in found):
            return Level.ABOVE
        clear = [one.probability <= self.leave and self.trusts(one) for one in found]
        return Level.BELOW if clear and all(clear) else Level.BETWEEN

    def trusts(self, breach: Breach) -> bool:
        """Whether the data are good enough to act on."""
        return breach.quality >= self.quality_floor
