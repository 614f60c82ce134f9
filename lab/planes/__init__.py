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
    metric: int | None = None
    """Cost in the IGP; None when the interface is not part of the core."""
    input_bit_rate: int = 0
    """Rate accepted from a customer, bit/s; 0 when it is not limited."""
    output_bit_rate: int = 0
    """Rate sent to a customer, bit/s; 0 when it is not limited."""
    neighbours: tuple[str, ...] = ()
    """Addresses of the customer's routers."""


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
    color: int = 0
    """Imported routes follow the policy of this color towards their router; 0 for the shortest path."""

    @property
    def all_targets(self) -> frozenset[str]:
        """Every route target that a route of this VRF may be exported with."""
        return self.exports.union(*(some.targets for some in self.prefix_exports))

    def targets_of(self, prefix: str, tag: str = "") -> frozenset[str]:
        """The route targets a route of this VRF is exported with."""
        some = [e.targets for e in self.prefix_exports if prefix in e.prefixes or (tag and tag in e.tags)]
        return self.exports.union(*some)


@dataclass(frozen=True, slots=True)
class SegmentList:
    """Segments to visit in order, and its share of the traffic against the other lists of its path."""

    segments: tuple[str, ...]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CandidatePath:
    """One way of a policy (RFC 9256 section 2.3); the valid one with the highest preference carries."""

    discriminator: int
    preference: int
    segment_lists: tuple[SegmentList, ...]


@dataclass(frozen=True, slots=True)
class SrPolicy:
    """A segment routing policy of its head end (RFC 9256), towards the router with the address `endpoint`."""

    color: int
    endpoint: str
    name: str = ""
    paths: tuple[CandidatePath, ...] = ()


@dataclass(frozen=True, slots=True)
class StampSession:
    """A configured measurement (RFC 8762); test packets visit `segments` on the way to the reflector (RFC 9503)."""

    number: int
    remote_address: str
    remote_port: int = 862
    instance: str = ""
    interval_seconds: float = 1.0
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterForwarding:
    """What one router's configuration asks of the network."""

    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    local_as: int = 0
    router_id: str = ""
    stamp_reflector: bool = False
    peers: tuple[BgpPeer, ...] = ()
    instances: tuple[VpnInstance, ...] = ()
    source_address: str = ""
    """Source of encapsulated packets."""
    locators: tuple[str, ...] = ()
    """Prefixes that segments of this router are taken from."""
    node_segments: tuple[str, ...] = ()
    """Segments that stand for this router (End, RFC 8986 section 4.1)."""
    adjacency_segments: Mapping[str, str] = field(default_factory=dict)
    """Segment -> interface that it leaves over (End.X, RFC 8986 section 4.2)."""
    policies: tuple[SrPolicy, ...] = ()
    stamp_sessions: tuple[StampSession, ...] = ()


@dataclass(frozen=True, slots=True)
class Counters:
    """Octets and packets since the counters began at `since` (seconds of the plane's clock)."""

    since: float
    in_octets: int
    out_octets: int
    out_discards: int = 0
    """Packets that found the queue full."""

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


@dataclass(frozen=True, slots=True)
class PolicyState:
    """A policy as it is: the discriminators of its valid paths, and of the one that carries (None when none does)."""

    color: int
    endpoint: str
    valid: frozenset[int] = frozenset()
    active: int | None = None


@dataclass(frozen=True, slots=True)
class StampResult:
    """What a measurement found; delays in seconds, None until a test packet has come back.

    Delays are medians of the last minute, `variation_seconds` the longest minus the shortest forward delay in it;
    `last_round_trip_seconds` and `last_forward_seconds` are those of the latest packet that came back.
    """

    number: int
    sent: int = 0
    lost: int = 0
    round_trip_seconds: float | None = None
    forward_seconds: float | None = None
    backward_seconds: float | None = None
    variation_seconds: float | None = None
    last_round_trip_seconds: float | None = None
    last_forward_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a customer's host sends from or listens: an access interface of a router, and an address behind it."""

    router: str
    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """Test traffic from one attachment to another of the same VPN: `packet_rate` packets a second of a size each."""

    source: Attachment
    target: Attachment
    packet_rate: float
    packet_octets: int = 200


@dataclass(frozen=True, slots=True)
class FlowReport:
    """What became of a flow. Delays are one-way, in seconds; reordering as RFC 4737 section 3 counts it."""

    flow: str
    plane: str
    sent: int
    received: int
    lost: int
    reordered: int
    duplicated: int = 0
    delay_minimum_seconds: float | None = None
    delay_median_seconds: float | None = None
    delay_maximum_seconds: float | None = None
    longest_gap_seconds: float = 0.0
    """The longest time in which nothing arrived."""
    delay_p99_seconds: float | None = None
    late: int = 0
    """Packets that left more than an interval after they were due: the generator had to catch up."""
    missed: int = 0
    """Packets that arrived and found the receiver's own buffer full; they are neither received nor lost."""


Plane = Literal["memory", "netns", "auto"]
"""What a lab is asked to run on: calculation, namespaces, or namespaces where they can be had."""
LinkListener = Callable[[str, str, bool], None]
"""Told the router, the port and whether the carrier is up; called on the lab's event loop."""
Forwarding = Callable[[str], RouterForwarding]
"""Answers what the named router's configuration asks for now; cheap when it has not changed."""


class DataPlane(Protocol):
    """The network below the routers. Router names are the topology's; a KeyError names one that is not there."""

    @property
    def name(self) -> str:
        """What carries the traffic: `memory`, `netns root` or `netns user`. Every result says so."""
        ...

    async def start(self) -> None:
        """Build what carries the traffic; the routers' configurations follow by `configuration_changed`."""

    async def stop(self) -> None:
        """Leave nothing behind. Idempotent."""

    def configuration_changed(self, router: str) -> None:
        """Take notice that a router's running configuration is another one now."""

    def set_link(self, link: str, *, up: bool, silent: bool = False) -> None:
        """Cut or restore a link of the topology; KeyError when there is none of that name.

        A cut takes the carrier away at both ends; a silent one only loses every packet.
        """

    def slow_link(self, link: str, delay_seconds: float) -> None:
        """Have packets take this long over a link; KeyError for an unknown one, ValueError where that cannot be."""

    def lose_on_link(self, link: str, ratio: float) -> None:
        """Lose that share of the packets, by chance; KeyError for an unknown link, ValueError where that cannot be."""

    def cut_links(self) -> frozenset[str]:
        """The links that are cut, silently or not."""
        ...

    def subscribe(self, listener: LinkListener) -> None:
        """Tell the listener of every carrier that goes or comes from now on."""

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

    def policies(self, router: str) -> tuple[PolicyState, ...]:
        """The state of each configured segment routing policy, in the order of the configuration."""
        ...

    def stamp(self, router: str) -> tuple[StampResult, ...]:
        """What each configured measurement has found so far."""
        ...

    async def start_flow(self, flow: FlowSpec) -> str:
        """Send test traffic until `stop_flow`; returns the flow's name. ValueError for an attachment that is none."""
        ...

    async def stop_flow(self, flow: str) -> FlowReport:
        """Stop sending, wait for what is under way, and tell; KeyError for an unknown flow."""
        ...

    async def flows(self) -> tuple[FlowReport, ...]:
        """What has become of each running flow so far."""
        ...
