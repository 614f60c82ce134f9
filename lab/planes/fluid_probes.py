"""Measurements (RFC 8762) through the fluid network: test packets sent, lost, and how late they come and go.

Owns the state of every configured session. Test packets go along the session's segments (RFC 9503) or its VRF's tables,
answers take the shortest path or the far VRF's. Packets keep to their interval; each draws its jitter from its number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import add
from random import Random
from statistics import median

from lab.planes import StampResult, StampSession
from lab.planes.fib import Local, Tables
from lab.planes.fib_prefixes import host
from lab.planes.fib_walk import Delivered, Way, walk, walk_core
from lab.planes.fluid_loads import DirectionKey
from lab.planes.fluid_shortest import ShortestWays
from lab.planes.fluid_stream import Conditions, PacketStream
from lab.planes.fluid_ways import Direction, choose, passed

_WINDOW_SECONDS = 60.0
_MOST_SAMPLES = 60
_TEST_PACKET_OCTETS = 100
_LOST = Conditions(delivered=False)


@dataclass(frozen=True, slots=True)
class _Met:
    """What test packets and their answers meet from `start` on."""

    start: float
    there: Conditions
    back: Conditions

    @property
    def is_steady(self) -> bool:
        """Whether every packet meets the same delay."""
        return not (self.there.slope or self.there.jitters or self.back.slope or self.back.jitters)


@dataclass(slots=True)
class _Session:
    router: str
    configured: StampSession
    stream: PacketStream
    met: deque[_Met] = field(default_factory=deque)


class Probes:
    """The measurements of a network."""

    def __init__(self, tables: Tables, directions: Mapping[DirectionKey, Direction], *, seed: int) -> None:
        self._tables = tables
        self._directions = directions
        self._seed = seed
        self._sessions: dict[str, dict[int, _Session]] = {}
        self._shortest = ShortestWays(tables, directions)
        self._reflectors: dict[str, str | None] = {}
        """At this event: the router that answers at a core address, None where nobody does."""

    def configuration_changed(self, router: str, time: float) -> None:
        """Begin, end or begin anew the sessions whose configuration is another one."""
        before = self._sessions.pop(router, {})
        wanted = self._tables.forwarding(router).stamp_sessions
        if wanted:
            self._sessions[router] = {
                found.number: before[found.number]
                if found.number in before and before[found.number].configured == found
                else self._begun(router, found, time)
                for found in wanted
            }

    def results(self, router: str, time: float) -> tuple[StampResult, ...]:
        """What each configured session of the router has found so far."""
        return tuple(self._result(session, time) for session in self._sessions.get(router, {}).values())

    # Taking part in the simulation

    def resolve(self) -> None:
        """Ways are found when packets meet them."""

    def loads(self) -> Iterator[tuple[DirectionKey, float]]:
        """Test packets are too few to count."""
        yield from ()

    def meet(self, time: float, *, core_changed: bool) -> None:
        """From `time` on test packets meet what the links are like now."""
        concerned = [
            session
            for sessions in self._sessions.values()
            for session in sessions.values()
            if core_changed or session.configured.instance or not session.met
        ]
        if concerned:
            self._shortest.begin(time)
            self._reflectors = {}
        for session in concerned:
            self._meet(session, time)

    def _meet(self, session: _Session, time: float) -> None:
        there, back = self._round_trip(session, time)
        last = session.met[-1] if session.met else None
        if last is not None and last.there is there and last.back is back:
            return
        if last is None or (last.there, last.back) != (there, back):
            met = _Met(time, there, back)
            session.stream.change(time, _both(met))
            session.met.append(met)
            _forget_old(session.met, time)

    def _begun(self, router: str, configured: StampSession, time: float) -> _Session:
        seed = f"{self._seed} {router} {configured.number}"
        stream = PacketStream(time, 1 / configured.interval_seconds, _LOST, seed=seed, keep_delays=False)
        return _Session(router, configured, stream)

    def _round_trip(self, session: _Session, time: float) -> tuple[Conditions, Conditions]:
        configured = session.configured
        if configured.instance:
            return self._vpn_round_trip(session, time)
        owner = self._reflector(configured.remote_address)
        if owner is None:
            return _LOST, _LOST
        shortest = self._shortest
        there = (
            self._met_on(
                walk_core(self._tables, session.router, host(configured.remote_address), configured.segments),
                session,
                time,
            )
            if configured.segments
            else shortest.conditions(session.router, owner)
        )
        return there, shortest.conditions(owner, session.router)

    def _reflector(self, address: str) -> str | None:
        """The router that answers test packets to a core address."""
        try:
            return self._reflectors[address]
        except KeyError:
            owner = self._tables.igp.owner_of_address(address)
            answers = owner is not None and self._tables.forwarding(owner).stamp_reflector
            return self._reflectors.setdefault(address, owner if answers else None)

    def _vpn_round_trip(self, session: _Session, time: float) -> tuple[Conditions, Conditions]:
        """Between the addresses of two routers in a VPN; customers do not reflect."""
        router, instance = session.router, session.configured.instance
        there = choose(walk(self._tables, router, instance, session.configured.remote_address), _name(session))
        end = there.end
        if not isinstance(end, Delivered) or not self._reflects(end, session.configured.remote_address):
            return _LOST, _LOST
        own = self._own_address(router, instance, session.configured.remote_address)
        back = walk(self._tables, end.router, end.instance, own) if own else ()
        return self._met_on((there,), session, time), self._met_on(back, session, time)

    def _reflects(self, end: Delivered, address: str) -> bool:
        own = self._tables.forwarding(end.router)
        interface = own.interfaces.get(end.interface)
        theirs = () if interface is None else map(host, interface.addresses)
        return own.stamp_reflector and host(address) in theirs

    def _own_address(self, router: str, instance: str, remote: str) -> str:
        """An address of the router in the VRF, of the family of the other."""
        own = self._tables.forwarding(router)
        for entry in self._tables.fib(router).vpn.get(instance, {}).values():
            if isinstance(entry, Local) and not entry.next_hop:
                for address in own.interfaces[entry.interface].addresses:
                    if (":" in address) == (":" in remote):
                        return host(address)
        return ""

    def _met_on(self, ways: tuple[Way, ...], session: _Session, time: float) -> Conditions:
        if not ways:
            return _LOST
        way = choose(ways, _name(session))
        return passed(way, self._directions, time, packet_octets=_TEST_PACKET_OCTETS).conditions

    def _result(self, session: _Session, time: float) -> StampResult:
        number, sent, lost = session.configured.number, session.stream.sent(time), session.stream.lost(time)
        pieces = list(_last_minute(session, sent, time))  # from the newest
        if not pieces:
            return StampResult(number, sent, lost)
        _, last, newest = pieces[0]
        if len(pieces) == 1 and newest.is_steady:
            return _steady(number, sent, lost, newest)
        there: list[float] = []
        back: list[float] = []
        for first, before, met in pieces:
            there += _delays(session, met, met.there, first, before)
            back += _delays(session, met, met.back, first, before)
        latest = _latest(session, newest, last)
        return StampResult(
            number=number,
            sent=sent,
            lost=lost,
            round_trip_seconds=median(map(add, there, back)),
            forward_seconds=median(there),
            backward_seconds=median(back),
            variation_seconds=max(there) - min(there),
            last_round_trip_seconds=sum(latest),
            last_forward_seconds=latest[0],
        )


def _steady(number: int, sent: int, lost: int, met: _Met) -> StampResult:
    """What was found while every test packet met the same."""
    there, back = met.there.delay_seconds, met.back.delay_seconds
    return StampResult(
        number=number,
        sent=sent,
        lost=lost,
        round_trip_seconds=there + back,
        forward_seconds=there,
        backward_seconds=back,
        variation_seconds=0.0,
        last_round_trip_seconds=there + back,
        last_forward_seconds=there,
    )


def _name(session: _Session) -> str:
    return f"{session.router} {session.configured.number}"


def _both(met: _Met) -> Conditions:
    """A round trip arrives when both halves do."""
    if not (met.there.delivered and met.back.delivered):
        return _LOST
    surviving = (1 - met.there.loss_ratio) * (1 - met.back.loss_ratio)
    return Conditions(delivered=True, delay_seconds=met.there.delay_seconds, loss_ratio=1 - surviving)


def _forget_old(met: deque[_Met], time: float) -> None:
    """Keep what packets of the last minute met."""
    while len(met) > 1 and met[1].start <= time - _WINDOW_SECONDS:
        met.popleft()


def _last_minute(session: _Session, sent: int, time: float) -> Iterator[tuple[int, int, _Met]]:
    """The packets of the last minute that have come back: from a number up to before another, and what they met."""
    stream = session.stream
    last, oldest = sent, stream.sent(time - _WINDOW_SECONDS)
    for met in reversed(session.met):
        first = max(oldest, stream.sent(met.start))
        if met.there.delivered and met.back.delivered:
            round_trip = met.there.delay_seconds + met.back.delay_seconds
            back = min(last, stream.sent(time - round_trip))
            if first < back:
                yield first, back, met
        last = first
        if first == oldest:
            return


def _latest(session: _Session, met: _Met, last: int) -> tuple[float, float]:
    """How long the packet before a number took there and back."""
    there, back = (_delays(session, met, half, last - 1, last)[0] for half in (met.there, met.back))
    return there, back


def _delays(session: _Session, met: _Met, half: Conditions, first: int, last: int) -> list[float]:
    """One delay for each packet, for some where there are many."""
    numbers = range(first, last, max(1, (last - first) // _MOST_SAMPLES))
    if not half.slope and not half.jitters:
        return [half.delay_seconds] * len(numbers)
    found = []
    for number in numbers:
        chance = Random(f"{_name(session)} {number}")  # noqa: S311 - a simulation's dice
        jitter = sum(most * chance.random() for most in half.jitters)
        later = session.stream.time_of(number) - met.start
        found.append(half.delay_seconds + half.slope * later + jitter)
    return found
