"""After a cut the untouched tunnels stay and the others find room in the order of their priority."""

import random
from dataclasses import replace

import networkx as nx
import pytest

from bench.published_networks import published
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.demand import TunnelDemand
from controller.topology.network import LinkId
from controller.topology.paths import PathRequest
from controller.topology.replan import replan
from controller.topology.te_database import TeDatabase
from tests.controller.topology_samples import GIGABIT, a_hundred, drawn, graph_of, plain, varied

A, D = DeviceName("a"), DeviceName("d")
SQUARE = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 2), ("c", "d", 2))
BD = SQUARE.both_directions([LinkId("b:core1>d:core0")])


def tunnel(name: str, gigabits: int, priority: int = 7) -> TunnelDemand:
    return TunnelDemand(name, PathRequest(A, D, BitRate(gigabits * GIGABIT)), priority)


def test_only_the_tunnels_on_the_cut_link_move() -> None:
    upper = SQUARE.path([LinkId("a:core0>b:core0"), LinkId("b:core1>d:core0")])
    lower = SQUARE.path([LinkId("a:core1>c:core0"), LinkId("c:core1>d:core1")])
    database = TeDatabase(SQUARE).with_reservation("up", upper, BitRate(3 * GIGABIT))
    database = database.with_reservation("low", lower, BitRate(4 * GIGABIT))
    after = replan(database, [tunnel("up", 3), tunnel("low", 4)], BD)
    assert after.moved == {"up": lower}
    assert (after.kept, after.unroutable) == (("low",), {})
    assert after.database.reserved(LinkId("a:core1>c:core0")) == BitRate(7 * GIGABIT)
    assert after.database.reserved(LinkId("a:core0>b:core0")) == BitRate(0)


def test_the_first_in_priority_gets_the_room_and_the_other_is_told_what_is_missing() -> None:
    first = replan(TeDatabase(SQUARE), [tunnel("big", 8), tunnel("urgent", 6, priority=0)], BD)
    assert set(first.moved) == {"urgent"}
    assert "bandwidth (wanted 8 Gbit/s, the widest path has 4 Gbit/s)" in first.unroutable["big"]


def test_among_equals_the_largest_comes_first() -> None:
    assert set(replan(TeDatabase(SQUARE), [tunnel("small", 6), tunnel("big", 8)], BD).moved) == {"big"}


def test_a_cut_of_a_link_that_is_not_there_is_an_error() -> None:
    with pytest.raises(NotFoundError, match="a:core9>b:core9"):
        replan(TeDatabase(SQUARE), [], frozenset({LinkId("a:core9>b:core9")}))


def test_a_tunnel_between_unknown_nodes_is_an_error() -> None:
    with pytest.raises(NotFoundError, match="'z'"):
        replan(TeDatabase(SQUARE), [TunnelDemand("t", PathRequest(A, DeviceName("z")))], BD)


def test_two_tunnels_of_one_name_are_an_error() -> None:
    with pytest.raises(InvalidInputError, match="same name"):
        replan(TeDatabase(SQUARE), [tunnel("t", 1), tunnel("t", 2)], BD)


@pytest.mark.parametrize("name", a_hundred())
def test_every_tunnel_takes_the_best_path_of_what_was_left_when_its_turn_came(name: str) -> None:
    draw = random.Random(name)
    network = varied(plain(name), name)
    tunnels = []
    for number in range(12):
        source, target = draw.sample(sorted(network.nodes), 2)
        request = PathRequest(source, target, BitRate(draw.randint(1, 3) * GIGABIT))
        tunnels.append(TunnelDemand(f"t{number}", request, draw.randrange(8)))
    before = replan(TeDatabase(network), tunnels, frozenset()).database
    cut = network.both_directions([draw.choice(sorted(network.links))])
    after = replan(before, tunnels, cut)

    left = {link_id: link.capacity.bits_per_second for link_id, link in network.links.items() if link_id not in cut}
    for kept in after.kept:
        assert after.database.reservations[kept] == before.reservations[kept]
        for link_id in before.reservations[kept].links:
            left[link_id] -= before.reservations[kept].bit_rate.bits_per_second
    for one in sorted(
        (one for one in tunnels if one.name not in after.kept),
        key=lambda one: (one.priority, -one.request.bandwidth.bits_per_second, one.name),
    ):
        wanted = one.request.bandwidth.bits_per_second
        graph = nx.DiGraph()
        graph.add_nodes_from(network.nodes)
        for source, target, link in graph_of(network).edges(data="link"):
            if left.get(link.id, -1) >= wanted:
                graph.add_edge(source, target, weight=link.metric)
        if one.name in after.unroutable:
            assert not nx.has_path(graph, one.request.source, one.request.target)
            continue
        path = after.moved[one.name]
        assert path.metric == nx.shortest_path_length(graph, one.request.source, one.request.target, "weight")
        for link_id in path.link_ids:
            left[link_id] -= wanted
            assert left[link_id] >= 0
    assert all(after.database.residual(link_id).bits_per_second == rate for link_id, rate in left.items())


def test_all_demands_of_germany50_survive_any_single_cut_at_half_their_rate() -> None:
    network, demands = published("sndlib/germany50")
    halves = [
        replace(one, request=replace(one.request, bandwidth=BitRate(one.request.bandwidth.bits_per_second // 2)))
        for one in demands
    ]
    placed = replan(TeDatabase(network), halves, frozenset()).database
    for link_id in sorted(network.links)[::20]:
        after = replan(placed, halves, network.both_directions([link_id]))
        assert not after.unroutable
        assert len(after.moved) + len(after.kept) == len(demands)
