"""Owns reading promises out of an L3SM document (RFC 8299): only what decides who reaches whom, and how fast.

The document has been validated; whatever does not bear on reachability is passed over. This reads the customer's own
words once more, so that a mistake in turning them into configuration cannot be repeated here.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from controller.twin.intended import ANY, Attachment, Member, VpnIntent, learned

Json = Any
_MILLISECONDS = 1000


def read_vpn(document: Json) -> VpnIntent:
    """A vpn-service."""
    topology = _identity(document.get("vpn-service-topology", "any-to-any"))
    return VpnIntent(document["vpn-id"], topology)


def read_site(document: Json, places: Mapping[str, Attachment]) -> Iterator[tuple[str, Member]]:
    """Each access of a site that has a place, once for every VPN it is in, with the access's name."""
    for access in _list(document, "site-network-accesses", "site-network-access"):
        name = access["site-network-access-id"]
        if name in places:
            for vpn, role, exports in _memberships(document, access):
                yield name, _member(document, access, places[name], (vpn, role, exports))


def _delay_bound(*holders: Json) -> float | None:
    """The tightest bound, in seconds, that any class of the access or its site asks for."""
    classes = [
        each for holder in holders for each in _list(holder, "service", "qos", "qos-profile", "classes", "class")
    ]
    bounds = [each["latency"]["latency-boundary"] for each in classes if "latency-boundary" in each.get("latency", {})]
    return min(map(int, bounds)) / _MILLISECONDS if bounds else None


_Exports = tuple[frozenset[str], frozenset[str]] | None
"""Prefixes and tags that are given to the VPN; None for everything."""


def _memberships(site: Json, access: Json) -> Iterator[tuple[str, str, _Exports]]:
    attachment = access["vpn-attachment"]
    if "vpn-policy-id" not in attachment:
        yield attachment["vpn-id"], _identity(attachment.get("site-role", ANY)), None
        return
    found: dict[str, tuple[str, _Exports]] = {}
    for policy in _list(site, "vpn-policies", "vpn-policy"):
        for entry in _list(policy, "entries") if policy["vpn-policy-id"] == attachment["vpn-policy-id"] else ():
            exports = _exports(entry)
            for vpn in _list(entry, "vpn"):
                before = found.get(vpn["vpn-id"])
                if before and before[1] and exports:
                    exports = (before[1][0] | exports[0], before[1][1] | exports[1])
                found[vpn["vpn-id"]] = (_identity(vpn.get("site-role", ANY)), exports)
    yield from ((vpn, role, exports) for vpn, (role, exports) in found.items())


def _exports(entry: Json) -> _Exports:
    prefixes: set[str] = set()
    tags: set[str] = set()
    for each in _list(entry, "filters", "filter"):
        tags.update(each.get("lan-tag", ()))
        prefixes.update(map(_prefix, (*each.get("ipv4-lan-prefix", ()), *each.get("ipv6-lan-prefix", ()))))
    return (frozenset(prefixes), frozenset(tags)) if prefixes or tags else None


def _member(site: Json, access: Json, place: Attachment, membership: tuple[str, str, _Exports]) -> Member:
    vpn, role, exports = membership
    families = {family: access.get("ip-connection", {}).get(family, {}) for family in ("ipv4", "ipv6")}
    gateways = tuple(filter(None, map(_gateway, families.values())))
    prefixes: dict[str, str] = {}
    kept: set[str] = set()
    for prefix, next_hop, tag in _destinations(site, access, families, gateways, place):
        if exports is None or prefix in exports[0] or (tag and tag in exports[1]):
            prefixes[prefix] = next_hop
        else:
            kept.add(prefix)
    rate = access.get("service", {}).get("svc-output-bandwidth", 0)
    bound = _delay_bound(access, site)
    return Member(place, vpn, site["site-id"], role, prefixes, frozenset(kept), gateways, int(rate), bound)


def _destinations(
    site: Json, access: Json, families: Mapping[str, Json], gateways: tuple[str, ...], place: Attachment
) -> Iterator[tuple[str, str, str]]:
    """(destination, next hop, tag) of all that is behind an access."""
    protocols = {_identity(each["type"]): each for holder in (site, access) for each in _protocols(holder)}
    if "direct" in protocols:
        yield from ((_prefix(gateway), "", "") for gateway in gateways)
    lans = protocols.get("static", {}).get("static", {}).get("cascaded-lan-prefixes", {})
    for family in ("ipv4", "ipv6"):
        for lan in _list(lans, f"{family}-lan-prefixes"):
            yield _prefix(lan["lan"]), str(ip_address(lan["next-hop"])), lan.get("lan-tag", "")
    for family in protocols.get("bgp", {}).get("bgp", {}).get("address-family", ()):
        customer = _static(families[family]).get("customer-address")
        if customer:
            yield learned("bgp", str(ip_address(customer))), str(ip_address(customer)), ""
    for family in protocols.get("ospf", {}).get("ospf", {}).get("address-family", ()):
        yield learned("ospf", f"{family} {place}"), "", ""


def _protocols(holder: Json) -> list[Json]:
    return _list(holder, "routing-protocols", "routing-protocol")


def _gateway(family: Json) -> str:
    """The provider's address with its length; empty where the provider chooses it."""
    for holder in (_static(family), family.get("provider-dhcp", {}), family.get("dhcp-relay", {})):
        if "provider-address" in holder and "prefix-length" in holder:
            return str(ip_interface(f"{holder['provider-address']}/{holder['prefix-length']}"))
    return ""


def _static(family: Json) -> Json:
    return family.get("addresses", {})


def _prefix(text: str) -> str:
    return str(ip_network(text, strict=False))


def _identity(value: str) -> str:
    return value.rpartition(":")[2]


def _list(node: Json, *names: str) -> list[Json]:
    for name in names:
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, list) else []
