"""Owns symptoms and the health score of one subservice, in the words of RFC 9417 and RFC 9418.

The score goes from 100, healthy, to 0, broken. Weights of symptoms that are there together take, one after the other,
their share of what is left, so that more symptoms never mean more health and no number of small ones is a failure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from controller.model.errors import InvalidInputError

HEALTHY = 100
BROKEN = 0


@dataclass(frozen=True, slots=True)
class Symptom:
    """A reason why a subservice is not healthy. Times are in seconds UTC; `end` is None while it lasts.

    `weight` is how much it takes from the health score of its subject, 0 to 100.
    """

    id: str
    subject: str
    kind: str
    start: float
    end: float | None = None
    weight: int = HEALTHY
    reason: str = ""
    """What it is about, for people, where the id does not say it."""

    def __post_init__(self) -> None:
        """Refuse a weight that is none, and an end before the start."""
        if not BROKEN <= self.weight <= HEALTHY:
            raise InvalidInputError(
                f"symptom '{self.id}' weighs {self.weight}", remedy=f"give a weight from {BROKEN} to {HEALTHY}"
            )
        if self.end is not None and self.end < self.start:
            raise InvalidInputError(
                f"symptom '{self.id}' ends at {self.end}, before it starts at {self.start}", remedy="correct its times"
            )

    def is_active(self, at: float) -> bool:
        """Whether it was there at that time."""
        return self.start <= at and (self.end is None or at < self.end)


def health_score(symptoms: Iterable[Symptom], at: float) -> int:
    """What the symptoms that are there at that time leave of the health."""
    left = prod((HEALTHY - one.weight) / HEALTHY for one in symptoms if one.is_active(at))
    return round(HEALTHY * left)
