"""Owns what a theatre needs of the world around its agents, as a port: networks, a provisioner, traffic, time.

Two stand behind it: `scenarios.simulation`, in which links carry numbers, and the stage on emulated routers, which
lives outside of the controller and is loaded by name.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.negotiation.catalogue import Catalogue, Tier
from controller.negotiation.mesh import Mesh
from controller.negotiation.pricing import MarketPolicy
from controller.ports import Clock, EventLog
from controller.runtime.negotiation_network import Provisioner
from controller.topology.te_database import TeDatabase

START = 1_800_000_000.0
TICK_SECONDS = 10.0
PACKET_OCTETS = 1500
"""Of the packets that services carry."""

Wire = tuple[str, str, float, float]
"""Two places, the delay between them in milliseconds, the capacity in Gbit/s."""
Wires = Mapping[Tier, Sequence[Wire]]
Spur = Wire
"""The consumer's own wire, from its place to the operator's that serves it: nobody else is on it, nobody sells it."""
Tell = Callable[[float, str], None]
"""Told what happens, with the seconds since the beginning."""


@dataclass(frozen=True, slots=True)
class Market:
    """What is sold, and how load becomes price."""

    catalogue: Catalogue
    policy: MarketPolicy


@dataclass(frozen=True, slots=True)
class Delivery:
    """Packets of a service so far, both ways."""

    sent: int = 0
    lost: int = 0

    def __add__(self, other: "Delivery") -> "Delivery":
        """Both together."""
        return Delivery(self.sent + other.sent, self.lost + other.lost)


class Plant(Protocol):
    """One tier's network as the operator knows it now, and what is sold of it."""

    @property
    def database(self) -> TeDatabase:
        """What is reserved and measured."""
        ...

    @property
    def mesh(self) -> Mesh:
        """What is sold."""
        ...


class Surroundings(Protocol):
    """Everything around the agents. What a scenario turns is others' traffic, refusals of the network, and time."""

    patience_seconds: float
    """How long, in real time, an act of the network may take."""

    @property
    def clock(self) -> Clock:
        """The time of the play."""
        ...

    @property
    def log(self) -> EventLog:
        """Where everything is recorded."""
        ...

    @property
    def plants(self) -> Mapping[Tier, Plant]:
        """The networks."""
        ...

    @property
    def provisioner(self) -> Provisioner:
        """What turns agreements into services that carry the consumer's packets."""
        ...

    async def load(self, tier: Tier, share: float, *wires: tuple[str, str]) -> None:
        """From now on others fill these wires so far, both ways; no wires: all of the operator's."""
        ...

    async def step(self) -> None:
        """A tick goes by; then every link is measured, and the market looks."""
        ...

    def measured(self, tier: Tier, wire: tuple[str, str]) -> BitRate:
        """What went through a wire when it was last measured, the fuller way; the spur is a wire of the IP tier."""
        ...

    def refuse(self, *, is_refusing: bool) -> None:
        """From now on the network refuses what is to be provisioned, or no longer does."""
        ...

    async def route(self, service: str) -> tuple[str, ...]:
        """The places that a service goes through."""
        ...

    async def deliveries(self) -> Mapping[str, Delivery]:
        """What became of the packets, by service, of those that have ended too."""
        ...


class OpenSurroundings(Protocol):
    """Opens surroundings of these networks; what takes long is told."""

    def __call__(
        self, wires: Wires, market: Market, tell: Tell, spur: Spur | None = None
    ) -> AbstractAsyncContextManager[Surroundings]:
        """Open them; they are gone at the end."""
        ...


def measured_on(database: TeDatabase, wire: tuple[str, str]) -> BitRate:
    """The load of a wire as the database has it, the fuller way."""
    ends = frozenset(wire)
    found = database.network.links.values()
    return max(
        (database.load(link.id) for link in found if {link.source.node, link.target.node} == ends), default=BitRate(0)
    )


def served_from(spur: Spur | None) -> Mapping[str, DeviceName]:
    """Where services from the consumer's place begin for the operator: at the end of its spur."""
    return {} if spur is None else {spur[0]: DeviceName(spur[1])}
