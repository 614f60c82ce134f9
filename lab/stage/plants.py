"""Owns what the operator knows of its two networks on the lab: counters read over NETCONF, slots told over RESTCONF.

The daemon's own collection and topology view hold what was measured; here it becomes one tier's database, a forecast,
and what is sold.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controller.mapping.optical_domain import as_te_database
from controller.model.errors import ConflictError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.negotiation.catalogue import Tier
from controller.negotiation.mesh import Mesh, expected_loads
from controller.runtime.controller import Controller
from controller.runtime.negotiation_market import HORIZONS
from controller.scenarios.surroundings import Market
from controller.telemetry.forecast import Forecaster
from controller.telemetry.schedule import Outcome
from controller.topology.network import Network
from controller.topology.te_database import Measurement, Reservation, TeDatabase

OPTICAL_GROUP = 1
"""The administrative group of links of light."""


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
        loads = np.array([_load(database, position) for position in range(len(database.network.arcs.ids))])
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


def ip_database(controller: Controller) -> TeDatabase:
    """The TE database without links of light, which are sold as the other tier."""
    known = controller.topology.database
    links = [link for link in known.network.links.values() if not link.admin_group & OPTICAL_GROUP]
    network = Network.of(known.network.nodes.values(), links)
    reserved = {
        name: Reservation(tuple(link for link in taken.links if link in network.links), taken.bit_rate)
        for name, taken in known.reservations.items()
    }
    return TeDatabase(
        network,
        {name: taken for name, taken in reserved.items() if taken.links},
        _within(network, known.measured),
        _within(network, known.link_states),
    )


async def optical_database(controller: Controller, domain: DeviceName) -> TeDatabase:
    """The domain as its controller tells: slots that are taken are its load."""
    database = as_te_database(await controller.optical.read(domain))
    loads = zip(database.network.arcs.ids, database.reserved_rates, strict=True)
    return database.with_measurements({link: Measurement(load=BitRate(rate)) for link, rate in loads})


def _within(network: Network, values: Any) -> Any:
    return {link: value for link, value in values.items() if link in network.links}


def _load(database: TeDatabase, position: int) -> float:
    """The measured load in bit/s; not a number where nothing was measured."""
    measured = database.measured.get(database.network.arcs.ids[position])
    return float(measured.load.bits_per_second) if measured and measured.load is not None else float("nan")
