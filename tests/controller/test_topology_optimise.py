"""The busiest link is used as little as can be: against a linear program over links, from the textbook, in HiGHS."""

import random
from collections import defaultdict

import pytest

from bench.path_oracles import arc_program_optimum
from bench.published_networks import published
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.demand import TunnelDemand
from controller.topology.network import LinkId, Network
from controller.topology.optimise import Allocation, Method, minimise_maximum_utilisation
from controller.topology.paths import PathRequest
from controller.topology.te_database import TeDatabase
from tests.controller.topology_samples import GIGABIT, a_hundred, drawn, plain, varied

A, D = DeviceName("a"), DeviceName("d")
SQUARE = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 2), ("c", "d", 2))
NAMES = a_hundred()


def demand(name: str, gigabits: int, **constraints: object) -> TunnelDemand:
    return TunnelDemand(name, PathRequest(A, D, BitRate(gigabits * GIGABIT), **constraints))


def some_demands(network: Network, seed: str, count: int) -> list[TunnelDemand]:
    draw = random.Random(seed)
    ends = [draw.sample(sorted(network.nodes), 2) for _ in range(count)]
    return [
        TunnelDemand(f"t{number}", PathRequest(*pair, BitRate(draw.randint(1, 9) * GIGABIT)))
        for number, pair in enumerate(ends)
    ]


def busiest(database: TeDatabase, demands: list[TunnelDemand], allocation: Allocation) -> float:
    """Counted from the paths, and each of them checked on the way."""
    loads: dict[LinkId, float] = defaultdict(float)
    for one in demands:
        shares = allocation.shares[one.name]
        assert sum(fraction for _, fraction in shares) == pytest.approx(1)
        for path, fraction in shares:
            assert (path.nodes[0], path.nodes[-1]) == (one.request.source, one.request.target)
            for link in path.links:
                assert database.is_up(link.id)
                loads[link.id] += fraction * one.request.bandwidth.bits_per_second
    return max(
        (loads[link.id] + database.reserved(link.id).bits_per_second) / link.capacity.bits_per_second
        for link in database.network.links.values()
        if database.is_up(link.id)
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_utilisation_is_the_optimum(name: str) -> None:
    database = TeDatabase(varied(plain(name), name))
    demands = some_demands(database.network, name, 25)
    optimum = arc_program_optimum(database, demands)
    shared = minimise_maximum_utilisation(database, demands)
    assert shared.method is Method.LINEAR_PROGRAM
    assert shared.utilisation == pytest.approx(busiest(database, demands, shared))
    assert optimum * (1 - 1e-6) <= shared.utilisation <= optimum * 1.002
    assert shared.utilisation / 1.0011 <= shared.bound <= optimum * (1 + 1e-6)
    single = minimise_maximum_utilisation(database, demands, unsplit=True)
    assert all(len(paths) == 1 for paths in single.shares.values())
    assert single.utilisation == pytest.approx(busiest(database, demands, single))
    assert single.utilisation >= optimum * (1 - 1e-6)


@pytest.mark.parametrize("name", ["sndlib/abilene", "sndlib/geant", "sndlib/germany50"])
def test_published_demands_are_within_two_percent_of_the_optimum(name: str) -> None:
    network, demands = published(name)
    allocation = minimise_maximum_utilisation(TeDatabase(network), demands)
    assert allocation.utilisation <= 1.02 * arc_program_optimum(TeDatabase(network), demands)


def test_one_demand_is_shared_between_both_ways() -> None:
    allocation = minimise_maximum_utilisation(TeDatabase(SQUARE), [demand("only", 10)])
    assert allocation.utilisation == pytest.approx(0.5)
    assert sorted(fraction for _, fraction in allocation.shares["only"]) == pytest.approx([0.5, 0.5])


def test_what_is_reserved_already_counts() -> None:
    lower = SQUARE.path([LinkId("a:core1>c:core0"), LinkId("c:core1>d:core1")])
    database = TeDatabase(SQUARE).with_reservation("before", lower, BitRate(6 * GIGABIT))
    assert minimise_maximum_utilisation(database, [demand("only", 10)]).utilisation == pytest.approx(0.8)


def test_a_delay_bound_holds_for_every_share() -> None:
    allocation = minimise_maximum_utilisation(TeDatabase(SQUARE), [demand("only", 5, delay_bound_seconds=0.003)])
    assert [path.nodes for path, _ in allocation.shares["only"]] == [("a", "b", "d")]
    assert allocation.utilisation == pytest.approx(0.5)


def test_of_demands_alike_only_the_one_that_asks_keeps_off_lossy_links() -> None:
    lossy = TeDatabase(SQUARE).with_measured(LinkId("a:core0>b:core0"), loss_ratio=0.1)
    allocation = minimise_maximum_utilisation(lossy, [demand("any", 1), demand("clean", 1, link_loss_limit=0.01)], k=1)
    assert [path.nodes for path, _ in allocation.shares["clean"]] == [("a", "c", "d")]
    assert ("a", "b", "d") in [path.nodes for path, _ in allocation.shares["any"]]


def test_paths_that_were_not_among_the_k_shortest_are_found() -> None:
    allocation = minimise_maximum_utilisation(TeDatabase(SQUARE), [demand("only", 10)], k=1)
    assert allocation.utilisation == pytest.approx(0.5)


def test_a_demand_without_a_path_is_named_and_the_others_are_placed() -> None:
    demands = [demand("near", 10, delay_bound_seconds=0.001), demand("far", 10)]
    allocation = minimise_maximum_utilisation(TeDatabase(SQUARE), demands)
    assert "delay bound" in allocation.unroutable["near"]
    assert set(allocation.shares) == {"far"}


def test_more_than_fits_is_reported_as_a_utilisation_above_one() -> None:
    assert minimise_maximum_utilisation(TeDatabase(SQUARE), [demand("only", 30)]).utilisation == pytest.approx(1.5)


def test_without_time_the_placement_is_greedy_and_says_so() -> None:
    network, demands = published("sndlib/geant")
    allocation = minimise_maximum_utilisation(TeDatabase(network), demands, time_limit_seconds=0.0)
    assert (allocation.method, allocation.bound) == (Method.GREEDY, 0.0)
    assert allocation.utilisation == pytest.approx(busiest(TeDatabase(network), list(demands), allocation))
    assert allocation.utilisation < 0.7 - 0.01, "better than all on their shortest paths, which fill a link to 0.7"


def test_no_demands_leave_what_was_reserved() -> None:
    upper = SQUARE.path([LinkId("a:core0>b:core0")])
    database = TeDatabase(SQUARE).with_reservation("before", upper, BitRate(6 * GIGABIT))
    assert minimise_maximum_utilisation(database, []).utilisation == pytest.approx(0.6)


def test_a_demand_between_unknown_nodes_is_refused() -> None:
    lost = TunnelDemand("lost", PathRequest(A, DeviceName("z"), BitRate(1)))
    with pytest.raises(NotFoundError, match="'z'"):
        minimise_maximum_utilisation(TeDatabase(SQUARE), [lost])


def test_two_demands_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="'twice'"):
        minimise_maximum_utilisation(TeDatabase(SQUARE), [demand("twice", 1), demand("twice", 2)])
