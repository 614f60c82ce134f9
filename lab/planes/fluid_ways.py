"""What a packet meets on a way: delay, waits, jitter and loss of each link, at a time.

Owns the sum over the links of a way, and which of several ways a stream takes: as a router's hash does, one stream
takes one of them and keeps to it while there are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.planes.fib_walk import Delivered, Hop, Way
from lab.planes.fluid_loads import DirectionKey
from lab.planes.fluid_queue import FluidQueue
from lab.planes.fluid_stream import Conditions
from lab.topology import Link
from lab.topology_traffic import seeded_fraction

_ETHERNET_OCTETS = 14
_ENCAPSULATION_OCTETS = 48  # IPv6 and the fixed part of its segment routing header (RFC 8754 section 2)
_SEGMENT_OCTETS = 16


@dataclass(frozen=True, slots=True)
class Direction:
    """A link as one of its ends sees it."""

    link: Link
    queue: FluidQueue


@dataclass(frozen=True, slots=True)
class Passed:
    """A way and what a packet meets on it; `offsets` says how long after leaving it has passed each link."""

    way: Way
    conditions: Conditions
    offsets: tuple[float, ...]


def wire_octets(packet_octets: int, segments: int) -> int:
    """The size on the wire of a customer's packet that carries so many segments."""
    header = _ENCAPSULATION_OCTETS + _SEGMENT_OCTETS * segments if segments else 0
    return packet_octets + header + _ETHERNET_OCTETS


def choose(ways: tuple[Way, ...], stream: str) -> Way:
    """The way that the stream of that name takes."""
    point = seeded_fraction("way", stream) * sum(way.share for way in ways)
    for way in ways:
        point -= way.share
        if point < 0:
            return way
    return ways[-1]


def passed(
    way: Way, directions: Mapping[DirectionKey, Direction], time: float, *, packet_octets: int, loss_ratio: float = 0.0
) -> Passed:
    """What packets that leave at `time` meet; `loss_ratio` is what the edges of the network take besides."""
    delay = slope = 0.0
    surviving = 1.0 - loss_ratio
    jitters: list[float] = []
    offsets: list[float] = []
    for hop in way.hops:
        direction = directions[hop.router, hop.port]
        delay += _link_delay(direction, hop, time, packet_octets)
        slope += direction.queue.slope(time)
        surviving *= (1 - direction.link.loss_ratio) * (1 - direction.queue.drop_ratio(time))
        if direction.link.jitter_seconds:
            jitters.append(direction.link.jitter_seconds)
        offsets.append(delay)
    delivered = isinstance(way.end, Delivered)
    return Passed(way, Conditions(delivered, delay, slope, tuple(jitters), max(0.0, 1 - surviving)), tuple(offsets))


def _link_delay(direction: Direction, hop: Hop, time: float, packet_octets: int) -> float:
    sending = 8 * wire_octets(packet_octets, hop.segments) / direction.queue.capacity
    return direction.link.delay_seconds + direction.queue.wait_seconds(time) + sending
