"""Owns writing an L3SM edit (RFC 8299) for a connectivity intent, and saying what had to be assumed for it.

An intent says who, where and how well; L3SM also wants addresses, LANs, an MTU. These come from an `AddressPlan`, and
every value that nobody asked for is listed with its path, so that it can be shown and corrected.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    ConnectivityRequest,
    Routing,
    SiteRequest,
    SiteRole,
    Topology,
)
from controller.mapping.address_plan import AddressPlan
from controller.mapping.infrastructure import STANDARD_QOS_PROFILES, QosClass
from controller.mapping.l3sm import service_path, site_path
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smEdit
from controller.model.errors import InvalidInputError, NotFoundError, NotSupportedError
from controller.model.units import Duration

Json = Any
_ID = "ietf-l3vpn-svc:"
_ACCESS_IDS = ("primary", "secondary")
_PRIORITIES = (200, 100)


@dataclass(frozen=True, slots=True)
class IntentMapping:
    """The edit, and the values that were assumed for it, as (path, value)."""

    vpn_id: str
    edit: L3smEdit
    assumed: tuple[tuple[str, str], ...]


def l3sm_of_intent(
    request: ConnectivityRequest,
    state: L3smState,
    plan: AddressPlan | None = None,
    *,
    profiles: Mapping[str, tuple[QosClass, ...]] = STANDARD_QOS_PROFILES,
    former: ConnectivityRequest | None = None,
) -> IntentMapping:
    """The edit that makes an intent's connectivity. Sites that exist keep their addresses.

    `former` is what the intent asked for before: a site that is asked for no longer goes, and what others made of the
    service meanwhile (through RESTCONF) stays. `NotSupportedError` for what the plan cannot fill.
    """
    if not request.sites:
        raise InvalidInputError("the intent names no site", path="delivery/sites", remedy="name the cities to connect")
    return _Writer(request, state, plan or AddressPlan(), profiles).write(former)


def withdrawal(vpn_id: str, state: L3smState) -> L3smEdit:
    """The edit that deletes a VPN with its sites; sites that are in other VPNs too have to be changed by hand."""
    if vpn_id not in state.services:
        raise NotFoundError(f"there is no VPN service '{vpn_id}'", tag="data-missing")
    sites = tuple(site for site in state.vpn_sites.get(vpn_id, ()) if state.site_vpns[site] == (vpn_id,))
    return L3smEdit(deleted_services=(vpn_id,), deleted_sites=sites)


def _is_alike(one: ConnectivityRequest, other: ConnectivityRequest) -> bool:
    """Whether two requests want the same of each site."""
    return replace(one, sites=(), vpn_id=None) == replace(other, sites=(), vpn_id=None)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "site"


@dataclass(frozen=True, slots=True)
class _Place:
    """One access among those of its site."""

    index: int
    count: int
    known: Json
    """What the access is now, if it is."""
    numbers: Iterator[int]

    @property
    def access_id(self) -> str:
        """Its name."""
        return _ACCESS_IDS[self.index]


@dataclass(slots=True)
class _Writer:
    request: ConnectivityRequest
    state: L3smState
    plan: AddressPlan
    profiles: Mapping[str, tuple[QosClass, ...]]
    assumed: list[tuple[str, str]] = field(default_factory=list)
    vpn_id: str = ""

    def write(self, former: ConnectivityRequest | None) -> IntentMapping:
        self.vpn_id = self.request.vpn_id or self._free_vpn_id()
        numbers = self._free_numbers()
        sites: dict[str, Json] = {}
        for wanted in self.request.sites:
            site_id = wanted.site_id or self._free_site_id(wanted, sites)
            is_same = former is not None and wanted in former.sites and _is_alike(former, self.request)
            stored = self.state.sites.get(site_id) if is_same else None
            sites[site_id] = stored or self._site(site_id, wanted, numbers)
        deleted = set(self._left_out(former)) - sites.keys() if former else ()
        edit = L3smEdit(
            upserted_services={self.vpn_id: self._service()},
            upserted_sites=sites,
            deleted_sites=tuple(sorted(deleted)),
            profiles=self._profiles(),
        )
        return IntentMapping(self.vpn_id, edit, tuple(self.assumed))

    def _left_out(self, former: ConnectivityRequest) -> Iterator[str]:
        """Sites of the VPN in cities that were asked for before."""
        cities = {wanted.city for wanted in former.sites}
        named = {wanted.site_id for wanted in former.sites}
        for site_id in self.state.vpn_sites.get(self.vpn_id, ()):
            places = self.state.sites[site_id].get("locations", {}).get("location", [])
            if site_id in named or any(place.get("city") in cities for place in places):
                yield site_id

    def _assume(self, path: str, value: object) -> None:
        self.assumed.append((path, str(value)))

    def _free_vpn_id(self) -> str:
        base, number = _slug(self.request.customer), 1
        while (vpn_id := f"{base}-{number}") in self.state.services:
            number += 1
        self._assume(f"{service_path(vpn_id)}/vpn-id", vpn_id)
        return vpn_id

    def _free_site_id(self, wanted: SiteRequest, sites: dict[str, Json]) -> str:
        base, number = f"{self.vpn_id}-{_slug(wanted.city)}", 1
        site_id = base
        while site_id in sites or not self._is_ours(site_id, wanted):
            number += 1
            site_id = f"{base}-{number}"
        self._assume(f"{site_path(site_id)}/site-id", site_id)
        return site_id

    def _is_ours(self, site_id: str, wanted: SiteRequest) -> bool:
        """A site id that is free, or this VPN's own site in that city from an earlier intent."""
        known = self.state.sites.get(site_id)
        if known is None:
            return True
        places = known.get("locations", {}).get("location", [])
        return self.state.site_vpns.get(site_id) == (self.vpn_id,) and any(
            place.get("city") == wanted.city for place in places
        )

    def _free_numbers(self) -> Iterator[int]:
        """Numbers whose link no site of the VPN has."""
        taken = set()
        for site_id in self.state.vpn_sites.get(self.vpn_id, ()):
            taken |= set(_provider_addresses(self.state.sites[site_id]))
        number = 0
        while True:
            links = {self.plan.link(family, number)[0] for family in ("ipv4", "ipv6")}
            lans = {str(ipaddress.ip_network(self.plan.lan(family, number))[1]) for family in ("ipv4", "ipv6")}
            if taken.isdisjoint(links | lans):
                yield number
            number += 1

    def _service(self) -> Json:
        return {
            "vpn-id": self.vpn_id,
            "customer-name": self.request.customer,
            "vpn-service-topology": f"{_ID}{self.request.topology.value}",
        }

    def _profiles(self) -> Json:
        """The declared profiles with the intent's own; None when nothing is to be added."""
        name = self.request.qos_profile
        if not name or self.request.latency:
            return None
        known = self.state.profiles or {}
        valid = known.get("valid-provider-identifiers", {})
        declared = valid.get("qos-profile-identifier", [])
        if {"id": name} in declared:
            return None
        return {
            **known,
            "valid-provider-identifiers": {**valid, "qos-profile-identifier": [*declared, {"id": name}]},
        }

    def _site(self, site_id: str, wanted: SiteRequest, numbers: Iterator[int]) -> Json:
        known = {
            entry["site-network-access-id"]: entry
            for entry in self.state.sites.get(site_id, {})
            .get("site-network-accesses", {})
            .get("site-network-access", [])
        }
        count = 2 if (self.request.availability_ppm or 0) > self.plan.two_accesses_above_ppm else 1
        return {
            "site-id": site_id,
            "locations": {
                "location": [{"location-id": "main", "city": wanted.city, "country-code": wanted.country}],
            },
            "management": {"type": f"{_ID}customer-managed"},
            "site-network-accesses": {
                "site-network-access": [
                    self._access(site_id, wanted, _Place(index, count, known.get(_ACCESS_IDS[index]), numbers))
                    for index in range(count)
                ]
            },
        }

    def _access(self, site_id: str, wanted: SiteRequest, place: _Place) -> Json:
        path = (
            f"{site_path(site_id)}/site-network-accesses/site-network-access"
            f"[site-network-access-id='{place.access_id}']"
        )
        known = place.known
        if known is not None and self._still_fits(known):
            connection, routing = known["ip-connection"], known["routing-protocols"]
        else:
            connection, routing = self._addressed(path, next(place.numbers))
        self._assume(f"{path}/service/svc-mtu", self.plan.mtu)
        document = {
            "site-network-access-id": place.access_id,
            "site-network-access-type": f"{_ID}point-to-point",
            "location-reference": "main",
            "ip-connection": connection,
            "service": self._access_service(),
            "routing-protocols": routing,
            "vpn-attachment": {"vpn-id": self.vpn_id, "site-role": f"{_ID}{self._role(wanted).value}"},
        }
        return document | (self._redundancy(path, place) if place.count > 1 else {})

    def _redundancy(self, path: str, place: _Place) -> Json:
        self._assume(f"{path}/availability/access-priority", _PRIORITIES[place.index])
        self._assume(f"{path}/access-diversity/constraints", "pe-diverse from the site's other access")
        constraint = {"constraint-type": f"{_ID}pe-diverse", "target": {"all-other-accesses": [None]}}
        return {
            "access-diversity": {"constraints": {"constraint": [constraint]}},
            "availability": {"access-priority": _PRIORITIES[place.index]},
        }

    def _role(self, wanted: SiteRequest) -> SiteRole:
        if self.request.topology is not Topology.ANY_TO_ANY and wanted.role is SiteRole.ANY_TO_ANY:
            raise InvalidInputError(
                f"the topology {self.request.topology.value} needs to know which sites are hubs",
                path="delivery/hubs",
                remedy=f"say whether {wanted.city} is a hub",
            )
        return wanted.role

    def _families(self) -> tuple[str, ...]:
        family = self.request.address_family
        return ("ipv4", "ipv6") if family is AddressFamily.DUAL_STACK else (family.value,)

    def _still_fits(self, known: Json) -> bool:
        """Whether an access has the families and the routing that the intent asks for: then it keeps its addresses."""
        protocols = known.get("routing-protocols", {}).get("routing-protocol", [])
        types = [entry["type"].removeprefix(_ID) for entry in protocols]
        families = [name for name in ("ipv4", "ipv6") if name in known.get("ip-connection", {})]
        return tuple(families) == self._families() and types == [self.request.routing.value]

    def _addressed(self, path: str, number: int) -> tuple[Json, Json]:
        connection = {family: self._connection(path, family, number) for family in self._families()}
        return connection, {"routing-protocol": [self._routing(path, number)]}

    def _connection(self, path: str, family: str, number: int) -> Json:
        allocation, where = self.request.address_allocation, f"{path}/ip-connection/{family}"
        if allocation is AddressAllocation.STATIC:
            provider, customer, length = self.plan.link(family, number)
            self._assume(f"{where}/addresses/provider-address", provider)
            self._assume(f"{where}/addresses/customer-address", customer)
            addresses = {"provider-address": provider, "customer-address": customer, "prefix-length": length}
            return {"address-allocation-type": f"{_ID}static-address", "addresses": addresses}
        if allocation is AddressAllocation.SLAAC and family == "ipv6":
            return {"address-allocation-type": f"{_ID}slaac"}
        if allocation in {AddressAllocation.DHCP, AddressAllocation.SLAAC}:
            return self._dhcp(where, family, number)
        raise NotSupportedError(
            "an intent does not name the DHCP servers to relay to", path=where, remedy="order the site through L3SM"
        )

    def _dhcp(self, where: str, family: str, number: int) -> Json:
        lan = ipaddress.ip_network(self.plan.lan(family, number))
        self._assume(f"{where}/provider-dhcp/provider-address", lan[1])
        self._assume(f"{where}/provider-dhcp/number-of-dynamic-address", self.plan.dynamic_addresses)
        return {
            "address-allocation-type": f"{_ID}provider-dhcp",
            "provider-dhcp": {
                "provider-address": str(lan[1]),
                "prefix-length": lan.prefixlen,
                "number-of-dynamic-address": self.plan.dynamic_addresses,
            },
        }

    def _routing(self, path: str, number: int) -> Json:
        routing = self.request.routing
        where = f"{path}/routing-protocols/routing-protocol[type='{routing.value}']"
        entry: dict[str, Json] = {"type": f"{_ID}{routing.value}"}
        if routing is Routing.STATIC:
            return entry | {"static": {"cascaded-lan-prefixes": self._lans(where, number)}}
        if routing is Routing.BGP:
            self._assume(f"{where}/bgp/autonomous-system", self.plan.customer_asn)
            return entry | {
                "bgp": {"autonomous-system": self.plan.customer_asn, "address-family": list(self._families())}
            }
        if routing is Routing.OSPF:
            self._assume(f"{where}/ospf/area-address", self.plan.ospf_area)
            return entry | {"ospf": {"address-family": list(self._families()), "area-address": self.plan.ospf_area}}
        if routing is Routing.VRRP:
            return entry | {"vrrp": {"address-family": list(self._families())}}
        return entry

    def _lans(self, where: str, number: int) -> Json:
        if self.request.address_allocation is not AddressAllocation.STATIC:
            raise NotSupportedError(
                "static routes need the customer's address, which only static allocation fixes",
                path=where,
                remedy="ask for direct routing or static addresses",
            )
        found = {}
        for family in self._families():
            lan, hop = self.plan.lan(family, number), self.plan.link(family, number)[1]
            self._assume(f"{where}/static/cascaded-lan-prefixes/{family}-lan-prefixes/lan", lan)
            found[f"{family}-lan-prefixes"] = [{"lan": lan, "next-hop": hop}]
        return found

    def _access_service(self) -> Json:
        service: dict[str, Json] = {
            "svc-input-bandwidth": str(self.request.input_bandwidth.bits_per_second),
            "svc-output-bandwidth": str(self.request.output_bandwidth.bits_per_second),
            "svc-mtu": self.plan.mtu,
        }
        name = self.request.qos_profile
        if name and name not in self.profiles:
            raise InvalidInputError(
                f"there is no QoS profile '{name}'",
                path="delivery/qos-profile",
                remedy=f"use one of: {', '.join(sorted(self.profiles))}",
            )
        if self.request.latency is not None:
            classes = self.profiles[name] if name else (QosClass("all", "100.0"),)
            bound = [_class_document(found, self.request.latency) for found in classes]
            return service | {"qos": {"qos-profile": {"classes": {"class": bound}}}}
        return service | ({"qos": {"qos-profile": {"profile": name}}} if name else {})


