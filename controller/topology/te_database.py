"""Owns the traffic engineering database: what each link of a network has left, who took it, and what was measured.

RFC 8795 section 4.3 words: state and capacity beside what is reserved, delay and loss as given by the topology and as
measured (STAMP, RFC 8762). The database never changes; each `with_...` returns another one that shares the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.units import BitRate
from controller.topology.network import LinkId, Network, Path

NANOSECONDS = 10**9
_NOTHING = BitRate(0)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one tunnel takes: the same rate on each of these links. A link counts once however often it is named."""

    links: tuple[LinkId, ...]
    bit_rate: BitRate


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was last measured on one link; None where nothing was."""

    load: BitRate | None = None
    delay_seconds: float | None = None
    loss_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class TeDatabase:
    """A network and what is known of its use. `link_states` holds the links whose state is not the given one."""

    network: Network
    reservations: Mapping[str, Reservation] = field(default_factory=dict)
    measured: Mapping[LinkId, Measurement] = field(default_factory=dict)
    link_states: Mapping[LinkId, bool] = field(default_factory=dict)
    reserved_rates: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """By position in `network.arcs.links`, in bit/s; so are the two below, in nanoseconds and as up or not."""
    delays_nanoseconds: tuple[int, ...] = field(init=False, repr=False, compare=False)
    states: tuple[bool, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check that everything named is in the network and number it for searching."""
        nothing = (0,) * len(self.network.arcs.links)
        object.__setattr__(self, "reserved_rates", _reserved(self.network, nothing, self.reservations.values()))
        object.__setattr__(self, "delays_nanoseconds", _delays(self.network, self.measured))
        object.__setattr__(self, "states", _states(self.network, self.link_states))

    def is_up(self, link_id: LinkId) -> bool:
        """Whether the link carries traffic."""
        return self.states[self.network.link_position(link_id)]

    def capacity(self, link_id: LinkId) -> BitRate:
        """What the link can carry."""
        return self.network.link(link_id).capacity

    def reserved(self, link_id: LinkId) -> BitRate:
        """What tunnels have taken of the link."""
        return BitRate(self.reserved_rates[self.network.link_position(link_id)])

    def residual(self, link_id: LinkId) -> BitRate:
        """What tunnels can still take of the link; below 0 when more is reserved than it carries."""
        return BitRate(self.capacity(link_id).bits_per_second - self.reserved(link_id).bits_per_second)

    def reserved_by(self, link_id: LinkId) -> dict[str, BitRate]:
        """Who has taken how much of the link."""
        self.network.link_position(link_id)
        return {name: taken.bit_rate for name, taken in self.reservations.items() if link_id in taken.links}

    def load(self, link_id: LinkId) -> BitRate:
        """The measured load; nothing as long as nothing was measured."""
        self.network.link_position(link_id)
        return self.measured.get(link_id, Measurement()).load or _NOTHING

    def delay_seconds(self, link_id: LinkId) -> float:
        """The measured delay, else the given one."""
        return self.delays_nanoseconds[self.network.link_position(link_id)] / NANOSECONDS

    def path_delay_seconds(self, path: Path) -> float:
        """The delay of a path, of measured links as measured."""
        positions = self.network.arcs.link_positions
        return sum(self.delays_nanoseconds[positions[link_id]] for link_id in path.link_ids) / NANOSECONDS

    def loss_ratio(self, link_id: LinkId) -> float:
        """The measured loss, else the given one."""
        given = self.network.link(link_id).loss_ratio
        seen = self.measured.get(link_id, Measurement()).loss_ratio
        return given if seen is None else seen

    def with_reservation(self, reservation_id: str, path: Path, bit_rate: BitRate) -> "TeDatabase":
        """That one reserves this much along the path, instead of what it had before, if anything."""
        if bit_rate.bits_per_second < 0:
            raise InvalidInputError(f"'{reservation_id}' cannot reserve {bit_rate}", remedy="give a rate of 0 or more")
        database = self.without_reservation(reservation_id) if reservation_id in self.reservations else self
        taken = Reservation(path.link_ids, bit_rate)
        return _changed(
            database,
            reservations={**database.reservations, reservation_id: taken},
            reserved_rates=_reserved(self.network, database.reserved_rates, (taken,)),
        )

    def without_reservation(self, reservation_id: str) -> "TeDatabase":
        """That one gives back what it had; `NotFoundError` when it had nothing."""
        if reservation_id not in self.reservations:
            raise NotFoundError(f"'{reservation_id}' has reserved nothing", remedy="name a tunnel that has")
        return self.without_reservations((reservation_id,))

    def without_reservations(self, reservation_ids: Iterable[str]) -> "TeDatabase":
        """All of these give back what they had, if anything."""
        leaving = frozenset(reservation_ids)
        given_back = [taken for name, taken in self.reservations.items() if name in leaving]
        return _changed(
            self,
            reservations={name: taken for name, taken in self.reservations.items() if name not in leaving},
            reserved_rates=_reserved(self.network, self.reserved_rates, given_back, sign=-1),
        )

    def with_link_state(self, link_ids: Iterable[LinkId], *, is_up: bool) -> "TeDatabase":
        """These links are up, or are not; a cut of a wire names both of its directions."""
        link_states = {**self.link_states, **dict.fromkeys(link_ids, is_up)}
        return _changed(self, link_states=link_states, states=_states(self.network, link_states))

    def with_measured(
        self,
        link_id: LinkId,
        *,
        load: BitRate | None = None,
        delay_seconds: float | None = None,
        loss_ratio: float | None = None,
    ) -> "TeDatabase":
        """What was measured on a link; what is None stays as it was."""
        before = self.measured.get(link_id, Measurement())
        seen = Measurement(
            before.load if load is None else load,
            before.delay_seconds if delay_seconds is None else delay_seconds,
            before.loss_ratio if loss_ratio is None else loss_ratio,
        )
        measured = {**self.measured, link_id: seen}
        return _changed(self, measured=measured, delays_nanoseconds=_delays(self.network, measured))

    def with_measurements(self, measured: Mapping[LinkId, Measurement]) -> "TeDatabase":
        """These measurements instead of all that there were."""
        return _changed(self, measured=measured, delays_nanoseconds=_delays(self.network, measured))


