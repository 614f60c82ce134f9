"""Owns what is measured of an L3VPN: which of its provider edges send test packets to which, and along what (RFC 8762).

Up to six routers all measure each other; of more, each measures its next three around a ring, so that sessions grow as
the routers do. Test packets go through the VPN where both ends announce an address there; else through the core, along
the tunnel that carries the VPN (RFC 9503) or the shortest path. Only ends that exchange routes both ways are measured.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from controller.mapping.fragment import Fragment, access_owner, node_owner, service_id
from controller.mapping.measurement import Measurement
from controller.mapping.network_model import VpnNode
from controller.mapping.service import L3smState
from controller.mapping.tunnel import Tunnel
from controller.model.identifiers import DeviceName

EVERYBODY_UP_TO = 6
_NEXT = 3
_PROFILE = "ietf"
"""Of routers that have STAMP in a model that we write."""


@dataclass(slots=True)
class End:
    """A VPN on one router: its VRFs there, and the addresses that the others can reach, by VRF and family."""

    device: DeviceName
    nodes: dict[str, VpnNode] = field(default_factory=dict)
    addresses: dict[tuple[str, str], str] = field(default_factory=dict)


def ends_of(services: L3smState, vpn_id: str) -> tuple[End, ...]:
    """The routers of a VPN that can measure, by name."""
    ends: dict[DeviceName, End] = {}
    for fragment in _accesses(services, vpn_id):
        access = fragment.access
        node = services.fragments.get(node_owner(vpn_id, fragment.device, access.vrf)) if access else None
        if access is None or node is None or node.node is None:
            continue
        end = ends.setdefault(fragment.device, End(fragment.device))
        end.nodes[access.vrf] = node.node
        for connection in access.connections if access.announce_subnet else ():
            end.addresses.setdefault((access.vrf, connection.family), connection.provider_address)
    return tuple(ends[device] for device in sorted(ends))


def pairs_of(ends: Sequence[End]) -> Iterator[tuple[End, End]]:
    """Who sends to whom, both ways of each."""
    count = len(ends)
    steps = range(1, count) if count <= EVERYBODY_UP_TO else (*range(1, _NEXT + 1), *range(count - _NEXT, count))
    for index, end in enumerate(ends):
        yield from ((end, ends[(index + step) % count]) for step in steps)


def measurements_wanted(
    vpn_id: str, ends: Sequence[End], tunnels: Iterable[Tunnel], loopbacks: Mapping[DeviceName, str]
) -> tuple[Measurement, ...]:
    """The sessions of a VPN, without a number or a pace; none to a router that has no address for test packets."""
    carrying = {(tunnel.source, tunnel.target): tunnel for tunnel in tunnels if vpn_id in tunnel.services}
    found = (
        _session(vpn_id, end, other, carrying.get((end.device, other.device)), loopbacks.get(other.device, ""))
        for end, other in pairs_of(ends)
    )
    return tuple(session for session in found if session is not None)


def _session(vpn_id: str, end: End, other: End, tunnel: Tunnel | None, loopback: str) -> Measurement | None:
    joined = [(a, z) for a, z in product(sorted(end.nodes), sorted(other.nodes)) if _meet(end.nodes[a], other.nodes[z])]
    if not joined:
        return None
    holder = service_id(vpn_id)
    for own, theirs in joined:
        for family in ("ipv4", "ipv6"):
            address = other.addresses.get((theirs, family))
            if address and (own, family) in end.addresses:
                return Measurement(holder, end.device, other.device, address, 0, own)
    if not loopback:
        return None
    segments = tunnel.ranked[0].segments if tunnel is not None and tunnel.paths else ()
    return Measurement(holder, end.device, other.device, loopback, 0, segments=segments)


def _meet(one: VpnNode, other: VpnNode) -> bool:
    """Whether each takes routes of the other."""
    return not (
        set(one.import_targets).isdisjoint(other.export_targets)
        or set(other.import_targets).isdisjoint(one.export_targets)
    )


def _accesses(services: L3smState, vpn_id: str) -> Iterator[Fragment]:
    for site in services.vpn_sites.get(vpn_id, ()):
        for key in services.occupancy.sites.get(site, ()):
            fragment = services.fragments.get(access_owner(vpn_id, *key))
            if fragment is not None and fragment.profile == _PROFILE:
                yield fragment
