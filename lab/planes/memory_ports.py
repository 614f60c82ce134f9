"""The ports of a network in memory: up or down, their neighbours, their counters.

Owns interface states. A port is up when it and its far end are enabled and the link is not cut; what it carries is the
background traffic of the topology, or a customer's once it is in a VRF (counters of RFC 8343 section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.planes import Counters, Forwarding, Interface, InterfaceState
from lab.planes.fib_links import LinkStates
from lab.topology import Topology
from lab.topology_traffic import Graph, directed_shortest_path_loads, seeded_fraction

_KEEPALIVE_BIT_RATE = 2_000.0  # routing protocols and LLDP on any port that is up
_ACCESS_LOAD = 0.2  # largest share of an access port that its customer uses


@dataclass(slots=True)
class _Meter:
    """Octets up to `at`, growing at the two bit rates since then; the state it was settled for."""

    since: float
    at: float
    up: bool
    changed_at: float
    in_octets: float = 0.0
    out_octets: float = 0.0
    in_bit_rate: float = 0.0
    out_bit_rate: float = 0.0

    def counters(self, now: float) -> Counters:
        elapsed = max(0.0, now - self.at)
        received = self.in_octets + self.in_bit_rate * elapsed / 8
        return Counters(self.since, int(received), int(self.out_octets + self.out_bit_rate * elapsed / 8))


class Ports:
    """Interface states and counters of every router."""

    def __init__(
        self, topology: Topology, forwarding: Forwarding, links: LinkStates, *, now: Callable[[], float]
    ) -> None:
        self._topology = topology
        self._forwarding = forwarding
        self._now = now
        self._started = now()
        self._links = links
        self._meters: dict[tuple[str, str], _Meter] = {}
        self._watched: dict[str, list[str]] = {}
        self._loads = _link_loads(topology)

    def settle(self, router: str) -> None:
        """Bring the counters that somebody has read, here and at the neighbours' ends, to the present states."""
        for name in self._watched.get(router, ()):
            self._settle_interface(router, name)
        for link in self._topology.links_of(router):
            end = link.other_end(router)
            if (end.node, end.port) in self._meters:
                self._settle_interface(end.node, end.port)

    def interfaces(self, router: str) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured, by name."""
        node = self._topology.node(router)
        names = dict.fromkeys((*node.core_ports, *node.access_ports, *self._forwarding(router).interfaces))
        return {name: self._interface_state(router, name) for name in names}

    def _interface_state(self, router: str, name: str) -> InterfaceState:
        meter = self._settle_interface(router, name)
        configured = self._forwarding(router).interfaces.get(name)
        speed = self._speed(router, configured.parent if configured and configured.parent else name)
        present = bool(speed) or (configured is not None and configured.loopback)
        return InterfaceState(name, present, meter.up, speed, meter.changed_at, meter.counters(self._now()))

    def _speed(self, router: str, port: str) -> int:
        node = self._topology.node(router)
        if port in node.access_ports:
            return node.access_bit_rate
        link = self._links.ports(router).get(port)
        return link.capacity_bit_rate if link else 0

    def _settle_interface(self, router: str, name: str) -> _Meter:
        """Bring the meter to the interface's present state, its octets being those gathered in the old one."""
        now, up = self._now(), self._links.is_up(router, name)
        rates = self._rates(router, name) if up else (0.0, 0.0)
        meter = self._meters.get((router, name))
        if meter is None:
            self._watched.setdefault(router, []).append(name)
            meter = self._meters[router, name] = _Meter(self._started, self._started, up, self._started)
            meter.in_bit_rate, meter.out_bit_rate = rates
            return meter
        if (meter.up, meter.in_bit_rate, meter.out_bit_rate) == (up, *rates):
            return meter
        gathered = meter.counters(now)
        meter.in_octets, meter.out_octets = float(gathered.in_octets), float(gathered.out_octets)
        meter.in_bit_rate, meter.out_bit_rate = rates
        meter.at = now
        if meter.up != up:
            meter.up, meter.changed_at = up, now
        return meter

    def _rates(self, router: str, name: str) -> tuple[float, float]:
        """Bit/s received and sent while up."""
        configured = self._forwarding(router).interfaces.get(name)
        link = self._links.ports(router).get(name)
        if link is not None:
            far = link.other_end(router).node
            return (
                self._loads.get((far, router), 0.0) + _KEEPALIVE_BIT_RATE,
                self._loads.get((router, far), 0.0) + _KEEPALIVE_BIT_RATE,
            )
        if configured is None or configured.loopback:
            return 0.0, 0.0
        return self._access_rates(router, configured)

    def _access_rates(self, router: str, interface: Interface) -> tuple[float, float]:
        """A customer sends and receives once the interface, or one on top of it, is in a VRF."""
        own = self._forwarding(router)
        carried = {name for instance in own.instances if instance.enabled for name in instance.interfaces}
        over = {name for name in carried if (found := own.interfaces.get(name)) and found.parent == interface.name}
        if interface.name not in carried and not over:
            return _KEEPALIVE_BIT_RATE, _KEEPALIVE_BIT_RATE
        full = self._speed(router, interface.parent or interface.name) * _ACCESS_LOAD
        return (
            full * seeded_fraction(router, interface.name, "in") + _KEEPALIVE_BIT_RATE,
            full * seeded_fraction(router, interface.name, "out") + _KEEPALIVE_BIT_RATE,
        )


def _link_loads(topology: Topology) -> dict[tuple[str, str], float]:
    """Bit/s from node to node over each link when every demand takes its shortest path."""
    lengths = {(link.a.node, link.b.node): link.delay_seconds for link in reversed(topology.links)}
    graph = Graph(tuple(node.name for node in topology.nodes), lengths)
    demands: dict[tuple[str, str], float] = {}
    for demand in topology.demands:
        ends = demand.source, demand.target
        demands[ends] = demands.get(ends, 0.0) + demand.bit_rate
    return directed_shortest_path_loads(graph, demands)
