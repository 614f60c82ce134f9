"""Owns the cheapest two paths that share no link, or no node.

Suurballe and Tarjan 1984, as two steps of minimum cost flow. Where there is only one path at a time, the flow shows
the link or node that all paths pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from controller.topology.network import Arcs
from controller.topology.search import BLOCKED, Hops, cheapest

_FAR = 1 << 200


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What all paths pass: a link, or a node (by position; the other is -1). Both -1: there is no path at all."""

    link: int = -1
    node: int = -1


@dataclass(frozen=True, slots=True)
class _Flow:
    """Edges that carry one path at most. First come the links, then for each node the way through it."""

    tails: list[int]
    heads: list[int]
    costs: list[int]
    leaving: list[list[int]]
    entering: list[list[int]]


def cheapest_two(
    arcs: Arcs, costs: Sequence[int], source: int, target: int, *, split_nodes: bool
) -> tuple[Hops, Hops] | Bottleneck:
    """Two paths of least total cost without a common link (`split_nodes`: without a common node), the cheaper first.

    Costs are above 0, so the two never use a wire in both directions: without that piece they would cost less.
    """
    flow = _flow(arcs, costs, (source, target), split_nodes=split_nodes)
    ends = _gate(source, inner=False), _gate(target, inner=False)
    used: set[int] = set()
    potentials = [0] * len(flow.leaving)
    for _ in range(2):
        costs_to, reached_by = _search(flow, used, potentials, ends[0])
        if costs_to[ends[1]] == _FAR:
            return _bottleneck(arcs, flow, used, costs_to)
        used ^= _steps(flow, used, reached_by, ends)
        potentials = [before + more for before, more in zip(potentials, costs_to, strict=True)]
    left = [cost if link in used else BLOCKED for link, cost in enumerate(costs)]
    first = cheapest(arcs, left, source, target)
    for link in first:
        left[link] = BLOCKED
    return first, cheapest(arcs, left, source, target)


def _gate(node: int, *, inner: bool) -> int:
    """A node's two vertices: links end at the inner and begin at the outer one, except where it is not split."""
    return 2 * node + (0 if inner else 1)


def _flow(arcs: Arcs, costs: Sequence[int], ends: tuple[int, int], *, split_nodes: bool) -> _Flow:
    flow = _Flow([], [], [], [[] for _ in range(2 * len(arcs.nodes))], [[] for _ in range(2 * len(arcs.nodes))])
    for link, cost in enumerate(costs):
        target = arcs.targets[link]
        head = _gate(target, inner=split_nodes and target not in ends)
        _add(flow, _gate(arcs.sources[link], inner=False), head, cost)
    if split_nodes:
        for node in range(len(arcs.nodes)):
            _add(flow, _gate(node, inner=True), _gate(node, inner=False), 0)
    return flow


def _add(flow: _Flow, tail: int, head: int, cost: int) -> None:
    edge = len(flow.tails)
    flow.tails.append(tail)
    flow.heads.append(head)
    flow.costs.append(cost)
    if cost != BLOCKED:
        flow.leaving[tail].append(edge)
        flow.entering[head].append(edge)


def _search(flow: _Flow, used: set[int], potentials: Sequence[int], source: int) -> tuple[list[int], list[int]]:
    """Dijkstra on reduced costs; used edges can be taken back, that is passed backwards."""
    costs_to, reached_by = [_FAR] * len(flow.leaving), [-1] * len(flow.leaving)
    costs_to[source] = 0
    queue = [(0, source)]
    while queue:
        cost, vertex = heappop(queue)
        if cost > costs_to[vertex]:
            continue
        steps = [(edge, flow.heads[edge], flow.costs[edge]) for edge in flow.leaving[vertex] if edge not in used]
        steps += [(edge, flow.tails[edge], -flow.costs[edge]) for edge in flow.entering[vertex] if edge in used]
        for edge, neighbour, edge_cost in steps:
            further = cost + edge_cost + potentials[vertex] - potentials[neighbour]
            if further < costs_to[neighbour]:
                costs_to[neighbour] = further
                reached_by[neighbour] = edge
                heappush(queue, (further, neighbour))
    return costs_to, reached_by


def _steps(flow: _Flow, used: set[int], reached_by: Sequence[int], ends: tuple[int, int]) -> set[int]:
    """The edges on the way to the target, taken or taken back."""
    source, vertex = ends
    steps = set()
    while vertex != source:
        edge = reached_by[vertex]
        steps.add(edge)
        vertex = flow.heads[edge] if edge in used else flow.tails[edge]
    return steps


def _bottleneck(arcs: Arcs, flow: _Flow, used: set[int], costs_to: Sequence[int]) -> Bottleneck:
    """The one used edge from what can still be reached to what cannot."""
    crossing = (edge for edge in used if costs_to[flow.tails[edge]] < _FAR == costs_to[flow.heads[edge]])
    edge = next(crossing, -1)
    links = len(arcs.links)
    return Bottleneck(node=edge - links) if edge >= links else Bottleneck(link=edge)
