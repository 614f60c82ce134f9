"""Owns whose packets there are: a VPN of the consumer for each class of workload, and one of a tenant for each wire.

RFC 8299 documents, ordered as anybody's services are.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from controller.mapping.service_change import L3smEdit
from controller.scenarios.surroundings import Wire

Json = Any
_COUNTRIES = {"docklands": "GB", "london": "GB", "paris": "FR", "amsterdam": "NL", "frankfurt": "DE"}
_BIT_RATE = 20 * 10**9


def consumer_vpn(workload_class: str) -> str:
    """The consumer's VPN for a class; short, as routers name their instances after it."""
    return f"bank-{workload_class.partition('-')[0]}"


def tenant_vpn(a: str, z: str) -> str:
    """The VPN of whoever sends over a wire."""
    return f"tenant-{a[:3]}-{z[:3]}"


def everybody(classes: Iterable[str], consumer: tuple[str, str], wires: Sequence[Wire]) -> L3smEdit:
    """All of them, each with a site at both ends."""
    ends = {consumer_vpn(name): consumer for name in classes}
    ends |= {tenant_vpn(*wire[:2]): wire[:2] for wire in wires}
    sites = [
        _site(vpn, place, 2 * number + side)
        for number, (vpn, places) in enumerate(ends.items())
        for side, place in enumerate(places)
    ]
    return L3smEdit(
        upserted_services={
            vpn: {"vpn-id": vpn, "customer-name": vpn, "vpn-service-topology": "ietf-l3vpn-svc:any-to-any"}
            for vpn in ends
        },
        upserted_sites={site["site-id"]: site for site in sites},
    )


def _site(vpn: str, place: str, number: int) -> Json:
    location = {"location-id": "main", "city": place.title(), "country-code": _COUNTRIES[place]}
    return {
        "site-id": f"{vpn}-{place}-site",
        "locations": {"location": [location]},
        "management": {"type": "ietf-l3vpn-svc:customer-managed"},
        "site-network-accesses": {"site-network-access": [_access(vpn, number)]},
    }


def _access(vpn: str, number: int) -> Json:
    provider, customer = f"172.16.{number}.1", f"172.16.{number}.2"
    lan = {"lan": f"10.{number}.0.0/24", "next-hop": customer}
    return {
        "site-network-access-id": "main",
        "site-network-access-type": "ietf-l3vpn-svc:point-to-point",
        "location-reference": "main",
        "ip-connection": {
            "ipv4": {
                "address-allocation-type": "ietf-l3vpn-svc:static-address",
                "addresses": {"provider-address": provider, "customer-address": customer, "prefix-length": 30},
            }
        },
        "service": {"svc-input-bandwidth": str(_BIT_RATE), "svc-output-bandwidth": str(_BIT_RATE), "svc-mtu": 1500},
        "routing-protocols": {
            "routing-protocol": [
                {
                    "type": "ietf-l3vpn-svc:static",
                    "static": {"cascaded-lan-prefixes": {"ipv4-lan-prefixes": [lan]}},
                }
            ]
        },
        "vpn-attachment": {"vpn-id": vpn, "site-role": "ietf-l3vpn-svc:any-to-any-role"},
    }
