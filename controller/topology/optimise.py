"""Owns the placement of many demands at once so that the busiest link is as little used as can be.

Minimum maximum utilisation (RFC 9522 section 5.1, multi-commodity flow) as a linear program over paths: it starts from
the shortest paths of each demand, and paths are added as long as the prices of the links show that one would help. The
same prices give a bound that no placement goes below, so that every answer says how far it can be from the optimum.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from controller.model.errors import InvalidInputError
from controller.topology.constraints import Constraint, PathRequest, active, check
from controller.topology.demand import TunnelDemand
from controller.topology.greedy_placement import placed_one_by_one
from controller.topology.linear_program import UNBOUNDED, Column, LinearProgram, Outcome
from controller.topology.network import Path
from controller.topology.paths import as_path, delay_bound, explained, link_costs
from controller.topology.search import BLOCKED, Bound, Hops, cheapest, cheapest_first, distances, trace
from controller.topology.te_database import TeDatabase

TOLERANCE = 0.001
"""How far above the bound an answer may be, as a share of it, before more paths are looked for."""
_MOST_ROUNDS = 200
_LEAST_GAIN = 1e-9
_PRECISION = 10**9
_LEAST_SHARE = 1e-6
"""Of a demand; less than this on a path is arithmetic."""


class Method(StrEnum):
    """How an allocation came about."""

    LINEAR_PROGRAM = "lp"
    GREEDY = "greedy"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Where the demands go. `utilisation` is that of the busiest link, what was reserved before included.

    `bound` is what no placement goes below (0 when it is not known); `unroutable` says why a demand has no path.
    """

    utilisation: float
    shares: Mapping[str, tuple[tuple[Path, float], ...]]
    method: Method
    bound: float
    unroutable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Commodity:
    """A demand as numbers, with what each link costs it (`BLOCKED` where it may not go) and the paths found for it."""

    name: str
    rate: int
    source: int
    target: int
    costs: Sequence[int]
    bound: Bound | None
    paths: list[Hops]


def minimise_maximum_utilisation(
    database: TeDatabase,
    demands: Sequence[TunnelDemand],
    *,
    k: int = 4,
    time_limit_seconds: float = 10.0,
    unsplit: bool = False,
) -> Allocation:
    """Share each demand among paths, or with `unsplit` give it one, so that the busiest link is used least.

    Bandwidth does not exclude a link here: what does not fit shows as a utilisation above 1. When the time is up
    before the program has any answer, the placement is the greedy one, and says so.
    """
    commodities, unroutable = _commodities(database, demands, k)
    capacities = database.network.arcs.capacities
    base = [float(reserved) for reserved in database.reserved_rates]
    problem = _Problem(database, commodities, base, capacities)
    solved = problem.solve(time_limit_seconds) if commodities else _Solution({}, 0.0)
    fractions = solved.fractions if solved and not unsplit else problem.unsplit(solved)
    return Allocation(
        problem.utilisation(fractions),
        {
            commodity.name: tuple(
                (as_path(database.network, commodity.paths[choice]), fraction)
                for choice, fraction in sorted(fractions[number].items())
            )
            for number, commodity in enumerate(commodities)
        },
        Method.GREEDY if solved is None else Method.LINEAR_PROGRAM,
        0.0 if solved is None else solved.bound,
        unroutable,
    )


def _commodities(
    database: TeDatabase, demands: Sequence[TunnelDemand], k: int
) -> tuple[list[Commodity], dict[str, str]]:
    arcs, network = database.network.arcs, database.network
    commodities, unroutable = [], {}
    costs_of: dict[object, Sequence[int]] = {}
    paths_of: dict[object, list[Hops]] = {}
    names: set[str] = set()
    for demand in demands:
        request = demand.request
        check(network, request)
        if demand.name in names:
            raise InvalidInputError(f"two demands are named '{demand.name}'", remedy="give each a name of its own")
        names.add(demand.name)
        kind = _kind(request)
        if kind not in costs_of:
            obeyed = [constraint for constraint in active(request) if constraint is not Constraint.BANDWIDTH]
            costs_of[kind] = link_costs(database, request, obeyed)
        ends = network.node_position(request.source), network.node_position(request.target)
        bound = delay_bound(database, request)
        like = (kind, ends, request.delay_bound_seconds)
        if like not in paths_of:
            paths_of[like] = list(islice(cheapest_first(arcs, costs_of[kind], *ends, bound), k))
        if paths_of[like]:
            rate = request.bandwidth.bits_per_second
            commodities.append(Commodity(demand.name, rate, *ends, costs_of[kind], bound, list(paths_of[like])))
        else:
            unroutable[demand.name] = str(explained(database, request))
    return commodities, unroutable


