"""Owns the routes of VRFs (RFC 4364): what each originates, who hears it, and which one a destination follows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from controller.model.identifiers import DeviceName
from controller.twin.configuration import DeviceForwarding, Instance, Interface, covers, host_of, network_of
from controller.twin.intended import learned

Key = tuple[DeviceName, str]
"""(device, VRF)."""
_REMEMBERED = 1 << 17
_ORDER = ("connected", "static", "learned")


@dataclass(frozen=True, slots=True)
class Route:
    """A destination that a VRF brings, by which interface, and the targets it is exported with."""

    destination: str
    device: DeviceName
    instance: str
    interface: str
    source: str
    next_hop: str = ""
    targets: frozenset[str] = frozenset()
    preference: int = 100
    segment: str = ""

    @property
    def key(self) -> Key:
        """The VRF it comes from."""
        return self.device, self.instance

    @property
    def rank(self) -> tuple[int, int, str]:
        """Low is good."""
        return _ORDER.index(self.source), -self.preference, self.interface


@dataclass(frozen=True, slots=True)
class Table:
    """What one VRF originates, by destination, the best first; `lengths` are its prefix lengths by IP version."""

    routes: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    lengths: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def covering(self, destination: str) -> tuple[Route, ...]:
        """The routes of the longest prefix that holds the whole destination."""
        exact = self.routes.get(destination)
        if exact or " " in destination:
            return exact or ()
        network = network_of(destination)
        for length in self.lengths.get(network.version, ()):
            if length < network.prefixlen:
                found = self.routes.get(supernet(destination, length))
                if found:
                    return found
        return ()


EMPTY = Table()


@lru_cache(maxsize=_REMEMBERED)
def supernet(prefix: str, length: int) -> str:
    """The prefix of that length that holds another one."""
    return str(network_of(prefix).supernet(new_prefix=length))


def length_of(destination: str) -> int:
    """How specific a destination is; learned ones are as specific as can be."""
    return 129 if " " in destination else network_of(destination).prefixlen


def originated(device: DeviceForwarding, instance: Instance) -> Table:
    """What the VRF brings into the VPN and what it keeps to itself."""
    found: dict[str, list[Route]] = {}
    for route in _originated(device, instance) if instance.enabled else ():
        found.setdefault(route.destination, []).append(route)
    lengths: dict[int, set[int]] = {}
    for destination in found:
        if " " not in destination:
            network = network_of(destination)
            lengths.setdefault(network.version, set()).add(network.prefixlen)
    return Table(
        {destination: tuple(sorted(each, key=lambda route: route.rank)) for destination, each in found.items()},
        {version: tuple(sorted(each, reverse=True)) for version, each in lengths.items()},
    )


def _originated(device: DeviceForwarding, instance: Instance) -> Iterator[Route]:
    up = [each for each in device.bound.get(instance.name, ()) if device.is_up(each)]
    segment = device.segment_into(instance)
    announced = frozenset[str]().union(*(device.announced.get(name, frozenset()) for name in instance.announcing))

    def route(destination: str, through: Interface, source: str, targets: frozenset[str], next_hop: str = "") -> Route:
        where = (device.device, instance.name, through.name)
        return Route(destination, *where, source, next_hop, targets, through.preference, segment)

    for each in up:
        is_announced = each.announces_subnet or each.name in announced
        for subnet in {str(network_of(address)) for address in each.addresses}:
            targets = instance.targets_of(subnet) if is_announced else frozenset()
            yield route(subnet, each, "connected", targets)
    for static in instance.static_routes:
        for each in _reaching(up, static.next_hop):
            targets = instance.targets_of(static.prefix, static.tag)
            yield route(static.prefix, each, "static", targets, static.next_hop)
    for neighbour in instance.neighbours:
        for each in _reaching(up, neighbour):
            yield route(learned("bgp", neighbour), each, "learned", instance.exports, neighbour)
    for family, name in sorted(instance.ospf):
        for each in (found for found in up if found.name == name):
            yield route(learned("ospf", f"{family} {device.device} {name}"), each, "learned", instance.exports)


def _reaching(up: Iterable[Interface], address: str) -> Iterator[Interface]:
    """The interface on whose subnet an address is; the address of the router itself is nobody's."""
    for each in up:
        if any(covers(subnet, address) and host_of(subnet) != address for subnet in each.addresses):
            yield each
            return
