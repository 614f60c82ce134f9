"""Owns surroundings that are numbers: links carry fluid loads, services are booked, time is what the scenario says.

The fast form of a scenario: nothing is sent anywhere, and hours take seconds.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from controller.adapters.event_log_memory import MemoryEventLog
from controller.model.errors import ConflictError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.negotiation.agreement import Terms
from controller.negotiation.catalogue import Tier
from controller.negotiation.mesh import Mesh, expected_loads
from controller.ports import EventLog
from controller.runtime.negotiation_market import HORIZONS
from controller.scenarios.surroundings import (
    PACKET_OCTETS,
    START,
    TICK_SECONDS,
    Delivery,
    Market,
    Spur,
    Tell,
    Wire,
    Wires,
    measured_on,
    served_from,
)
from controller.telemetry.forecast import Forecaster
from controller.topology.network import Link, LinkId, Network, Node, TerminationPoint
from controller.topology.te_database import Measurement, TeDatabase


class PlayClock:
    """Time that a scenario moves."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        """UTC seconds."""
        return self.time

    def monotonic(self) -> float:
        """The same, as nothing sets it back."""
        return self.time


def network_of(wires: Sequence[Wire]) -> Network:
    """A network of these wires, each with both directions."""
    ports: defaultdict[str, Any] = defaultdict(count)
    places = dict.fromkeys(place for wire in wires for place in wire[:2])
    links = []
    for a, z, milliseconds, gigabits in wires:
        ends = [TerminationPoint(DeviceName(place), f"p{next(ports[place])}") for place in (a, z)]
        rate, delay = BitRate(round(gigabits * 1e9)), milliseconds / 1000
        links += [Link(ends[0], ends[1], rate, delay), Link(ends[1], ends[0], rate, delay)]
    return Network.of([Node(DeviceName(place)) for place in places], links)


@dataclass(slots=True)
class SimulatedPlant:
    """One tier's network as it is now: who booked what, and what others send."""

    database: TeDatabase
    mesh: Mesh
    forecaster: Forecaster
    others: dict[LinkId, float] = field(default_factory=dict)
    """Other people's traffic, in bit/s."""

    @classmethod
    def of(cls, tier: Tier, wires: Sequence[Wire], market: Market) -> "SimulatedPlant":
        """The network of these wires, empty."""
        database = TeDatabase(network_of(wires))
        mesh = Mesh.of(tier, database, market.catalogue, market.policy)
        return cls(database, mesh, Forecaster(len(database.network.arcs.ids), HORIZONS))

    def load(self, share: float, *wires: tuple[str, str]) -> None:
        """See `Surroundings.load`."""
        ends = {frozenset(wire) for wire in wires}
        for link in self.database.network.links.values():
            if not ends or frozenset((link.source.node, link.target.node)) in ends:
                self.others[link.id] = share * link.capacity.bits_per_second

    def carried(self, link: LinkId) -> float:
        """What is sent into a link, in bit/s."""
        return self.others.get(link, 0.0) + self.database.reserved(link).bits_per_second

    def step(self, now: float) -> None:
        """Measure every link, forecast, and let the market look."""
        links = self.database.network.arcs.ids
        sent = [self.carried(link) for link in links]
        capacity = [self.database.capacity(link).bits_per_second for link in links]
        measured = {
            link: Measurement(load=BitRate(round(min(rate, room))))
            for link, rate, room in zip(links, sent, capacity, strict=True)
        }
        self.database = self.database.with_measurements(measured)
        upper = self.forecaster.step(np.array(sent)).upper.max(axis=0)
        loads = np.maximum(np.maximum(upper, 0.0), np.array(sent)).tolist()
        for window in self.mesh.windows:
            window.tick(expected_loads(self.database, window.holdings, loads), now)
        self.mesh.paths.renew(self.database)


@dataclass(slots=True)
class SimulatedSpur:
    """The consumer's own wire: every service begins on it, beside other traffic of its own. In bit/s."""

    ends: frozenset[str]
    capacity: float
    others: float = 0.0
    offered: float = 0.0


