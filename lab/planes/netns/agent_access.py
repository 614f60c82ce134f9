"""The customers' side of a VRF: its interfaces, and the hosts behind them.

Owns pairs whose near end is the interface and whose far end lies in the street, a namespace without anything, until a
host moves in: a namespace with the customer's addresses and default routes, held by a process that others can enter by.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Network, ip_address, ip_interface

from lab.planes.netns import kernel_links, kernel_queues, kernel_routes, namespaces
from lab.planes.netns.kernel_links import LinkCounters, VethEnd
from lab.planes.netns.kernel_routes import Hop
from lab.planes.netns.program import AccessInterface
from lab.planes.netns.space import Space, host_space

_BUFFER_SECONDS = 0.05
_ACCESS_MTU = 1500


@dataclass(slots=True)
class _Host:
    space: Space
    process: int
    addresses: set[str] = field(default_factory=set)
    """Those that were asked for by name."""


@dataclass(slots=True)
class _Plugged:
    """An interface in place: its number, its index here, what it was made for."""

    number: int
    index: int
    made_for: AccessInterface


class Access:
    """Interfaces and hosts of one VRF. `sink` is where packets go that customers must not send."""

    def __init__(self, space: Space, sink: int) -> None:
        self._space = space
        self._sink = sink
        self._street = host_space()
        self._plugged: dict[str, _Plugged] = {}
        self._hosts: dict[str, _Host] = {}
        self._next_number = 0
        self._block = ""

    def index(self, interface: str) -> int:
        """The index of an interface; KeyError when the VRF has none of that name."""
        return self._plugged[interface].index

    def build(self, wanted: Mapping[str, AccessInterface], block: str) -> None:
        """Add interfaces and bring those that are there to what is wanted; nobody sends to the block of segments."""
        for name, interface in wanted.items():
            plugged = self._plugged.get(name)
            if plugged is None:
                self._plug(name, interface)
            elif plugged.made_for != interface:
                self._change(name, plugged, interface)
        if block != self._block:
            self._block = block
            for plugged in self._plugged.values():
                self._filter(plugged.index)

    def sweep(self, wanted: Mapping[str, AccessInterface]) -> None:
        """Remove interfaces; a host stays, unplugged, for when its interface comes back."""
        for name in [name for name in self._plugged if name not in wanted]:
            plugged = self._plugged.pop(name)
            self._space.ask(kernel_links.delete_link(plugged.index))
            self._space.forget(_near(plugged.number))
            self._far_space(name).forget(_far(plugged.number))

    def host(self, interface: str, address: str) -> tuple[int, str]:
        """The process that holds the host behind an interface, and its address; made when it is not there.

        KeyError when the VRF has no such interface, ValueError when the host can have no address there.
        """
        plugged = self._plugged[interface]
        host = self._hosts.get(interface)
        if host is None:
            space = host_space()
            device = self._street.index(_far(plugged.number))
            self._street.ask(kernel_links.move_link(device, space.descriptor))
            self._street.forget(_far(plugged.number))
            host = self._hosts[interface] = _Host(space, _held(space.descriptor))
        own = dict(_host_addresses(plugged.made_for))
        chosen = address or next(iter(own), "")
        if not chosen:
            raise ValueError(f"interface {interface} has no address: give it one first")
        host.addresses.add(chosen)
        self._furnish(host, plugged, own)
        return host.process, chosen

    def counters(self) -> dict[str, LinkCounters]:
        """Counters of the interfaces by name, as the router sees them."""
        found = kernel_links.counters(self._space.netlink) if self._plugged else {}
        limited = any(plugged.made_for.output_bit_rate for plugged in self._plugged.values())
        drops = kernel_queues.queue_drops(self._space.netlink) if limited else {}
        return {
            name: replace(found[plugged.index], out_discards=drops.get(plugged.index, 0))
            for name, plugged in self._plugged.items()
            if plugged.index in found
        }

    def close(self) -> None:
        """Let hosts and street go."""
        for host in self._hosts.values():
            os.kill(host.process, signal.SIGKILL)
            host.space.close()
        self._street.close()

    def _plug(self, name: str, interface: AccessInterface) -> None:
        self._next_number += 1
        number, far_space = self._next_number, self._far_space(name)
        ends = VethEnd(_near(number), mtu=_ACCESS_MTU), VethEnd(_far(number), mtu=_ACCESS_MTU)
        index, _ = self._space.add_pair(*ends, far_space)
        plugged = self._plugged[name] = _Plugged(number, index, AccessInterface(()))
        self._filter(index)
        self._change(name, plugged, interface)

    def _change(self, name: str, plugged: _Plugged, wanted: AccessInterface) -> None:
        before, plugged.made_for = plugged.made_for, wanted
        added = [address for address in wanted.addresses if address not in before.addresses]
        gone = [address for address in before.addresses if address not in wanted.addresses]
        self._space.ask(*(kernel_links.add_address(plugged.index, address) for address in added))
        self._space.ask(*(kernel_links.delete_address(plugged.index, address) for address in gone))
        if wanted.output_bit_rate != before.output_bit_rate:
            rate = wanted.output_bit_rate
            limit = kernel_queues.limit_rate(plugged.index, rate, _BUFFER_SECONDS)
            self._space.ask(limit if rate else kernel_queues.drop_queue(plugged.index))
        if name in self._hosts:
            self._furnish(self._hosts[name], plugged, dict(_host_addresses(wanted)))

    def _filter(self, index: int) -> None:
        """No packet of a customer reaches a segment: the way into other VPNs (RFC 8986 section 9)."""
        self._space.ask(kernel_queues.take_ingress(index), kernel_queues.drop_filters(index))
        if self._block:
            self._space.ask(kernel_queues.pass_destinations(index, self._sink, IPv6Network(self._block)))

    def _far_space(self, name: str) -> Space:
        host = self._hosts.get(name)
        return self._street if host is None else host.space

    def _furnish(self, host: _Host, plugged: _Plugged, own: Mapping[str, int]) -> None:
        """Give the host its addresses and a way to everybody else."""
        space = host.space
        index = space.index(_far(plugged.number))
        loopback = space.index("lo")
        space.ask(kernel_links.set_link(index, up=True))
        space.ask(*(kernel_links.add_address(index, f"{address}/{length}") for address, length in own.items()))
        others = [address for address in host.addresses if address not in own]
        space.ask(*(kernel_links.add_address(loopback, _whole(address)) for address in others))
        for prefix, gateway in _gateways(plugged.made_for):
            space.ask(kernel_routes.route(prefix, [Hop(index, gateway)]))


def _held(descriptor: int) -> int:
    """A process in a namespace that does nothing and ends with this one."""
    process = os.fork()
    if process:
        return process
    try:
        namespaces.die_with_parent()
        namespaces.enter(descriptor)
        os.closerange(3, 1 << 16)
        while True:
            signal.pause()
    finally:
        os._exit(0)


def _host_addresses(interface: AccessInterface) -> Iterator[tuple[str, int]]:
    """The customer's addresses on the interface with their lengths: those the router sends to, or the first free."""
    for address in interface.addresses:
        own = ip_interface(address)
        inside = [given for given in interface.customer_addresses if ip_address(given) in own.network]
        if not inside:
            free = (found for found in own.network.hosts() if found != own.ip)
            inside = [str(found) for found in free][:1] if own.network.num_addresses < 4 else [str(next(free))]
        for given in inside:
            yield given, own.network.prefixlen


def _gateways(interface: AccessInterface) -> Iterator[tuple[str, str]]:
    """The default routes: towards the router's first address of each family."""
    for prefix, version in (("0.0.0.0/0", 4), ("::/0", 6)):
        found = [own.ip for own in map(ip_interface, interface.addresses) if own.version == version]
        if found:
            yield prefix, str(found[0])


def _whole(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"


def _near(number: int) -> str:
    return f"access{number}"


def _far(number: int) -> str:
    return f"site{number}"
