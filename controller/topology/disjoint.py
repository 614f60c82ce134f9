"""Owns pairs of paths that do not fail together: link-, node- and SRLG-disjoint (RFC 8800 section 3 words).

What is guaranteed. Link- and node-disjoint pairs without a delay bound: a pair is found whenever there is one, and it
has the least total (Suurballe and Tarjan 1984, nodes split in two). SRLG-disjoint pairs, and all pairs with a delay
bound, are NP-hard: a pair is found whenever there is one, by a mixed-integer program where the search over the shortest
paths finds none, unless that takes longer than `EXACT_SECONDS`, which the error says. Its total is the least if it is
found by the program or if the search comes to its end within `MOST_TRIED` paths, which small networks always do.

Both directions of a wire count as one link. The first path of a pair is the better one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from controller.topology.constraints import PathRequest, check
from controller.topology.disjoint_exact import EXACT_SECONDS, Pair, Shared, exact_pair
from controller.topology.network import Network, Path
from controller.topology.paths import NoPathError, as_path, delay_bound, explained, link_costs
from controller.topology.search import BLOCKED, Bound, cheapest, cheapest_first
from controller.topology.te_database import TeDatabase
from controller.topology.two_paths import Bottleneck, cheapest_two

MOST_TRIED = 64


class Disjointness(StrEnum):
    """What two paths must not share; node- and SRLG-disjoint ones share no link either."""

    LINK = "link"
    NODE = "node"
    SRLG = "srlg"


@dataclass(slots=True, eq=False)
class NoDisjointPairError(NoPathError):
    """There is a path but no pair; `bottleneck` is the link or node that all paths pass, if one is the cause."""

    bottleneck: str = ""


def disjoint_pair(database: TeDatabase, request: PathRequest, disjointness: Disjointness) -> tuple[Path, Path]:
    """Two paths, each of which fits the request, that share nothing; `NoPathError` says why there are none."""
    check(database.network, request)
    costs, bound = link_costs(database, request), delay_bound(database, request)
    arcs = database.network.arcs
    source, target = (database.network.node_position(end) for end in (request.source, request.target))
    if not cheapest(arcs, costs, source, target, bound):
        raise explained(database, request)
    split = disjointness is Disjointness.NODE
    cheapest_pair = cheapest_two(arcs, costs, source, target, split_nodes=split)
    if isinstance(cheapest_pair, Bottleneck):
        raise _no_pair(database.network, request, disjointness, cheapest_pair)
    shared = _shared(database.network, request, disjointness)
    is_good = _fits(cheapest_pair, shared, bound)
    pair = cheapest_pair if is_good else _searched(database, request, (costs, bound, shared))
    if pair is None:
        raise NoDisjointPairError(
            f"there is no {disjointness}-disjoint pair of paths from {request}: whatever the first path takes, what is"
            f" left{' within the delay bound' if bound else ''} shares with it",
            remedy="ask for less disjointness, or relax the other constraints",
        )
    first, second = (as_path(database.network, hops) for hops in pair)
    return first, second


def _shared(network: Network, request: PathRequest, disjointness: Disjointness) -> Shared:
    """The sets of links of which only one path of a pair may use any: wires, and nodes or risk groups."""
    arcs = network.arcs
    risks: dict[object, list[int]] = {}
    for position, link in enumerate(arcs.links):
        risks.setdefault(min(link.id, link.reverse_id), []).append(position)
        if disjointness is Disjointness.SRLG:
            for group in link.srlgs:
                risks.setdefault(("srlg", group), []).append(position)
        if disjointness is Disjointness.NODE and link.target.node not in {request.source, request.target}:
            risks.setdefault(("node", link.target.node), []).append(position)
    return tuple(tuple(links) for links in risks.values())


def _fits(pair: Pair, shared: Shared, bound: Bound | None) -> bool:
    if bound and any(sum(bound.delays[link] for link in hops) > bound.limit for hops in pair):
        return False
    first, second = (frozenset(hops) for hops in pair)
    return all(first.isdisjoint(risk) or second.isdisjoint(risk) for risk in shared)


def _searched(
    database: TeDatabase, request: PathRequest, wanted: tuple[Sequence[int], Bound | None, Shared]
) -> Pair | None:
    """The best pair of a first path among the shortest; if none of these has a partner, what the program says."""
    costs, bound, shared = wanted
    arcs = database.network.arcs
    source, target = (database.network.node_position(end) for end in (request.source, request.target))
    risks_of: list[list[int]] = [[] for _ in arcs.links]
    for number, risk in enumerate(shared):
        for link in risk:
            risks_of[link].append(number)
    best: tuple[int, Pair] | None = None
    tried = 0
    for first in islice(cheapest_first(arcs, costs, source, target, bound), MOST_TRIED):
        tried += 1
        first_cost = sum(costs[link] for link in first)
        if best and 2 * first_cost > best[0]:  # the first is the better one: no later pair can be as good
            break
        left = list(costs)
        for at_risk in {number for link in first for number in risks_of[link]}:
            for link in shared[at_risk]:
                left[link] = BLOCKED
        second = cheapest(arcs, left, source, target, bound)
        total = first_cost + sum(costs[link] for link in second)
        if second and (best is None or total < best[0]):
            best = (total, (first, second))
    if best or tried < MOST_TRIED:
        return best and best[1]
    found, is_decided = exact_pair(arcs, costs, (source, target), shared, bound)
    if not is_decided:
        raise NoDisjointPairError(
            f"no disjoint pair of paths from {request} was found, and {EXACT_SECONDS} s did not suffice to show that"
            " there is none",
            remedy="relax a constraint",
        )
    return found


def _no_pair(
    network: Network, request: PathRequest, disjointness: Disjointness, bottleneck: Bottleneck
) -> NoDisjointPairError:
    arcs = network.arcs
    passed = f"link {arcs.ids[bottleneck.link]}" if bottleneck.link >= 0 else f"node {arcs.nodes[bottleneck.node]}"
    return NoDisjointPairError(
        f"there is no {disjointness}-disjoint pair of paths from {request}: every path that fits passes {passed}",
        remedy=f"add a way round {passed}, or relax what keeps paths off one",
        bottleneck=passed,
    )
