"""Owns what OSS has promised capacity to: offers that are open, and agreements that run, each with the links it is on.

The fold of the planning agent's records, so that a restarted market holds what the one before it held. Windows
(`mesh`) count it; here stands what they count. Where a quote runs never leaves this party's log.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.model.errors import NotFoundError
from controller.negotiation.catalogue import Axis, Catalogue, Tier
from controller.negotiation.holdings import Holding
from controller.negotiation.message_bodies import Action, Feasible
from controller.negotiation.records import Dialogue, Record
from controller.negotiation.roles import Tool
from controller.topology.network import LinkId, Network

Json = Any
_KEPT_SECONDS = 3_600.0
"""How much later than its offer an order may come: as long as one is good for."""


@dataclass(frozen=True, slots=True)
class Booking:
    """An offer's capacity: what it was sold as, along these links and back, from `start` on. `service`: once it runs.

    `instead_of` is the reservation that it takes over, where it changes a running agreement.
    """

    reservation: str
    consumer: str
    offering: str
    tier: Tier
    bit_rate: int
    links: tuple[LinkId, ...]
    start: float
    duration_seconds: int
    valid_until: float
    instead_of: str = ""
    service: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What the traffic engineering database has it under: the service's pair of tunnels."""
        return (self.service, f"{self.service}-back") if self.service else (self.reservation,)

    def holding(self, catalogue: Catalogue, network: Network) -> Holding | None:
        """What it takes of a network; None when a link of it is gone."""
        positions = network.arcs.link_positions
        ways = (*self.links, *(network.links[link].reverse_id for link in self.links if link in network.links))
        if any(link not in positions for link in self.links):
            return None
        links = tuple(positions[link] for link in ways if link in positions)
        return Holding(self.reservation, self.consumer, links, self.bit_rate, self._axes(catalogue), self.valid_until)

    def _axes(self, catalogue: Catalogue) -> tuple[Axis, ...]:
        """Of what is not in the catalogue any more at least the bandwidth counts."""
        try:
            return catalogue.offering(self.offering).axes
        except NotFoundError:
            return (Axis.BANDWIDTH,)

    def to_json(self) -> Json:
        """The form in a snapshot."""
        return {name: getattr(self, name) for name in self.__slots__} | {"links": list(self.links)}

    @classmethod
    def from_json(cls, document: Json) -> "Booking":
        """Read it."""
        links = tuple(map(LinkId, document["links"]))
        return cls(**{**document, "tier": Tier(document["tier"]), "links": links})


@dataclass(slots=True)
class Bookings:
    """By reservation."""

    open: dict[str, Booking] = field(default_factory=dict)
    running: dict[str, Booking] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Booking]:
        """Those that run, then those that are open."""
        yield from self.running.values()
        yield from self.open.values()

    def find(self, reservation: str) -> Booking | None:
        """One that is open or runs."""
        return self.running.get(reservation) or self.open.get(reservation)

    @property
    def links(self) -> Mapping[str, tuple[LinkId, ...]]:
        """Where each runs, or would."""
        return {one.reservation: one.links for one in self}

    def apply(self, record: Record, dialogue: Dialogue) -> None:
        """Fold what the planning agent did in a negotiation; others' records say nothing of capacity."""
        if record.tool is Tool.FIND_OFFERS and record.refusal is None:
            self._forget(record.time)
            self._found(record.result)
        elif record.tool is Tool.FREE_CAPACITY:
            self._drop(record.arguments["holds"])
        elif record.tool is Tool.PROVISION:
            self._provisioned(record, dialogue)

    def _found(self, result: Json) -> None:
        for document in result["found"]:
            found = Feasible.from_json(document)
            quote, request = found.quote, found.request
            self.open[quote.reservation] = Booking(
                reservation=quote.reservation,
                consumer=request.consumer,
                offering=quote.offering,
                tier=quote.tier,
                bit_rate=quote.bit_rate,
                links=tuple(map(LinkId, result["paths"][quote.reservation])),
                start=request.start,
                duration_seconds=request.duration_seconds,
                valid_until=quote.valid_until,
                instead_of=result.get("instead_of", ""),
            )

    def _provisioned(self, record: Record, dialogue: Dialogue) -> None:
        held, failed = dialogue.terms.quote.reservation, record.refusal is not None
        if dialogue.action is Action.DELETE:
            if not failed:
                self.running.pop(held, None)
            return
        booking = self.open.get(held)
        self._drop((*dialogue.held, held))
        if failed or booking is None:
            return
        service = record.result["service"]
        for name in [one.reservation for one in self.running.values() if one.service == service]:
            del self.running[name]
        self.running[held] = replace(booking, service=service)

    def _drop(self, reservations: Collection[str]) -> None:
        for name in reservations:
            self.open.pop(name, None)

    def _forget(self, now: float) -> None:
        """Open ones come in the order in which they run out, or nearly."""
        late = []
        for name, one in self.open.items():
            if one.valid_until + _KEPT_SECONDS > now:
                break
            late.append(name)
        self._drop(late)

    def to_json(self) -> Json:
        """The form in a snapshot."""
        return {
            "open": [one.to_json() for one in self.open.values()],
            "running": [one.to_json() for one in self.running.values()],
        }

    def load_json(self, document: Json) -> None:
        """Take what a snapshot has."""
        for kept, name in ((self.open, "open"), (self.running, "running")):
            kept |= {one.reservation: one for one in map(Booking.from_json, document[name])}