def _changed(database: TeDatabase, **changes: Any) -> TeDatabase:
    """A copy with these fields; unlike `dataclasses.replace` it works nothing out again."""
    copy = object.__new__(TeDatabase)
    for name in TeDatabase.__slots__:
        object.__setattr__(copy, name, changes[name] if name in changes else getattr(database, name))
    return copy


def _reserved(
    network: Network, before: Iterable[int], reservations: Iterable[Reservation], *, sign: int = 1
) -> tuple[int, ...]:
    rates = list(before)
    for taken in reservations:
        for link_id in set(taken.links):
            rates[network.link_position(link_id)] += sign * taken.bit_rate.bits_per_second
    return tuple(rates)


def _delays(network: Network, measured: Mapping[LinkId, Measurement]) -> tuple[int, ...]:
    delays = [link.delay_seconds for link in network.arcs.links]
    for link_id, seen in measured.items():
        position = network.link_position(link_id)
        _check(link_id, seen)
        delays[position] = delays[position] if seen.delay_seconds is None else seen.delay_seconds
    return tuple(round(delay * NANOSECONDS) for delay in delays)


def _states(network: Network, link_states: Mapping[LinkId, bool]) -> tuple[bool, ...]:
    states = [link.is_up for link in network.arcs.links]
    for link_id, is_up in link_states.items():
        states[network.link_position(link_id)] = is_up
    return tuple(states)


def _check(link_id: LinkId, seen: Measurement) -> None:
    problem = ""
    if seen.load is not None and seen.load.bits_per_second < 0:
        problem = f"load {seen.load}"
    if seen.delay_seconds is not None and not (isfinite(seen.delay_seconds) and seen.delay_seconds >= 0):
        problem = f"delay {seen.delay_seconds} s"
    if seen.loss_ratio is not None and not 0 <= seen.loss_ratio <= 1:
        problem = f"loss ratio {seen.loss_ratio}"
    if problem:
        raise InvalidInputError(
            f"link '{link_id}' was measured with {problem}", remedy="check the probe: neither can be negative"
        )
