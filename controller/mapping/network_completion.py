"""Owns putting allocated values into the network model: route targets and distinguishers, segments, VLANs, VIPs."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from controller.mapping.identifiers import IdentifierDraft
from controller.mapping.infrastructure import Infrastructure
from controller.mapping.l3sm import AccessRequest
from controller.mapping.l3sm_attachment import ANY, HUB, SPOKE, Attachment, Exchange, VpnService
from controller.mapping.l3sm_connection import AUTOMATIC
from controller.mapping.network_model import (
    IpConnection,
    NetworkAccess,
    PrefixExport,
    RouteLimit,
    VpnNode,
    VrrpGroup,
)
from controller.mapping.occupancy import Placement
from controller.model.errors import InvalidInputError

_VRRP_GROUP = 1
_NAME_LENGTH = 24
_SEEN_BY_HUB = {"hub-spoke": (HUB, SPOKE), "hub-spoke-disjoint": (SPOKE,)}


def qualified(asn: int, number: int) -> str:
    """A route distinguisher, target or origin: type 0 for a two-octet AS number, 2 for a four-octet one (RFC 4360)."""
    return f"{0 if asn < 65536 else 2}:{asn}:{number}"


def target_roles(service: VpnService) -> tuple[str, ...]:
    """The roles of a VPN that have a route target of their own."""
    return (ANY,) if service.topology == "any-to-any" else (HUB, SPOKE)


def route_target(ids: IdentifierDraft, infrastructure: Infrastructure, vpn_id: str, role: str) -> str:
    """The target that members of a role export."""
    return qualified(infrastructure.provider_asn, ids.number("rt", f"{vpn_id}/{role}"))


def vrf_pool(placement: Placement) -> str:
    """The pool that a VRF's name is taken from: names that start alike on one router."""
    base = re.sub(r"[^A-Za-z0-9_-]", "-", placement.vrf_label)[:_NAME_LENGTH]
    return f"vrf/{placement.device}/{base}"


def vrf_name(ids: IdentifierDraft, placement: Placement) -> str:
    """The VRF's name: the VPN's, with a number when the router has several that start alike."""
    return vrf_text(placement, ids.number(vrf_pool(placement), placement.vrf_key))


def vrf_text(placement: Placement, number: int) -> str:
    """The name of the VRF with this number in its pool; '.' occurs in no base, so names do not collide."""
    base = vrf_pool(placement).rpartition("/")[2]
    return base if number == 1 else f"{base}.{number}"


def complete_node(
    ids: IdentifierDraft,
    infrastructure: Infrastructure,
    placement: Placement,
    attachment: Attachment,
    exchange: Exchange,
    *,
    limits: tuple[RouteLimit, ...],
) -> VpnNode:
    """The node of one VPN on a router: what the VRF exchanges with that VPN."""
    router = infrastructure.by_device[placement.device]
    key = f"{placement.device}/{placement.vrf_key}"

    def target(role: str) -> str:
        return route_target(ids, infrastructure, exchange.vpn.vpn_id, role)

    own = target(exchange.role)
    return VpnNode(
        vpn_id=exchange.vpn.vpn_id,
        vrf=vrf_name(ids, placement),
        description=attachment.description,
        route_distinguisher=qualified(router.asn, ids.number("rd", key)),
        import_targets=tuple(sorted(target(role) for role in _imported_roles(exchange))),
        export_targets=(own,) if exchange.exports_all else (),
        prefix_exports=tuple(
            PrefixExport(found.entry, (own,), found.prefixes, found.tags)
            for found in (() if exchange.exports_all else exchange.filters)
        ),
        maximum_routes=limits,
        locator=router.locator,
        function=ids.number(f"function/{placement.device}", placement.vrf_key),
        asn=router.asn,
        router_id=router.loopback,
    )


def _imported_roles(exchange: Exchange) -> Iterable[str]:
    if exchange.role == ANY:
        return (ANY,)
    return (HUB,) if exchange.role == SPOKE else _SEEN_BY_HUB[exchange.vpn.topology]


def complete_access(
    ids: IdentifierDraft,
    infrastructure: Infrastructure,
    placement: Placement,
    request: AccessRequest,
    siblings: Iterable[AccessRequest],
) -> NetworkAccess:
    """The access with its place and allocated values. `siblings`: the site's accesses, for virtual routers."""
    router = infrastructure.by_device[placement.device]
    access = request.access
    key = f"{request.site_id}/{request.access_id}"
    origin = qualified(router.asn, ids.number("soo", request.site_id)) if access.bgp else ""
    return replace(
        access,
        vrf=vrf_name(ids, placement),
        port=placement.port,
        vlan=placement.vlan,
        connections=tuple(
            _with_prefix(found, infrastructure, lambda: ids.number("slaac", key)) for found in access.connections
        ),
        bgp=tuple(replace(neighbor, site_of_origin=origin) for neighbor in access.bgp),
        vrrp=tuple(_group(request, family, siblings) for family in request.vrrp_families),
    )


def _with_prefix(found: IpConnection, infrastructure: Infrastructure, number: Callable[[], int]) -> IpConnection:
    if found.advertised_prefix != AUTOMATIC:
        return found
    pool = ipaddress.IPv6Network(infrastructure.slaac_pool)
    base = int(pool.network_address) + (number() << 64)
    prefix = ipaddress.IPv6Network((base, 64))
    return replace(found, provider_address=str(prefix[1]), advertised_prefix=str(prefix))


def _group(request: AccessRequest, family: str, siblings: Iterable[AccessRequest]) -> VrrpGroup:
    """The lowest provider address on the same subnet is the virtual one, so that all accesses agree on it."""
    own = request.access.connection(family)
    if own is None or own.provider_address == AUTOMATIC:
        raise InvalidInputError(
            "VRRP needs a provider-address", path=f"{request.placement.path}/ip-connection/{family}"
        )
    subnet = ipaddress.ip_interface(f"{own.provider_address}/{own.prefix_length}").network
    others = (other.access.connection(family) for other in siblings if family in other.vrrp_families)
    addresses = [ipaddress.ip_address(other.provider_address) for other in others if other]
    shared = min((address for address in addresses if address in subnet), key=int)
    priority = max(1, min(254, request.access.local_preference))
    return VrrpGroup(family, _VRRP_GROUP, str(shared), priority, own.provider_address)
