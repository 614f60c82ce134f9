"""Rich L3SM instances on real sessions: committed, read back, changed leaf by leaf, deleted without a trace."""

import copy
from pathlib import Path
from typing import Any

import pytest

from controller.mapping.service_change import L3smEdit
from lab.network import NetworkOptions
from tests.controller.l3sm_rich_instances import INSTANCES, Instance, access_level, addressing, dual_stack, site_level
from tests.controller.mapping_samples import access, changed, edit, service, site
from tests.e2e.provider import edge, edges, open_provider

KINDS = ("full", "confirmed10", "candidate", "running", "restconf", "cli")
TOPOLOGY = edges(
    edge("lon1", "London", "GB", "docklands"),
    edge("lon2", "London", "GB", "slough"),
    edge("par1", "Paris", "FR", "par"),
    edge("mad1", "Madrid", "ES", "mad"),
)
PORTS = {
    "lon1": ({"name": "ge0", "card": "1"}, {"name": "ge1", "card": "2", "bearer_type": "fibre"}),
    "mad1": ({"name": "ge0"}, {"name": "ge1", "bearer_reference": "B-77"}),
}
ID = "ietf-l3vpn-svc:"


def kinds(turn: int) -> NetworkOptions:
    """A capability profile for each router, other ones each turn."""
    return NetworkOptions(
        profiles={node.name: KINDS[(turn + number) % len(KINDS)] for number, node in enumerate(TOPOLOGY.nodes)}
    )


def as_sold(instance: Instance) -> L3smEdit:
    """The instance, in the classes of the QoS profiles that a provider sells unless it says otherwise."""
    documents = copy.deepcopy(instance.documents)
    for holder in (holder for document in documents for holder in holders(document)):
        qos = holder.get("service", {}).get("qos", {})
        if "profile" in qos.get("qos-profile", {}):
            for rule in qos["qos-classification-policy"]["rule"]:
                rule["target-class-id"] = "business"
    return edit(*documents, profiles=instance.profiles)


def holders(document: Any) -> list[Any]:
    """What may hold a QoS policy: a site and its accesses."""
    return [document, *document.get("site-network-accesses", {}).get("site-network-access", ())]


def deletion(wanted: L3smEdit) -> L3smEdit:
    return L3smEdit(
        deleted_services=tuple(wanted.upserted_services),
        deleted_sites=tuple(wanted.upserted_sites),
        profiles={} if wanted.profiles else None,
    )


def roles(topology: str) -> Instance:
    """Hubs and spokes, two of them on each router."""

    def member(name: str, city: str, country: str, number: int, role: str) -> Any:
        return site(name, city, country, access(number, vpn_id="hs", role=role))

    return Instance(
        topology,
        (
            service("hs", topology),
            member("hub1", "London", "GB", 1, "hub-role"),
            member("hub2", "Madrid", "ES", 2, "hub-role"),
            member("hub3", "Madrid", "ES", 3, "hub-role"),
            member("spoke1", "Paris", "FR", 4, "spoke-role"),
            member("spoke2", "Paris", "FR", 5, "spoke-role"),
        ),
    )


def resilient() -> Instance:
    """Two accesses of a site in different buildings, one preferred, behind one virtual router of each family."""

    def member(name: str, last: int, priority: int) -> Any:
        connection = dual_stack(1)
        connection["ipv4"]["addresses"]["provider-address"] = f"192.0.1.{last}"
        connection["ipv6"]["addresses"]["provider-address"] = f"fd00:1::{last}"
        target = {"constraint-type": f"{ID}pop-diverse", "target": {"all-other-accesses": [None]}}
        return access(
            1,
            name,
            ip_connection=connection,
            routing_protocols={
                "routing-protocol": [{"type": f"{ID}vrrp", "vrrp": {"address-family": ["ipv4", "ipv6"]}}]
            },
            availability={"access-priority": priority},
            access_diversity={"constraints": {"constraint": [target]}},
        )

    return Instance(
        "a resilient site", (service(), site("l", "London", "GB", member("a1", 3, 120), member("a2", 4, 80)))
    )


def single_family() -> Instance:
    """Nothing but IPv6, OSPF and no static route."""
    connection = {"ipv6": dual_stack(3)["ipv6"]}
    ospf = {"type": f"{ID}ospf", "ospf": {"address-family": ["ipv6"], "area-address": "0.0.0.10"}}
    inner = access(3, ip_connection=connection, routing_protocols={"routing-protocol": [ospf]})
    return Instance("IPv6 alone", (service(), site("p", "Paris", "FR", inner)))