def _class_document(found: QosClass, latency: Duration) -> Json:
    """A class with the intent's latency; L3SM counts whole milliseconds, so a bound is rounded down."""
    milliseconds = latency.microseconds // 1000
    if not milliseconds:
        raise NotSupportedError(f"a latency of {latency} is below L3SM's millisecond", path="properties/latency")
    bandwidth: dict[str, Json] = {"guaranteed-bw-percent": found.guaranteed_percent}
    document: dict[str, Json] = {
        "class-id": found.name,
        "direction": f"{_ID}{found.direction}",
        "latency": {"latency-boundary": min(milliseconds, found.latency_bound_milliseconds or milliseconds)},
        "bandwidth": bandwidth | ({"end-to-end": [None]} if found.end_to_end else {}),
    }
    if found.rate_limit:
        document["rate-limit"] = found.rate_limit
    if found.lowest_jitter:
        document["jitter"] = {"use-lowest-jitter": [None]}
    elif found.jitter_bound_microseconds is not None:
        document["jitter"] = {"latency-boundary": found.jitter_bound_microseconds}
    return document


def _provider_addresses(site: Json) -> Iterator[str]:
    for access in site.get("site-network-accesses", {}).get("site-network-access", []):
        for connection in access.get("ip-connection", {}).values():
            for holder in connection.values():
                if isinstance(holder, dict) and "provider-address" in holder:
                    yield holder["provider-address"]