@dataclass(slots=True)
class Bookings:
    """Provisions into the networks' books."""

    plants: Mapping[Tier, SimulatedPlant]
    services: dict[str, tuple[Terms, tuple[LinkId, ...]]] = field(default_factory=dict)
    spur: "SimulatedSpur | None" = None
    is_refusing: bool = False
    """New services are what the twin will not prove."""
    packets: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By service: sent and lost."""

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """Book it."""
        if self.is_refusing:
            raise ConflictError(f"the twin has a packet for which '{service}' does not hold")
        return self._book(service, terms, links)

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """Book the new beside the old, then take the old away: nothing is sent into nowhere."""
        return self._book(service, terms, links)

    async def remove(self, service: str) -> str:
        """Take it out of the books."""
        terms, _ = self.services.pop(service)
        self._free(Tier(terms.level.tier), service)
        return "removed"

    def _book(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        tier = Tier(terms.level.tier)
        before = self.services.get(service)
        plant = self.plants[tier]
        path = plant.database.network.path(links)
        both = plant.database.network.path([link.reverse_id for link in reversed(path.links)])
        if before is not None:
            self._free(Tier(before[0].level.tier), service)
        rate = BitRate(terms.level.bit_rate)
        for name, way in ((service, path), (f"{service}-back", both)):
            plant.database = plant.database.with_reservation(name, way, rate)
        self.services[service] = (terms, tuple(links))
        return f"{tier}: {' > '.join(path.nodes)}"

    def _free(self, tier: Tier, service: str) -> None:
        plant = self.plants[tier]
        for name in (service, f"{service}-back"):
            if name in plant.database.reservations:
                plant.database = plant.database.without_reservation(name)

    def step(self) -> None:
        """The spur's load, then a tick's packets of every service, both ways, less what overfull links drop of them."""
        if self.spur is not None:
            self.spur.offered = self.spur.others + sum(terms.level.bit_rate for terms, _ in self.services.values())
        for service, (terms, links) in self.services.items():
            plant = self.plants[Tier(terms.level.tier)]
            fills = [plant.carried(link) / plant.database.capacity(link).bits_per_second for link in links]
            fills += [] if self.spur is None else [self.spur.offered / self.spur.capacity]
            over = 1 - 1 / max(1.0, *fills)
            packets = 2 * terms.level.bit_rate * TICK_SECONDS / 8 / PACKET_OCTETS
            sent, lost = self.packets.get(service, (0.0, 0.0))
            self.packets[service] = sent + packets, lost + over * packets


class Simulation:
    """`Surroundings` without a network."""

    patience_seconds = 60.0

    def __init__(
        self,
        wires: Wires,
        market: Market,
        *,
        spur: Spur | None = None,
        clock: PlayClock | None = None,
        log: EventLog | None = None,
    ) -> None:
        self.clock = clock or PlayClock()
        self.log: EventLog = log or MemoryEventLog(clock=self.clock)
        self.plants = {tier: SimulatedPlant.of(tier, given, market) for tier, given in wires.items()}
        self.spur = None if spur is None else SimulatedSpur(frozenset(spur[:2]), spur[3] * 1e9)
        self.provisioner = Bookings(self.plants, spur=self.spur)
        self._begin = () if spur is None else spur[:1]
        for plant in self.plants.values():
            plant.mesh.places = served_from(spur)

    async def load(self, tier: Tier, share: float, *wires: tuple[str, str]) -> None:
        """See `Surroundings`."""
        shared = [wire for wire in wires if not self._is_spur(wire)]
        if self.spur is not None and len(shared) < len(wires):
            self.spur.others = share * self.spur.capacity
        if shared or not wires:
            self.plants[tier].load(share, *shared)

    def measured(self, tier: Tier, wire: tuple[str, str]) -> BitRate:
        """See `Surroundings`."""
        if self.spur is not None and self._is_spur(wire):
            return BitRate(round(min(self.spur.offered, self.spur.capacity)))
        return measured_on(self.plants[tier].database, wire)

    def _is_spur(self, wire: tuple[str, str]) -> bool:
        return self.spur is not None and frozenset(wire) == self.spur.ends

    async def step(self) -> None:
        """See `Surroundings`."""
        self.clock.time += TICK_SECONDS
        for plant in self.plants.values():
            plant.step(self.clock.time)
        self.provisioner.step()

    def refuse(self, *, is_refusing: bool) -> None:
        """See `Surroundings`."""
        self.provisioner.is_refusing = is_refusing

    async def route(self, service: str) -> tuple[str, ...]:
        """See `Surroundings`."""
        terms, links = self.provisioner.services[service]
        return (*self._begin, *self.plants[Tier(terms.level.tier)].database.network.path(links).nodes)

    async def deliveries(self) -> Mapping[str, Delivery]:
        """See `Surroundings`."""
        return {
            service: Delivery(round(sent), round(lost)) for service, (sent, lost) in self.provisioner.packets.items()
        }


@asynccontextmanager
async def simulated(wires: Wires, market: Market, tell: Tell, spur: Spur | None = None) -> AsyncIterator[Simulation]:
    """Open a simulation; there is nothing to wait for, so nothing is told."""
    del tell
    yield Simulation(wires, market, spur=spur)
