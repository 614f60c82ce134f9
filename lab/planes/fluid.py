"""The simulator: time, events, what routers learn and when, and the load of every link.

Owns the order of events. A cut counts for packets and for the ports at both ends at once; heads of policies learn of
it by flooding, the shortest paths follow when routing has converged. Between events nothing is computed: whoever asks
gets the integral.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

from lab.planes.fib import Tables, View
from lab.planes.fluid_loads import DirectionKey, background_loads
from lab.planes.fluid_queue import FluidQueue
from lab.planes.fluid_ways import Direction
from lab.topology import Link, Topology

KEEPALIVE_BIT_RATE = 2_000.0  # routing protocols and LLDP on any port that is up
_SHORTEST_STEP_SECONDS = 1e-6  # between events of queues, so that rounding cannot stop the clock


@dataclass(frozen=True, slots=True)
class Timing:
    """How long after a carrier has changed others than the routers at the link's ends know of it."""

    flooding_seconds: float = 0.005
    convergence_seconds: float = 0.4


class Traffic(Protocol):
    """Streams that share the links."""

    def resolve(self) -> None:
        """Find the streams' ways through the tables as they are now."""

    def loads(self) -> Iterable[tuple[DirectionKey, float]]:
        """Bit/s of each stream on each link it takes."""
        ...

    def meet(self, time: float, *, core_changed: bool) -> None:
        """From `time` on packets meet what the links are like now.

        Unless `core_changed`, packets between routers meet what they met before.
        """


@dataclass(frozen=True, slots=True, order=True)
class _Lesson:
    """At `due` routers know that the links in `down` are down, all others up."""

    due: float
    number: int
    of_heads: bool
    down: frozenset[str]


class Simulator:
    """A network of fluid queues whose routers forward by `tables`."""

    def __init__(self, topology: Topology, tables: Tables, *, start: float, timing: Timing) -> None:
        self._topology = topology
        self._tables = tables
        self._timing = timing
        self._time = start
        self._traffic: list[Traffic] = []
        self._lessons: list[_Lesson] = []
        self._number = 0
        self._next_turn = inf
        self._loads: dict[DirectionKey, float] | None = None
        """Of the streams; None when the links have to be looked at whatever these are."""
        self._version = -1
        self._background: dict[DirectionKey, float] = {}
        self.directions: dict[DirectionKey, Direction] = {
            (end.node, end.port): Direction(link, FluidQueue(float(link.capacity_bit_rate), link.buffer_seconds, start))
            for link in topology.links
            for end in (link.a, link.b)
        }
        """The links by router and port that packets leave by."""

    def begin(self) -> None:
        """Routers know the network as it is; links carry its traffic since the start."""
        down = self._tables.links.without_carrier()
        self._tables.see(View(down, down))
        self.refresh()

    def add(self, traffic: Traffic) -> None:
        """Let these streams take part from the next event on."""
        self._traffic.append(traffic)

    def advance(self, time: float) -> None:
        """Let everything happen that happens until then."""
        while (due := min(self._next_turn, self._lessons[0].due if self._lessons else inf)) <= time:
            self._time = max(self._time, due)
            if self._next_turn <= self._time:
                self._loads = None
            while self._lessons and self._lessons[0].due <= self._time:
                self._learn(heapq.heappop(self._lessons))
            self.refresh()
        self._time = max(self._time, time)

    def carriers_changed(self) -> None:
        """A carrier came or went just now: those who are not at its ends learn of it in time."""
        self._tables.links_changed()
        down = self._tables.links.without_carrier()
        for of_heads, delay in ((True, self._timing.flooding_seconds), (False, self._timing.convergence_seconds)):
            self._number += 1
            heapq.heappush(self._lessons, _Lesson(self._time + delay, self._number, of_heads, down))

    def slow(self, link: str, delay_seconds: float) -> None:
        """Packets take this long over a link from now on."""
        self._alter(link, lambda found: replace(found, delay_seconds=delay_seconds))

    def lose(self, link: str, ratio: float) -> None:
        """That share of the packets is lost on a link from now on."""
        self._alter(link, lambda found: replace(found, loss_ratio=ratio))

    def _alter(self, name: str, change: Callable[[Link], Link]) -> None:
        for key, direction in self.directions.items():
            if direction.link.name == name:
                self.directions[key] = replace(direction, link=change(direction.link))
        self._loads = None
        self.refresh()

    def refresh(self) -> None:
        """Something has changed: find new ways and loads, and let packets meet them from now on."""
        for traffic in self._traffic:
            traffic.resolve()
        core_changed = self._offer_loads()
        for traffic in self._traffic:
            traffic.meet(self._time, core_changed=core_changed)

    def _learn(self, lesson: _Lesson) -> None:
        known = self._tables.view
        self._tables.see(View(known.converged, lesson.down) if lesson.of_heads else View(lesson.down, known.flooded))

    def _offer_loads(self) -> bool:
        """Load the links; returns whether any may differ from before. Changes of services alone leave them."""
        loads: dict[DirectionKey, float] = {}
        for traffic in self._traffic:
            for key, rate in traffic.loads():
                loads[key] = loads.get(key, 0.0) + rate
        if self._version == self._tables.core_version and self._loads == loads:
            return False
        if self._version != self._tables.core_version:
            self._version = self._tables.core_version
            self._background = background_loads(self._tables.igp, self._tables.links, self._topology.demands)
        self._loads = loads
        for key, direction in self.directions.items():
            self._offer(direction, self._background.get(key, 0.0) + loads.get(key, 0.0))
        turns = (direction.queue.next_turn(self._time) for direction in self.directions.values())
        earliest = min((turn for turn in turns if turn is not None), default=inf)
        self._next_turn = max(earliest, self._time + _SHORTEST_STEP_SECONDS)
        return True

    def _offer(self, direction: Direction, rate: float) -> None:
        links, queue = self._tables.links, direction.queue
        if links.has_carrier(direction.link):
            arriving = 0.0 if links.loses(direction.link) else 1.0 - direction.link.loss_ratio
            queue.offer(self._time, rate + KEEPALIVE_BIT_RATE, arriving)
        else:
            queue.empty(self._time)
            queue.offer(self._time, 0.0)
