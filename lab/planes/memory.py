"""A network in memory: states follow from the configurations, the links that are up, and the time.

Owns the `DataPlane` that the lab runs on by default; `memory_ports` and `memory_routing` hold its rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.planes import Adjacency, Forwarding, InterfaceState, PeerState, VpnRoute
from lab.planes.fib import Tables, View
from lab.planes.fib_walk import Delivered, walk_core
from lab.planes.memory_ports import Ports
from lab.topology import Topology


class MemoryPlane:
    """A `DataPlane` by rules. `now` is a clock in seconds; `forwarding` tells what a configuration asks for."""

    def __init__(self, topology: Topology, forwarding: Forwarding, *, now: Callable[[], float]) -> None:
        self._topology = topology
        self._tables = Tables(topology, forwarding)
        self._ports = Ports(topology, self._tables.forwarding, self._tables.links, now=now)

    def configuration_changed(self, router: str) -> None:
        """Take notice that a router's running configuration is another one now."""
        self._tables.configuration_changed(router)
        self._see()
        self._ports.settle(router)

    def set_link(self, link: str, *, up: bool, silent: bool = False) -> None:
        """Cut or restore a link; KeyError when the topology has none of that name."""
        found = self._tables.links.set_link(link, up=up, silent=silent)
        self._tables.links_changed()
        self._see()
        self._ports.settle(found.a.node)
        self._ports.settle(found.b.node)

    def _see(self) -> None:
        down = self._tables.links.without_carrier()
        self._tables.see(View(down, down))

    def cut_links(self) -> frozenset[str]:
        """The links that are cut."""
        return self._tables.links.cut()

    def interfaces(self, router: str) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured, by name."""
        return self._ports.interfaces(router)

    def adjacencies(self, router: str) -> tuple[Adjacency, ...]:
        """Neighbours over the core ports that are up."""
        return self._tables.links.adjacencies(router)

    def peers(self, router: str) -> tuple[PeerState, ...]:
        """The state of each configured BGP session, in the order of the configuration."""
        return self._tables.routing.peers(router)

    def vpn_routes(self, router: str) -> tuple[VpnRoute, ...]:
        """The best route of each VRF to each prefix."""
        return self._tables.routing.vpn_routes(router)

    def round_trip_seconds(self, router: str, address: str) -> float | None:
        """Delay to a router's core address and back over the shortest path, None when nothing reflects there."""
        self._see()
        owner = self._tables.igp.owner_of_address(address)
        if owner is None or not self._tables.forwarding(owner).stamp_reflector:
            return None
        delays = {link.name: link.delay_seconds for link in self._topology.links}
        way = walk_core(self._tables, router, address)[0]
        return 2 * sum(delays[name] for name in way.links) if isinstance(way.end, Delivered) else None
