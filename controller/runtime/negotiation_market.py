"""Owns the live side of the market: the networks that are sold follow the TE database, prices follow their use.

At each tick the load that is forecast of every link, or what is reserved where that is more, moves the bands; between
ticks what is sold is held. A network that has other links than before begins with a market of its own.
"""

from dataclasses import dataclass, field

import numpy as np

from controller.model.identifiers import DeviceName
from controller.negotiation.catalogue import Catalogue, Tier
from controller.negotiation.mesh import Mesh, expected_loads
from controller.negotiation.pricing import MarketPolicy
from controller.negotiation.quote import Seller
from controller.runtime.negotiation_network import Market
from controller.telemetry.forecast import Forecaster
from controller.topology.te_database import TeDatabase

HORIZONS = (1, 3, 6)
"""Ticks ahead, of which the dearest counts."""


@dataclass(slots=True)
class LiveMarket:
    """The IP tier over the daemon's own network. `places` are other names of its routers, such as cities."""

    catalogue: Catalogue
    policy: MarketPolicy
    market: Market = field(init=False)
    _links: tuple[object, ...] = ()
    _forecaster: Forecaster | None = None

    def __post_init__(self) -> None:
        """Nothing is sold before the network is known."""
        self.market = Market(Seller(self.catalogue, self.policy, ()))

    def follow(self, database: TeDatabase, places: dict[str, DeviceName]) -> None:
        """Take the network as it is: paths that a change makes wrong are forgotten."""
        links = database.network.arcs.ids
        if not links:
            return
        if links != self._links:
            mesh = Mesh.of(Tier.IP, database, self.catalogue, self.policy)
            mesh.places = places
            self.market.seller = Seller(self.catalogue, self.policy, (mesh,))
            self._links, self._forecaster = links, Forecaster(len(links), HORIZONS)
            return
        for mesh in self.market.seller.meshes:
            mesh.paths.renew(database)
            mesh.places = places

    def tick(self, database: TeDatabase, now: float) -> None:
        """Look at what is expected of every link."""
        if self._forecaster is None or database.network.arcs.ids != self._links:
            return
        loads = np.array([_load(database, position) for position in range(len(self._links))], dtype=float)
        forecast = self._forecaster.step(loads)
        upper = np.where(np.isfinite(loads), forecast.upper.max(axis=0), np.nan)
        for mesh in self.market.seller.meshes:
            for window in mesh.windows:
                window.tick(expected_loads(database, window.holdings, np.maximum(upper, 0.0).tolist()), now)


def _load(database: TeDatabase, position: int) -> float:
    """The measured load in bit/s; not a number where nothing was measured."""
    measured = database.measured.get(database.network.arcs.ids[position])
    return float(measured.load.bits_per_second) if measured and measured.load is not None else float("nan")
