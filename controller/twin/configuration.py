"""Owns what one device's configuration makes it do with packets, whatever module set it was written in.

VRFs and route targets as RFC 4364 has them, segments as RFC 8986, policies as RFC 9256. Nothing here knows how the
configuration came about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network

from controller.model.identifiers import DeviceName

_FUNCTION_BITS = 16
_REMEMBERED = 1 << 17


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface; `instance` is the VRF it is bound to, `metric` None outside the core."""

    name: str
    enabled: bool = True
    instance: str = ""
    parent: str = ""
    vlan: int = 0
    addresses: tuple[str, ...] = ()
    """With prefix length."""
    announces_subnet: bool = False
    preference: int = 100
    metric: int | None = None
    adjacency_function: int = 0


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A configured route of a VRF."""

    prefix: str
    next_hop: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class PrefixExport:
    """Targets that only routes of these prefixes, or static ones of these tags, are exported with."""

    targets: frozenset[str]
    prefixes: frozenset[str]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Instance:
    """A VRF. `needs_segment`: the rest of the network reaches it by an SRv6 segment, or not at all."""

    name: str
    enabled: bool = True
    locator: str = ""
    function: int = 0
    needs_segment: bool = True
    imports: frozenset[str] = frozenset()
    exports: frozenset[str] = frozenset()
    prefix_exports: tuple[PrefixExport, ...] = ()
    static_routes: tuple[StaticRoute, ...] = ()
    neighbours: tuple[str, ...] = ()
    """Customers' routers that BGP is spoken with."""
    ospf: frozenset[tuple[str, str]] = frozenset()
    """(family, interface)."""
    interfaces: frozenset[str] = frozenset()
    """Interfaces that the instance itself names."""
    announcing: frozenset[str] = frozenset()
    """Policies that name the interfaces whose subnets are announced."""
    color: int = 0

    def targets_of(self, prefix: str, tag: str = "") -> frozenset[str]:
        """The route targets that a route is exported with."""
        some = [each.targets for each in self.prefix_exports if prefix in each.prefixes or (tag and tag in each.tags)]
        return self.exports.union(*some)

    @property
    def all_targets(self) -> frozenset[str]:
        """Every target that a route may be exported with."""
        return self.exports.union(*(each.targets for each in self.prefix_exports))


@dataclass(frozen=True, slots=True)
class SegmentList:
    """Segments in order, and the share of the traffic."""

    segments: tuple[str, ...]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CandidatePath:
    """One way of a policy."""

    discriminator: int
    preference: int
    lists: tuple[SegmentList, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A segment routing policy of its head end."""

    color: int
    endpoint: str
    name: str = ""
    paths: tuple[CandidatePath, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """A core session for VPN routes."""

    address: str
    remote_as: int
    is_client: bool = False


@dataclass(frozen=True, slots=True)
class Locator:
    """A prefix that segments are taken from."""

    prefix: str
    node_function: int = 0


@dataclass(frozen=True, slots=True)
class Router:
    """What the device is in the core."""

    autonomous_system: int = 0
    router_id: str = ""
    peers: tuple[Peer, ...] = ()
    locators: Mapping[str, Locator] = field(default_factory=dict)
    policies: Mapping[tuple[int, str], Policy] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceForwarding:
    """Everything that matters of one device. `announced` is what OpenConfig policies accept, by policy."""

    device: DeviceName
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    instances: Mapping[str, Instance] = field(default_factory=dict)
    announced: Mapping[str, frozenset[str]] = field(default_factory=dict)
    router: Router = field(default_factory=Router)

    @cached_property
    def bound(self) -> Mapping[str, tuple[Interface, ...]]:
        """The interfaces of each VRF, by name."""
        found: dict[str, dict[str, Interface]] = {}
        for interface in self.interfaces.values():
            if interface.instance:
                found.setdefault(interface.instance, {})[interface.name] = interface
        for instance in self.instances.values():
            for name in instance.interfaces & self.interfaces.keys():
                found.setdefault(instance.name, {})[name] = self.interfaces[name]
        return {name: tuple(held[key] for key in sorted(held)) for name, held in found.items()}

    @cached_property
    def instance_of(self) -> Mapping[str, str]:
        """The VRF of each interface that has one."""
        return {interface.name: name for name, held in self.bound.items() for interface in held}

    @cached_property
    def by_vlan(self) -> Mapping[tuple[str, int], Interface]:
        """The interface that takes the frames of a VLAN on a port."""
        return {(each.parent, each.vlan): each for each in self.interfaces.values() if each.parent}

    @cached_property
    def core_addresses(self) -> frozenset[str]:
        """Addresses outside of any VRF."""
        core = (each for each in self.interfaces.values() if each.name not in self.instance_of)
        return frozenset(host_of(address) for each in core for address in each.addresses)

    @cached_property
    def adjacency_segments(self) -> Mapping[str, str]:
        """Interface by End.X segment; an interface has one from every locator."""
        return {
            segment_of(locator.prefix, each.adjacency_function): each.name
            for each in self.interfaces.values()
            if each.adjacency_function
            for locator in self.router.locators.values()
        }

    @cached_property
    def node_segments(self) -> frozenset[str]:
        """Segments that stand for this router (End)."""
        locators = self.router.locators.values()
        return frozenset(segment_of(each.prefix, each.node_function) for each in locators if each.node_function)

    @cached_property
    def vpn_segments(self) -> Mapping[str, str]:
        """VRF by the segment that delivers into it."""
        return {self.segment_into(each): each.name for each in self.instances.values() if self.segment_into(each)}

    def segment_into(self, instance: Instance) -> str:
        """The segment that delivers into a VRF; empty when it has none, or a locator that is not there."""
        locator = self.router.locators.get(instance.locator)
        return segment_of(locator.prefix, instance.function) if locator and instance.function else ""

    def is_up(self, interface: Interface) -> bool:
        """Whether it may carry packets: enabled, and the port below it as well."""
        port = self.interfaces.get(interface.parent)
        return interface.enabled and (port is None or port.enabled)


@lru_cache(maxsize=_REMEMBERED)
def segment_of(locator: str, function: int) -> str:
    """A segment's address: locator, then function (RFC 8986 section 3.1)."""
    network = IPv6Network(locator)
    shift = max(0, 128 - network.prefixlen - _FUNCTION_BITS)
    return str(IPv6Address(int(network.network_address) + (function << shift)))


@lru_cache(maxsize=_REMEMBERED)
def network_of(address: str) -> IPv4Network | IPv6Network:
    """The subnet of an address with length, or a prefix itself."""
    return ip_network(address, strict=False)


@lru_cache(maxsize=_REMEMBERED)
def host_of(address: str) -> str:
    """The address without its length, as text in canonical form."""
    return str(ip_interface(address).ip)


@lru_cache(maxsize=_REMEMBERED)
def covers(network: str, address: str) -> bool:
    """Whether the address lies in the subnet."""
    subnet, host = network_of(network), ip_address(address)
    return subnet.version == host.version and host in subnet


def bare_target(target: str) -> str:
    """A route target without the type that ietf-routing-types writes before it and OpenConfig does not."""
    return target.split(":", 1)[1] if target.count(":") == 2 else target
