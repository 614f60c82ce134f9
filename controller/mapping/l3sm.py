"""Owns reading L3SM (RFC 8299, ietf-l3vpn-svc 2018-01-19) sites: each access as what it asks of the network.

Pure and strict: what is not understood is refused with the node's path (`reader`, `refusals`). Nothing is placed or
allocated here, so the result depends on the documents only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.mapping.infrastructure import Infrastructure
from controller.mapping.l3sm_attachment import (
    Attachment,
    FindService,
    Policies,
    VpnService,
    read_attachment,
    read_policies,
    read_service,
)
from controller.mapping.l3sm_connection import read_bfd, read_connections
from controller.mapping.l3sm_location import Location, PlacementRequest, read_groups, read_locations, read_placement
from controller.mapping.l3sm_qos import Qos, read_qos, treatments
from controller.mapping.l3sm_routing import Protocols, read_protocols, routing_of
from controller.mapping.network_model import NetworkAccess, RouteLimit
from controller.mapping.reader import ROOT, Json, Reader

DEFAULT_PRIORITY = 100
_KINDS = ("point-to-point", "multipoint")


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One access as asked for. `access` lacks what only the network knows: VRF, port, VLAN, allocated values."""

    site_id: str
    access_id: str
    attachment: Attachment
    placement: PlacementRequest
    access: NetworkAccess
    vrrp_families: tuple[str, ...]
    maximum_routes: tuple[RouteLimit, ...]


@dataclass(frozen=True, slots=True)
class SiteRequest:
    """The accesses that were read, and the site's flavour for the check across all its accesses."""

    site_id: str
    path: str
    flavor: str
    accesses: tuple[AccessRequest, ...]
    vpns: tuple[str, ...]
    """VPNs that its policies name."""


@dataclass(frozen=True, slots=True)
class _SiteContext:
    """What a site says for each of its accesses."""

    site_id: str
    locations: dict[str, Location]
    groups: tuple[str, ...]
    policies: Policies
    protocols: Protocols
    qos: Qos | None
    limits: dict[str, int]
    infrastructure: Infrastructure
    find: FindService


def site_path(site_id: str) -> str:
    """Instance path of a site."""
    return f"{ROOT}/sites/site[site-id='{site_id}']"


def service_path(vpn_id: str) -> str:
    """Instance path of a VPN service."""
    return f"{ROOT}/vpn-services/vpn-service[vpn-id='{vpn_id}']"


def parse_service(vpn_id: str, document: Json) -> VpnService:
    """One vpn-service; `NotSupportedError` or `InvalidInputError` with the node's path."""
    return read_service(vpn_id, Reader(document, service_path(vpn_id)))


def parse_profiles(document: Json, infrastructure: Infrastructure) -> None:
    """Check `vpn-profiles`: only profiles that the provider really has may be declared."""
    reader = Reader(document, f"{ROOT}/vpn-profiles")
    valid = reader.child("valid-provider-identifiers")
    known: Mapping[str, Mapping[str, object]] = {"qos": infrastructure.qos_profiles, "bfd": infrastructure.bfd_profiles}
    for kind, names in known.items():
        for entry in valid.entries(f"{kind}-profile-identifier", "id"):
            name = entry.required("id")
            if name not in names:
                raise entry.wrong("id", f"there is no {kind} profile '{name}'", f"use one of: {sorted(names)}")
    reader.finish()


def parse_site(site_id: str, document: Json, find: FindService, infrastructure: Infrastructure) -> SiteRequest:
    """One site with all accesses the document holds; `NotSupportedError` or `InvalidInputError` with the path."""
    site = Reader(document, site_path(site_id))
    if site.required("site-id") != site_id:
        raise site.wrong("site-id", f"the entry's key is '{site_id}'")
    flavor = _read_management(site)
    context = _SiteContext(
        site_id=site_id,
        locations=read_locations(site),
        groups=read_groups(site.child("site-diversity")),
        policies=read_policies(site, find),
        protocols=read_protocols(site),
        qos=read_qos(site, infrastructure.qos_profiles),
        limits=_read_limits(site),
        infrastructure=infrastructure,
        find=find,
    )
    site.child("security").child("authentication")
    entries = site.child("site-network-accesses").entries("site-network-access", "site-network-access-id")
    request = SiteRequest(
        site_id,
        site.path,
        flavor,
        tuple(_read_access(entry, context) for entry in entries),
        tuple(exchange.vpn.vpn_id for policy in context.policies.values() for exchange in policy.exchanges),
    )
    site.finish()
    return request


