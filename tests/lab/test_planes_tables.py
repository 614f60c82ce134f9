"""Forwarding tables of all routers: shortest paths, segments, policies, VPNs, and packets through them."""

from dataclasses import replace

import pytest

from lab.planes import CandidatePath, PolicyState, SegmentList, SrPolicy
from lab.planes.fib import EndDt46, EndX, Local, Steering, Tables, View, resolve
from lab.planes.fib_walk import Delivered, Dropped, Way, walk, walk_core
from lab.topologies_topohub import topohub_topology
from tests.lab.plane_network import Configurations

UPPER = ("pe-london", "p-brussels", "pe-paris")
LOWER = ("pe-london", "p-lyon", "pe-paris")


@pytest.fixture
def configured() -> Configurations:
    found = Configurations()
    found.add_site("pe-london", 1, color=7)
    found.add_site("pe-paris", 2)
    return found


def cut(tables: Tables, link: str, *, known: bool = True) -> None:
    tables.links.set_link(link, up=False)
    tables.links_changed()
    if known:
        down = tables.links.without_carrier()
        tables.see(View(down, down))


def only(ways: tuple[Way, ...]) -> Way:
    (way,) = ways
    return way


def routers(way: Way) -> tuple[str, ...]:
    return tuple(hop.router for hop in way.hops)


def to_paris(tables: Tables) -> Way:
    return only(walk(tables, "pe-london", "acme", "192.168.2.9"))


def test_loopbacks_and_locators_are_reached_over_the_shortest_path(configured: Configurations) -> None:
    fib = Tables(configured.topology, configured).fib("pe-london")
    paris = configured.plan["pe-paris"]
    assert {hop.router for hop in fib.routes[f"{paris.loopback}/32"]} == {"p-brussels"}
    assert fib.routes[paris.locator] == fib.routes[f"{paris.loopback6}/128"]
    assert len(fib.routes) == 3 * 5
    assert f"{configured.plan['pe-london'].loopback}/32" not in fib.routes


def test_equal_paths_share_the_traffic(configured: Configurations) -> None:
    for router in configured.routers:
        for name, interface in configured.routers[router].interfaces.items():
            if interface.metric is not None and not interface.loopback:
                configured.change_interface(router, name, metric=10)
    tables = Tables(configured.topology, configured)
    ways = walk(tables, "pe-london", "acme", "192.168.2.9")
    assert {routers(way): way.share for way in ways} == {
        ("pe-london", "p-brussels"): 0.5,
        ("pe-london", "p-lyon"): 0.5,
    }


def test_a_packet_is_delivered_by_the_egress_routers_segment(configured: Configurations) -> None:
    tables = Tables(configured.topology, configured)
    assert tables.fib("pe-paris").segments[configured.routers["pe-paris"].instances[0].segment] == EndDt46("acme")
    way = to_paris(tables)
    assert way.end == Delivered("pe-paris", "acme", "access0.2")
    assert way.links == ("pe-london--p-brussels", "pe-paris--p-brussels")
    assert {hop.segments for hop in way.hops} == {1}


def test_a_static_route_leaves_over_the_interface_of_its_next_hop(configured: Configurations) -> None:
    vrf = Tables(configured.topology, configured).fib("pe-paris").vpn["acme"]
    assert vrf["192.168.2.0/24"] == Local("access0.2", "10.2.0.2")
    assert vrf["10.2.0.0/24"] == Local("access0.2")


def test_traffic_of_a_color_follows_the_policy_towards_the_egress_router(configured: Configurations) -> None:
    policy = configured.policy(7, LOWER)
    configured.change("pe-london", policies=(policy,))
    tables = Tables(configured.topology, configured)
    entry = tables.fib("pe-london").lookup("acme", "192.168.2.9")
    assert isinstance(entry, Steering)
    assert entry.policy == (7, policy.endpoint)
    assert routers(to_paris(tables)) == LOWER[:2]
    assert {hop.segments for hop in to_paris(tables).hops} == {3}
    assert tables.fib("pe-london").policies == (PolicyState(7, policy.endpoint, frozenset({1}), 1),)


def test_a_policy_of_another_color_or_endpoint_carries_nothing(configured: Configurations) -> None:
    for policy in (configured.policy(8, LOWER), configured.policy(7, ("pe-london", "p-lyon"))):
        configured.change("pe-london", policies=(policy,))
        entry = Tables(configured.topology, configured).fib("pe-london").lookup("acme", "192.168.2.9")
        assert isinstance(entry, Steering)
        assert entry.policy is None


