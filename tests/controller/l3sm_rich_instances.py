"""L3SM instances that between them hold every leaf the mapping supports, and networks on which each leaf matters."""

from dataclasses import dataclass, field
from typing import Any

from controller.mapping.infrastructure import Infrastructure
from tests.controller.mapping_samples import access, network, port, router, service, site

ID = "ietf-l3vpn-svc:"
PROFILES = {
    "valid-provider-identifiers": {
        "qos-profile-identifier": [{"id": "gold"}],
        "bfd-profile-identifier": [{"id": "fast"}],
    }
}


@dataclass(frozen=True)
class Instance:
    name: str
    documents: tuple[Any, ...]
    profiles: Any = None
    on: Infrastructure = field(default_factory=network)


def dual_stack(number: int, **more: Any) -> dict[str, Any]:
    return {
        "ipv4": {
            "address-allocation-type": f"{ID}static-address",
            "addresses": {
                "provider-address": f"192.0.{number}.1",
                "customer-address": f"192.0.{number}.2",
                "prefix-length": 29,
            },
        },
        "ipv6": {
            "address-allocation-type": f"{ID}static-address",
            "addresses": {
                "provider-address": f"fd00:{number}::1",
                "customer-address": f"fd00:{number}::2",
                "prefix-length": 64,
            },
        },
        **more,
    }


def all_protocols(number: int) -> dict[str, Any]:
    lans = {
        "ipv4-lan-prefixes": [{"lan": f"10.{number}.0.0/16", "lan-tag": "office", "next-hop": f"192.0.{number}.2"}],
        "ipv6-lan-prefixes": [{"lan": f"fd10:{number}::/48", "lan-tag": "office6", "next-hop": f"fd00:{number}::2"}],
    }
    both = ["ipv4", "ipv6"]
    return {
        "routing-protocol": [
            {"type": f"{ID}direct"},
            {"type": f"{ID}static", "static": {"cascaded-lan-prefixes": lans}},
            {"type": f"{ID}bgp", "bgp": {"autonomous-system": 64600, "address-family": both}},
            {"type": f"{ID}ospf", "ospf": {"address-family": both, "area-address": "0.0.0.7", "metric": 20}},
            {"type": f"{ID}vrrp", "vrrp": {"address-family": both}},
        ]
    }


def rules() -> dict[str, Any]:
    def flow(family: str, source: str, target: str, **more: Any) -> dict[str, Any]:
        return {f"{family}-src-prefix": source, f"{family}-dst-prefix": target, **more}

    ports = {
        "l4-src-port": 99,
        "l4-src-port-range": {"lower-port": 1000, "upper-port": 2000},
        "l4-dst-port": 80,
        "l4-dst-port-range": {"lower-port": 8000, "upper-port": 8100},
    }
    return {
        "rule": [
            {
                "id": "r1",
                "match-flow": flow("ipv4", "10.1.0.0/16", "10.2.0.0/16", dscp=46, dot1p=5, **ports)
                | {"protocol-field": f"{ID}udp"},
                "target-class-id": "voice",
            },
            {
                "id": "r2",
                "match-flow": flow("ipv6", "fd10::/48", "fd20::/48", **{"protocol-field": 6}),
                "target-class-id": "data",
            },
            {"id": "r3", "match-application": f"{ID}mail", "target-class-id": "data"},
        ]
    }


def classes() -> dict[str, Any]:
    return {
        "class": [
            {
                "class-id": "voice",
                "direction": f"{ID}both",
                "rate-limit": "40.0",
                "latency": {"use-lowest-latency": [None]},
                "jitter": {"use-lowest-jitter": [None]},
                "bandwidth": {"guaranteed-bw-percent": "30.5", "end-to-end": [None]},
            },
            {
                "class-id": "data",
                "direction": f"{ID}site-to-wan",
                "latency": {"latency-boundary": 40},
                "jitter": {"latency-boundary": 9000},
                "bandwidth": {"guaranteed-bw-percent": "20.0"},
            },
        ]
    }


def custom_qos() -> dict[str, Any]:
    return {"qos-classification-policy": rules(), "qos-profile": {"classes": classes()}}


def standard_qos() -> dict[str, Any]:
    return {"qos-classification-policy": rules(), "qos-profile": {"profile": "gold"}}


