"""Owns the network model between service and devices, in the words of RFC 9182: VPN nodes and network accesses.

Frozen and hashable, so a rendering can be memoised on it. Addresses and prefixes are canonical text (RFC 6991), rates
are bit/s, identities are bare names.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouteLimit:
    """Most routes of one family."""

    family: str
    limit: int


@dataclass(frozen=True, slots=True)
class PrefixExport:
    """Routes of these prefixes, or static routes with these tags, are given `targets` instead of all routes."""

    name: str
    targets: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VpnNode:
    """A VPN on one router (RFC 9182 7.5): what is exchanged with the rest of the VPN."""

    vpn_id: str
    vrf: str
    description: str
    route_distinguisher: str
    import_targets: tuple[str, ...]
    export_targets: tuple[str, ...]
    prefix_exports: tuple[PrefixExport, ...] = ()
    maximum_routes: tuple[RouteLimit, ...] = ()
    locator: str = ""
    function: int = 0
    asn: int = 0
    router_id: str = ""


@dataclass(frozen=True, slots=True)
class DhcpPool:
    """Addresses given out, first and last included."""

    name: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class IpConnection:
    """Addressing of one family on an access (RFC 9182 7.6.2)."""

    family: str
    provider_address: str
    prefix_length: int
    customer_address: str = ""
    dhcp_addresses: int | None = None
    dhcp_pools: tuple[DhcpPool, ...] = ()
    relay_servers: tuple[str, ...] = ()
    advertised_prefix: str = ""
    """Prefix announced for stateless autoconfiguration."""
    managed: bool = False
    """Hosts are told to ask DHCPv6."""

    @property
    def is_dhcp_server(self) -> bool:
        """Whether this router gives out addresses."""
        return self.dhcp_addresses is not None or bool(self.dhcp_pools)


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A network behind the customer's router."""

    prefix: str
    next_hop: str
    tag: str = ""
    bfd: bool = False


@dataclass(frozen=True, slots=True)
class BgpNeighbor:
    """A session with the customer's router."""

    address: str
    remote_as: int
    family: str
    site_of_origin: str
    prefix_limit: int | None = None
    bfd: bool = False


@dataclass(frozen=True, slots=True)
class OspfInterface:
    """OSPF on the access, one family."""

    family: str
    area: str
    metric: int
    bfd: bool = False


@dataclass(frozen=True, slots=True)
class VrrpGroup:
    """A virtual router that the accesses of a site share."""

    family: str
    group: int
    virtual_address: str
    priority: int
    provider_address: str
    """The access's own address on the subnet."""


@dataclass(frozen=True, slots=True)
class BfdSession:
    """Liveness of a neighbour."""

    address: str
    detection_milliseconds: int


@dataclass(frozen=True, slots=True)
class QosRule:
    """Packets that match all fields belong to the class."""

    sequence: int
    name: str
    traffic_class: str
    dscp: int | None = None
    dot1p: int | None = None
    source_prefix: str = ""
    destination_prefix: str = ""
    protocol: int | None = None
    source_ports: tuple[str, ...] = ()
    destination_ports: tuple[str, ...] = ()
    application: str = ""


@dataclass(frozen=True, slots=True)
class QosTreatment:
    """A class on the access. `direction` is `input`, `output` or `both`, as the provider's router sees it."""

    name: str
    direction: str
    input_guarantee: int = 0
    output_guarantee: int = 0
    rate_limit: str = ""
    lowest_latency: bool = False
    latency_bound_milliseconds: int | None = None
    lowest_jitter: bool = False
    jitter_bound_microseconds: int | None = None
    end_to_end: bool = False


@dataclass(frozen=True, slots=True)
class NetworkAccess:
    """A site's attachment to one VPN node (RFC 9182 7.6)."""

    vrf: str
    port: str
    vlan: int
    description: str
    kind: str
    """`point-to-point` or `multipoint`."""
    mtu: int
    input_bandwidth: int
    """From the customer into the network, bit/s."""
    output_bandwidth: int
    local_preference: int
    announce_subnet: bool = False
    connections: tuple[IpConnection, ...] = ()
    static_routes: tuple[StaticRoute, ...] = ()
    bgp: tuple[BgpNeighbor, ...] = ()
    ospf: tuple[OspfInterface, ...] = ()
    vrrp: tuple[VrrpGroup, ...] = ()
    bfd: tuple[BfdSession, ...] = ()
    rules: tuple[QosRule, ...] = ()
    classes: tuple[QosTreatment, ...] = ()

    @property
    def interface(self) -> str:
        """Name of the VLAN's interface."""
        return f"{self.port}.{self.vlan}"

    @property
    def neighbors(self) -> tuple[str, ...]:
        """The customer's addresses."""
        return tuple(found.customer_address for found in self.connections if found.customer_address)

    def connection(self, family: str) -> IpConnection | None:
        """The addressing of one family."""
        return next((found for found in self.connections if found.family == family), None)
