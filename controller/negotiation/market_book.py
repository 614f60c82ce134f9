"""Owns what the market has made of each link: its shadow prices, bands and grades on sale, as events keep them.

Each tick tells of the links that it moved, and of no others; a market that begins anew takes up from there, with the
time that each band has still to stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.negotiation.bands import Level
from controller.negotiation.catalogue import Axis, Tier

Json = Any


@dataclass(frozen=True, slots=True)
class AxisState:
    """A link on one axis."""

    price: float
    band: Level
    on_sale: Level

    def to_json(self) -> Json:
        """The form in an event."""
        return [self.price, self.band.rank, self.band.since, self.on_sale.rank, self.on_sale.since]

    @classmethod
    def from_json(cls, document: Json) -> "AxisState":
        """Read it."""
        price, band, band_since, on_sale, on_sale_since = document
        return cls(price, Level(band, band_since), Level(on_sale, on_sale_since))


LinkState = Mapping[Axis, AxisState]


@dataclass(slots=True)
class MarketBook:
    """By tier and link, as it was told last."""

    tiers: dict[Tier, dict[str, LinkState]] = field(default_factory=dict)

    def of(self, tier: Tier) -> Mapping[str, LinkState]:
        """The links of a tier."""
        return self.tiers.get(tier, {})

    def moved(self, tier: Tier, states: Mapping[str, LinkState]) -> Json:
        """The data of an event that tells what is otherwise than it was told last; None where nothing is."""
        known = self.of(tier)
        links = {
            link: [state[axis].to_json() for axis in Axis] for link, state in states.items() if known.get(link) != state
        }
        return {"tier": tier.value, "links": links} if links else None

    def apply(self, data: Json) -> None:
        """Fold one such event."""
        links = self.tiers.setdefault(Tier(data["tier"]), {})
        for link, axes in data["links"].items():
            links[link] = dict(zip(Axis, map(AxisState.from_json, axes), strict=True))

    def to_json(self) -> Json:
        """The form in a snapshot: an event for each tier."""
        nothing = MarketBook()
        return [data for tier, links in self.tiers.items() if (data := nothing.moved(tier, links)) is not None]

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        for data in document:
            self.apply(data)
