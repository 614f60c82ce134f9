"""Owns `make bench-paths`: paths computed in time, near the optimum, and in pairs wherever there are pairs.

Every figure stands beside networkx or a linear program over links that answers the same question in the same run.
`python -m bench.paths`.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import networkx as nx

from bench.path_oracles import arc_program_optimum, has_disjoint_pair
from bench.published_networks import published
from bench.table import Row, row, write
from controller.model.units import BitRate
from controller.topology.demand import TunnelDemand
from controller.topology.disjoint import Disjointness, disjoint_pair
from controller.topology.network import LinkId, Network
from controller.topology.optimise import minimise_maximum_utilisation
from controller.topology.paths import NoPathError, PathRequest
from controller.topology.replan import Replanning, replan
from controller.topology.te_database import TeDatabase

REPLANNED = "sndlib/germany50"
BUDGET_MILLISECONDS = 100
PLACED = ("abilene", "geant", "germany50", "nobel-eu", "ta2")
PAIRED = ("abilene", "geant", "germany50", "nobel-eu")
SIZES = (50, 100, 200)
MOST_CUTS = 100
TUNNELS_PER_ROUTER = 10
WITHIN = 1.02
_PLACEMENTS: dict[str, dict[str, Any]] = {
    "shared": {},
    "on one path each": {"unsplit": True},
    "greedy": {"time_limit_seconds": 0.0},
}
T = TypeVar("T")
_NOTHING: frozenset[LinkId] = frozenset()


def _milliseconds(work: Callable[[], T]) -> tuple[float, T]:
    """Of CPU: computing paths is one thread's work, without waiting."""
    start = time.process_time()
    result = work()
    return 1000 * (time.process_time() - start), result


def _wires(network: Network) -> list[frozenset[LinkId]]:
    return sorted({network.both_directions([link_id]) for link_id in network.links}, key=sorted)


class NetworkxReplanner:
    """The same rule with networkx: remove the cut and what is too full, one Dijkstra per tunnel, largest first."""

    def __init__(self, placed: TeDatabase, tunnels: Sequence[TunnelDemand]) -> None:
        self._placed, self._tunnels = placed, tunnels
        self._links = placed.network.links

    def replanned(self, cut: frozenset[LinkId]) -> dict[str, int]:
        """The metric of the new path of each tunnel that has one."""
        taken = {name: reservation.links for name, reservation in self._placed.reservations.items()}
        affected = [one for one in self._tunnels if not cut.isdisjoint(taken[one.name])]
        graph = nx.DiGraph()
        graph.add_nodes_from(self._placed.network.nodes)
        for link_id, link in self._links.items():
            if link_id not in cut:
                left = self._placed.residual(link_id).bits_per_second
                graph.add_edge(link.source.node, link.target.node, weight=link.metric, left=left)
        for one in affected:
            for link_id in set(taken[one.name]) - cut:
                link = self._links[link_id]
                graph[link.source.node][link.target.node]["left"] += one.request.bandwidth.bits_per_second
        metrics = {}
        for one in sorted(affected, key=lambda one: (-one.request.bandwidth.bits_per_second, one.name)):
            rate = one.request.bandwidth.bits_per_second
            weight = lambda _a, _b, data, rate=rate: data["weight"] if data["left"] >= rate else None  # noqa: E731
            try:
                nodes = nx.dijkstra_path(graph, one.request.source, one.request.target, weight)
            except nx.NetworkXNoPath:
                continue
            metrics[one.name] = nx.path_weight(graph, nodes, "weight")
            for source, target in pairwise(nodes):
                graph[source][target]["left"] -= rate
        return metrics


