"""Delays over the shortest paths between all routers, each composed of its first link and the rest.

Owns a shortcut: a full mesh of measurements between fifty routers takes 2,450 compositions and no walk. What has not
changed since the event before is the same object as before: who holds it knows without comparing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.planes.fib import Tables
from lab.planes.fluid_loads import DirectionKey
from lab.planes.fluid_stream import Conditions
from lab.planes.fluid_ways import Direction

_HERE = Conditions(delivered=True)
_LOST = Conditions(delivered=False)


@dataclass(slots=True)
class _Composed:
    """A way and what it was composed of."""

    first: Conditions
    rest: Conditions
    conditions: Conditions


class ShortestWays:
    """What packets of no size meet that leave at the time of the event; of equal paths the first is taken."""

    def __init__(self, tables: Tables, directions: Mapping[DirectionKey, Direction]) -> None:
        self._tables = tables
        self._directions = directions
        self._links: dict[DirectionKey, Conditions] = {}
        """Of the links that have a carrier."""
        self._known: dict[DirectionKey, Conditions] = {}
        """What was last seen of each link."""
        self._composed: dict[str, dict[str, _Composed]] = {}
        """The ways to each router as they were last looked at."""
        self._to: dict[str, dict[str, Conditions]] = {}
        """The same as they are at this event."""

    def begin(self, time: float) -> None:
        """Look at the links as they are now."""
        states = self._tables.links
        self._links = {
            key: self._same(key, self._link(direction, time))
            for key, direction in self._directions.items()
            if states.has_carrier(direction.link)
        }
        self._to = {}

    def conditions(self, router: str, target: str) -> Conditions:
        """From one router to another."""
        found = self._to.get(target)
        if found is None:
            found = self._to[target] = self._ways_to(target)
        return found.get(router, _LOST)

    def _ways_to(self, target: str) -> dict[str, Conditions]:
        """From each router that can get there, the nearest first: the rest of its way is known when its turn comes."""
        igp, links = self._tables.igp, self._links
        before = self._composed.setdefault(target, {})
        found = {target: _HERE}
        for router in reversed(igp.by_distance(target)):
            for hop in igp.next_hops(router, target):
                first = links.get((router, hop.port))
                if first is not None:
                    rest = found.get(hop.router, _LOST)
                    known = before.get(router)
                    if known is None or known.first is not first or known.rest is not rest:
                        known = before[router] = _Composed(first, rest, _over(first, rest))
                    found[router] = known.conditions
                    break
        return found

    def _same(self, key: DirectionKey, conditions: Conditions) -> Conditions:
        """What was known of the link, if these are the same conditions."""
        known = self._known.get(key)
        if known is None or known != conditions:
            known = self._known[key] = conditions
        return known

    def _link(self, direction: Direction, time: float) -> Conditions:
        link, queue = direction.link, direction.queue
        return Conditions(
            delivered=not self._tables.links.loses(link),
            delay_seconds=link.delay_seconds + queue.wait_seconds(time),
            slope=queue.slope(time),
            jitters=(link.jitter_seconds,) if link.jitter_seconds else (),
            loss_ratio=1 - (1 - link.loss_ratio) * (1 - queue.drop_ratio(time)),
        )


def _over(first: Conditions, rest: Conditions) -> Conditions:
    """Over a link, and then the rest of the way."""
    if not (first.delivered and rest.delivered):
        return _LOST
    return Conditions(
        delivered=True,
        delay_seconds=first.delay_seconds + rest.delay_seconds,
        slope=first.slope + rest.slope,
        jitters=(*first.jitters, *rest.jitters),
        loss_ratio=1 - (1 - first.loss_ratio) * (1 - rest.loss_ratio),
    )
