"""The data-plane port: what routers tell the network below them, and what they learn from it.

Owns the words between a router's configuration and its forwarding: `RouterForwarding` is what a configuration asks for,
the other classes are what the network makes of it. `memory` answers by rules; a forwarding plane can stand behind the
same port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Interface:
    """A configured interface; `parent` is the port a sub-interface lies on, empty for a port itself."""

    name: str
    enabled: bool
    parent: str = ""
    loopback: bool = False
    addresses: tuple[str, ...] = ()
    """With prefix length, IPv4 and IPv6."""
    announce_subnet: bool = False
    """Its subnets are announced in the VPN it belongs to."""
    local_preference: int = 100
    """Preference of the routes it brings against those of other attachments."""


@dataclass(frozen=True, slots=True)
class BgpPeer:
    """A configured session: ours to `address`, which must be an address of the other router."""

    address: str
    remote_as: int
    families: frozenset[str] = frozenset()
    reflector_client: bool = False
    instance: str = ""
    """The network instance it belongs to; empty for the core."""


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A configured route of a VRF; `tag` marks it for export filters."""

    prefix: str
    next_hop: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class PrefixExport:
    """Route targets that only some routes are exported with: those prefixes, and static routes of those tags."""

    targets: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VpnInstance:
    """A VRF: what it imports and exports (route targets, as text), its interfaces and static routes."""

    name: str
    enabled: bool = True
    route_distinguisher: str = ""
    segment: str = ""
    """SRv6 segment that delivers into it, empty when none."""
    imports: frozenset[str] = frozenset()
    exports: frozenset[str] = frozenset()
    prefix_exports: tuple[PrefixExport, ...] = ()
    interfaces: frozenset[str] = frozenset()
    static_routes: tuple[StaticRoute, ...] = ()

    @property
    def all_targets(self) -> frozenset[str]:
        """Every route target that a route of this VRF may be exported with."""
        return self.exports.union(*(some.targets for some in self.prefix_exports))

    def targets_of(self, prefix: str, tag: str = "") -> frozenset[str]:
        """The route targets a route of this VRF is exported with."""
        some = [e.targets for e in self.prefix_exports if prefix in e.prefixes or (tag and tag in e.tags)]
        return self.exports.union(*some)


@dataclass(frozen=True, slots=True)
class RouterForwarding:
    """What one router's configuration asks of the network."""

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    local_as: int = 0
    router_id: str = ""
    stamp_reflector: bool = False
    peers: tuple[BgpPeer, ...] = ()
    instances: tuple[VpnInstance, ...] = ()


@dataclass(frozen=True, slots=True)
class Counters:
    """Octets and packets since the counters began at `since` (seconds of the plane's clock)."""

    since: float
    in_octets: int
    out_octets: int

    @property
    def in_packets(self) -> int:
        """Packets received, at the plane's mean packet size."""
        return self.in_octets // MEAN_PACKET_OCTETS

    @property
    def out_packets(self) -> int:
        """Packets sent, at the plane's mean packet size."""
        return self.out_octets // MEAN_PACKET_OCTETS


MEAN_PACKET_OCTETS = 512


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """An interface as it is. `changed_at` is in seconds of the plane's clock; speed in bit/s, 0 when it has none."""

    name: str
    present: bool
    up: bool
    speed_bit_rate: int
    changed_at: float
    counters: Counters


@dataclass(frozen=True, slots=True)
class Adjacency:
    """The router and port at the far end of one of our ports, as LLDP (IEEE 802.1AB) would learn it."""

    port: str
    neighbour: str
    neighbour_port: str


@dataclass(frozen=True, slots=True)
class PeerState:
    """A BGP session: established, or the reason why not. `neighbour` is the router's name when it is known."""

    address: str
    instance: str
    established: bool
    neighbour: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VpnRoute:
    """A route in a VRF; `origin` is the router it comes from, `next_hop` an address, segment or interface."""

    instance: str
    prefix: str
    source: Literal["direct", "static", "vpn"]
    origin: str
    next_hop: str
    targets: frozenset[str] = frozenset()
    """What it is exported with; empty when it stays here."""
    preference: int = 100


Forwarding = Callable[[str], RouterForwarding]
"""Answers what the named router's configuration asks for now; cheap when it has not changed."""


class DataPlane(Protocol):
    """The network below the routers. Router names are the topology's; a KeyError names one that is not there."""

    def configuration_changed(self, router: str) -> None:
        """Take notice that a router's running configuration is another one now."""

    def set_link(self, link: str, *, up: bool) -> None:
        """Cut or restore a link of the topology; KeyError when there is none of that name."""

    def interfaces(self, router: str) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured, by name."""
        ...

    def adjacencies(self, router: str) -> tuple[Adjacency, ...]:
        """Neighbours over the ports that are up."""
        ...

    def peers(self, router: str) -> tuple[PeerState, ...]:
        """The state of each configured BGP session, in the order of the configuration."""
        ...

    def vpn_routes(self, router: str) -> tuple[VpnRoute, ...]:
        """The best route of each VRF to each prefix: a connected one, else a static, else an imported one."""
        ...

    def round_trip_seconds(self, router: str, address: str) -> float | None:
        """Delay to a router's core address and back over the shortest path, None when nothing reflects there."""
        ...
