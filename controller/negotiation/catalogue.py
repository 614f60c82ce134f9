"""Owns what is sold: graded services, each a tuple of bandwidth, latency and availability grades in one tier.

A service is sold by grades and never by what the network happens to have free (ETSI GR ZSM 019's variable abstraction):
a request is answered with the cheapest service whose grades meet it. Ranks order the grades of an axis from the one
that promises least.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise, product
from math import inf, isfinite
from operator import ge

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.money import Money
from controller.model.units import BitRate


class Axis(StrEnum):
    """What is graded, and priced by itself."""

    BANDWIDTH = "bandwidth"
    LATENCY = "latency"
    AVAILABILITY = "availability"


class Tier(StrEnum):
    """The network that carries a service: best effort over IP, or deterministic over optical transport."""

    IP = "ip"
    OPTICAL = "optical"


@dataclass(frozen=True, slots=True)
class Grade:
    """A step of an axis. `bound` is at least so many bit/s, at most so many seconds, or at least so available.

    A latency grade without a promise has the bound infinity, an availability grade without one has 0.
    """

    axis: Axis
    name: str
    rank: int
    bound: float

    def __post_init__(self) -> None:
        """Refuse a bound that nothing could be measured against."""
        promises = isfinite(self.bound) or (self.axis is Axis.LATENCY and self.bound == inf)
        highest = 1.0 if self.axis is Axis.AVAILABILITY else inf
        lowest_is_good = self.axis is Axis.AVAILABILITY and self.bound == 0
        if not (promises and (self.bound > 0 or lowest_is_good) and self.bound <= highest):
            raise InvalidInputError(
                f"the {self.axis} grade '{self.name}' has the bound {self.bound}", remedy="give one that can be met"
            )

    @property
    def is_scarce(self) -> bool:
        """Whether it takes of its axis: bandwidth always does, the lowest grade of the others promises nothing."""
        return self.axis is Axis.BANDWIDTH or self.rank > 0


@dataclass(frozen=True, slots=True)
class Offering:
    """A service that can be bought. `price_per_hour` is the base, before scarcity."""

    id: str
    tier: Tier
    bandwidth: Grade
    latency: Grade
    availability: Grade
    price_per_hour: Money
    axes: tuple[Axis, ...] = field(init=False, compare=False)
    """The axes that it takes of."""
    ranks: tuple[int, ...] = field(init=False, compare=False)
    """Of its grades, in the order of the axes."""
    bit_rate: int = field(init=False, compare=False)
    """What it reserves, in bit/s."""

    def __post_init__(self) -> None:
        """Refuse grades of the wrong axis, and a price of nothing."""
        grades = (self.bandwidth, self.latency, self.availability)
        if wrong := [grade.name for grade, axis in zip(grades, Axis, strict=True) if grade.axis is not axis]:
            raise InvalidInputError(f"the service '{self.id}' has grades on the wrong axis: {', '.join(wrong)}")
        if self.price_per_hour.minor <= 0:
            raise InvalidInputError(
                f"the service '{self.id}' has the price {self.price_per_hour}", remedy="give a price above nothing"
            )
        object.__setattr__(self, "axes", tuple(grade.axis for grade in grades if grade.is_scarce))
        object.__setattr__(self, "ranks", tuple(grade.rank for grade in grades))
        object.__setattr__(self, "bit_rate", int(self.bandwidth.bound))

    def grade(self, axis: Axis) -> Grade:
        """Its grade on that axis."""
        return {Axis.BANDWIDTH: self.bandwidth, Axis.LATENCY: self.latency}.get(axis, self.availability)


_Ranks = tuple[Tier, *tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All grades and services, checked together. `classes` are the workload classes that may ask."""

    currency: str
    classes: frozenset[str]
    grades: Mapping[Axis, tuple[Grade, ...]]
    offerings: tuple[Offering, ...]
    _by_id: Mapping[str, Offering] = field(init=False, repr=False, compare=False)
    _bounds: Mapping[Axis, tuple[float, ...]] = field(init=False, repr=False, compare=False)
    _cheapest: Mapping[_Ranks, Offering] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse it with all its problems at once, or make it ready for being asked."""
        if problems := list(_problems(self)):
            raise InvalidInputError(f"the catalogue: {'; '.join(problems)}", remedy="correct each of them")
        sign = {Axis.BANDWIDTH: 1, Axis.LATENCY: -1, Axis.AVAILABILITY: 1}
        bounds = {axis: tuple(sign[axis] * grade.bound for grade in grades) for axis, grades in self.grades.items()}
        object.__setattr__(self, "_bounds", bounds)
        object.__setattr__(self, "_by_id", {offering.id: offering for offering in self.offerings})
        object.__setattr__(self, "_cheapest", _cheapest(self))

    def offering(self, offering_id: str) -> Offering:
        """The service of that id; `NotFoundError` names it when there is none."""
        try:
            return self._by_id[offering_id]
        except KeyError:
            raise NotFoundError(f"the catalogue has no service '{offering_id}'", remedy="name one it has") from None

    def grade(self, axis: Axis, name: str) -> Grade:
        """The grade of that name; `NotFoundError` names it when there is none."""
        for grade in self.grades[axis]:
            if grade.name == name:
                return grade
        known = ", ".join(grade.name for grade in self.grades[axis])
        raise NotFoundError(f"there is no {axis} grade '{name}'", remedy=f"name one of {known}")

    def cheapest(self, tier: Tier, bandwidth: BitRate, latency_seconds: float, availability: float) -> Offering | None:
        """The service of the lowest base price that meets this; None when no service of the tier does."""
        bounds = self._bounds
        ranks = (
            tier,
            bisect_left(bounds[Axis.BANDWIDTH], bandwidth.bits_per_second),
            bisect_left(bounds[Axis.LATENCY], -latency_seconds),
            bisect_left(bounds[Axis.AVAILABILITY], availability),
        )
        return self._cheapest.get(ranks)


def _cheapest(catalogue: Catalogue) -> dict[_Ranks, Offering]:
    """For each tuple of ranks that may be needed the cheapest service with these or better."""
    ranks = [range(len(catalogue.grades[axis])) for axis in Axis]
    by_price = sorted(catalogue.offerings, key=lambda each: (each.price_per_hour.minor, each.id))
    found: dict[_Ranks, Offering] = {}
    for tier, needed in product(Tier, product(*ranks)):
        for offering in by_price:
            if offering.tier is tier and all(map(ge, offering.ranks, needed)):
                found[tier, *needed] = offering
                break
    return found


def _problems(catalogue: Catalogue) -> Iterable[str]:
    if not catalogue.classes:
        yield "it has no workload classes"
    for axis in Axis:
        yield from _ladder_problems(axis, catalogue.grades.get(axis, ()))
    known = {grade for grades in catalogue.grades.values() for grade in grades}
    if len({offering.id for offering in catalogue.offerings}) < len(catalogue.offerings):
        yield "two services have the same id"
    if not catalogue.offerings:
        yield "it has no services"
    for offering in catalogue.offerings:
        if offering.price_per_hour.currency != catalogue.currency:
            yield f"the service '{offering.id}' is priced in {offering.price_per_hour.currency}"
        if not {offering.bandwidth, offering.latency, offering.availability} <= known:
            yield f"the service '{offering.id}' has a grade that is not listed"


def _ladder_problems(axis: Axis, grades: tuple[Grade, ...]) -> Iterable[str]:
    if not grades:
        yield f"it has no {axis} grades"
    if len({grade.name for grade in grades}) < len(grades):
        yield f"two {axis} grades have the same name"
    if [grade.rank for grade in grades] != list(range(len(grades))) or any(grade.axis is not axis for grade in grades):
        yield f"the {axis} grades are not ranked from 0 on"
    for lower, higher in pairwise(grades):
        is_better = higher.bound < lower.bound if axis is Axis.LATENCY else higher.bound > lower.bound
        if not is_better:
            yield f"the {axis} grade '{higher.name}' promises no more than '{lower.name}'"
