"""The ports of a network in memory: up or down, their neighbours, their counters.

Owns interface states. A core port counts what its link carries in the simulation, an access port what its customer
sends and receives once it is in a VRF, and test traffic (counters of RFC 8343 section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.planes import Counters, Interface, InterfaceState
from lab.planes.fib import Tables
from lab.planes.fluid import KEEPALIVE_BIT_RATE
from lab.planes.fluid_flows import Flows
from lab.planes.fluid_loads import DirectionKey
from lab.planes.fluid_ways import Direction
from lab.topology import Topology
from lab.topology_traffic import seeded_fraction

_ACCESS_LOAD = 0.2  # largest share of an access port that its customer uses


@dataclass(slots=True)
class _Meter:
    """Octets up to `at`, growing at the two bit rates since then; the state it was settled for."""

    at: float
    up: bool
    changed_at: float
    in_octets: float = 0.0
    out_octets: float = 0.0
    in_bit_rate: float = 0.0
    out_bit_rate: float = 0.0

    def octets(self, now: float) -> tuple[float, float]:
        """Received and sent until now."""
        elapsed = max(0.0, now - self.at)
        return self.in_octets + self.in_bit_rate * elapsed / 8, self.out_octets + self.out_bit_rate * elapsed / 8


class Ports:
    """Interface states and counters of every router."""

    def __init__(
        self,
        topology: Topology,
        tables: Tables,
        directions: Mapping[DirectionKey, Direction],
        flows: Flows,
        started: float,
    ) -> None:
        self._topology = topology
        self._forwarding = tables.forwarding
        self._links = tables.links
        self._directions = directions
        self._flows = flows
        self._started = started
        self._meters: dict[tuple[str, str], _Meter] = {}
        self._watched: dict[str, list[str]] = {}

    def settle(self, router: str, time: float) -> None:
        """Bring the counters that somebody has read, here and at the neighbours' ends, to the present states."""
        for name in self._watched.get(router, ()):
            self._settle_interface(router, name, time)
        for link in self._topology.links_of(router):
            end = link.other_end(router)
            if (end.node, end.port) in self._meters:
                self._settle_interface(end.node, end.port, time)

    def interfaces(self, router: str, time: float) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured, by name."""
        node = self._topology.node(router)
        names = dict.fromkeys((*node.core_ports, *node.access_ports, *self._forwarding(router).interfaces))
        return {name: self._interface_state(router, name, time) for name in names}

    def _interface_state(self, router: str, name: str, time: float) -> InterfaceState:
        meter = self._settle_interface(router, name, time)
        configured = self._forwarding(router).interfaces.get(name)
        speed = self._speed(router, configured.parent if configured and configured.parent else name)
        present = bool(speed) or (configured is not None and configured.loopback)
        return InterfaceState(
            name, present, meter.up, speed, self._started + meter.changed_at, self._counters(router, name, time)
        )

    def _counters(self, router: str, name: str, time: float) -> Counters:
        link = self._links.ports(router).get(name)
        if link is None:
            received, sent = self._meters[router, name].octets(time)
            return Counters(self._started, int(received), int(sent))
        end = link.other_end(router)
        leaving = self._directions[router, name].queue.passage(time)
        coming = self._directions[end.node, end.port].queue.passage(time)
        return Counters(self._started, int(coming.arrived_octets), int(leaving.octets), int(leaving.discards))

    def _speed(self, router: str, port: str) -> int:
        node = self._topology.node(router)
        if port in node.access_ports:
            return node.access_bit_rate
        link = self._links.ports(router).get(port)
        return link.capacity_bit_rate if link else 0

    def _settle_interface(self, router: str, name: str, time: float) -> _Meter:
        """Bring the meter to the interface's present state, its octets being those gathered in the old one."""
        up = self._links.is_up(router, name)
        rates = self._rates(router, name) if up else (0.0, 0.0)
        meter = self._meters.get((router, name))
        if meter is None:
            self._watched.setdefault(router, []).append(name)
            meter = self._meters[router, name] = _Meter(0.0, up, 0.0)
            meter.in_bit_rate, meter.out_bit_rate = rates
            return meter
        if (meter.up, meter.in_bit_rate, meter.out_bit_rate) == (up, *rates):
            return meter
        meter.in_octets, meter.out_octets = meter.octets(time)
        meter.in_bit_rate, meter.out_bit_rate = rates
        meter.at = time
        if meter.up != up:
            meter.up, meter.changed_at = up, time
        return meter

    def _rates(self, router: str, name: str) -> tuple[float, float]:
        """Bit/s received and sent by an access interface while up; links have counters of their own."""
        configured = self._forwarding(router).interfaces.get(name)
        if configured is None or configured.loopback or name in self._links.ports(router):
            return 0.0, 0.0
        return self._access_rates(router, configured)

    def _access_rates(self, router: str, interface: Interface) -> tuple[float, float]:
        """A customer sends and receives once the interface, or one on top of it, is in a VRF."""
        own = self._forwarding(router)
        carried = {name for instance in own.instances if instance.enabled for name in instance.interfaces}
        over = {name for name in carried if (found := own.interfaces.get(name)) and found.parent == interface.name}
        customers = {interface.name} & carried | over
        if not customers:
            return KEEPALIVE_BIT_RATE, KEEPALIVE_BIT_RATE
        full = self._speed(router, interface.parent or interface.name) * _ACCESS_LOAD
        tests = [self._flows.access_rates(router, name) for name in customers]
        return (
            full * seeded_fraction(router, interface.name, "in") + KEEPALIVE_BIT_RATE + sum(rate for rate, _ in tests),
            full * seeded_fraction(router, interface.name, "out") + KEEPALIVE_BIT_RATE + sum(rate for _, rate in tests),
        )
