"""A link in one direction as a fluid: what is offered, what waits, what leaves, what finds the queue full.

Owns the arithmetic between two events, when nothing changes but the queue's level, and that evenly. Nothing here
rounds: octets are the integral of rates. Below its capacity a link makes packets wait as M/D/1 says.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.planes import MEAN_PACKET_OCTETS

_INSTANT_SECONDS = 1e-6  # a queue that will be full or empty within it is


@dataclass(frozen=True, slots=True)
class Passage:
    """Octets that left, those that arrived, and packets of the mean size that found the queue full."""

    octets: float
    arrived_octets: float
    discards: float


class FluidQueue:
    """The queue before a link of `capacity` bit/s, with room for `buffer_seconds` of it."""

    __slots__ = ("_arrived", "_arriving", "_at", "_discarded", "_level", "_offered", "_room", "_sent", "capacity")

    def __init__(self, capacity: float, buffer_seconds: float, start: float) -> None:
        self.capacity = capacity
        self._room = capacity * buffer_seconds
        self._at = start
        self._offered = 0.0
        self._level = 0.0
        self._arriving = 1.0
        self._sent = 0.0
        self._arrived = 0.0
        self._discarded = 0.0

    @property
    def offered(self) -> float:
        """The rate that wants to pass, bit/s."""
        return self._offered

    def offer(self, time: float, rate: float, arriving: float = 1.0) -> None:
        """From `time` on, `rate` bit/s want to pass, and that share of what leaves arrives."""
        if (rate, arriving) != (self._offered, self._arriving):
            self._settle(time)
            self._offered, self._arriving = rate, arriving

    def empty(self, time: float) -> None:
        """What waits is lost: the link is gone."""
        self._settle(time)
        self._discarded += self._level
        self._level = 0.0

    def passage(self, time: float) -> Passage:
        """What has left and what was discarded, from the start to `time`."""
        level, discarded = self._after(time)
        sent = self._leaving(time, level, discarded)
        return Passage(
            (self._sent + sent) / 8,
            (self._arrived + sent * self._arriving) / 8,
            (self._discarded + discarded) / 8 / MEAN_PACKET_OCTETS,
        )

    def wait_seconds(self, time: float) -> float:
        """How long a packet that comes at `time` waits."""
        level, _ = self._after(time)
        load = self._offered / self.capacity
        if load >= 1 or level > self._instant():
            return level / self.capacity
        service = 8 * MEAN_PACKET_OCTETS / self.capacity
        return min(load / (2 * (1 - load)) * service, self._room / self.capacity)

    def slope(self, time: float) -> float:
        """How fast the wait grows at `time`, in seconds a second; negative while the queue drains."""
        level, _ = self._after(time)
        growth = self._offered - self.capacity
        return growth / self.capacity if self._left(level) > self._instant() else 0.0

    def drop_ratio(self, time: float) -> float:
        """The share of packets that find the queue full at `time`."""
        level, _ = self._after(time)
        full = self._offered > self.capacity and self._left(level) <= self._instant()
        return 1 - self.capacity / self._offered if full else 0.0

    def next_turn(self, time: float) -> float | None:
        """When, from `time` on, the queue becomes full or empty; None when it will not."""
        level, _ = self._after(time)
        left = self._left(level)
        return time + left / abs(self._offered - self.capacity) if left > self._instant() else None

    def _left(self, level: float) -> float:
        """Bits until the queue is full, or empty."""
        return self._room - level if self._offered > self.capacity else level

    def _instant(self) -> float:
        """Bits that come or go in next to no time."""
        return abs(self._offered - self.capacity) * _INSTANT_SECONDS

    def _settle(self, time: float) -> None:
        level, discarded = self._after(time)
        sent = self._leaving(time, level, discarded)
        self._sent += sent
        self._arrived += sent * self._arriving
        self._discarded += discarded
        self._level, self._at = level, time

    def _leaving(self, time: float, level: float, discarded: float) -> float:
        return self._offered * (time - self._at) + self._level - level - discarded

    def _after(self, time: float) -> tuple[float, float]:
        """The level at `time`, and the bits discarded since the last settlement."""
        unbounded = self._level + (self._offered - self.capacity) * (time - self._at)
        return min(max(unbounded, 0.0), self._room), max(0.0, unbounded - self._room)
