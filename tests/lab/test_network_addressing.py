"""The addressing plan: unique, matching across links, sessions on both sides."""

from ipaddress import ip_interface

import pytest

from lab.addressing import address_plan, route_reflectors
from lab.topologies_topohub import topohub_topology
from lab.topology import Topology


@pytest.fixture(scope="module")
def thousand() -> Topology:
    return topohub_topology("sndlib/germany50", routers=1000)


def test_no_address_is_given_twice(thousand: Topology) -> None:
    plan = address_plan(thousand)
    given = [address for own in plan.values() for pair in own.ports.values() for address in pair]
    given += [address for own in plan.values() for address in (own.loopback, own.loopback6, own.locator)]
    assert len(set(given)) == len(given)


def test_both_ends_of_a_link_are_in_one_subnet(thousand: Topology) -> None:
    plan = address_plan(thousand)
    for link in thousand.links:
        ends = zip(plan[link.a.node].ports[link.a.port], plan[link.b.node].ports[link.b.port], strict=True)
        assert all(ip_interface(a).network == ip_interface(b).network for a, b in ends)


def test_every_session_is_configured_on_both_sides(thousand: Topology) -> None:
    plan = address_plan(thousand)
    for name, own in plan.items():
        assert all(plan[peer].peers[name] == own.loopback for peer in own.peers)
        assert all(plan[peer].loopback == address for peer, address in own.peers.items())


def test_a_large_network_has_two_reflectors_and_no_mesh(thousand: Topology) -> None:
    reflectors = route_reflectors(thousand)
    plan = address_plan(thousand)
    assert [name for name, own in plan.items() if own.reflector] == sorted(reflectors)
    assert {len(own.peers) for own in plan.values()} == {2, 999}
