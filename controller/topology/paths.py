"""Owns single paths for a request: the best, the k best, and why there is none.

Constraint-based path selection (RFC 9522 section 5.1): links that break a constraint are taken out, then the path
that has least of the objective is searched. Exact, a bound on the delay included.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from controller.model.errors import ConflictError, InvalidInputError
from controller.model.units import BitRate
from controller.topology.constraints import (
    Constraint,
    Objective,
    PathRequest,
    active,
    blocked,
    check,
    delay_limit_nanoseconds,
)
from controller.topology.network import Network, Path
from controller.topology.search import BLOCKED, Bound, Hops, cheapest, cheapest_first
from controller.topology.te_database import NANOSECONDS, TeDatabase

__all__ = ["Constraint", "NoPathError", "Objective", "Path", "PathRequest", "explained", "k_shortest", "shortest_path"]

_ONE_HOP = 1
_HOPS_PER_COST = 1 << 20
"""More than any path has hops, so that these decide among equal costs only."""


@dataclass(slots=True, eq=False)
class NoPathError(ConflictError):
    """No path is as wanted; `constraints` are what stands in the way, none when the ends are not connected at all."""

    constraints: tuple[Constraint, ...] = ()


def shortest_path(database: TeDatabase, request: PathRequest) -> Path:
    """The path that has least of the objective and fits every constraint; `NoPathError` says why there is none."""
    check(database.network, request)
    hops = _search(database, request, active(request))
    if not hops:
        raise explained(database, request)
    return as_path(database.network, hops)


def k_shortest(database: TeDatabase, request: PathRequest, k: int) -> tuple[Path, ...]:
    """Up to `k` paths without loops that fit, best first; `NoPathError` when there is not one."""
    check(database.network, request)
    if k < 1:
        raise InvalidInputError(f"{k} paths from {request} were asked for", remedy="ask for 1 or more")
    costs, bound = link_costs(database, request), delay_bound(database, request)
    ends = _ends(database.network, request)
    paths = tuple(islice(cheapest_first(database.network.arcs, costs, *ends, bound), k))
    if not paths:
        raise explained(database, request)
    return tuple(as_path(database.network, hops) for hops in paths)


def link_costs(database: TeDatabase, request: PathRequest, obeyed: Collection[Constraint] | None = None) -> list[int]:
    """What each link costs this request, by position; `BLOCKED` where a constraint takes it out."""
    costs = _objective_costs(database, request.objective)
    for constraint in active(request) if obeyed is None else obeyed:
        for position in blocked(database, request, constraint):
            costs[position] = BLOCKED
    return costs


def delay_bound(database: TeDatabase, request: PathRequest) -> Bound | None:
    """The request's bound on the delay, for searching."""
    if request.delay_bound_seconds is None:
        return None
    return Bound(database.delays_nanoseconds, delay_limit_nanoseconds(request))


def as_path(network: Network, hops: Hops) -> Path:
    """The links behind the numbers."""
    return Path(tuple(network.arcs.links[position] for position in hops))


def _objective_costs(database: TeDatabase, objective: Objective) -> list[int]:
    match objective:
        case Objective.IGP:
            return list(_then_hops(database.network.arcs.metrics))
        case Objective.DELAY:
            return list(_then_hops(database.delays_nanoseconds))
        case Objective.HOPS:
            return [_ONE_HOP] * len(database.network.arcs.links)


@lru_cache(maxsize=16)
def _then_hops(values: tuple[int, ...]) -> tuple[int, ...]:
    """Costs that follow these values and, among equals, the number of hops; the same for thousands of requests."""
    return tuple(value * _HOPS_PER_COST + _ONE_HOP for value in values)


def _ends(network: Network, request: PathRequest) -> tuple[int, int]:
    return network.node_position(request.source), network.node_position(request.target)


def _search(database: TeDatabase, request: PathRequest, obeyed: Collection[Constraint]) -> Hops:
    bound = delay_bound(database, request) if Constraint.DELAY_BOUND in obeyed else None
    costs = link_costs(database, request, obeyed)
    return cheapest(database.network.arcs, costs, *_ends(database.network, request), bound)


def explained(database: TeDatabase, request: PathRequest) -> NoPathError:
    """Which constraints removed every path: those that each would do if lifted alone, else some that do together."""
    asked = active(request)
    if not _search(database, request, ()):
        return NoPathError(f"there is no path from {request}: they are not connected", remedy="connect them first")
    alone = tuple(one for one in asked if _search(database, request, [other for other in asked if other is not one]))
    guilty = alone or _together(database, request, asked)
    what = (" or " if alone else " and ").join(f"{one}{_nearest(database, request, one)}" for one in guilty)
    return NoPathError(
        f"there is no path from {request}: in the way is {what}",
        remedy=f"relax {'one of these' if alone and len(alone) > 1 else 'that'}, or add capacity or links",
        constraints=guilty,
    )


def _together(database: TeDatabase, request: PathRequest, asked: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    obeyed: list[Constraint] = []
    for constraint in asked:
        if _search(database, request, [*obeyed, constraint]):
            obeyed.append(constraint)
    return tuple(constraint for constraint in asked if constraint not in obeyed)


def _nearest(database: TeDatabase, request: PathRequest, constraint: Constraint) -> str:
    """How near to a constraint on a quantity one could come if the others hold."""
    others = [one for one in active(request) if one not in {constraint, Constraint.DELAY_BOUND}]
    if constraint is Constraint.DELAY_BOUND:
        costs = link_costs(database, replace(request, objective=Objective.DELAY), others)
        hops = cheapest(database.network.arcs, costs, *_ends(database.network, request))
        quickest = sum(database.delays_nanoseconds[link] for link in hops) / NANOSECONDS
        return f" (wanted {request.delay_bound_seconds} s, the quickest path takes {quickest} s)" if hops else ""
    if constraint is Constraint.BANDWIDTH:
        widest = _widest(database, request, others)
        return f" (wanted {request.bandwidth}, the widest path has {BitRate(widest)})" if widest >= 0 else ""
    return ""


def _widest(database: TeDatabase, request: PathRequest, obeyed: Collection[Constraint]) -> int:
    """The most that some path has left, in bit/s: links are put back from the emptiest on until there is a path."""
    arcs, costs = database.network.arcs, link_costs(database, request, obeyed)
    left = [capacity - taken for capacity, taken in zip(arcs.capacities, database.reserved_rates, strict=True)]
    rates = sorted(set(left))
    low, high = -1, len(rates)
    while high - low > 1:
        middle = (low + high) // 2
        wide = [cost if rate >= rates[middle] else BLOCKED for cost, rate in zip(costs, left, strict=True)]
        low, high = (middle, high) if cheapest(arcs, wide, *_ends(database.network, request)) else (low, middle)
    return rates[low] if low >= 0 else -1