def basics(**more: Any) -> dict[str, Any]:
    return {"svc-input-bandwidth": "100000000", "svc-output-bandwidth": "50000000", "svc-mtu": 1500, **more}


def bfd(**more: Any) -> dict[str, Any]:
    return {"oam": {"bfd": {"enabled": True, **more}}}


def location(**more: Any) -> dict[str, Any]:
    return {
        "location": [
            {
                "location-id": "main",
                "address": "1 High Street",
                "postal-code": "E14",
                "state": "England",
                "city": "London",
                "country-code": "GB",
                **more,
            }
        ]
    }


def site_level() -> Instance:
    inner = access(1, ip_connection=dual_stack(1, **bfd(**{"fixed-value": 300})), service=basics())
    del inner["routing-protocols"]
    return Instance(
        "what a site says for its accesses",
        (
            service(),
            site(
                "l",
                "London",
                "GB",
                inner,
                locations=location(),
                site_vpn_flavor=f"{ID}site-vpn-flavor-single",
                maximum_routes={
                    "address-family": [{"af": "ipv4", "maximum-routes": 100}, {"af": "ipv6", "maximum-routes": 200}]
                },
                service={"qos": custom_qos()},
                routing_protocols=all_protocols(1),
            ),
        ),
    )


def access_level() -> Instance:
    inner = access(
        2,
        site_network_access_type=f"{ID}multipoint",
        ip_connection=dual_stack(2, **bfd(**{"profile-name": "fast"})),
        service=basics(qos=custom_qos()),
        routing_protocols=all_protocols(2),
        availability={"access-priority": 150},
    )
    return Instance("what an access says", (service(), site("l", "London", "GB", inner)), PROFILES)


def standard_profiles() -> Instance:
    one, two = access(1, "a1", service=basics(qos=standard_qos())), access(2, "a2")
    return Instance(
        "standard QoS profiles",
        (service(), site("p", "Paris", "FR", one, two, service={"qos": standard_qos()})),
        PROFILES,
    )


def addressing() -> Instance:
    def server(family: str, provider: str, length: int, **more: Any) -> dict[str, Any]:
        kind = more.pop("kind", "provider-dhcp")
        return {
            family: {
                "address-allocation-type": f"{ID}{kind}",
                "provider-dhcp": {"provider-address": provider, "prefix-length": length, **more},
            }
        }

    def groups(start: str, end: str, single: str) -> dict[str, Any]:
        spans = [
            {"group-id": "g1", "start-address": start, "end-address": end},
            {"group-id": "g2", "start-address": single},
        ]
        return {"customer-addresses": {"address-group": spans}}

    def relay(family: str, provider: str, length: int, *servers: str) -> dict[str, Any]:
        return {
            family: {
                "address-allocation-type": f"{ID}provider-dhcp-relay",
                "dhcp-relay": {
                    "provider-address": provider,
                    "prefix-length": length,
                    "customer-dhcp-servers": {"server-ip-address": list(servers)},
                },
            }
        }

    number = {"number-of-dynamic-address": 20}
    connections = (
        server("ipv4", "10.9.0.1", 24, **number) | server("ipv6", "fd09::1", 64, **number),
        server("ipv4", "10.8.0.1", 24, **groups("10.8.0.10", "10.8.0.20", "10.8.0.99"))
        | server("ipv6", "fd08::1", 64, **groups("fd08::10", "fd08::20", "fd08::99")),
        relay("ipv4", "10.7.0.1", 24, "10.1.1.1", "10.1.1.2") | relay("ipv6", "fd07::1", 64, "fd01::1", "fd01::2"),
        server("ipv6", "fd06::1", 64, kind="provider-dhcp-slaac", **number),
        {"ipv6": {"address-allocation-type": f"{ID}slaac"}},
    )
    accesses = [
        access(n, f"a{n}", ip_connection=found, routing_protocols={"routing-protocol": [{"type": f"{ID}direct"}]})
        for n, found in enumerate(connections)
    ]
    return Instance("every way to get an address", (service(), site("p", "Paris", "FR", *accesses)))


