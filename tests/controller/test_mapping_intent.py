"""From a connectivity intent to L3SM: the drafts' own request, what is assumed, what stays, what is refused."""

from dataclasses import replace

import pytest

from controller.intent.model import (
    AddressAllocation,
    AddressFamily,
    ConnectivityRequest,
    Routing,
    SiteRequest,
    SiteRole,
    Topology,
    Validity,
)
from controller.mapping.intent_to_l3sm import l3sm_of_intent, withdrawal
from controller.mapping.service import L3smState, touched_document
from controller.model.errors import InvalidInputError, NotFoundError, NotSupportedError
from controller.model.units import BitRate, Duration
from tests.controller.mapping_samples import configuration, device_errors, l3sm_errors, make, network


def wish(*sites: SiteRequest, **more: object) -> ConnectivityRequest:
    request = ConnectivityRequest(
        customer="acme",
        vpn_id=None,
        sites=sites or (at("London", "GB"), at("Paris", "FR")),
        topology=Topology.ANY_TO_ANY,
        input_bandwidth=BitRate(200_000_000),
        output_bandwidth=BitRate(100_000_000),
        latency=None,
        availability_ppm=None,
        address_family=AddressFamily.IPV4,
        address_allocation=AddressAllocation.STATIC,
        routing=Routing.STATIC,
        qos_profile="",
        validity=Validity(),
        priority=5,
    )
    return replace(request, **more)  # type: ignore[arg-type]  # field values by name, checked by the dataclass


def at(city: str, country: str, role: SiteRole = SiteRole.ANY_TO_ANY, site_id: str = "") -> SiteRequest:
    return SiteRequest(city, country, site_id, role)


def test_the_drafts_request_becomes_a_valid_l3sm_with_two_sites_of_one_access() -> None:
    mapped = l3sm_of_intent(wish(), L3smState())
    document = touched_document(L3smState(), mapped.edit)
    assert l3sm_errors(document) == []
    sites = document["ietf-l3vpn-svc:l3vpn-svc"]["sites"]["site"]
    assert [site["locations"]["location"][0]["city"] for site in sites] == ["London", "Paris"]
    assert [len(site["site-network-accesses"]["site-network-access"]) for site in sites] == [1, 1]
    assert mapped.vpn_id == "acme-1"


def test_every_assumed_value_is_listed_with_its_path() -> None:
    assumed = dict(l3sm_of_intent(wish(), L3smState()).assumed)
    assert sum(path.endswith("/provider-address") for path in assumed) == 2
    assert any(path.endswith("/svc-mtu") and value == "1500" for path, value in assumed.items())


@pytest.mark.parametrize(
    "more",
    [
        {"routing": Routing.BGP, "address_family": AddressFamily.DUAL_STACK},
        {"routing": Routing.OSPF},
        {"routing": Routing.DIRECT, "address_allocation": AddressAllocation.DHCP},
        {
            "routing": Routing.DIRECT,
            "address_allocation": AddressAllocation.SLAAC,
            "address_family": AddressFamily.DUAL_STACK,
        },
        {"routing": Routing.VRRP},
        {"address_family": AddressFamily.IPV6},
        {"latency": Duration(20_000)},
        {"latency": Duration(20_000), "qos_profile": "gold"},
        {"qos_profile": "standard"},
    ],
)
def test_every_kind_of_wish_becomes_valid_l3sm_and_valid_configuration(more: dict[str, object]) -> None:
    mapped = l3sm_of_intent(wish(**more), L3smState())
    assert l3sm_errors(touched_document(L3smState(), mapped.edit)) == []
    state, _ = make(mapped.edit, on=replace(network(), qos_profiles=standard()))
    for device in ("lon1", "par1"):
        assert device_errors(configuration(state, device)) == []


def standard() -> object:
    from controller.mapping.infrastructure import STANDARD_QOS_PROFILES

    return STANDARD_QOS_PROFILES


def test_adding_a_city_keeps_the_addresses_of_the_others() -> None:
    first = l3sm_of_intent(wish(), L3smState())
    state, _ = make(first.edit)
    more = wish(at("London", "GB"), at("Paris", "FR"), at("Madrid", "ES"), vpn_id="acme-1")
    second = l3sm_of_intent(more, state)
    change = state.change(second.edit, network())
    assert set(change.edit.upserted_sites) == {"acme-1-madrid"}


def test_high_availability_becomes_two_accesses_on_different_routers() -> None:
    mapped = l3sm_of_intent(wish(at("London", "GB"), availability_ppm=999_990), L3smState())
    assert l3sm_errors(touched_document(L3smState(), mapped.edit)) == []
    state, _ = make(mapped.edit)
    assert {placement.device for placement in state.placements.values()} == {"lon1", "lon2"}


def test_a_hub_and_spoke_wish_needs_to_know_its_hubs() -> None:
    with pytest.raises(InvalidInputError, match="which sites are hubs"):
        l3sm_of_intent(wish(topology=Topology.HUB_SPOKE), L3smState())
    sites = (at("London", "GB", SiteRole.HUB), at("Paris", "FR", SiteRole.SPOKE))
    mapped = l3sm_of_intent(wish(*sites, topology=Topology.HUB_SPOKE), L3smState())
    assert l3sm_errors(touched_document(L3smState(), mapped.edit)) == []


def test_a_relay_and_a_nameless_profile_are_refused() -> None:
    with pytest.raises(NotSupportedError, match="relay"):
        l3sm_of_intent(wish(address_allocation=AddressAllocation.DHCP_RELAY, routing=Routing.DIRECT), L3smState())
    with pytest.raises(InvalidInputError, match="no QoS profile 'tin'"):
        l3sm_of_intent(wish(qos_profile="tin"), L3smState())


def test_a_withdrawal_deletes_the_vpn_with_its_sites() -> None:
    mapped = l3sm_of_intent(wish(), L3smState())
    state, _ = make(mapped.edit)
    state.apply(state.change(withdrawal("acme-1", state), network()))
    assert (state.fragments, state.identifiers.pools, state.sites, state.services) == ({}, {}, {}, {})
    with pytest.raises(NotFoundError):
        withdrawal("acme-1", state)
