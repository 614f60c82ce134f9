"""The interior routing of the provider's network: who is next on the shortest path, and who owns which segment.

Owns shortest paths by the configured metrics over links that a view of the network holds up (IS-IS with SRv6, RFC
9352): routers flood their loopbacks, locators and segments. A snapshot never changes; paths are found when asked for.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lab.planes import RouterForwarding
from lab.planes.fib_links import NextHop
from lab.planes.fib_prefixes import PrefixTable, host, subnet
from lab.topology import Link, Topology


@dataclass(frozen=True, slots=True)
class SegmentOwner:
    """The router that a segment belongs to; `port` is the interface it leaves over, empty for the router itself."""

    router: str
    port: str = ""


class Igp:
    """What the routers know of the core while the links in `down` are."""

    def __init__(self, topology: Topology, forwarding: Callable[[str], RouterForwarding], down: frozenset[str]) -> None:
        self._out: dict[str, list[tuple[int, NextHop]]] = {node.name: [] for node in topology.nodes}
        self._into: dict[str, list[tuple[int, str]]] = {node.name: [] for node in topology.nodes}
        self._segments: dict[str, SegmentOwner] = {}
        self._owner_by_address: dict[str, str] = {}
        self._distances: dict[str, dict[str, int]] = {}
        self._next_hops: dict[tuple[str, str], tuple[NextHop, ...]] = {}
        for link in topology.links:
            if link.name not in down:
                self._add_link(link, forwarding)
        prefixes: dict[str, str] = {}
        for node in topology.nodes:
            self._add_router(node.name, forwarding(node.name), prefixes)
        self.prefixes: Mapping[str, str] = prefixes
        """Router by each prefix that is flooded."""
        self._table = PrefixTable(prefixes)

    def _add_link(self, link: Link, forwarding: Callable[[str], RouterForwarding]) -> None:
        a, b = link.a, link.b
        there, back = forwarding(a.node).interfaces.get(a.port), forwarding(b.node).interfaces.get(b.port)
        if there is None or back is None or there.metric is None or back.metric is None:
            return
        self._add_edge(a.node, there.metric, NextHop(a.port, link.name, b.node, b.port))
        self._add_edge(b.node, back.metric, NextHop(b.port, link.name, a.node, a.port))

    def _add_edge(self, router: str, metric: int, hop: NextHop) -> None:
        self._out[router].append((metric, hop))
        self._into[hop.router].append((metric, router))

    def _add_router(self, router: str, own: RouterForwarding, prefixes: dict[str, str]) -> None:
        for interface in own.interfaces.values():
            if interface.metric is not None:
                for address in interface.addresses:
                    self._owner_by_address.setdefault(host(address), router)
                    if interface.loopback and interface.enabled:
                        prefixes.setdefault(subnet(host(address)), router)
        for locator in own.locators:
            prefixes.setdefault(subnet(locator), router)
        self._segments.update((segment, SegmentOwner(router)) for segment in own.node_segments)
        self._segments.update((segment, SegmentOwner(router, port)) for segment, port in own.adjacency_segments.items())

    def next_hops(self, router: str, target: str) -> tuple[NextHop, ...]:
        """The equal-cost next hops from one router to another; none when there is no way, or nowhere to go."""
        key = router, target
        found = self._next_hops.get(key)
        if found is None:
            found = self._next_hops[key] = self._find_next_hops(router, target)
        return found

    def _find_next_hops(self, router: str, target: str) -> tuple[NextHop, ...]:
        distances = self._distances_to(target)
        own = distances.get(router)
        if own is None or router == target:
            return ()
        return tuple(
            hop
            for metric, hop in self._out[router]
            if (rest := distances.get(hop.router)) is not None and metric + rest == own
        )

    def distance(self, router: str, target: str) -> int | None:
        """The sum of metrics of the shortest path, None when there is none."""
        return self._distances_to(target).get(router)

    def by_distance(self, target: str) -> list[str]:
        """The routers that reach `target`, the farthest first, `target` last."""
        return list(reversed(self._distances_to(target)))

    def adjacency(self, router: str, port: str) -> NextHop | None:
        """The neighbour over a port; None when the adjacency is down."""
        return next((hop for _, hop in self._out[router] if hop.port == port), None)

    def owner_of_segment(self, segment: str) -> SegmentOwner | None:
        """The router that flooded a node or adjacency segment, None when nobody did."""
        return self._segments.get(segment)

    def owner_of_address(self, address: str) -> str | None:
        """The router that a core address, of a loopback or a link, belongs to."""
        return self._owner_by_address.get(host(address))

    def router_towards(self, address: str) -> str | None:
        """The router that flooded the longest prefix that holds the address."""
        return self._table.lookup(address)

    def _distances_to(self, target: str) -> dict[str, int]:
        """Dijkstra from the target against the direction of the links; the nearest router stands first."""
        found = self._distances.get(target)
        if found is None:
            found = self._distances[target] = {}
            queue = [(0, target)] if target in self._into else []
            while queue:
                length, router = heapq.heappop(queue)
                if router not in found:
                    found[router] = length
                    for metric, near in self._into[router]:
                        if near not in found:
                            heapq.heappush(queue, (length + metric, near))
        return found


class CoreRoutes(Mapping[str, tuple[NextHop, ...]]):
    """The next hops of one router by prefix, those that it reaches and are not its own."""

    def __init__(self, igp: Igp, router: str) -> None:
        self._igp = igp
        self._router = router

    def __getitem__(self, prefix: str) -> tuple[NextHop, ...]:
        """The equal-cost next hops; KeyError for a prefix that it has no route to."""
        hops = self._igp.next_hops(self._router, self._igp.prefixes[prefix])
        if not hops:
            raise KeyError(prefix)
        return hops

    def __iter__(self) -> Iterator[str]:
        return (prefix for prefix in self._igp.prefixes if prefix in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def lookup(self, address: str) -> tuple[NextHop, ...]:
        """The next hops of the longest prefix that holds the address; none when there is no route."""
        target = self._igp.router_towards(address)
        return () if target is None else self._igp.next_hops(self._router, target)
