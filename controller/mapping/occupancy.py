"""Owns what stands where: placements, the load of ports, and the indexes that diversity constraints are asked of.

Changed by `add` and `remove` only, each in time proportional to the one placement.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from controller.mapping.l3sm_location import Constraint
from controller.mapping.network_model import RouteLimit
from controller.model.identifiers import DeviceName

AccessKey = tuple[str, str]
"""(site-id, site-network-access-id)."""
Members = dict[AccessKey, None]
NodeKey = tuple[DeviceName, str]
"""(device, VRF key)."""
ALL_GROUPS = "*"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an access is, and what the indexes have to know of it. `bandwidth` in bit/s."""

    device: DeviceName
    port: str
    vlan: int
    bandwidth: int
    vrf_key: str
    vrf_label: str
    vpns: tuple[str, ...]
    customers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    maximum_routes: tuple[RouteLimit, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    addresses: tuple[str, ...] = ()
    """Addresses that the router has on the access; nobody else in the VRF may have them there."""


@dataclass(slots=True)
class NodeUse:
    """Who uses a VRF on a router, with which addresses, and how often each route limit is asked for."""

    members: Members = field(default_factory=dict)
    limits: Counter[RouteLimit] = field(default_factory=Counter)
    addresses: dict[str, AccessKey] = field(default_factory=dict)

    def largest_limits(self) -> tuple[RouteLimit, ...]:
        """The largest limit of each family that any member asks for."""
        largest: dict[str, RouteLimit] = {}
        for limit in self.limits:
            known = largest.get(limit.family)
            if known is None or limit.limit > known.limit:
                largest[limit.family] = limit
        return tuple(largest[family] for family in sorted(largest))


@dataclass(slots=True)
class Occupancy:
    """All placements. A diversity group belongs to a customer: it is indexed as `<customer>/<group-id>`."""

    placements: dict[AccessKey, Placement] = field(default_factory=dict)
    load: dict[tuple[DeviceName, str], int] = field(default_factory=dict)
    """Booked bit/s by port."""
    sites: dict[str, Members] = field(default_factory=dict)
    groups: dict[str, Members] = field(default_factory=dict)
    grouped: dict[str, Members] = field(default_factory=dict)
    """Accesses that are in any group, by customer."""
    watchers: dict[str, Members] = field(default_factory=dict)
    """Accesses with a constraint against a group, by group; `<customer>/*` holds those against all other groups."""
    site_watchers: dict[str, Members] = field(default_factory=dict)
    """Accesses with a constraint against all others of their site, by site."""
    nodes: dict[NodeKey, NodeUse] = field(default_factory=dict)

    def add(self, key: AccessKey, placement: Placement) -> None:
        """Book a placement."""
        self.placements[key] = placement
        port = (placement.device, placement.port)
        self.load[port] = self.load.get(port, 0) + placement.bandwidth
        node = self.nodes.setdefault((placement.device, placement.vrf_key), NodeUse())
        node.members[key] = None
        node.limits.update(placement.maximum_routes)
        node.addresses.update(dict.fromkeys(placement.addresses, key))
        for index, name in self._entries(key, placement):
            index.setdefault(name, {})[key] = None

    def remove(self, key: AccessKey) -> Placement:
        """Free a placement."""
        placement = self.placements.pop(key)
        self.load[placement.device, placement.port] -= placement.bandwidth
        self._leave_node(key, placement)
        for index, name in self._entries(key, placement):
            if name not in index:
                continue
            index[name].pop(key, None)
            if not index[name]:
                del index[name]
        return placement

    def shared_address(self, placement: Placement) -> str:
        """Which access has one of the placement's addresses in its VRF, and which one; '' when none has."""
        node = self.nodes.get((placement.device, placement.vrf_key))
        for address in placement.addresses if node else ():
            other = node.addresses.get(address) if node else None
            if other:
                return f"{'/'.join(other)} has the address {address}"
        return ""

    def _leave_node(self, key: AccessKey, placement: Placement) -> None:
        node = self.nodes[placement.device, placement.vrf_key]
        del node.members[key]
        for address in placement.addresses:
            node.addresses.pop(address, None)
        for limit in placement.maximum_routes:
            node.limits[limit] -= 1
            if not node.limits[limit]:
                del node.limits[limit]
        if not node.members:
            del self.nodes[placement.device, placement.vrf_key]

    def _entries(self, key: AccessKey, placement: Placement) -> Iterator[tuple[dict[str, Members], str]]:
        yield self.sites, key[0]
        if any(constraint.all_other_accesses for constraint in placement.constraints):
            yield self.site_watchers, key[0]
        for customer in placement.customers:
            for group in placement.groups:
                yield self.groups, f"{customer}/{group}"
            if placement.groups:
                yield self.grouped, customer
            for constraint in placement.constraints:
                for group in watched_groups(constraint):
                    yield self.watchers, f"{customer}/{group}"


def watched_groups(constraint: Constraint) -> Iterable[str]:
    """Names under which a constraint watches."""
    return (ALL_GROUPS,) if constraint.all_other_groups else dict.fromkeys(constraint.groups)
