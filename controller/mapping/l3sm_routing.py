"""Owns reading the routing between the customer and the provider (RFC 8299 6.11): direct, static, BGP, OSPF, VRRP.

What the site says holds for each of its accesses unless the access says something of the same type.
"""

from dataclasses import dataclass

from controller.mapping.network_model import BfdSession, BgpNeighbor, IpConnection, OspfInterface, StaticRoute
from controller.mapping.reader import Reader
from controller.model.errors import InvalidInputError

_TYPES = ("direct", "static", "bgp", "ospf", "vrrp")


@dataclass(frozen=True, slots=True)
class Protocol:
    """One routing protocol as asked for; which fields hold depends on `kind`."""

    path: str
    kind: str
    families: tuple[str, ...] = ()
    routes: tuple[StaticRoute, ...] = ()
    autonomous_system: int = 0
    area: str = ""
    metric: int = 1


Protocols = dict[str, Protocol]


@dataclass(frozen=True, slots=True)
class Routing:
    """The routing of one access."""

    announce_subnet: bool
    static_routes: tuple[StaticRoute, ...]
    bgp: tuple[BgpNeighbor, ...]
    ospf: tuple[OspfInterface, ...]
    vrrp_families: tuple[str, ...]


def read_protocols(holder: Reader) -> Protocols:
    """The routing protocols of a site or an access, by type."""
    found: Protocols = {}
    for entry in holder.child("routing-protocols").entries("routing-protocol", "type"):
        kind = entry.identity("type")
        if kind not in _TYPES:
            raise entry.refuse("type", f"routing by '{kind}' is not offered", f"use one of: {', '.join(_TYPES)}")
        if kind != "direct" and not entry.has(kind):
            raise entry.wrong(kind, f"routing by {kind} says nothing", "fill it in or remove the entry")
        found[kind] = _read_protocol(entry, kind)
    return found


def _read_protocol(entry: Reader, kind: str) -> Protocol:
    if kind == "direct":
        return Protocol(entry.path, kind)
    inner = entry.child(kind)
    if kind == "static":
        return Protocol(entry.path, kind, routes=_read_routes(inner))
    families = inner.texts("address-family")
    if not families or set(families) - {"ipv4", "ipv6"}:
        raise inner.wrong("address-family", "ipv4, ipv6 or both are needed here")
    if kind == "bgp":
        number = inner.integer("autonomous-system", 1, 2**32 - 1)
        if number is None:
            raise inner.wrong("autonomous-system", "the customer's AS number is needed", "add it")
        return Protocol(entry.path, kind, families, autonomous_system=number)
    if kind == "ospf":
        metric = inner.integer("metric", 1, 2**16 - 1)
        return Protocol(entry.path, kind, families, area=inner.required("area-address"), metric=metric or 1)
    return Protocol(entry.path, kind, families)


def _read_routes(static: Reader) -> tuple[StaticRoute, ...]:
    routes = []
    prefixes = static.child("cascaded-lan-prefixes")
    for family in ("ipv4", "ipv6"):
        for entry in prefixes.entries(f"{family}-lan-prefixes", "lan", "next-hop"):
            lan, next_hop = entry.prefix("lan", family), entry.address("next-hop", family)
            if not lan or not next_hop:
                raise entry.wrong("lan", "a LAN and its next hop are needed")
            routes.append(StaticRoute(lan, next_hop, entry.text("lan-tag")))
    if not routes:
        raise static.wrong("cascaded-lan-prefixes", "static routing names no LAN", "add one or remove the entry")
    return tuple(routes)


def routing_of(
    protocols: Protocols,
    connections: tuple[IpConnection, ...],
    bfd: tuple[BfdSession, ...],
    limits: dict[str, int],
) -> Routing:
    """What the protocols mean on an access with this addressing."""
    watched = {session.address for session in bfd}
    by_family = {connection.family: connection for connection in connections}
    static = protocols.get("static")
    vrrp = protocols.get("vrrp")
    return Routing(
        announce_subnet="direct" in protocols,
        static_routes=tuple(
            StaticRoute(route.prefix, route.next_hop, route.tag, bfd=route.next_hop in watched)
            for route in (static.routes if static else ())
        ),
        bgp=tuple(_neighbors(protocols.get("bgp"), by_family, watched, limits)),
        ospf=tuple(_interfaces(protocols.get("ospf"), by_family, bfd=bool(watched))),
        vrrp_families=tuple(_families(vrrp, by_family)) if vrrp else (),
    )


def _families(protocol: Protocol, by_family: dict[str, IpConnection]) -> list[str]:
    for family in protocol.families:
        if family not in by_family:
            raise _lacks(protocol, f"the access has no {family}", f"enable {family} in ip-connection")
    return sorted(protocol.families)


def _neighbors(
    protocol: Protocol | None, by_family: dict[str, IpConnection], watched: set[str], limits: dict[str, int]
) -> list[BgpNeighbor]:
    if protocol is None:
        return []
    neighbors = []
    for family in _families(protocol, by_family):
        address = by_family[family].customer_address
        if not address:
            raise _lacks(protocol, f"BGP needs the customer's {family} address", "give a static customer-address")
        neighbors.append(
            BgpNeighbor(
                address, protocol.autonomous_system, family, "", prefix_limit=limits.get(family), bfd=address in watched
            )
        )
    return neighbors


def _interfaces(protocol: Protocol | None, by_family: dict[str, IpConnection], *, bfd: bool) -> list[OspfInterface]:
    if protocol is None:
        return []
    return [OspfInterface(family, protocol.area, protocol.metric, bfd) for family in _families(protocol, by_family)]


def _lacks(protocol: Protocol, message: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(message, path=f"{protocol.path}/{protocol.kind}/address-family", remedy=remedy)
