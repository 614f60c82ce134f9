"""Owns the live side of the market: the networks that are sold follow what is known of them, prices follow their use.

At each tick the load that is forecast of every link, or what is reserved where that is more, moves the bands; between
ticks what is sold is held. A network that has other links than before begins with the book's prices and bands and with
everything that is booked, and so does the first one after a restart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.model.identifiers import DeviceName
from controller.negotiation.bookings import Bookings
from controller.negotiation.catalogue import Catalogue, Tier
from controller.negotiation.market_book import MarketBook
from controller.negotiation.mesh import Mesh, expected_loads
from controller.negotiation.pricing import MarketPolicy
from controller.negotiation.quote import Seller
from controller.negotiation.request import ServiceRequest
from controller.runtime.negotiation_network import Market
from controller.runtime.negotiation_networks import SoldNetwork
from controller.telemetry.forecast import Forecaster
from controller.topology.te_database import TeDatabase

Json = Any
HORIZONS = (1, 3, 6)
"""Ticks ahead, of which the dearest counts."""


@dataclass(frozen=True, slots=True)
class _Sold:
    """A tier as it is sold: its links stay the same, what they carry does not."""

    mesh: Mesh
    forecaster: Forecaster

    @property
    def links(self) -> tuple[str, ...]:
        return tuple(self.mesh.paths.network.arcs.ids)


@dataclass(slots=True)
class LiveMarket:
    """The tiers over the daemon's own networks. `lightable`: how many links could be lit between two optical nodes."""

    catalogue: Catalogue
    policy: MarketPolicy
    book: MarketBook = field(default_factory=MarketBook)
    bookings: Bookings = field(default_factory=Bookings)
    lightable: Callable[[tuple[DeviceName, DeviceName]], int] = lambda _: 0
    market: Market = field(init=False)
    _sold: dict[Tier, _Sold] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is sold before a network is known."""
        self.market = Market(Seller(self.catalogue, self.policy, ()), self.is_sold_out)

    def follow(self, networks: Mapping[Tier, SoldNetwork], now: float) -> None:
        """Take the networks as they are: paths that a change makes wrong are forgotten; who is not there sells not."""
        for tier, network in networks.items():
            links = tuple(network.database.network.arcs.ids)
            if not links:
                continue
            sold = self._sold.get(tier)
            if sold is None or sold.links != links:
                self._sold[tier] = sold = self._begun(tier, network.database, now)
            else:
                sold.mesh.paths.renew(network.database)
            sold.mesh.places = network.places
        meshes = tuple(self._sold[tier].mesh for tier in Tier if tier in networks and tier in self._sold)
        self.market.seller = Seller(self.catalogue, self.policy, meshes)

    def _begun(self, tier: Tier, database: TeDatabase, now: float) -> _Sold:
        """With what the book says of its links, and what is booked on them."""
        mesh = Mesh.of(tier, database, self.catalogue, self.policy)
        held = Market(Seller(self.catalogue, self.policy, (mesh,)))
        held.restore((one for one in self.bookings if one.tier is tier), now)
        for window in mesh.windows:
            window.take_up(self.book.of(tier))
            unknown = [nan] * len(database.network.arcs.ids)
            window.renew(expected_loads(database, window.holdings, unknown), now)
        return _Sold(mesh, Forecaster(len(database.network.arcs.ids), HORIZONS))

    def tick(self, networks: Mapping[Tier, SoldNetwork], now: float) -> list[Json]:
        """Look at what is expected of every link; what moved, as the data of events that the book folds."""
        moved: list[Json] = []
        for tier, network in networks.items():
            sold, database = self._sold.get(tier), network.database
            if sold is None or sold.links != tuple(database.network.arcs.ids):
                continue
            loads = measured_loads(database)
            forecast = sold.forecaster.step(loads)
            upper = np.where(np.isfinite(loads), forecast.upper.max(axis=0), np.nan)
            for window in sold.mesh.windows:
                window.tick(expected_loads(database, window.holdings, np.maximum(upper, 0.0).tolist()), now)
                data = self.book.moved(tier, window.state())
                moved += [] if data is None else [data]
        return moved

    def is_sold_out(self, mesh: Mesh, request: ServiceRequest, instead_of: str, now: float) -> bool:
        """Whether no link is left that could be lit for it; an agreement that has light changes it on its own link."""
        own = self.bookings.running.get(instead_of)
        a, z = mesh.node_of(request.a), mesh.node_of(request.z)
        if mesh.tier is not Tier.OPTICAL or a is None or z is None or (own is not None and own.tier is Tier.OPTICAL):
            return False
        return self.lightable((a, z)) <= sum(
            one.tier is Tier.OPTICAL and one.valid_until > now and one.consumer != request.consumer
            for one in self.bookings.open.values()
            if mesh.joins(one.links, a, z)
        )


def measured_loads(database: TeDatabase) -> NDArray[np.float64]:
    """The load of every link in bit/s, in the network's order; not a number where nothing was measured."""
    found = (database.measured.get(link) for link in database.network.arcs.ids)
    return np.array(
        [nan if one is None or one.load is None else one.load.bits_per_second for one in found], dtype=float
    )