def _read_management(site: Reader) -> str:
    kind = site.child("management").identity("type")
    if not kind:
        raise site.wrong("management/type", "the management type is needed", "add it: customer-managed")
    if kind != "customer-managed":
        raise site.refuse("management/type", "customer routers are not managed", "use customer-managed")
    flavor = site.identity("site-vpn-flavor", "site-vpn-flavor-single")
    if flavor not in {"site-vpn-flavor-single", "site-vpn-flavor-multi", "site-vpn-flavor-sub"}:
        raise site.refuse("site-vpn-flavor", f"'{flavor}' is not offered")
    return flavor


def _read_limits(site: Reader) -> dict[str, int]:
    limits = {}
    for entry in site.child("maximum-routes").entries("address-family", "af"):
        family = entry.required("af")
        limit = entry.integer("maximum-routes", 1, 2**32 - 1)
        if family not in {"ipv4", "ipv6"} or limit is None:
            raise entry.wrong("maximum-routes", "a family and its limit are needed")
        limits[family] = limit
    return limits


def _read_access(entry: Reader, context: _SiteContext) -> AccessRequest:
    access_id = entry.required("site-network-access-id")
    attachment = read_attachment(entry, context.site_id, context.policies, context.find)
    access, vrrp_families = _read_content(entry, context)
    bandwidth = max(access.input_bandwidth, access.output_bandwidth)
    placement = read_placement(entry, context.locations, context.groups, bandwidth)
    entry.child("security").child("authentication")
    description = ", ".join(filter(None, (attachment.description, f"{context.site_id}/{access_id}")))
    return AccessRequest(
        site_id=context.site_id,
        access_id=access_id,
        attachment=attachment,
        placement=placement,
        access=_described(access, f"{description}, {placement.location}".rstrip(", ")),
        vrrp_families=vrrp_families,
        maximum_routes=tuple(RouteLimit(*each) for each in sorted(context.limits.items())),
    )


def _read_content(entry: Reader, context: _SiteContext) -> tuple[NetworkAccess, tuple[str, ...]]:
    kind = entry.identity("site-network-access-type", "point-to-point")
    if kind not in _KINDS:
        raise entry.refuse("site-network-access-type", f"'{kind}' is not a known type")
    connections = read_connections(entry)
    bfd = read_bfd(entry, connections, context.infrastructure.bfd_profiles)
    routing = routing_of({**context.protocols, **read_protocols(entry)}, connections, bfd, context.limits)
    download, upload, mtu = _read_basics(entry, connections_have_ipv6=any(c.family == "ipv6" for c in connections))
    qos = read_qos(entry, context.infrastructure.qos_profiles) or context.qos
    priority = entry.child("availability").integer("access-priority", 0, 2**32 - 1)
    access = NetworkAccess(
        vrf="",
        port="",
        vlan=0,
        description="",
        kind=kind,
        mtu=mtu,
        input_bandwidth=upload,
        output_bandwidth=download,
        local_preference=DEFAULT_PRIORITY if priority is None else priority,
        announce_subnet=routing.announce_subnet,
        connections=connections,
        static_routes=routing.static_routes,
        bgp=routing.bgp,
        ospf=routing.ospf,
        bfd=bfd,
        rules=qos.rules if qos else (),
        classes=treatments(qos.classes, upload, download) if qos else (),
    )
    return access, routing.vrrp_families


def _read_basics(entry: Reader, *, connections_have_ipv6: bool) -> tuple[int, int, int]:
    service = entry.child("service")
    download = service.integer("svc-input-bandwidth", 1)
    upload = service.integer("svc-output-bandwidth", 1)
    mtu = service.integer("svc-mtu", 1280 if connections_have_ipv6 else 68, 2**16 - 1)
    for name, value in (("svc-input-bandwidth", download), ("svc-output-bandwidth", upload), ("svc-mtu", mtu)):
        if value is None:
            raise service.wrong(name, f"'{name}' is needed", "add it")
    return download or 0, upload or 0, mtu or 0


def _described(access: NetworkAccess, description: str) -> NetworkAccess:

    return replace(access, description=description)