def policies() -> Instance:
    def entry(name: str, filters: list[Any], *vpns: tuple[str, str]) -> dict[str, Any]:
        members = [{"vpn-id": vpn, "site-role": f"{ID}{role}"} for vpn, role in vpns]
        return {"id": name, "vpn": members} | ({"filters": {"filter": filters}} if filters else {})

    lan = {"type": f"{ID}lan", "lan-tag": ["office", "lab"]}
    v4 = {"type": f"{ID}ipv4", "ipv4-lan-prefix": ["10.1.0.0/16", "10.3.0.0/16"]}
    v6 = {"type": f"{ID}ipv6", "ipv6-lan-prefix": ["fd10::/48", "fd30::/48"]}
    policy = {
        "vpn-policy-id": "p1",
        "entries": [
            entry("e1", [], ("acme", "any-to-any-role")),
            entry("e2", [lan, v4, v6], ("hub", "spoke-role"), ("disjoint", "hub-role")),
        ],
    }
    inner = access(1, vpn_attachment={"vpn-policy-id": "p1"})
    return Instance(
        "a VPN policy over three VPNs",
        (
            service(),
            service("hub", "hub-spoke", "Hub Ltd"),
            service("disjoint", "hub-spoke-disjoint", "Disjoint Ltd"),
            site(
                "l",
                "London",
                "GB",
                inner,
                vpn_policies={"vpn-policy": [policy]},
                site_vpn_flavor=f"{ID}site-vpn-flavor-multi",
            ),
        ),
    )


def subscriptions() -> Instance:
    return Instance(
        "each access in a VPN of its own",
        (
            service(),
            service("hub", "hub-spoke", "Hub Ltd"),
            site(
                "l",
                "London",
                "GB",
                access(1, "a1"),
                access(2, "a2", "hub", "spoke-role"),
                site_vpn_flavor=f"{ID}site-vpn-flavor-sub",
            ),
            site("p", "Paris", "FR", access(3, "a1", "hub", "hub-role")),
        ),
    )


def constrained(kind: str, **target: Any) -> dict[str, Any]:
    return {"constraints": {"constraint": [{"constraint-type": f"{ID}{kind}", "target": target}]}}


def group(name: str, **more: Any) -> dict[str, Any]:
    return {"groups": {"group": [{"group-id": name}]}, **more}


def site_groups() -> Instance:
    watching = constrained("same-pe", group=[{"group-id": "g1"}])
    return Instance(
        "diversity against a site's group",
        (
            service(),
            site("l", "London", "GB", access(1, "a1"), site_diversity=group("g1")),
            site("m", "London", "GB", access(2, "a1", access_diversity=watching)),
        ),
    )


def access_groups() -> Instance:
    watching = constrained("same-pe", group=[{"group-id": "g3"}])
    return Instance(
        "diversity against an access's group",
        (
            service(),
            site("l", "London", "GB", access(3, "a1", access_diversity=group("g3"))),
            site("m", "London", "GB", access(4, "a1", access_diversity=watching)),
        ),
    )


def togetherness() -> Instance:
    other = access(2, "a2", access_diversity=constrained("same-pe", **{"all-other-accesses": [None]}))
    return Instance("diversity within a site", (service(), site("l", "London", "GB", access(1, "a1"), other)))


def all_groups() -> Instance:
    watching = group("g2", **constrained("same-pe", **{"all-other-groups": [None]}))
    return Instance(
        "diversity against all other groups",
        (
            service(),
            site("l", "London", "GB", access(1, "a1", access_diversity=group("g1"))),
            site("m", "London", "GB", access(2, "a1", access_diversity=watching)),
        ),
    )


def bearers() -> Instance:
    london = router("lon1", "London", "GB", 1, ports=(port("ge0"), port("ge1", bearer_type="fibre")))
    madrid = router("mad1", "Madrid", "ES", 2, ports=(port("ge0"), port("ge9", bearer_reference="B-77")))
    asked = {"requested-type": {"requested-type": "microwave", "strict": False}, "always-on": True}
    return Instance(
        "bearers",
        (
            service(),
            site("l", "London", "GB", access(1, bearer=asked)),
            site("m", "Madrid", "ES", access(2, bearer={"bearer-reference": "B-77"})),
        ),
        on=network(london, madrid),
    )


INSTANCES = (
    site_level(),
    access_level(),
    standard_profiles(),
    addressing(),
    policies(),
    subscriptions(),
    site_groups(),
    access_groups(),
    togetherness(),
    all_groups(),
    bearers(),
)
