"""Owns the searches over a network as numbers: cheapest path, cheapest within a delay bound, the k cheapest.

Costs are whole numbers, one per link by position; `BLOCKED` takes a link out. All answers are exact, without loops, and
the same for the same input: equal costs are decided by the order of the links' names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from controller.topology.network import Arcs

BLOCKED = -1
Hops = tuple[int, ...]
"""A path as positions of its links."""
_FAR = 1 << 200
_Trail = tuple[int, "_Trail | None"]


@dataclass(frozen=True, slots=True)
class Bound:
    """What the delays (by link, nanoseconds) of a path may add up to."""

    delays: Sequence[int]
    limit: int


def distances(arcs: Arcs, costs: Sequence[int], source: int, target: int = -1) -> tuple[list[int], list[int]]:
    """Dijkstra: from `source`, per node the cost (None reached: above any) and the link it is reached by.

    Ends early when `target` is reached; the other nodes are not all final then.
    """
    cost_to, reached_by = [_FAR] * len(arcs.nodes), [-1] * len(arcs.nodes)
    cost_to[source] = 0
    queue = [(0, source)]
    leaving = arcs.leaving
    while queue:
        cost, node = heappop(queue)
        if node == target:
            break
        if cost > cost_to[node]:
            continue
        for link, neighbour in leaving[node]:
            if costs[link] < 0:
                continue
            further = cost + costs[link]
            if further < cost_to[neighbour]:
                cost_to[neighbour] = further
                reached_by[neighbour] = link
                heappush(queue, (further, neighbour))
    return cost_to, reached_by


def trace(arcs: Arcs, reached_by: Sequence[int], target: int) -> Hops:
    """The path to `target` from the links that each node is reached by; empty when it is not reached."""
    hops = []
    while (link := reached_by[target]) >= 0:
        hops.append(link)
        target = arcs.sources[link]
    return tuple(reversed(hops))


def cheapest(arcs: Arcs, costs: Sequence[int], source: int, target: int, bound: Bound | None = None) -> Hops:
    """The cheapest path, or the cheapest of those within `bound`; empty when there is none."""
    hops = trace(arcs, distances(arcs, costs, source, target)[1], target)
    if not hops or bound is None or sum(bound.delays[link] for link in hops) <= bound.limit:
        return hops
    return _cheapest_within(arcs, costs, source, target, bound)


def _cheapest_within(arcs: Arcs, costs: Sequence[int], source: int, target: int, bound: Bound) -> Hops:
    """Label setting: labels leave the queue by cost, so one is worth keeping only if no earlier one was as quick."""
    delays, remaining = bound.delays, _delays_to(arcs, costs, target, bound.delays)
    quickest = [_FAR] * len(arcs.nodes)
    queue: list[tuple[int, int, int, int, _Trail | None]] = []
    label = 0
    if remaining[source] <= bound.limit:
        heappush(queue, (0, 0, label, source, None))
    while queue:
        cost, delay, _, node, trail = heappop(queue)
        if node == target:
            return _followed(trail)
        if delay >= quickest[node]:
            continue
        quickest[node] = delay
        for link, neighbour in arcs.leaving[node]:
            later = delay + delays[link]
            if costs[link] >= 0 and later + remaining[neighbour] <= bound.limit and later < quickest[neighbour]:
                label += 1
                heappush(queue, (cost + costs[link], later, label, neighbour, (link, trail)))
    return ()


def _delays_to(arcs: Arcs, costs: Sequence[int], target: int, delays: Sequence[int]) -> list[int]:
    """The least delay from each node to `target`."""
    least = [_FAR] * len(arcs.nodes)
    least[target] = 0
    queue = [(0, target)]
    while queue:
        delay, node = heappop(queue)
        if delay > least[node]:
            continue
        for link, before in arcs.entering[node]:
            if costs[link] >= 0 and delay + delays[link] < least[before]:
                least[before] = delay + delays[link]
                heappush(queue, (least[before], before))
    return least


def _followed(trail: "_Trail | None") -> Hops:
    hops = []
    while trail is not None:
        link, trail = trail
        hops.append(link)
    return tuple(reversed(hops))


def cheapest_first(
    arcs: Arcs, costs: Sequence[int], source: int, target: int, bound: Bound | None = None
) -> Iterator[Hops]:
    """All paths without loops, from the cheapest on (Yen 1971, with Lawler's rule where to leave a path)."""
    first = cheapest(arcs, costs, source, target, bound)
    queue = [(sum(costs[link] for link in first), first, 0)] if first else []
    given: list[Hops] = []
    while queue:
        _, path, left_at = heappop(queue)
        given.append(path)
        yield path
        for spur in range(left_at, len(path)):
            root = path[:spur]
            detour = _detour(arcs, costs, (root, path[spur:]), given, bound)
            if detour:
                whole = (*root, *detour)
                heappush(queue, (sum(costs[link] for link in whole), whole, spur))


def _detour(
    arcs: Arcs, costs: Sequence[int], parts: tuple[Hops, Hops], given: Sequence[Hops], bound: Bound | None
) -> Hops:
    """The cheapest way from the end of the root that no path given so far takes and no node of the root lies on."""
    root, rest = parts
    allowed = list(costs)
    for path in given:
        if path[: len(root)] == root:
            allowed[path[len(root)]] = BLOCKED
    for link in root:
        for leaving, _ in arcs.leaving[arcs.sources[link]]:
            allowed[leaving] = BLOCKED
    left = bound and Bound(bound.delays, bound.limit - sum(bound.delays[link] for link in root))
    return cheapest(arcs, allowed, arcs.sources[rest[0]], arcs.targets[rest[-1]], left)
