"""What a router's kernel is to do, in full: made from the resolved tables and the router's configuration.

Owns the translation; it is pure. An agent compares the program with the one before and changes what differs. Every
candidate path of a policy is in it, so that a head end can switch without asking anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

from lab.planes import RouterForwarding, SegmentList, SrPolicy, StampSession, VpnInstance
from lab.planes.fib import EndDt46, EndX, Fib, Local, Steering, Tables
from lab.planes.fib_prefixes import covers, host
from lab.planes.netns.wiring import Port

_FUNCTION_BITS = 16
_WIDEST_BLOCK = 16
_REMEMBERED = 65_536  # segments of many VRFs, needed quickly when a path fails
_HOST_ARGUMENTS = {4: 4, 6: 6}
Policy = tuple[int, str]


@dataclass(frozen=True, slots=True)
class NodeSegment:
    """End."""


@dataclass(frozen=True, slots=True)
class AdjacencySegment:
    """End.X over a core port."""

    port: str


@dataclass(frozen=True, slots=True)
class VpnSegment:
    """Everything in `prefix` goes into a VRF; the argument tells which family is inside."""

    instance: str
    prefix: str


Segment = NodeSegment | AdjacencySegment | VpnSegment


@dataclass(frozen=True, slots=True)
class Along:
    """A segment list, its weight, and the ports (by number) that it lives or dies with."""

    segments: tuple[str, ...]
    weight: int = 1
    ports: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate path with the lists that resolve as the network is known."""

    discriminator: int
    lists: tuple[Along, ...]


@dataclass(frozen=True, slots=True)
class Steer:
    """Towards a VPN segment, by a policy of the router or along the shortest path."""

    segment: str
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Via:
    """Out of an interface of the VRF towards a customer's router."""

    interface: str
    next_hop: str


VpnRoute = Steer | Via


@dataclass(frozen=True, slots=True)
class AccessInterface:
    """An interface of a VRF, and the addresses its customer's router has."""

    addresses: tuple[str, ...]
    customer_addresses: tuple[str, ...] = ()
    output_bit_rate: int = 0


@dataclass(frozen=True, slots=True)
class Vrf:
    """A VRF; `input_bit_rate` holds for all its interfaces together, 0 when one of them is not limited."""

    segment: str = ""
    interfaces: Mapping[str, AccessInterface] = field(default_factory=dict)
    routes: Mapping[str, VpnRoute] = field(default_factory=dict)
    input_bit_rate: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """Everything one router does with packets."""

    source: str = ""
    block: str = ""
    """The prefix that all segments of the network lie in."""
    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By core port, and of the router itself under an empty name."""
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Core ports by prefix."""
    segments: Mapping[str, Segment] = field(default_factory=dict)
    policies: Mapping[Policy, tuple[Candidate, ...]] = field(default_factory=dict)
    """The candidate paths, the best first."""
    vrfs: Mapping[str, Vrf] = field(default_factory=dict)
    reflects: bool = False
    sessions: tuple[StampSession, ...] = ()


@lru_cache(maxsize=_REMEMBERED)
def argument_of(segment: str, family_version: int) -> str:
    """The VPN segment with the argument that says what is inside (RFC 8986 section 3.1).

    A kernel without VRF devices has no End.DT46, but it has one decapsulation for each family.
    """
    return str(IPv6Address(int(IPv6Address(segment)) + _HOST_ARGUMENTS[family_version]))


def segment_block(locators: Iterable[str]) -> str:
    """The longest prefix that holds every locator, at least /16; empty when there is none."""
    networks = [IPv6Network(locator) for locator in locators]
    if not networks:
        return ""
    block = networks[0]
    while block.prefixlen > _WIDEST_BLOCK and not all(network.subnet_of(block) for network in networks):
        block = block.supernet()
    return str(block)


