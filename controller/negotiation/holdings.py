"""Owns what open quotes hold of a network, until they are bought, given back, or run out.

A quote binds, so what it promises is held from the moment it is given. What was bought is the traffic engineering
database's to know (`topology.te_database`), wherever it runs by now; here stands which axes it takes of, and what it
was sold as, for as long as the database does not know it. One asker can hold so many quotes and no more, so that asking
for prices never keeps others out.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import inf

from controller.model.errors import ConflictError, NotFoundError
from controller.negotiation.catalogue import Axis
from controller.topology.te_database import TeDatabase


@dataclass(frozen=True, slots=True)
class Own:
    """What a running agreement has: `bit_rate` on each of these links (by position), on these axes."""

    links: frozenset[int] = frozenset()
    bit_rate: int = 0
    axes: frozenset[Axis] = frozenset()

    def rate_on(self, axis: Axis, link: int) -> int:
        """In bit/s; 0 where it has nothing."""
        return self.bit_rate if link in self.links and axis in self.axes else 0


NOTHING_OWN = Own()


@dataclass(frozen=True, slots=True)
class Holding:
    """`bit_rate` on each of these links (by position), on these axes, for the `consumer` until `valid_until` (UTC).

    `own`: what its buyer has by an agreement that it is to replace, which it would take over where they meet.
    """

    id: str
    consumer: str
    links: tuple[int, ...]
    bit_rate: int
    axes: tuple[Axis, ...]
    valid_until: float
    own: Own = NOTHING_OWN

    def more(self, axis: Axis) -> dict[int, int]:
        """By link what it takes of an axis that its buyer does not have yet, in bit/s; nothing where that is 0."""
        if axis not in self.axes:
            return {}
        found = {link: self.bit_rate - self.own.rate_on(axis, link) for link in self.links}
        return {link: more for link, more in found.items() if more > 0}


class Holdings:
    """The open holdings of one network in one window, and what they add up to on each link."""

    def __init__(self, links: int) -> None:
        self._open: dict[str, Holding] = {}
        self._sold: dict[str, Holding] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._held: dict[Axis, list[int]] = {axis: [0] * links for axis in Axis}
        self._by_consumer: Counter[str] = Counter()
        self._ends: list[tuple[float, str]] = []

    @property
    def held(self) -> Mapping[Axis, list[int]]:
        """Per axis and link, in bit/s."""
        return self._held

    @property
    def open(self) -> Mapping[str, Holding]:
        """Those that are neither bought nor given back."""
        return self._open

    @property
    def sold(self) -> Mapping[str, Holding]:
        """What was bought, by the same names."""
        return self._sold

    def held_by(self, consumer: str) -> int:
        """How many quotes that one has open."""
        return self._by_consumer[consumer]

    def hold(self, holding: Holding) -> None:
        """Take it out of what can be sold; again the same is nothing new, the same name for another is refused."""
        known = self._open.get(holding.id)
        if known == holding:
            return
        if known is not None or holding.id in self._sold:
            raise ConflictError(f"'{holding.id}' is held already", remedy="give each quote a name of its own")
        self._open[holding.id] = holding
        self._by_consumer[holding.consumer] += 1
        heappush(self._ends, (holding.valid_until, holding.id))
        self._count(holding, 1)

    def buy(self, holding_id: str, reservations: Collection[str] = ()) -> Holding:
        """It is bought, and reserved under these names, or its own; `NotFoundError` when it is not held."""
        holding = self._leave(holding_id)
        self._sold[holding_id] = holding
        self._names[holding_id] = tuple(reservations) or (holding_id,)
        return holding

    def keep(self, holding_id: str) -> None:
        """It is being provisioned: it does not run out any more."""
        self._open[holding_id] = replace(self._open[holding_id], valid_until=inf)

    def restore(self, holding: Holding, reservations: Collection[str]) -> None:
        """It was bought before, and reserved under these names: after a restart."""
        self._sold[holding.id] = holding
        self._names[holding.id] = tuple(reservations)

    def own(self, holding_id: str) -> Own:
        """What was bought under this name; nothing where nothing was."""
        sold = self._sold.get(holding_id)
        return NOTHING_OWN if sold is None else Own(frozenset(sold.links), sold.bit_rate, frozenset(sold.axes))

    def give_back(self, holding_id: str) -> Holding:
        """It was not wanted; `NotFoundError` when it is not held."""
        return self._leave(holding_id)

    def end(self, holding_id: str) -> None:
        """A service that was bought has ended; one that never was is nothing to end."""
        self._sold.pop(holding_id, None)
        self._names.pop(holding_id, None)

    def run_out(self, now: float) -> tuple[Holding, ...]:
        """Give back what nobody has bought in time."""
        ended = []
        while self._ends and self._ends[0][0] <= now:
            valid_until, holding_id = heappop(self._ends)
            holding = self._open.get(holding_id)
            if holding is not None and holding.valid_until == valid_until:
                ended.append(self._leave(holding_id))
        return tuple(ended)

    def taken(self, database: TeDatabase, axis: Axis) -> list[int]:
        """What is sold of an axis, per link, in bit/s: where it is reserved, else where it was held.

        Of bandwidth, what was reserved by others too.
        """
        rates = [0] * len(database.reserved_rates)
        if axis is Axis.BANDWIDTH:
            rates = list(database.reserved_rates)
        for name, holding in self._sold.items():
            found = [database.reservations.get(each) for each in self._names[name]]
            reserved = [each for each in found if each is not None]
            if axis not in holding.axes or (reserved and axis is Axis.BANDWIDTH):
                continue
            for each in reserved:
                for link_id in set(each.links):
                    rates[database.network.link_position(link_id)] += each.bit_rate.bits_per_second
            for link in () if reserved else holding.links:
                rates[link] += holding.bit_rate
        return rates

    def _leave(self, holding_id: str) -> Holding:
        try:
            holding = self._open.pop(holding_id)
        except KeyError:
            raise NotFoundError(
                f"nothing is held for '{holding_id}'", remedy="it has run out or was bought: ask for another quote"
            ) from None
        self._by_consumer[holding.consumer] -= 1
        if not self._by_consumer[holding.consumer]:
            del self._by_consumer[holding.consumer]
        self._count(holding, -1)
        return holding

    def _count(self, holding: Holding, sign: int) -> None:
        for axis in holding.axes:
            held = self._held[axis]
            for link, more in holding.more(axis).items():
                held[link] += sign * more