ALL = (*INSTANCES, roles("hub-spoke"), roles("hub-spoke-disjoint"), resilient(), single_family())


@pytest.mark.parametrize("turn, instance", list(enumerate(ALL)), ids=lambda value: getattr(value, "name", None))
async def test_a_rich_instance_comes_and_goes(turn: int, instance: Instance, tmp_path: Path) -> None:
    async with open_provider(tmp_path, TOPOLOGY, kinds(turn), ports=PORTS) as provider:
        before = provider.running()
        wanted = as_sold(instance)
        plan = await provider.commit(wanted)
        assert plan.changed
        await provider.assert_read_back_equal(before)
        assert provider.controller.planner.validate_services() == []
        await provider.commit(deletion(wanted))
        assert provider.running() == before
        assert not provider.controller.world.services.identifiers.pools


ACCESS = ("site-network-accesses", "site-network-access", 0)
CONNECTION = (*ACCESS, "ip-connection")
CLASS = ("service", "qos", "qos-profile", "classes", "class", 0)
RULE = ("service", "qos", "qos-classification-policy", "rule", 0, "match-flow")
POOLS = (*ACCESS[:2], 1, "ip-connection", "ipv6", "provider-dhcp", "customer-addresses")
CHANGES: tuple[tuple[Instance, tuple[tuple[Any, ...], ...], tuple[Any, ...]], ...] = (
    (
        site_level(),
        (
            ("maximum-routes", "address-family", 0, "maximum-routes"),
            (*CLASS, "bandwidth", "guaranteed-bw-percent"),
            (*RULE, "dscp"),
            ("routing-protocols", "routing-protocol", 2, "bgp", "autonomous-system"),
            ("routing-protocols", "routing-protocol", 3, "ospf", "metric"),
            ("routing-protocols", "routing-protocol", 4, "vrrp", "address-family"),
            (*CONNECTION, "oam", "bfd", "fixed-value"),
            (*CONNECTION, "ipv4", "addresses", "provider-address"),
            (*ACCESS, "service", "svc-mtu"),
        ),
        (77, "25.5", 12, 64999, 7, ["ipv6"], 900, "192.0.1.3", 1400),
    ),
    (
        access_level(),
        (
            (*ACCESS, "site-network-access-type"),
            (*ACCESS, *CLASS, "rate-limit"),
            (*ACCESS, "availability", "access-priority"),
            (*ACCESS, "service", "svc-input-bandwidth"),
            ("locations", "location", 0, "city"),
        ),
        (f"{ID}point-to-point", "10.0", 90, "70000000", "Paris"),
    ),
    (
        addressing(),
        (
            (*CONNECTION, "ipv4", "provider-dhcp", "number-of-dynamic-address"),
            (*POOLS, "address-group", 0, "end-address"),
            (*ACCESS[:2], 2, "ip-connection", "ipv4", "dhcp-relay", "customer-dhcp-servers", "server-ip-address"),
            (*ACCESS[:2], 3, "ip-connection", "ipv6", "provider-dhcp", "prefix-length"),
        ),
        (33, "fd08::30", ["10.1.1.2", "10.1.1.3"], 80),
    ),
)


@pytest.mark.parametrize(
    "turn, case", list(enumerate(CHANGES)), ids=lambda v: v[0].name if isinstance(v, tuple) else ""
)
async def test_a_rich_instance_changes_leaf_by_leaf_and_back(
    turn: int, case: tuple[Instance, tuple[tuple[Any, ...], ...], tuple[Any, ...]], tmp_path: Path
) -> None:
    instance, paths, values = case
    async with open_provider(tmp_path, TOPOLOGY, kinds(turn), ports=PORTS) as provider:
        before = provider.running()
        wanted = as_sold(instance)
        await provider.commit(wanted)
        first = provider.running()
        ((_, document),) = wanted.upserted_sites.items()
        for path, value in zip(paths, values, strict=True):
            last = provider.running()
            document = changed(document, path, value)
            if value == "Paris":
                document = changed(document, (*path[:-1], "country-code"), "FR")
            plan = await provider.commit(edit(document), f"set {path}")
            assert (
                {name for name, now in provider.running().items() if now != last[name]}
                == {device.device for device in plan.changed}
                != set()
            ), path
            await provider.assert_read_back_equal(before)
        await provider.commit(wanted, "as it was")
        assert provider.running() == first
        await provider.commit(deletion(wanted))
        assert provider.running() == before
