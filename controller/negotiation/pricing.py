"""Owns the tariff: what a service costs an hour, from its base price and the published bands and from nothing else.

Each axis that a service takes of has its own surcharge for each band; they add up. Who asks, what they could pay and
how scarce something is behind its band have no way in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.negotiation.bands import BANDS, WITHDRAWN_RANK, Band, BandPolicy
from controller.negotiation.catalogue import Axis, Offering
from controller.negotiation.scarcity import ScarcityPolicy

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Tariff:
    """Per axis the factor of each band that is sold, from baseline up."""

    factors: Mapping[Axis, tuple[Fraction, Fraction, Fraction]]
    steps: Mapping[Axis, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    """The surcharges over one denominator: whole numbers, for finding the cheapest path."""
    _denominator: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a tariff by which what is scarcer costs less."""
        for axis in Axis:
            factors: tuple[Fraction, ...] = self.factors.get(axis, ())
            if len(factors) != WITHDRAWN_RANK or factors[0] != 1 or list(factors) != sorted(factors):
                raise InvalidInputError(
                    f"the {axis} factors are {', '.join(map(str, factors)) or 'missing'}",
                    remedy="give one for each band that is sold, from 1 on and never falling",
                )
        common = lcm(*(factor.denominator for factors in self.factors.values() for factor in factors))
        steps = {axis: tuple(int((each - 1) * common) for each in factors) for axis, factors in self.factors.items()}
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "_denominator", common)

    def factor(self, steps: int) -> Fraction:
        """What the base price is multiplied by for this sum of `steps`."""
        return Fraction(self._denominator + steps, self._denominator)

    def price_per_hour(self, offering: Offering, bands: Mapping[Axis, Band]) -> Money:
        """What anybody pays for an hour of this service when these bands are published."""
        taken = [(axis, bands[axis]) for axis in offering.axes]
        if gone := [axis for axis, band in taken if band is Band.WITHDRAWN]:
            raise InvalidInputError(f"'{offering.id}' is withdrawn: {', '.join(gone)}", remedy="ask again later")
        return offering.price_per_hour.times(self.factor(sum(self.steps[axis][band.rank] for axis, band in taken)))


@dataclass(frozen=True, slots=True)
class QuotePolicy:
    """How long a quote binds, and how many one asker may have open."""

    valid_seconds: float = 30.0
    most_open: int = 16

    def __post_init__(self) -> None:
        """Refuse quotes that are over before they are given, or never."""
        if not (0 < self.valid_seconds <= SECONDS_PER_HOUR and self.most_open > 0):
            raise InvalidInputError(
                f"quotes cannot be valid for {self.valid_seconds} s, {self.most_open} at a time",
                remedy="give up to an hour, and at least one",
            )


@dataclass(frozen=True, slots=True)
class MarketPolicy:
    """Everything that turns load into prices."""

    scarcity: ScarcityPolicy
    bands: BandPolicy
    tariff: Tariff
    quotes: QuotePolicy = field(default_factory=QuotePolicy)


def bands_of(ranks: Mapping[Axis, int]) -> dict[Axis, Band]:
    """Bands by their ranks; an axis that nothing is taken of is at baseline."""
    return {axis: BANDS[ranks.get(axis, 0)] for axis in Axis}