def test_segment_lists_of_a_path_share_by_weight(configured: Configurations) -> None:
    lists = (SegmentList(configured.segments(*UPPER), 3), SegmentList(configured.segments(*LOWER), 1))
    endpoint = configured.plan["pe-paris"].loopback6
    configured.change("pe-london", policies=(SrPolicy(7, endpoint, paths=(CandidatePath(1, 100, lists),)),))
    ways = walk(Tables(configured.topology, configured), "pe-london", "acme", "10.2.0.2")
    assert {routers(way): way.share for way in ways} == {UPPER[:2]: 0.75, LOWER[:2]: 0.25}


def test_a_policy_switches_to_its_backup_when_a_segment_of_the_first_is_known_to_be_down(
    configured: Configurations,
) -> None:
    configured.change("pe-london", policies=(configured.policy(7, LOWER, UPPER),))
    tables = Tables(configured.topology, configured)
    assert routers(to_paris(tables)) == LOWER[:2]
    cut(tables, "pe-paris--p-lyon", known=False)
    assert to_paris(tables).end == Dropped(
        "p-lyon", f"the adjacency of segment {configured.adjacency('p-lyon', 'pe-paris')} over core1 is down"
    )
    tables.see(View(flooded=frozenset({"pe-paris--p-lyon"})))
    assert routers(to_paris(tables)) == UPPER[:2]
    assert tables.fib("pe-london").policies[0].valid == {2}
    assert tables.fib("pe-london").policies[0].active == 2


def test_a_head_end_needs_nobody_to_tell_it_of_its_own_port(configured: Configurations) -> None:
    configured.change("pe-london", policies=(configured.policy(7, LOWER, UPPER),))
    tables = Tables(configured.topology, configured)
    cut(tables, "pe-london--p-lyon", known=False)
    assert to_paris(tables).end == Delivered("pe-paris", "acme", "access0.2")
    assert tables.fib("pe-london").policies[0].active == 2


def test_without_a_valid_path_the_shortest_path_carries(configured: Configurations) -> None:
    configured.change("pe-london", policies=(configured.policy(7, LOWER),))
    tables = Tables(configured.topology, configured)
    cut(tables, "pe-paris--p-lyon")
    assert tables.fib("pe-london").policies[0].active is None
    assert routers(to_paris(tables)) == UPPER[:2]


def test_of_equal_preferences_the_higher_discriminator_carries(configured: Configurations) -> None:
    policy = configured.policy(7, LOWER, UPPER)
    configured.change(
        "pe-london",
        policies=(replace(policy, paths=tuple(replace(path, preference=100) for path in policy.paths[::-1])),),
    )
    assert Tables(configured.topology, configured).fib("pe-london").policies[0].active == 2


@pytest.mark.parametrize("segments", [(), ("fc00:0:99:e000::",), ("fc00:0:2:1::",)])
def test_a_path_of_no_unknown_or_foreign_segments_is_not_valid(
    configured: Configurations, segments: tuple[str, ...]
) -> None:
    endpoint = configured.plan["pe-paris"].loopback6
    path = CandidatePath(1, 100, (SegmentList(segments),))
    configured.change("pe-london", policies=(SrPolicy(7, endpoint, paths=(path,)),))
    assert Tables(configured.topology, configured).fib("pe-london").policies[0].valid == frozenset()


def test_node_segments_are_reached_over_the_shortest_path_between_them(configured: Configurations) -> None:
    lyon = configured.routers["p-lyon"].node_segments[0]
    tables = Tables(configured.topology, configured)
    way = only(walk_core(tables, "pe-london", configured.plan["pe-paris"].loopback6, (lyon,)))
    assert routers(way) == LOWER[:2]
    assert way.end == Delivered("pe-paris")


def test_a_restored_adjacency_is_used_by_its_own_router_before_the_others_know(configured: Configurations) -> None:
    tables = Tables(configured.topology, configured)
    segment = configured.adjacency("p-lyon", "pe-paris")
    cut(tables, "pe-paris--p-lyon")
    assert tables.fib("p-lyon").segments[segment] == EndX("core1", None)
    tables.links.set_link("pe-paris--p-lyon", up=True)
    tables.links_changed()
    action = tables.fib("p-lyon").segments[segment]
    assert isinstance(action, EndX)
    assert action.next_hop is not None
    assert action.next_hop.router == "pe-paris"


