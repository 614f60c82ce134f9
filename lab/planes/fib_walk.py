"""Packets through the tables: which links one takes and where it ends.

Owns the forwarding of a packet hop by hop (RFC 8986 section 4): VRF look-up, encapsulation, segments, equal-cost
shares. A port without carrier is passed by at once where there is another of equal cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lab.planes.fib import End, EndDt46, EndX, Fib, Local, Tables
from lab.planes.fib_links import NextHop

HOP_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Hop:
    """One link on the way, from `router` out of `port`.

    `segments` is the number of segments in the packet's header there, `remaining` those that are still to visit.
    """

    router: str
    port: str
    link: str
    segments: int = 0
    remaining: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """It left the network: out of an interface of a VRF, or at an address of the router when both are empty."""

    router: str
    instance: str = ""
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """It went no further than `router`, and why."""

    router: str
    reason: str


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a packet and the share of the traffic that takes it."""

    share: float
    hops: tuple[Hop, ...]
    end: Delivered | Dropped

    @property
    def links(self) -> tuple[str, ...]:
        """The names of the links, in order."""
        return tuple(hop.link for hop in self.hops)


@dataclass(frozen=True, slots=True)
class _Packet:
    """A packet at a router: segments still to visit, then the customer's address in `instance` or a core address."""

    router: str
    segments: tuple[str, ...]
    address: str
    instance: str
    share: float = 1.0
    hops: tuple[Hop, ...] = ()
    carried: int = 0
    """Segments in its header, which keeps those that were visited."""


def walk(tables: Tables, ingress: str, instance: str, address: str) -> tuple[Way, ...]:
    """The ways of a packet that a customer sends to `address` in a VRF of the ingress router."""
    return tuple(_ways(tables, _Packet(ingress, (), address, instance)))


def walk_core(tables: Tables, router: str, address: str, segments: tuple[str, ...] = ()) -> tuple[Way, ...]:
    """The ways of a packet from a router along `segments` to a core address; empty for where the last segment ends."""
    return tuple(_ways(tables, _Packet(router, segments, address, "", carried=len(segments))))


def walk_on(tables: Tables, router: str, hop: Hop, instance: str, address: str) -> tuple[Way, ...]:
    """The ways from here of a customer's packet that arrives at `router` over the link of `hop`."""
    return tuple(_ways(tables, _Packet(router, hop.remaining, address, instance, carried=hop.segments)))


def _ways(tables: Tables, packet: _Packet) -> Iterator[Way]:
    waiting: list[Way | _Packet] = [packet]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Way):
            yield found
        elif len(found.hops) >= HOP_LIMIT:
            yield _drop(found, f"it has passed {HOP_LIMIT} links: the tables make a loop")
        else:
            waiting += reversed(_step(tables, tables.fib(found.router), found))


def _step(tables: Tables, fib: Fib, packet: _Packet) -> Sequence[Way | _Packet]:
    """The end of the packet, or the packets it becomes: at a neighbour, or here with another header."""
    if packet.segments:
        return _visit(tables, fib, packet)
    if packet.instance:
        return _customer(fib, packet)
    if not packet.address or packet.address in fib.addresses:
        return [Way(packet.share, packet.hops, Delivered(packet.router))]
    return _forward(tables, packet, fib.routes.lookup(packet.address), packet.address)


def _visit(tables: Tables, fib: Fib, packet: _Packet) -> Sequence[Way | _Packet]:
    segment, rest = packet.segments[0], packet.segments[1:]
    action = fib.segments.get(segment)
    if action is None:
        return _forward(tables, packet, fib.routes.lookup(segment), segment)
    if isinstance(action, EndDt46):
        if rest or not packet.instance:
            return [_drop(packet, f"segment {segment} delivers into VRF {action.instance}, nothing else")]
        return [replace(packet, segments=(), instance=action.instance)]
    if not rest and packet.instance:
        return [_drop(packet, f"segment {segment} is the last and delivers into no VRF")]
    passed = replace(packet, segments=rest)
    return [passed] if isinstance(action, End) else _leave(tables, passed, action, segment)


def _leave(tables: Tables, packet: _Packet, action: EndX, segment: str) -> Sequence[Way | _Packet]:
    if action.next_hop is None:
        return [_drop(packet, f"the adjacency of segment {segment} over {action.port} is down")]
    return _forward(tables, packet, (action.next_hop,), segment)


def _customer(fib: Fib, packet: _Packet) -> Sequence[Way | _Packet]:
    entry = fib.lookup(packet.instance, packet.address)
    if entry is None:
        return [_drop(packet, f"VRF {packet.instance} has no route to {packet.address}")]
    if isinstance(entry, Local):
        return [Way(packet.share, packet.hops, Delivered(packet.router, packet.instance, entry.interface))]
    whole = sum(found.weight for found in entry.encapsulations)
    return [
        replace(
            packet,
            share=packet.share * found.weight / whole,
            segments=found.segments,
            carried=len(found.segments),
        )
        for found in entry.encapsulations
    ]


def _forward(tables: Tables, packet: _Packet, hops: tuple[NextHop, ...], towards: str) -> Sequence[Way | _Packet]:
    ports = tables.links.ports(packet.router)
    carrying = [hop for hop in hops if tables.links.has_carrier(ports[hop.port])]
    if not carrying:
        return [_drop(packet, f"link {hops[0].link} is down" if hops else f"there is no route to {towards}")]
    return [_send(tables, packet, hop, packet.share / len(carrying)) for hop in carrying]


def _send(tables: Tables, packet: _Packet, hop: NextHop, share: float) -> Way | _Packet:
    """A link that is cut silently takes the packet and keeps it."""
    passed = (*packet.hops, Hop(packet.router, hop.port, hop.link, packet.carried, packet.segments))
    if tables.links.loses(tables.links.ports(packet.router)[hop.port]):
        return Way(share, passed, Dropped(packet.router, f"link {hop.link} loses every packet"))
    return replace(packet, router=hop.router, share=share, hops=passed)


def _drop(packet: _Packet, reason: str) -> Way:
    return Way(packet.share, packet.hops, Dropped(packet.router, reason))
