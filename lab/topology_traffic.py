"""Traffic on a topology: seeded gravity demands, shortest-path loads, line rates that carry them, shared conduits.

Owns what published topologies leave out. Everything is a pure function of its arguments: the same seed gives the same
network on every machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import atan2, cos, degrees, exp, radians, sin

from lab.topology import Site

LINE_RATES = (10 * 10**9, 40 * 10**9, 100 * 10**9, 400 * 10**9)
MAXIMUM_UTILISATION = 0.7
_CONDUIT_DEGREES = 30.0
_LARGEST_GRAVITY = 80  # sites with traffic of their own: demands grow with the square

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Graph:
    """An undirected graph with a positive length for each edge; edges are written once, in the given order."""

    nodes: tuple[str, ...]
    lengths: Mapping[Edge, float]

    def neighbours(self) -> dict[str, list[tuple[str, float]]]:
        """For each node its neighbours with the edge's length, in a fixed order."""
        found: dict[str, list[tuple[str, float]]] = {node: [] for node in self.nodes}
        for (a, b), length in self.lengths.items():
            found[a].append((b, length))
            found[b].append((a, length))
        return found


def seeded_fraction(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but `parts`, the same in every process."""
    digest = sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def gravity_demands(graph: Graph, *, seed: str) -> dict[tuple[str, str], float]:
    """Relative demands between the heaviest nodes: mass times mass, mass from the degree and a seeded factor."""
    degree = {node: len(near) for node, near in graph.neighbours().items()}
    masses = {node: degree[node] * exp(2 * seeded_fraction(seed, node)) for node in graph.nodes}
    heavy = set(sorted(masses, key=lambda node: (-masses[node], node))[:_LARGEST_GRAVITY])
    ends = [node for node in graph.nodes if node in heavy]
    return {(a, b): masses[a] * masses[b] for a in ends for b in ends if a != b}


def shortest_path_loads(graph: Graph, demands: Mapping[tuple[str, str], float]) -> dict[Edge, float]:
    """The load of each edge, the larger of its two directions, when every demand takes its one shortest path."""
    loads = directed_shortest_path_loads(graph, demands)
    return {(a, b): max(loads.get((a, b), 0.0), loads.get((b, a), 0.0)) for a, b in graph.lengths}


def directed_shortest_path_loads(
    graph: Graph, demands: Mapping[tuple[str, str], float]
) -> dict[tuple[str, str], float]:
    """The load from node to node over each edge that carries any, when every demand takes its one shortest path.

    Demands between nodes that no path joins load nothing. Ties are broken by node name.
    """
    neighbours = graph.neighbours()
    by_source: dict[str, dict[str, float]] = {}
    for (source, target), rate in demands.items():
        by_source.setdefault(source, {})[target] = rate
    loads: dict[tuple[str, str], float] = {}
    for source, targets in by_source.items():
        order, parent, _ = _shortest_path_tree(neighbours, source)
        through = {node: targets.get(node, 0.0) for node in order}
        for node in reversed(order[1:]):
            before = parent[node]
            loads[before, node] = loads.get((before, node), 0.0) + through[node]
            through[before] += through[node]
    return loads


def shortest_path_length(graph: Graph, source: str, target: str) -> float | None:
    """The length of the shortest path, None when there is no path."""
    _, parent, distance = _shortest_path_tree(graph.neighbours(), source)
    return distance[target] if target == source or target in parent else None


def _shortest_path_tree(
    neighbours: Mapping[str, Sequence[tuple[str, float]]], source: str
) -> tuple[list[str], dict[str, str], dict[str, float]]:
    distance = {source: 0.0}
    parent: dict[str, str] = {}
    order: list[str] = []
    done: set[str] = set()
    queue = [(0.0, source)]
    while queue:
        length, node = heapq.heappop(queue)
        if node in done:
            continue
        done.add(node)
        order.append(node)
        for near, step in neighbours[node]:
            candidate = length + step
            if near not in done and (candidate, node) < (distance.get(near, float("inf")), parent.get(near, "")):
                distance[near] = candidate
                parent[near] = node
                heapq.heappush(queue, (candidate, near))
    return order, parent, distance


def scale_to_largest_rate(loads: Mapping[Edge, float]) -> float:
    """The factor on all demands that fills the busiest edge to the maximum utilisation of the largest line rate."""
    busiest = max(loads.values(), default=0.0)
    return MAXIMUM_UTILISATION * LINE_RATES[-1] / busiest if busiest else 1.0


def line_rate_for(load_bit_rate: float) -> int:
    """The smallest line rate in bit/s that carries the load at no more than the maximum utilisation."""
    for rate in LINE_RATES:
        if load_bit_rate <= rate * MAXIMUM_UTILISATION * (1 + 1e-9):
            return rate
    return LINE_RATES[-1]


def shared_conduits(edges: Iterable[Edge], sites: Mapping[str, Site]) -> dict[Edge, tuple[int, ...]]:
    """SRLGs by edge: edges that leave a site in nearly the same direction share the duct out of it.

    Directions within 30 degrees of the first of a group count as the same. Identifiers count from 1 in the order of
    sites; an edge alone in its duct has none there.
    """
    leaving: dict[str, list[tuple[float, Edge]]] = {}
    edges = list(edges)
    for a, b in edges:
        leaving.setdefault(a, []).append((_bearing_degrees(sites[a], sites[b]), (a, b)))
        leaving.setdefault(b, []).append((_bearing_degrees(sites[b], sites[a]), (a, b)))
    srlgs: dict[Edge, list[int]] = {edge: [] for edge in edges}
    number = 0
    for node in sites:
        for duct in _ducts(sorted(leaving.get(node, []))):
            number += 1
            for edge in duct:
                srlgs[edge].append(number)
    return {edge: tuple(groups) for edge, groups in srlgs.items()}


def _ducts(directions: Sequence[tuple[float, Edge]]) -> list[list[Edge]]:
    groups: list[tuple[float, list[Edge]]] = []
    for bearing, edge in directions:
        if groups and bearing - groups[-1][0] <= _CONDUIT_DEGREES:
            groups[-1][1].append(edge)
        else:
            groups.append((bearing, [edge]))
    return [edges for _, edges in groups if len(edges) > 1]


def _bearing_degrees(a: Site, b: Site) -> float:
    lat_a, lat_b = radians(a.latitude), radians(b.latitude)
    delta = radians(b.longitude - a.longitude)
    east = sin(delta) * cos(lat_b)
    north = cos(lat_a) * sin(lat_b) - sin(lat_a) * cos(lat_b) * cos(delta)
    return degrees(atan2(east, north)) % 360
