"""The simulated market: never above the optimum, the same for the same seed, and better off with prices that follow."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from controller.adapters.published_topology import published_network
from controller.cli.main import run
from controller.model.errors import InvalidInputError, NotFoundError
from controller.negotiation.candidates import CandidatePaths
from controller.negotiation.catalogue import Axis
from controller.negotiation.market import Outcome, Simulation, optimum_of
from controller.negotiation.market_flows import Flow, flows_of
from controller.negotiation.market_optimum import best_worth
from controller.topology.network import Network
from controller.topology.te_database import TeDatabase
from tests.controller.market_samples import CATALOGUE, POLICY, SQUARE
from tests.controller.topology_samples import drawn

ROUNDS = 90
GEANT = published_network("sndlib/geant")


def flows(network: Network, demand: float, seed: int = 1) -> tuple[Flow, ...]:
    return flows_of(CandidatePaths(TeDatabase(network)), CATALOGUE, seed, demand)


def outcome(network: Network, demand: float, *, follows: bool, rounds: int = ROUNDS) -> Outcome:
    buyers = flows(network, demand)
    simulation = Simulation(network, buyers, CATALOGUE, POLICY, follows=follows)
    simulation.run(rounds)
    return simulation.outcome(optimum_of(network, buyers, POLICY))


@pytest.fixture(scope="module")
def crowded() -> dict[bool, Outcome]:
    return {follows: outcome(GEANT, 4.0, follows=follows) for follows in (True, False)}


def test_no_pricing_does_better_than_the_optimum_or_sells_more_than_there_is(crowded: dict[bool, Outcome]) -> None:
    for each in crowded.values():
        assert 0 < each.worth_share < 1
        assert each.max_utilisation <= 1
        assert each.revenue_per_hour <= each.worth_per_hour


def test_where_there_is_too_little_prices_that_follow_serve_worth_and_not_who_came_first(
    crowded: dict[bool, Outcome],
) -> None:
    scarcity, flat = crowded[True], crowded[False]
    assert scarcity.worth_per_hour.minor / scarcity.served > 1.1 * flat.worth_per_hour.minor / flat.served
    assert scarcity.revenue_per_hour > flat.revenue_per_hour
    assert scarcity.max_utilisation < flat.max_utilisation
    assert flat.price_volatility == 0 < sum(scarcity.bands[1:])


def test_where_there_is_enough_nothing_is_scarce_and_everybody_stays() -> None:
    calm = outcome(GEANT, 0.5, follows=True)
    assert calm.bands == (len(GEANT.links), 0, 0, 0)
    assert calm.price_volatility == 0
    assert calm.settled_round is not None


def test_flows_that_answer_prices_come_to_rest(crowded: dict[bool, Outcome]) -> None:
    """Few move at a renewal once the market has had its time, and prices hardly differ from one to the next."""
    assert crowded[True].moved_share < 0.1
    assert crowded[True].price_volatility < 0.1


def test_the_same_seed_is_the_same_market_and_another_is_another() -> None:
    assert flows(GEANT, 2.0) == flows(GEANT, 2.0) != flows(GEANT, 2.0, seed=2)
    assert outcome(SQUARE, 2.0, follows=True, rounds=24) == outcome(SQUARE, 2.0, follows=True, rounds=24)


def test_the_optimum_is_at_least_that_of_serving_whole_flows_on_one_path_each() -> None:
    few = flows(SQUARE, 2.0)[:8]
    paths = CandidatePaths(TeDatabase(SQUARE))
    targets = {axis: replace(POLICY.scarcity.targets[axis], share=0.05) for axis in Axis}
    tight = replace(POLICY.scarcity, targets=targets)
    room = 0.05 * 10**10
    best = 0
    for picks in product(*([None, *flow.ways(paths)] for flow in few)):
        taken = {(axis, link): 0 for axis in Axis for link in range(8)}
        for flow, way in zip(few, picks, strict=True):
            for axis, link in product(flow.offering.axes, way.links if way else ()):
                taken[axis, link] += flow.offering.bit_rate
        if max(taken.values()) <= room:
            best = max(best, sum(f.worth_per_hour.minor for f, way in zip(few, picks, strict=True) if way))
    found = best_worth(paths, few, tight)
    assert best <= found + 1e-6
    assert found <= sum(flow.worth_per_hour.minor for flow in few) + 1e-6
    assert best_worth(paths, few, POLICY.scarcity) == pytest.approx(sum(flow.worth_per_hour.minor for flow in few))


@pytest.mark.parametrize("demand", [0.0, -1.0, float("nan"), 11.0])
def test_a_demand_that_is_none_is_refused(demand: float) -> None:
    with pytest.raises(InvalidInputError, match="demand"):
        flows(SQUARE, demand)


def test_a_network_without_links_has_no_market() -> None:
    with pytest.raises(InvalidInputError, match="two places"):
        flows(Network.of(SQUARE.nodes.values(), []), 1.0)


def test_a_published_network_has_its_places_and_fibres_both_ways() -> None:
    assert (len(GEANT.nodes), len(GEANT.links)) == (22, 72)
    assert all(link.reverse_id in GEANT.links for link in GEANT.links.values())
    with pytest.raises(NotFoundError, match="atlantis"):
        published_network("sndlib/atlantis")


def test_the_command_compares_both_pricings_with_the_optimum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "network.yaml"
    file.write_text(
        "nodes: [{name: a}, {name: b}, {name: c}]\nlinks:\n"
        "  - {source: 'a:1', target: 'b:1', capacity: 10 Gbit/s, delay: 2 ms}\n"
        "  - {source: 'b:2', target: 'c:1', capacity: 10 Gbit/s, delay: 2 ms}\n"
        "  - {source: 'a:2', target: 'c:2', capacity: 10 Gbit/s, delay: 9 ms}\n"
    )
    words = ["market", "simulate", "--topology", str(file), "--rounds", "24", "-o", "json"]
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["pricing"] for each in told["outcomes"]] == ["scarcity", "flat"]
    assert told["nodes"] == 3
    assert sum(told["outcomes"][0]["bands"].values()) == told["links"] == 6
    assert run(words[:-2]) == 0
    assert "WORTH SHARE" in capsys.readouterr().out


def test_the_command_says_which_topology_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["market", "simulate", "--topology", "sndlib/atlantis"]) != 0
    assert "atlantis" in capsys.readouterr().err


def test_flows_need_no_more_than_their_latency_lets_them_have() -> None:
    far = drawn(("a", "b", 3), ("b", "c", 3), ("a", "c", 500))
    paths = CandidatePaths(TeDatabase(far))
    for flow in flows(far, 2.0):
        assert flow.ways(paths)
        if flow.latency_seconds is not None:
            assert all(way.delay_seconds <= flow.latency_seconds for way in flow.ways(paths))