def make_program(tables: Tables, router: str, ports: Mapping[str, Mapping[str, Port]], block: str) -> Program:
    """The program of one router, as the tables have it now."""
    own, fib = tables.forwarding(router), tables.fib(router)
    return Program(
        source=own.source_address or next(iter(sorted(a for a in fib.addresses if ":" in a)), ""),
        block=block,
        addresses=dict(_addresses(own, ports[router])),
        routes={prefix: tuple(hop.port for hop in hops) for prefix, hops in fib.routes.items()},
        segments=dict(_segments(own, fib, ports[router])),
        policies={
            (policy.color, policy.endpoint): tuple(_candidates(tables, router, policy, ports))
            for policy in own.policies
        },
        vrfs={vrf.name: _vrf(tables, router, vrf, fib) for vrf in own.instances if vrf.enabled},
        reflects=own.stamp_reflector,
        sessions=own.stamp_sessions,
    )


def _addresses(own: RouterForwarding, ports: Mapping[str, Port]) -> Iterator[tuple[str, frozenset[str]]]:
    loopbacks: set[str] = set()
    for interface in own.interfaces.values():
        if interface.loopback and interface.enabled and interface.metric is not None:
            loopbacks.update(interface.addresses)
        elif interface.name in ports and interface.enabled:
            yield interface.name, frozenset(interface.addresses)
    yield "", frozenset(loopbacks)


def _segments(own: RouterForwarding, fib: Fib, ports: Mapping[str, Port]) -> Iterator[tuple[str, Segment]]:
    for segment, action in fib.segments.items():
        if isinstance(action, EndDt46):
            yield segment, VpnSegment(action.instance, _function_prefix(own, segment))
        elif not isinstance(action, EndX):
            yield segment, NodeSegment()
        elif action.port in ports:
            yield segment, AdjacencySegment(action.port)


def _function_prefix(own: RouterForwarding, segment: str) -> str:
    address = IPv6Address(segment)
    lengths = [IPv6Network(locator).prefixlen for locator in own.locators if address in IPv6Network(locator)]
    return str(IPv6Network((segment, max(lengths, default=48) + _FUNCTION_BITS), strict=False))


def _candidates(
    tables: Tables, router: str, policy: SrPolicy, ports: Mapping[str, Mapping[str, Port]]
) -> Iterator[Candidate]:
    ranked = sorted(policy.paths, key=lambda path: (path.preference, path.discriminator), reverse=True)
    for path in ranked:
        lists = [found for found in path.segment_lists if tables.resolves(router, found.segments)]
        yield Candidate(path.discriminator, tuple(_along(tables, found, ports) for found in lists))


def _along(tables: Tables, found: SegmentList, ports: Mapping[str, Mapping[str, Port]]) -> Along:
    crossed: set[int] = set()
    for segment in found.segments:
        owner = tables.flooded_igp.owner_of_segment(segment)
        if owner is not None and owner.port:
            port = ports[owner.router][owner.port]
            crossed |= {port.number, port.far_number}
    return Along(found.segments, min(max(1, found.weight), 256), frozenset(crossed))


def _vrf(tables: Tables, router: str, vrf: VpnInstance, fib: Fib) -> Vrf:
    own = tables.forwarding(router)
    up = [own.interfaces[name] for name in sorted(vrf.interfaces) if tables.links.is_up(router, name)]
    rates = [interface.input_bit_rate for interface in up]
    next_hops = [route.next_hop for route in vrf.static_routes]
    return Vrf(
        segment=vrf.segment,
        interfaces={
            interface.name: AccessInterface(
                interface.addresses,
                tuple(
                    dict.fromkeys(
                        host(address)
                        for address in (*interface.neighbours, *next_hops)
                        if covers(interface.addresses, address)
                    )
                ),
                interface.output_bit_rate,
            )
            for interface in up
        },
        routes=dict(_vpn_routes(fib, vrf.name)),
        input_bit_rate=sum(rates) if all(rates) else 0,
    )


def _vpn_routes(fib: Fib, instance: str) -> Iterator[tuple[str, VpnRoute]]:
    """Connected prefixes are left out: the kernel routes them by itself."""
    for prefix, entry in fib.vpn.get(instance, {}).items():
        if isinstance(entry, Steering):
            yield prefix, Steer(entry.segment, entry.policy)
        elif isinstance(entry, Local) and entry.next_hop:
            yield prefix, Via(entry.interface, entry.next_hop)
