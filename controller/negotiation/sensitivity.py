"""Owns the price-sensitivity record: which prices were taken and which were not, and who may know what of it.

Askers stand in it by operational labels (the NaaS draft's security considerations): keyed hashes that say nothing
without the key. What leaves it is an asker's own points to that asker, and to everybody else sums of periods that are
over, of cells that enough different labels are in, in rounded counts. Nothing of it enters the price of who is asking:
what pricing may see is a `DemandCell`, which has no label.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256
from hmac import digest
from math import isfinite
from typing import Any

from controller.model.errors import InvalidInputError, NotAuthorizedError
from controller.negotiation.catalogue import Catalogue, Tier
from controller.negotiation.quote import Quote

Json = Any
_LEAST_KEY_OCTETS = 16
_LABEL_DIGITS = 16
_MARKUP_STEP = Fraction(1, 4)


class Audience(StrEnum):
    """Who wants to know."""

    ASKER = "asker"
    PRICING = "pricing"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class DisclosurePolicy:
    """What is told: cells of so many labels at least, counts in such steps, of whole periods, kept for so long."""

    least_labels: int = 5
    count_step: int = 5
    period_seconds: float = 3600.0
    kept_seconds: float = 30 * 86_400.0
    most_points: int = 100_000
    tells: frozenset[Audience] = frozenset({Audience.ASKER, Audience.PRICING})

    def __post_init__(self) -> None:
        """Refuse a policy by which a cell could be one asker."""
        if self.least_labels < 2 or self.count_step < 1 or self.most_points < 1:
            raise InvalidInputError(
                f"cells of {self.least_labels} labels in steps of {self.count_step} would tell who it was",
                remedy="ask for at least 2 labels and a step of at least 1",
            )
        if not (isfinite(self.period_seconds) and 0 < self.period_seconds <= self.kept_seconds):
            raise InvalidInputError(f"periods of {self.period_seconds} s are not kept for {self.kept_seconds} s")


@dataclass(frozen=True, slots=True)
class Point:
    """One answer to one price, as a markup over the base."""

    label: str
    workload_class: str
    tier: Tier
    offering: str
    markup: Fraction
    is_accepted: bool
    time: float


@dataclass(frozen=True, slots=True, order=True)
class DemandCell:
    """How many of those who were asked this markup in this period took it. Nobody in particular."""

    period: int
    workload_class: str
    tier: Tier
    markup: Fraction
    asked: int
    accepted: int


def operational_label(consumer: str, key: bytes) -> str:
    """The name that an asker has here: the same each time, and nobody's without the key."""
    if len(key) < _LEAST_KEY_OCTETS:
        raise InvalidInputError(f"a key of {len(key)} octets hides nobody", remedy=f"give {_LEAST_KEY_OCTETS} or more")
    return f"label-{digest(key, consumer.encode('utf-8', 'surrogatepass'), sha256).hex()[:_LABEL_DIGITS]}"


@dataclass(slots=True)
class PriceSensitivity:
    """The record. Points leave it by age, and the oldest when there are too many."""

    policy: DisclosurePolicy = field(default_factory=DisclosurePolicy)
    _points: deque[Point] = field(default_factory=deque)

    def answered(
        self, quote: Quote, catalogue: Catalogue, label: str, workload_class: str, *, is_accepted: bool, now: float
    ) -> None:
        """Somebody took a quote, or did not; an unknown service or class is refused by name."""
        if workload_class not in catalogue.classes:
            raise InvalidInputError(f"there is no workload class '{workload_class}'", remedy="name one that is sold to")
        base = catalogue.offering(quote.offering).price_per_hour
        markup = Fraction(quote.price_per_hour.minor, base.minor)
        self._points.append(Point(label, workload_class, quote.tier, quote.offering, markup, is_accepted, now))
        self._forget(now)

    def to_json(self) -> Json:
        """Every point, by labels, for a snapshot; the file is for the daemon's user only."""
        return [
            [one.label, one.workload_class, one.tier, one.offering, str(one.markup), one.is_accepted, one.time]
            for one in self._points
        ]

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self._points = deque(
            Point(label, name, Tier(tier), offering, Fraction(markup), is_accepted, time)
            for label, name, tier, offering, markup, is_accepted, time in document
        )

    def own(self, label: str, by: str) -> tuple[Point, ...]:
        """An asker's own points, to that asker and nobody else."""
        if label != by or Audience.ASKER not in self.policy.tells:
            raise NotAuthorizedError(f"the points of '{label}' are not told to '{by}'", remedy="ask for your own")
        return tuple(point for point in self._points if point.label == label)

    def demand(self, audience: Audience, now: float) -> tuple[DemandCell, ...]:
        """What may be told of all askers together, of the periods that are over."""
        if audience is Audience.ASKER or audience not in self.policy.tells:
            raise NotAuthorizedError(f"demand is not told to '{audience}'", remedy="change the disclosure policy")
        self._forget(now)
        cells: dict[tuple[int, str, Tier, Fraction], list[Point]] = {}
        for point in self._points:
            period = int(point.time // self.policy.period_seconds)
            if (period + 1) * self.policy.period_seconds <= now:
                step = point.markup // _MARKUP_STEP * _MARKUP_STEP
                cells.setdefault((period, point.workload_class, point.tier, step), []).append(point)
        return tuple(sorted(self._told(cells)))

    def _told(self, cells: dict[tuple[int, str, Tier, Fraction], list[Point]]) -> Iterator[DemandCell]:
        step = self.policy.count_step
        for key, points in cells.items():
            if len({point.label for point in points}) >= self.policy.least_labels:
                accepted = sum(point.is_accepted for point in points)
                yield DemandCell(*key, len(points) // step * step, accepted // step * step)

    def _forget(self, now: float) -> None:
        points = self._points
        while points and (points[0].time < now - self.policy.kept_seconds or len(points) > self.policy.most_points):
            points.popleft()
