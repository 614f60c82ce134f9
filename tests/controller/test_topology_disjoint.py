"""Disjoint pairs are found wherever there are any: against flows and exhaustive search on published networks."""

import random
from dataclasses import replace
from itertools import combinations

import networkx as nx
import pytest

from controller.model.identifiers import DeviceName
from controller.topology import disjoint, disjoint_exact
from controller.topology.disjoint import Disjointness, NoDisjointPairError, disjoint_pair
from controller.topology.disjoint_exact import exact_pair
from controller.topology.network import Link, Network, Path
from controller.topology.paths import NoPathError, PathRequest
from controller.topology.te_database import TeDatabase
from tests.controller.topology_samples import a_hundred, drawn, graph_of, plain, published_names, varied

NAMES = published_names(30)
SMALL = [name for name in published_names(10) if len(plain(name).links) <= 36]
A, D = DeviceName("a"), DeviceName("d")
# The shortest path a-b-c-d stands in the way of the only pair, a-c-d and a-b-d.
TRAP = drawn(("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("a", "c", 5), ("b", "d", 5))


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine may take its time: what is asked here is whether the answer is right."""
    monkeypatch.setattr(disjoint_exact, "EXACT_SECONDS", 60.0)


def pairs_of(network: Network, seed: str, count: int) -> list[tuple[DeviceName, DeviceName]]:
    draw = random.Random(seed)
    return [tuple(draw.sample(sorted(network.nodes), 2)) for _ in range(count)]


def wires(path: Path) -> set[frozenset[str]]:
    return {frozenset({str(link.source), str(link.target)}) for link in path.links}


def risks(path: Path, disjointness: Disjointness) -> set[object]:
    """What the other path must not share."""
    shared: set[object] = set(wires(path))
    if disjointness is Disjointness.NODE:
        shared |= set(path.nodes[1:-1])
    if disjointness is Disjointness.SRLG:
        shared |= {group for link in path.links for group in link.srlgs}
    return shared


def all_pairs(network: Network, request: PathRequest, disjointness: Disjointness) -> list[int]:
    """The totals of all disjoint pairs, by looking at every pair of simple paths."""
    every = nx.all_simple_edge_paths(graph_of(network), request.source, request.target)
    paths = [Path(tuple(network.links[key] for _, _, key in edges)) for edges in every]
    if request.delay_bound_seconds is not None:
        paths = [path for path in paths if path.delay_seconds <= request.delay_bound_seconds + 1e-12]
    marked = [(path.metric, risks(path, disjointness)) for path in paths]
    return [one[0] + other[0] for one, other in combinations(marked, 2) if one[1].isdisjoint(other[1])]


def found(database: TeDatabase, request: PathRequest, disjointness: Disjointness) -> tuple[Path, Path] | None:
    try:
        pair = disjoint_pair(database, request, disjointness)
    except NoPathError:
        return None
    assert risks(pair[0], disjointness).isdisjoint(risks(pair[1], disjointness))
    assert all((path.nodes[0], path.nodes[-1]) == (request.source, request.target) for path in pair)
    assert all(len(set(path.nodes)) == len(path.nodes) for path in pair)
    return pair


def flow_total(network: Network, source: str, target: str, *, split: bool) -> int | None:
    """The least total of two disjoint paths as a minimum cost flow in networkx; None when there are not two."""
    graph = nx.DiGraph()
    for node in network.nodes:
        through = 1 if split and node not in {source, target} else 2
        graph.add_edge((node, "in"), (node, "out"), capacity=through, weight=0)
    for link in network.links.values():
        graph.add_edge((link.source.node, "out"), (link.target.node, "in"), capacity=1, weight=link.metric)
    graph.add_edge("start", (source, "out"), capacity=2, weight=0)
    graph.nodes["start"]["demand"], graph.nodes[target, "in"]["demand"] = -2, 2
    try:
        return nx.min_cost_flow_cost(graph)
    except nx.NetworkXUnfeasible:
        return None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("disjointness", [Disjointness.LINK, Disjointness.NODE])
def test_a_pair_is_found_whenever_there_is_one_and_is_the_shortest(name: str, disjointness: Disjointness) -> None:
    network = varied(plain(name), name)
    for source, target in pairs_of(network, name, 2):
        expected = flow_total(network, source, target, split=disjointness is Disjointness.NODE)
        pair = found(TeDatabase(network), PathRequest(source, target), disjointness)
        assert (pair and pair[0].metric + pair[1].metric) == expected
        assert pair is None or pair[0].metric <= pair[1].metric


@pytest.mark.parametrize("name", a_hundred())
def test_an_srlg_disjoint_pair_is_found_whenever_the_exact_program_finds_one(name: str) -> None:
    database = TeDatabase(varied(plain(name), name))
    for source, target in pairs_of(database.network, name, 1):
        request = PathRequest(source, target)
        assert bool(found(database, request, Disjointness.SRLG)) == bool(exact(database, request, Disjointness.SRLG))


def exact(database: TeDatabase, request: PathRequest, disjointness: Disjointness) -> int:
    """The least total by the program alone, 0 without a pair."""
    network = database.network
    costs = [link.metric for link in network.arcs.links]
    ends = network.node_position(request.source), network.node_position(request.target)
    pair, is_sure = exact_pair(
        network.arcs,
        costs,
        ends,
        disjoint._shared(network, request, disjointness),
        disjoint.delay_bound(database, request),
    )
    assert is_sure
    return sum(costs[link] for hops in pair for link in hops) if pair else 0


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("disjointness", list(Disjointness))
@pytest.mark.parametrize("bound_milliseconds", [None, 8])
def test_on_small_networks_the_total_is_the_least_of_all_pairs(
    name: str, disjointness: Disjointness, bound_milliseconds: int | None
) -> None:
    network = varied(plain(name), name)
    bound = bound_milliseconds and bound_milliseconds / 1000
    for source, target in pairs_of(network, name, 2):
        request = PathRequest(source, target, delay_bound_seconds=bound)
        expected = min(all_pairs(network, request, disjointness), default=0)
        pair = found(TeDatabase(network), request, disjointness)
        assert (pair[0].metric + pair[1].metric if pair else 0) == expected
        assert exact(TeDatabase(network), request, disjointness) == expected
        assert pair is None or bound is None or max(path.delay_seconds for path in pair) <= bound + 1e-12


def test_the_shortest_path_is_given_up_where_it_leaves_no_partner() -> None:
    first, second = disjoint_pair(TeDatabase(TRAP), PathRequest(A, D), Disjointness.LINK)
    assert {first.nodes, second.nodes} == {("a", "b", "d"), ("a", "c", "d")}


def test_the_program_decides_where_the_search_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the shortest path alone the search would say that there is no pair."""
    monkeypatch.setattr(disjoint, "MOST_TRIED", 1)
    shared = [_in_group(link, 7, {"a", "b"}) for link in TRAP.links.values()]
    network = Network.of(TRAP.nodes.values(), shared)
    first, second = disjoint_pair(TeDatabase(network), PathRequest(A, D, delay_bound_seconds=0.0065), Disjointness.SRLG)
    assert {first.nodes, second.nodes} == {("a", "b", "d"), ("a", "c", "d")}


def _in_group(link: Link, group: int, ends: set[str]) -> Link:
    return replace(link, srlgs=frozenset({group})) if {link.source.node, link.target.node} == ends else link


def test_the_link_that_all_paths_pass_is_named() -> None:
    network = drawn(("a", "b", 1), ("a", "c", 1), ("b", "c", 1), ("c", "d", 1))
    with pytest.raises(NoDisjointPairError, match="every path that fits passes link c:core2>d:core0") as refused:
        disjoint_pair(TeDatabase(network), PathRequest(A, D), Disjointness.LINK)
    assert refused.value.bottleneck == "link c:core2>d:core0"


def test_the_node_that_all_paths_pass_is_named() -> None:
    network = drawn(("a", "b", 1), ("a", "b", 2), ("b", "d", 1), ("b", "d", 2))
    assert found(TeDatabase(network), PathRequest(A, D), Disjointness.LINK)
    with pytest.raises(NoDisjointPairError, match="passes node b"):
        disjoint_pair(TeDatabase(network), PathRequest(A, D), Disjointness.NODE)


def test_paths_in_one_conduit_are_not_srlg_disjoint() -> None:
    square = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 1), ("c", "d", 1))
    conduit = [_in_group(_in_group(link, 3, {"a", "b"}), 3, {"c", "d"}) for link in square.links.values()]
    database = TeDatabase(Network.of(square.nodes.values(), conduit))
    assert found(database, PathRequest(A, D), Disjointness.NODE)
    with pytest.raises(NoDisjointPairError, match="no srlg-disjoint pair of paths from a to d: whatever the first"):
        disjoint_pair(database, PathRequest(A, D), Disjointness.SRLG)


def test_where_there_is_not_even_one_path_the_constraint_is_named() -> None:
    with pytest.raises(NoPathError, match="delay bound"):
        disjoint_pair(TeDatabase(TRAP), PathRequest(A, D, delay_bound_seconds=0.001), Disjointness.LINK)