def _kind(request: PathRequest) -> object:
    """What decides the costs of links; demands of one kind share them."""
    return (
        request.objective, request.link_loss_limit, request.exclude_any, request.include_any, request.include_all,
        request.avoid_links, request.avoid_nodes, request.avoid_srlgs,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Solution:
    """Per commodity the share of each of its paths, and the bound on the utilisation."""

    fractions: Mapping[int, Mapping[int, float]]
    bound: float


class _Problem:
    """The program: rows first for links (load - utilisation x capacity <= -reserved), then for commodities (= 1)."""

    def __init__(
        self, database: TeDatabase, commodities: Sequence[Commodity], base: Sequence[float], capacities: Sequence[int]
    ) -> None:
        self._arcs = database.network.arcs
        self._commodities = commodities
        self._base = base
        self._capacities = capacities
        self._usable = [link for link, is_up in enumerate(database.states) if is_up]
        self._row_of = {link: row for row, link in enumerate(self._usable)}
        self._columns: list[tuple[int, int]] = []
        self._known = [set(commodity.paths) for commodity in commodities]

    def utilisation(self, fractions: Mapping[int, Mapping[int, float]]) -> float:
        """Of the busiest link that is up."""
        loads = list(self._base)
        for number, shares in fractions.items():
            commodity = self._commodities[number]
            for choice, fraction in shares.items():
                for link in commodity.paths[choice]:
                    loads[link] += commodity.rate * fraction
        return max((loads[link] / self._capacities[link] for link in self._usable), default=0.0)

    def unsplit(self, solved: _Solution | None) -> Mapping[int, Mapping[int, float]]:
        """One path each: the better of the greedy placement and of the split one, rounded; both after local search."""
        rates = [commodity.rate for commodity in self._commodities]
        paths = [commodity.paths for commodity in self._commodities]
        hints = [None] if solved is None else [None, solved.fractions]
        placements = [placed_one_by_one(rates, paths, self._base, self._capacities, hint) for hint in hints]
        one_path = [{number: {choice: 1.0} for number, choice in enumerate(chosen)} for chosen in placements]
        return min(one_path, key=self.utilisation)

    def solve(self, time_limit_seconds: float) -> _Solution | None:
        """The best shares; None when the time was up before there were any."""
        program = LinearProgram(time_limit_seconds)
        links = len(self._usable)
        program.add_rows([(-UNBOUNDED, -self._base[link] / self._capacities[link]) for link in self._usable])
        program.add_rows([(1.0, 1.0)] * len(self._commodities))
        program.add_columns([Column(1.0, UNBOUNDED, range(links), [-1.0] * links)])
        self._add(
            program,
            [(number, choice) for number, one in enumerate(self._commodities) for choice in range(len(one.paths))],
        )
        solution, bound = None, 0.0
        for _ in range(_MOST_ROUNDS):
            if program.solve() is not Outcome.OPTIMAL:
                break
            values, duals = program.values, program.duals
            solution = values[1:]
            reached, better = self._priced([max(0.0, -dual) for dual in duals[:links]], duals[links:])
            bound = max(bound, reached)
            if not better or program.cost <= bound * (1 + TOLERANCE):
                break
            self._add(program, better)
        return None if solution is None else _Solution(self._fractions(solution), bound)

    def _add(self, program: LinearProgram, chosen: Sequence[tuple[int, int]]) -> None:
        """Columns for these paths of commodities; loads in shares of a link's capacity, so that numbers are near 1."""
        columns = []
        for number, choice in chosen:
            commodity = self._commodities[number]
            hops = commodity.paths[choice]
            rows = [*(self._row_of[link] for link in hops), len(self._usable) + number]
            factors = [*(commodity.rate / self._capacities[link] for link in hops), 1.0]
            columns.append(Column(0.0, UNBOUNDED, rows, factors))
        program.add_columns(columns)
        self._columns += chosen

    def _priced(self, prices: Sequence[float], worths: Sequence[float]) -> tuple[float, list[tuple[int, int]]]:
        """A bound on the utilisation, and the new paths that cost less, at these prices, than their commodity is worth.

        Whatever links are made to cost, the busiest one is used at least as much as all loads on their cheapest ways
        cost, over what all links full would cost (weak duality); so whole numbers do as well as exact prices.
        """
        largest = max(self._capacities)
        weights = [BLOCKED] * len(self._capacities)
        for row, link in enumerate(self._usable):
            weights[link] = 1 + round(_PRECISION * prices[row] * largest / self._capacities[link])
        spent = sum(weights[link] * self._base[link] for link in self._usable)
        full = sum(weights[link] * self._capacities[link] for link in self._usable)
        better = []
        for number, hops in enumerate(self._cheapest(weights)):
            commodity = self._commodities[number]
            spent += commodity.rate * sum(weights[link] for link in hops)
            price = sum(prices[self._row_of[link]] * commodity.rate / self._capacities[link] for link in hops)
            if price < worths[number] - _LEAST_GAIN and hops not in self._known[number]:
                self._known[number].add(hops)
                commodity.paths.append(hops)
                better.append((number, len(commodity.paths) - 1))
        return spent / full, better

    def _cheapest(self, weights: Sequence[int]) -> Iterator[Hops]:
        """The cheapest path of each commodity; those from one node without a delay bound share a search."""
        trees: dict[tuple[int, int], Sequence[int]] = {}
        for commodity in self._commodities:
            kind = id(commodity.costs), commodity.source
            if commodity.bound is None and kind in trees:
                yield trace(self._arcs, trees[kind], commodity.target)
                continue
            costs = [
                BLOCKED if cost == BLOCKED else weight for cost, weight in zip(commodity.costs, weights, strict=True)
            ]
            if commodity.bound is None:
                trees[kind] = distances(self._arcs, costs, commodity.source)[1]
                yield trace(self._arcs, trees[kind], commodity.target)
            else:
                yield cheapest(self._arcs, costs, commodity.source, commodity.target, commodity.bound)

    def _fractions(self, values: Sequence[float]) -> dict[int, dict[int, float]]:
        fractions: dict[int, dict[int, float]] = {number: {} for number in range(len(self._commodities))}
        for (number, choice), value in zip(self._columns, values, strict=False):
            if value > _LEAST_SHARE:
                fractions[number][choice] = value
        return {
            number: {choice: value / sum(shares.values()) for choice, value in shares.items()}
            for number, shares in fractions.items()
        }
