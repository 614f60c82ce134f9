"""Owns what the operator knows of its two networks on the lab: counters read over NETCONF, slots told over RESTCONF.

The daemon's own collection and topology view hold what was measured; here it becomes one tier's database, a forecast,
and what is sold.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.model.errors import ConflictError
from controller.model.identifiers import DeviceName
from controller.negotiation.catalogue import Tier
from controller.negotiation.mesh import Mesh, expected_loads
from controller.runtime.controller import Controller
from controller.runtime.negotiation_market import HORIZONS, measured_loads
from controller.scenarios.surroundings import Market
from controller.telemetry.forecast import Forecaster
from controller.telemetry.schedule import Outcome
from controller.topology.te_database import TeDatabase


@dataclass(slots=True)
class LabPlant:
    """A `Plant` whose database was read from devices."""

    database: TeDatabase
    mesh: Mesh
    forecaster: Forecaster = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is foreseen yet."""
        self.forecaster = Forecaster(len(self.database.network.arcs.ids), HORIZONS)

    @classmethod
    def of(cls, tier: Tier, database: TeDatabase, market: Market) -> "LabPlant":
        """The network of this database, for sale."""
        return cls(database, Mesh.of(tier, database, market.catalogue, market.policy))

    def look(self, database: TeDatabase, now: float) -> None:
        """Take what was read, forecast, and let the market look."""
        self.database = database
        loads = measured_loads(database)
        upper = self.forecaster.step(loads).upper.max(axis=0)
        expected = np.where(np.isfinite(loads), np.fmax(np.maximum(upper, 0.0), loads), np.nan)
        for window in self.mesh.windows:
            window.tick(expected_loads(database, window.holdings, expected.tolist()), now)
        self.mesh.paths.renew(database)


async def read_counters(controller: Controller, routers: Sequence[str]) -> None:
    """Ask every router now; `ConflictError` names one that did not answer."""
    found = await asyncio.gather(*(controller.collection.read(DeviceName(name)) for name in routers))
    for name, outcome in zip(routers, found, strict=True):
        if outcome is not Outcome.READ:
            raise ConflictError(
                f"'{name}' was not read: {controller.collection.unread.get(DeviceName(name), outcome)}", path=name
            )