def test_packets_into_a_cut_link_are_lost_until_routing_knows(configured: Configurations) -> None:
    tables = Tables(configured.topology, configured)
    cut(tables, "pe-paris--p-brussels", known=False)
    assert to_paris(tables).end == Dropped("p-brussels", "link pe-paris--p-brussels is down")
    tables.see(View(converged=tables.links.without_carrier()))
    assert routers(to_paris(tables)) == LOWER[:2]


def test_a_silent_cut_takes_no_carrier_and_every_packet(configured: Configurations) -> None:
    tables = Tables(configured.topology, configured)
    tables.links.set_link("pe-paris--p-brussels", up=False, silent=True)
    tables.links_changed()
    assert tables.links.without_carrier() == frozenset()
    assert tables.links.cut() == {"pe-paris--p-brussels"}
    way = to_paris(tables)
    assert way.end == Dropped("p-brussels", "link pe-paris--p-brussels loses every packet")
    assert way.links[-1] == "pe-paris--p-brussels"


def test_vpns_with_the_same_addresses_stay_apart(configured: Configurations) -> None:
    configured.add_site("pe-london", 1, vpn="other", function=2, port="access1")
    configured.add_site("pe-madrid", 2, vpn="other", function=2, port="access1")
    tables = Tables(configured.topology, configured)
    assert only(walk(tables, "pe-london", "acme", "10.2.0.7")).end == Delivered("pe-paris", "acme", "access0.2")
    assert only(walk(tables, "pe-london", "other", "10.2.0.7")).end == Delivered("pe-madrid", "other", "access1.2")


def test_what_a_vrf_does_not_know_is_dropped_at_the_ingress(configured: Configurations) -> None:
    tables = Tables(configured.topology, configured)
    way = only(walk(tables, "pe-london", "acme", "172.16.0.1"))
    assert way.end == Dropped("pe-london", "VRF acme has no route to 172.16.0.1")
    assert only(walk(tables, "p-lyon", "acme", "10.2.0.2")).end == Dropped(
        "p-lyon", "VRF acme has no route to 10.2.0.2"
    )


def test_segments_that_lead_in_a_circle_end_at_the_hop_limit(configured: Configurations) -> None:
    there, back = configured.segments("pe-london", "p-lyon", "pe-london")
    endpoint = configured.plan["pe-paris"].loopback6
    path = CandidatePath(1, 100, (SegmentList((there, back) * 40),))
    configured.change("pe-london", policies=(SrPolicy(7, endpoint, paths=(path,)),))
    way = to_paris(Tables(configured.topology, configured))
    assert isinstance(way.end, Dropped)
    assert "loop" in way.end.reason


def test_a_change_of_services_leaves_the_shortest_paths_as_they_were_found(configured: Configurations) -> None:
    tables = Tables(configured.topology, configured)
    to_paris(tables)
    igp = tables.igp
    configured.change("pe-paris", instances=())
    tables.configuration_changed("pe-paris")
    assert to_paris(tables).end == Dropped("pe-london", "VRF acme has no route to 192.168.2.9")
    assert tables.igp is igp
    configured.change_interface("pe-london", "core0", metric=1_000_000)
    tables.configuration_changed("pe-london")
    assert tables.igp is not igp
    way = only(walk_core(tables, "pe-london", configured.plan["pe-paris"].loopback))
    assert routers(way) == LOWER[:2]


def test_tables_in_steps_equal_tables_from_scratch(configured: Configurations) -> None:
    tables = Tables(configured.topology, configured)
    for node in configured.topology.nodes:
        tables.fib(node.name)
    configured.add_site("pe-madrid", 3, function=3)
    tables.configuration_changed("pe-madrid")
    configured.change("pe-london", policies=(configured.policy(7, LOWER),))
    tables.configuration_changed("pe-london")
    cut(tables, "pe-paris--p-brussels")
    fresh = resolve(configured.topology, configured, frozenset({"pe-paris--p-brussels"}))
    assert {name: tables.fib(name) for name in fresh} == fresh
    assert fresh != resolve(configured.topology, configured)


def test_every_router_of_a_published_network_reaches_every_other() -> None:
    configured = Configurations(topohub_topology("sndlib/germany50"))
    fibs = resolve(configured.topology, configured)
    assert {len(fib.routes) for fib in fibs.values()} == {3 * 49}


def test_a_router_that_is_not_there_has_no_table(configured: Configurations) -> None:
    with pytest.raises(KeyError, match="no router 'pe-nowhere'"):
        Tables(configured.topology, configured).fib("pe-nowhere")
