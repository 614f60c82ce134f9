"""Single paths are the best there are: against networkx on every published network of up to 30 routers."""

import random
from dataclasses import replace
from itertools import islice

import networkx as nx
import pytest

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, LinkId
from controller.topology.paths import (
    Constraint,
    NoPathError,
    Objective,
    Path,
    PathRequest,
    explained,
    k_shortest,
    shortest_path,
)
from controller.topology.te_database import TeDatabase
from tests.controller.topology_samples import GIGABIT, drawn, graph_of, loaded, plain, published_names, varied

NAMES = published_names(30)
A, B, C, D = (DeviceName(name) for name in "abcd")
# a-b-d is short in metric and delay, a-c-d is long; ports are numbered in the order of the wires.
SQUARE = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 2), ("c", "d", 2))


def test_there_are_a_hundred_networks_to_try() -> None:
    assert len(NAMES) >= 100


def requests(database: TeDatabase, seed: str) -> list[PathRequest]:
    draw = random.Random(seed)
    nodes, links = sorted(database.network.nodes), sorted(database.network.links)
    wanted = []
    for _ in range(6):
        source, target, avoided = draw.sample(nodes, 3)
        wanted.append(
            PathRequest(
                source,
                target,
                bandwidth=BitRate(draw.randint(0, 5) * GIGABIT),
                delay_bound_seconds=draw.choice([None, draw.randint(3, 12) / 1000]),
                objective=draw.choice(list(Objective)),
                exclude_any=draw.choice([0, 0, 1]),
                include_any=draw.choice([0, 0, 6]),
                include_all=draw.choice([0, 0, 2]),
                avoid_links=frozenset(draw.sample(links, 2)),
                avoid_nodes=frozenset({avoided}),
                avoid_srlgs=frozenset({draw.randrange(12)}),
            )
        )
    return wanted


def fits(database: TeDatabase, request: PathRequest, link: Link) -> bool:
    """The oracle's own reading of a request."""
    mask = link.admin_group
    return (
        database.is_up(link.id)
        and (request.bandwidth == BitRate(0) or database.residual(link.id) >= request.bandwidth)
        and not mask & request.exclude_any
        and (not request.include_any or bool(mask & request.include_any))
        and mask & request.include_all == request.include_all
        and link.id not in request.avoid_links
        and not {link.source.node, link.target.node} & request.avoid_nodes
        and not link.srlgs & request.avoid_srlgs
    )


def weight(request: PathRequest, link: Link) -> float:
    return {Objective.IGP: link.metric, Objective.DELAY: link.delay_seconds, Objective.HOPS: 1}[request.objective]


def oracle_graph(database: TeDatabase, request: PathRequest) -> nx.DiGraph:
    """One edge per pair of nodes (published networks have no parallel wires)."""
    graph = nx.DiGraph()
    graph.add_nodes_from(database.network.nodes)
    for source, target, link in graph_of(database.network).edges(data="link"):
        if fits(database, request, link):
            graph.add_edge(source, target, weight=weight(request, link), delay=link.delay_seconds)
    return graph


def milliseconds(seconds: float) -> int:
    """Exact: the delays of varied networks are whole milliseconds."""
    return round(seconds * 1000)


def oracle_best(database: TeDatabase, request: PathRequest) -> float | None:
    """The weight of the best path: with a delay bound, in a graph of (node, milliseconds spent so far)."""
    graph = oracle_graph(database, request)
    if request.delay_bound_seconds is None:
        return _length(graph, request.source, request.target)
    bound = milliseconds(request.delay_bound_seconds)
    layers = nx.DiGraph()
    for source, target, data in graph.edges(data=True):
        spent = milliseconds(data["delay"])
        layers.add_weighted_edges_from(
            ((source, before), (target, before + spent), data["weight"]) for before in range(bound - spent + 1)
        )
    layers.add_node((request.source, 0))
    layers.add_weighted_edges_from(((request.target, spent), "end", 0) for spent in range(bound + 1))
    return _length(layers, (request.source, 0), "end")


def _length(graph: nx.DiGraph, source: object, target: object) -> float | None:
    try:
        return nx.shortest_path_length(graph, source, target, "weight")
    except nx.NetworkXNoPath:
        return None


