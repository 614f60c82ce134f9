"""The states and counters of interfaces, from what configurations and wires say and what agents have counted.

Owns their combination: a port counts what its sub-interfaces carry, as they have no wire of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lab.planes import Counters, InterfaceState
from lab.planes.fib import Tables
from lab.planes.netns.kernel_links import LinkCounters
from lab.planes.netns.wiring import Port
from lab.topology import Link, Topology


class Interfaces:
    """Interface states of every router."""

    def __init__(
        self,
        topology: Topology,
        tables: Tables,
        ports: Mapping[str, Mapping[str, Port]],
        now: Callable[[], float],
    ) -> None:
        self._topology = topology
        self._ports = ports
        self._tables = tables
        self._now = now
        self._started = now()
        self._counted: dict[str, Mapping[str, LinkCounters]] = {}
        self._drops: dict[int, int] = {}
        self._seen: dict[tuple[str, str], tuple[bool, float]] = {}

    def count(self, router: str, counters: Mapping[str, LinkCounters]) -> None:
        """Take what a router has counted."""
        self._counted[router] = counters

    def count_drops(self, drops: Mapping[int, int]) -> None:
        """Take what wires have dropped, by port number."""
        self._drops.update(drops)

    def settle(self, links: Iterable[Link]) -> None:
        """Note that the carriers of these links may have changed just now, and with them whatever was looked at."""
        for end in (end for link in links for end in (link.a, link.b)):
            if (end.node, end.port) not in self._seen and not self._tables.links.is_up(end.node, end.port):
                self._seen[end.node, end.port] = False, self._now()
        for router, name in list(self._seen):
            self._state(router, name)

    def states(self, router: str) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured, by name."""
        node = self._topology.node(router)
        configured = self._tables.forwarding(router).interfaces
        names = dict.fromkeys((*node.core_ports, *node.access_ports, *configured))
        return {name: self._interface(router, name) for name in names}

    def _interface(self, router: str, name: str) -> InterfaceState:
        configured = self._tables.forwarding(router).interfaces.get(name)
        speed = self._speed(router, configured.parent if configured and configured.parent else name)
        present = bool(speed) or (configured is not None and configured.loopback)
        up, changed_at = self._state(router, name)
        return InterfaceState(name, present, up, speed, changed_at, self._counters(router, name))

    def _state(self, router: str, name: str) -> tuple[bool, float]:
        up = self._tables.links.is_up(router, name)
        seen = self._seen.get((router, name))
        if seen is None:
            seen = self._seen[router, name] = up, self._started
        elif seen[0] != up:
            seen = self._seen[router, name] = up, self._now()
        return seen

    def _speed(self, router: str, port: str) -> int:
        node = self._topology.node(router)
        if port in node.access_ports:
            return node.access_bit_rate
        link = self._tables.links.ports(router).get(port)
        return link.capacity_bit_rate if link else 0

    def _counters(self, router: str, name: str) -> Counters:
        counted = self._counted.get(router, {})
        configured = self._tables.forwarding(router).interfaces
        names = [name, *(found.name for found in configured.values() if found.parent == name)]
        found = [counted[each] for each in names if each in counted]
        return Counters(
            since=self._started,
            in_octets=sum(each.in_octets for each in found),
            out_octets=sum(each.out_octets for each in found),
            out_discards=sum(each.out_discards for each in found) + self._wire_drops(router, name),
        )

    def _wire_drops(self, router: str, name: str) -> int:
        port = self._ports[router].get(name)
        return 0 if port is None else self._drops.get(port.number, 0)