def _cuts(network: Network, tunnels: Sequence[TunnelDemand]) -> tuple[list[float], list[float], list[Replanning]]:
    """Milliseconds of each wire's cut, ours and networkx's, and what ours found."""
    placed = replan(TeDatabase(network), tunnels, _NOTHING).database
    tunnels = [one for one in tunnels if one.name in placed.reservations]
    baseline = NetworkxReplanner(placed, tunnels)
    ours, theirs, found = [], [], []
    wires = _wires(network)
    for cut in wires[:: -(-len(wires) // MOST_CUTS)]:
        gc.collect()
        spent, result = _milliseconds(lambda cut=cut: replan(placed, tunnels, cut))
        ours.append(spent)
        spent, metrics = _milliseconds(lambda cut=cut: baseline.replanned(cut))
        theirs.append(spent)
        found.append(result)
        if len(metrics) == len(result.moved) + len(result.unroutable):
            same = sum(metrics[name] == path.metric for name, path in result.moved.items())
            assert same >= 0.9 * len(metrics), "both follow one rule; they differ only after equally short paths"
    return ours, theirs, found


def _replanning() -> Iterator[Row]:
    network, tunnels = published(REPLANNED)
    ours, theirs, found = _cuts(network, tunnels)
    what, unit, cuts = f"{REPLANNED} re-planned after a cut", "ms of CPU", len(ours)
    middle = statistics.median(ours), statistics.median(theirs)
    yield row(f"{what}, median", cuts, *middle, "networkx", unit, less_is_better=True)
    yield row(f"{what}, worst", cuts, max(ours), max(theirs), "networkx", unit, less_is_better=True)
    yield row(f"{what}, worst, budget", cuts, max(ours), BUDGET_MILLISECONDS, "the budget", unit, less_is_better=True)
    whole, placed = _milliseconds(lambda: replan(TeDatabase(network), tunnels, _NOTHING))
    name = "all tunnels of germany50 placed anew"
    yield row(name, len(placed.moved), whole, BUDGET_MILLISECONDS, "the budget", unit, less_is_better=True)
    share = statistics.mean(len(one.moved) / max(1, len(one.moved) + len(one.unroutable)) for one in found)
    yield row("affected tunnels with a new path, mean of cuts", cuts, 100 * share, 100, "all of them", "%")


def _quality() -> Iterator[Row]:
    for short in PLACED:
        network, demands = published(f"sndlib/{short}")
        database = TeDatabase(network)
        theirs, optimum = _milliseconds(lambda: arc_program_optimum(database, demands))  # noqa: B023
        count, baseline = len(demands), "LP over links"
        for what, options in _PLACEMENTS.items():
            spent, placed = _milliseconds(lambda: minimise_maximum_utilisation(database, demands, **options))  # noqa: B023
            name, used = f"{short} busiest link, {what}", placed.utilisation
            assert what != "shared" or used <= WITHIN * optimum, f"{name}: {used}, not within {WITHIN} of {optimum}"
            yield row(name, count, 100 * used, 100 * optimum, baseline, "% used", less_is_better=True)
            if what == "shared":
                yield row(f"{name}: time", count, spent, theirs, baseline, "ms of CPU", less_is_better=True)


def _pairs() -> Iterator[Row]:
    for short in PAIRED:
        network, demands = published(f"sndlib/{short}")
        ends = [(demand.request.source, demand.request.target) for demand in demands]
        for kind in (Disjointness.LINK, Disjointness.NODE):
            by_node = kind is Disjointness.NODE
            spent, found = _milliseconds(lambda: sum(_has_pair(network, *pair, kind) for pair in ends))  # noqa: B023
            theirs, there = _milliseconds(
                lambda: sum(has_disjoint_pair(network, *pair, by_node=by_node) for pair in ends)  # noqa: B023
            )
            assert found == there, f"{short}: {there} demands have a {kind}-disjoint pair, {found} were found"
            name, count, baseline = f"{short} demands with a {kind}-disjoint pair", len(ends), "those with a flow of 2"
            yield row(name, count, 100 * found / count, 100 * there / count, baseline, "%")
            each = spent / count, theirs / count
            yield row(f"{name}: time", count, *each, "networkx's flow", "ms of CPU", less_is_better=True)


def _has_pair(network: Network, source: str, target: str, kind: Disjointness) -> bool:
    try:
        disjoint_pair(TeDatabase(network), PathRequest(source, target), kind)
    except NoPathError:
        return False
    return True


def _growth() -> Iterator[Row]:
    first = 0.0
    for routers in SIZES:
        network, _ = published(f"gabriel/{routers}/0")
        ours, theirs, _ = _cuts(network, _tunnels(network))
        spent = statistics.median(ours)
        first = first or spent
        name = f"re-planned after a cut, {routers} routers, {routers * TUNNELS_PER_ROUTER} tunnels"
        yield row(name, len(ours), spent, statistics.median(theirs), "networkx", "ms of CPU", less_is_better=True)
        yield row(f"{name}, growth", routers, spent, first, f"{SIZES[0]} routers", "ms of CPU", less_is_better=True)


def _tunnels(network: Network) -> list[TunnelDemand]:
    """Ten a router between seeded ends, each a thousandth of the narrowest link."""
    draw = random.Random(len(network.nodes))
    rate = BitRate(min(link.capacity.bits_per_second for link in network.links.values()) // 1000)
    ends = [draw.sample(sorted(network.nodes), 2) for _ in range(len(network.nodes) * TUNNELS_PER_ROUTER)]
    requests = (replace(PathRequest(*pair), bandwidth=rate) for pair in ends)
    return [TunnelDemand(f"tunnel-{number}", request) for number, request in enumerate(requests)]


def main() -> None:
    write("paths", [*_replanning(), *_quality(), *_pairs(), *_growth()])


if __name__ == "__main__":
    main()
