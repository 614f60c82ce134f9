"""Which routers of a VPN measure one another, and through what."""

from collections import Counter

import pytest

from controller.mapping.measurement import free_number
from controller.mapping.service_measurement import EVERYBODY_UP_TO, End, ends_of, measurements_wanted, pairs_of
from controller.model.identifiers import DeviceName, Owner
from tests.controller.mapping_samples import access, edit, make, network, router, service, site

CITIES = ("London", "Paris", "Madrid", "Rome", "Berlin", "Vienna", "Oslo", "Athens", "Lisbon", "Dublin")
COUNTRIES = ("GB", "FR", "ES", "IT", "DE", "AT", "NO", "GR", "PT", "IE")
WIDE = network(*(router(f"r{n}", city, COUNTRIES[n], n + 1) for n, city in enumerate(CITIES)))
LOOPBACKS = {DeviceName(f"r{n}"): f"fc00::{n}" for n in range(len(CITIES))}


def vpn(count: int, topology: str = "any-to-any", roles: tuple[str, ...] = ()) -> tuple[End, ...]:
    sites = [
        site(f"s{n}", CITIES[n], COUNTRIES[n], access(n + 1, role=roles[n] if roles else "any-to-any-role"))
        for n in range(count)
    ]
    state, _ = make(edit(service(topology=topology), *sites), on=WIDE)
    return ends_of(state, "acme")


def wanted(ends: tuple[End, ...]) -> set[tuple[str, str]]:
    return {(one.device, one.target) for one in measurements_wanted("acme", ends, (), LOOPBACKS)}


@pytest.mark.parametrize("count", range(2, EVERYBODY_UP_TO + 1))
def test_the_routers_of_a_small_vpn_all_measure_each_other(count: int) -> None:
    assert len(wanted(vpn(count))) == count * (count - 1)


def test_in_a_large_vpn_everybody_is_measured_by_six_and_measures_six() -> None:
    pairs = [(end.device, other.device) for end, other in pairs_of(vpn(10))]
    assert len(pairs) == len(set(pairs)) == 60
    assert set(Counter(end for end, _ in pairs).values()) == {6}
    assert {(z, a) for a, z in pairs} == set(pairs)


def test_spokes_that_reach_each_other_through_the_hub_alone_are_measured_to_the_hub() -> None:
    ends = vpn(3, "hub-spoke", ("hub-role", "spoke-role", "spoke-role"))
    assert wanted(ends) == {("r0", "r1"), ("r1", "r0"), ("r0", "r2"), ("r2", "r0")}


def test_a_router_without_an_address_for_test_packets_measures_and_is_not_measured() -> None:
    ends = vpn(2)
    found = measurements_wanted("acme", ends, (), {DeviceName("r1"): "fc00::1"})
    assert [(one.device, one.target) for one in found] == [("r0", "r1")]


def test_a_vpn_on_one_router_has_nothing_to_measure() -> None:
    assert wanted(vpn(1)) == set()
    assert ends_of(make()[0], "nobody") == ()


def test_a_number_is_another_where_one_is_taken() -> None:
    owner = Owner("telemetry/l3vpn:acme/r1")
    first = free_number(set(), owner)
    second = free_number({first}, owner)
    assert first == free_number(set(), owner) != second
    assert 20_000 <= second < 1 << 16
