"""The data-plane port: what routers tell the network below them, and what they learn from it.

Owns the words between a router's configuration and its forwarding: `RouterForwarding` is what a configuration asks for,
the other classes are what the network makes of it. `memory` answers by rules; a forwarding plane can stand behind the
same port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Interface:
    """A configured interface; `parent` is the port a sub-interface lies on, empty for a port itself."""

    name: str
    enabled: bool
    parent: str = ""
    loopback: bool = False
    addresses: tuple[str, ...] = ()
    """With prefix length, IPv4 and IPv6."""


@dataclass(frozen=True, slots=True)
class BgpPeer:
    """A configured session: ours to `address`, which must be an address of the other router."""

    address: str
    remote_as: int
    families: frozenset[str] = frozenset()
    reflector_client: bool = False
    enabled: bool = True
    instance: str = ""
    """The network instance it belongs to; empty for the core."""


@dataclass(frozen=True, slots=True)
class VpnInstance:
    """A VRF: what it imports and exports (route targets, as text), and the prefixes it originates."""

    name: str
    enabled: bool = True
    route_distinguisher: str = ""
    imports: frozenset[str] = frozenset()
    exports: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    """Originated beside the connected subnets of its interfaces: static routes."""


@dataclass(frozen=True, slots=True)
class RouterForwarding:
    """What one router's configuration asks of the network."""

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    local_as: int = 0
    router_id: str = ""
    locator: str = ""
    """SRv6 locator prefix, empty when none."""
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
    established: bool
    neighbour: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VpnRoute:
    """A route in a VRF: local when `origin` is the router itself, else learnt by a matching route target."""

    instance: str
    prefix: str
    origin: str
    next_hop: str = ""
    interface: str = ""
    route_distinguisher: str = ""


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
        """The routes of each VRF, local ones first, sorted by prefix."""
        ...
