"""How much each link has to carry: the traffic matrix of the topology along the routing, in both directions.

Owns the split of background demands over equal-cost next hops. A demand whose way ends at a port without carrier loads
the links before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.planes.fib_igp import Igp
from lab.planes.fib_links import LinkStates
from lab.topology import Demand

DirectionKey = tuple[str, str]
"""A router and the core port that the traffic leaves by."""


def background_loads(igp: Igp, links: LinkStates, demands: Iterable[Demand]) -> dict[DirectionKey, float]:
    """Bit/s that leave by each port."""
    by_target: dict[str, dict[str, float]] = {}
    for demand in demands:
        offered = by_target.setdefault(demand.target, {})
        offered[demand.source] = offered.get(demand.source, 0.0) + demand.bit_rate
    loads: dict[DirectionKey, float] = {}
    for target, offered in by_target.items():
        _add_loads(loads, igp, links, target, offered)
    return loads


def _add_loads(
    loads: dict[DirectionKey, float], igp: Igp, links: LinkStates, target: str, offered: Mapping[str, float]
) -> None:
    """The farthest routers first, so that what comes through a router is known when its turn comes."""
    through = dict(offered)
    for router in igp.by_distance(target):
        rate = through.get(router, 0.0)
        if rate and router != target:
            ports = links.ports(router)
            hops = [hop for hop in igp.next_hops(router, target) if links.has_carrier(ports[hop.port])]
            for hop in hops:
                share = rate / len(hops)
                loads[router, hop.port] = loads.get((router, hop.port), 0.0) + share
                if not links.loses(ports[hop.port]):
                    through[hop.router] = through.get(hop.router, 0.0) + share