def oracle_paths(database: TeDatabase, request: PathRequest, most: int) -> list[float]:
    """The weights of the best paths; with a delay bound, of all that are quick enough."""
    graph, ends = oracle_graph(database, request), (request.source, request.target)
    if not nx.has_path(graph, *ends):
        return []
    if request.delay_bound_seconds is None:
        paths = islice(nx.shortest_simple_paths(graph, *ends, "weight"), most)
        return [nx.path_weight(graph, nodes, "weight") for nodes in paths]
    bound = milliseconds(request.delay_bound_seconds)
    every = nx.all_simple_paths(graph, *ends, cutoff=bound)  # no link is quicker than a millisecond
    quick = [path for path in every if milliseconds(nx.path_weight(graph, path, "delay")) <= bound]
    return sorted(nx.path_weight(graph, path, "weight") for path in quick)[:most]


def cost(request: PathRequest, path: Path) -> float:
    return sum(weight(request, link) for link in path.links)


def ours(database: TeDatabase, request: PathRequest, most: int) -> list[Path]:
    try:
        return list(k_shortest(database, request, most))
    except NoPathError:
        return []


@pytest.mark.parametrize("name", NAMES)
def test_the_best_path_is_the_oracles(name: str) -> None:
    database = loaded(varied(plain(name), name), name)
    for request in requests(database, name):
        expected = oracle_best(database, request)
        if expected is None:
            with pytest.raises(NoPathError):
                shortest_path(database, request)
            continue
        path = shortest_path(database, request)
        assert cost(request, path) == pytest.approx(expected)
        assert all(fits(database, request, link) for link in path.links)
        assert request.delay_bound_seconds is None or path.delay_seconds <= request.delay_bound_seconds + 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_the_k_best_paths_are_the_oracles_in_order_and_without_loops(name: str) -> None:
    database = loaded(varied(plain(name), name), name)
    for request in requests(database, name)[:3]:
        wide = replace(request, bandwidth=BitRate(0), include_all=0, avoid_srlgs=frozenset(), include_any=0)
        if wide.delay_bound_seconds:
            wide = replace(wide, delay_bound_seconds=0.006)
        expected, paths = oracle_paths(database, wide, 8), ours(database, wide, 8)
        assert [cost(wide, path) for path in paths] == pytest.approx(expected)
        assert all(len(set(path.nodes)) == len(path.nodes) for path in paths)
        assert len({path.link_ids for path in paths}) == len(paths)


@pytest.mark.parametrize("name", NAMES)
def test_the_explanation_is_true(name: str) -> None:
    """Without the constraints that are named there is a path, and without only some of those that act together none."""
    database = loaded(varied(plain(name), name), name)
    lift = {
        Constraint.BANDWIDTH: {"bandwidth": BitRate(0)},
        Constraint.DELAY_BOUND: {"delay_bound_seconds": None},
        Constraint.EXCLUDE_ANY: {"exclude_any": 0},
        Constraint.INCLUDE_ANY: {"include_any": 0},
        Constraint.INCLUDE_ALL: {"include_all": 0},
        Constraint.AVOID_LINKS: {"avoid_links": frozenset()},
        Constraint.AVOID_NODES: {"avoid_nodes": frozenset()},
        Constraint.AVOID_SRLGS: {"avoid_srlgs": frozenset()},
    }

    def without(request: PathRequest, constraints: tuple[Constraint, ...]) -> bool:
        lifted = database
        for constraint in constraints:
            if constraint is Constraint.LINK_STATE:
                lifted = lifted.with_link_state(database.network.links, is_up=True)
            else:
                request = replace(request, **lift[constraint])
        return bool(ours(lifted, request, 1))

    for request in requests(database, name):
        if ours(database, request, 1):
            continue
        error = explained(database, request)
        named = error.constraints
        assert without(request, named) if named else not nx.has_path(graph_of(database.network), *_ends(request))
        assert " and " not in error.message or not any(without(request, (one,)) for one in named)


def _ends(request: PathRequest) -> tuple[DeviceName, DeviceName]:
    return request.source, request.target


def test_equal_paths_are_always_given_in_the_same_order() -> None:
    network = drawn(("a", "b", 1), ("b", "d", 1), ("a", "c", 1), ("c", "d", 1))
    again = drawn(("c", "d", 1), ("a", "c", 1), ("b", "d", 1), ("a", "b", 1))
    for drawing in (network, again):
        paths = k_shortest(TeDatabase(drawing), PathRequest(A, D), 4)
        assert {path.nodes for path in paths} == {("a", "b", "d"), ("a", "c", "d")}
        assert paths == k_shortest(TeDatabase(drawing), PathRequest(A, D), 4)


