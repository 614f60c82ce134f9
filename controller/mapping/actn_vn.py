"""Owns virtual networks in the words of ietf-vn (RFC 9731): a VPN with TE tunnels, as its customer sees it.

A VN is of type 1 (RFC 8453 section 1.2): one abstract node with an access point for each router that the VPN is
attached to, and a connectivity matrix entry for each member, which is a tunnel between two of them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.mapping.actn import Json, te_bandwidth, uri
from controller.mapping.actn_topology import network_frame, node_entry
from controller.mapping.tunnel import Tunnel
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate

_UNWRITABLE = re.compile(r"[^A-Za-z0-9.-]")
"""What the identifier of a TE topology does not hold, or what stands for it."""


@dataclass(frozen=True, slots=True)
class VnMember:
    """A connection of a VN between two access points, carried by `tunnel`."""

    number: int
    tunnel: str
    source: DeviceName
    target: DeviceName
    bandwidth: BitRate
    is_up: bool


@dataclass(frozen=True, slots=True)
class VirtualNetwork:
    """The VN of a VPN. `number` tells its abstract node from those of others."""

    id: str
    number: int
    members: tuple[VnMember, ...]

    @property
    def routers(self) -> tuple[DeviceName, ...]:
        """Where its access points are."""
        return tuple(sorted({end for member in self.members for end in (member.source, member.target)}))

    @property
    def network_id(self) -> str:
        """Its abstract topology."""
        return f"vn-{_UNWRITABLE.sub(lambda match: f'_{ord(match[0]):x}', self.id)}"

    @property
    def te_node_id(self) -> str:
        """Its abstract node: 0.1.x.y, apart from the routers' and from what stands for a domain."""
        return f"0.1.{self.number >> 8 & 255}.{self.number & 255}"


def virtual_networks(tunnels: Iterable[Tunnel], up: frozenset[str]) -> tuple[VirtualNetwork, ...]:
    """A VN for each VPN that tunnels serve; `up` names the tunnels that carry."""
    serving: dict[str, list[Tunnel]] = {}
    for tunnel in sorted(tunnels, key=lambda tunnel: tunnel.name):
        for vpn_id in tunnel.services:
            serving.setdefault(vpn_id, []).append(tunnel)
    return tuple(
        VirtualNetwork(
            vpn_id,
            number,
            tuple(
                VnMember(index, one.name, one.source, one.target, one.bandwidth, one.name in up)
                for index, one in enumerate(serving[vpn_id], start=1)
            ),
        )
        for number, vpn_id in enumerate(sorted(serving), start=1)
    )


def vn_network(vn: VirtualNetwork) -> Json:
    """The VN's abstract topology: one node, and in its connectivity matrix an entry for each member."""
    entries = [
        {
            "id": member.number,
            "from": {"tp-ref": uri(member.source)},
            "to": {"tp-ref": uri(member.target)},
            "is-allowed": True,
            "path-constraints": {"te-bandwidth": te_bandwidth(member.bandwidth)},
        }
        for member in vn.members
    ]
    matrices = {"number-of-entries": len(entries), "is-allowed": False, "connectivity-matrix": entries}
    name = f"{vn.network_id}-node"
    node = node_entry(name, vn.te_node_id, vn.routers, is_abstract=True, **{"connectivity-matrices": matrices})
    return network_frame(vn.network_id, [node], [])


def vn_document(vns: Iterable[VirtualNetwork], te_node_ids: Mapping[DeviceName, str]) -> Json:
    """All VNs and their access points: the content of ietf-vn's two trees."""
    found = tuple(vns)
    routers = sorted({router for vn in found for router in vn.routers})
    points = [
        {
            "id": router,
            **({"pe": te_node_ids[router]} if router in te_node_ids else {}),
            "vn-ap": [_vn_access_point(vn, router) for vn in found if router in vn.routers],
        }
        for router in routers
    ]
    return {
        "ietf-vn:access-point": {"ap": points} if points else {},
        "ietf-vn:virtual-network": {"vn": [_vn(vn) for vn in found]} if found else {},
    }


def _vn_access_point(vn: VirtualNetwork, router: DeviceName) -> Json:
    return {"id": f"{vn.id} {router}", "vn": vn.id, "abstract-node": uri(f"{vn.network_id}-node")}


def _vn(vn: VirtualNetwork) -> Json:
    is_up = all(member.is_up for member in vn.members)
    return {
        "id": vn.id,
        "te-topology-identifier": {"provider-id": 1, "client-id": 1, "topology-id": vn.network_id},
        "abstract-node": vn.te_node_id,
        "vn-member": [
            {
                "id": member.tunnel,
                "src": {"ap": member.source, "vn-ap-id": f"{vn.id} {member.source}"},
                "dest": {"ap": member.target, "vn-ap-id": f"{vn.id} {member.target}"},
                "connectivity-matrix-id": member.number,
                "oper-status": _status(is_up=member.is_up),
            }
            for member in vn.members
        ],
        "admin-status": "up",
        "oper-status": _status(is_up=is_up),
    }


def _status(*, is_up: bool) -> str:
    return "up" if is_up else "down"
