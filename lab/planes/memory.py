"""A network in memory: states follow from the configurations, the links that are up, and the time.

Owns the `DataPlane` that the lab runs on by default; `memory_ports` and `memory_routing` hold its rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.planes import Adjacency, Forwarding, InterfaceState, PeerState, VpnRoute
from lab.planes.memory_ports import Ports
from lab.planes.memory_routing import Routing
from lab.topology import Topology


class MemoryPlane:
    """A `DataPlane` by rules. `now` is a clock in seconds; `forwarding` tells what a configuration asks for."""

    def __init__(self, topology: Topology, forwarding: Forwarding, *, now: Callable[[], float]) -> None:
        self._topology = topology
        self._ports = Ports(topology, forwarding, now=now)
        self._routing = Routing(topology, forwarding, self._ports)

    def configuration_changed(self, router: str) -> None:
        """Take notice that a router's running configuration is another one now."""
        self._topology.node(router)
        self._routing.configuration_changed(router)
        self._ports.settle(router)

    def set_link(self, link: str, *, up: bool) -> None:
        """Cut or restore a link; KeyError when the topology has none of that name."""
        self._ports.set_link(link, up=up)
        self._routing.forget()

    def cut_links(self) -> frozenset[str]:
        """The links that are cut."""
        return frozenset(self._ports.cut)

    def interfaces(self, router: str) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured, by name."""
        return self._ports.interfaces(router)

    def adjacencies(self, router: str) -> tuple[Adjacency, ...]:
        """Neighbours over the core ports that are up."""
        return self._ports.adjacencies(router)

    def peers(self, router: str) -> tuple[PeerState, ...]:
        """The state of each configured BGP session, in the order of the configuration."""
        return self._routing.peers(router)

    def vpn_routes(self, router: str) -> tuple[VpnRoute, ...]:
        """The best route of each VRF to each prefix."""
        return self._routing.vpn_routes(router)

    def round_trip_seconds(self, router: str, address: str) -> float | None:
        """Delay to a router's core address and back over the shortest path, None when nothing reflects there."""
        return self._routing.round_trip_seconds(router, address)