def test_parallel_wires_are_paths_of_their_own() -> None:
    network = drawn(("a", "b", 1), ("a", "b", 3))
    assert [path.metric for path in k_shortest(TeDatabase(network), PathRequest(A, B), 5)] == [1, 3]


def test_measured_delay_decides_the_quickest_path() -> None:
    request = PathRequest(A, D, objective=Objective.DELAY)
    database = TeDatabase(SQUARE).with_measured(LinkId("a:core0>b:core0"), delay_seconds=1.0)
    assert shortest_path(TeDatabase(SQUARE), request).nodes == ("a", "b", "d")
    assert shortest_path(database, request).nodes == ("a", "c", "d")


def test_a_longer_path_is_taken_where_it_alone_is_quick_enough() -> None:
    database = TeDatabase(SQUARE).with_measured(LinkId("a:core0>b:core0"), delay_seconds=1.0)
    assert shortest_path(database, PathRequest(A, D, delay_bound_seconds=0.1)).nodes == ("a", "c", "d")


def test_the_error_says_how_much_there_is() -> None:
    with pytest.raises(NoPathError, match=r"bandwidth \(wanted 20 Gbit/s, the widest path has 10 Gbit/s\)") as refused:
        shortest_path(TeDatabase(SQUARE), PathRequest(A, D, BitRate(20 * GIGABIT)))
    assert refused.value.constraints == (Constraint.BANDWIDTH,)


def test_the_error_says_how_quick_it_can_be() -> None:
    with pytest.raises(NoPathError, match=r"wanted 0\.001 s, the quickest path takes 0\.002 s"):
        shortest_path(TeDatabase(SQUARE), PathRequest(A, D, delay_bound_seconds=0.001))


def test_constraints_that_forbid_every_path_only_together_are_named_together() -> None:
    request = PathRequest(A, D, avoid_nodes=frozenset({B}), avoid_links=frozenset({LinkId("a:core1>c:core0")}))
    with pytest.raises(NoPathError, match="links to avoid or nodes to avoid"):
        shortest_path(TeDatabase(SQUARE), request)
    down = TeDatabase(drawn(("a", "b", 1))).with_link_state([LinkId("a:core0>b:core0")], is_up=False)
    with pytest.raises(NoPathError, match="link state and bandwidth"):
        shortest_path(down, PathRequest(A, B, BitRate(20 * GIGABIT)))


def test_ends_that_are_not_connected_are_said_to_be() -> None:
    with pytest.raises(NoPathError, match="not connected"):
        shortest_path(TeDatabase(drawn(("a", "b", 1), ("c", "d", 1))), PathRequest(A, D))


@pytest.mark.parametrize(
    "request_, kind, named",
    [
        (PathRequest(A, DeviceName("z")), NotFoundError, "'z'"),
        (PathRequest(A, D, avoid_nodes=frozenset({DeviceName("z")})), NotFoundError, "'z'"),
        (PathRequest(A, D, avoid_links=frozenset({LinkId("z:1>a:1")})), NotFoundError, "'z:1>a:1'"),
        (PathRequest(A, A), InvalidInputError, "from a to a begins where it ends"),
        (PathRequest(A, D, BitRate(-1)), InvalidInputError, "asks for -1 bit/s"),
        (PathRequest(A, D, delay_bound_seconds=-0.5), InvalidInputError, r"at most -0\.5 s"),
        (PathRequest(A, D, avoid_nodes=frozenset({D})), InvalidInputError, "its own end d"),
    ],
)
def test_a_request_that_cannot_be_is_refused(request_: PathRequest, kind: type[Exception], named: str) -> None:
    with pytest.raises(kind, match=named):
        shortest_path(TeDatabase(SQUARE), request_)


def test_no_paths_at_all_cannot_be_asked_for() -> None:
    with pytest.raises(InvalidInputError, match="0 paths"):
        k_shortest(TeDatabase(SQUARE), PathRequest(A, D), 0)


def test_a_path_knows_its_segments() -> None:
    links = [replace(link, segment=f"sid {link.id}") for link in SQUARE.links.values()]
    path = Path(tuple(islice((link for link in links if link.source.node == A), 1)))
    assert path.segments == ("sid a:core0>b:core0",)
