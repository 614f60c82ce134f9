"""Owns the exact answer to disjoint pairs under shared risks and delay bounds, as a mixed-integer program."""

from collections.abc import Sequence

from controller.topology.linear_program import UNBOUNDED, Column, LinearProgram, Outcome
from controller.topology.network import Arcs
from controller.topology.search import BLOCKED, Bound, Hops, cheapest

EXACT_SECONDS = 5.0
Pair = tuple[Hops, Hops]
Shared = tuple[tuple[int, ...], ...]
"""Sets of links, by position, of which only one path of a pair may use any."""
_CHOSEN = 0.5


def exact_pair(
    arcs: Arcs, costs: Sequence[int], ends: tuple[int, int], shared: Shared, bound: Bound | None
) -> tuple[Pair | None, bool]:
    """The pair of least total cost, or None, and whether that is sure: it is not when the time was up.

    Rows, for each path: flow at every node, delay, use of link <= use of risk; last: use of risk by both <= 1.
    """
    program = LinearProgram(EXACT_SECONDS)
    usable = [link for link, cost in enumerate(costs) if cost != BLOCKED]
    risks = [tuple(link for link in risk if costs[link] != BLOCKED) for risk in shared]
    risks_of: dict[int, list[int]] = {link: [] for link in usable}
    for number, risk in enumerate(risks):
        for link in risk:
            risks_of[link].append(number)
    nodes, rows_per_path = len(arcs.nodes), len(arcs.nodes) + 1 + len(risks)
    balances = [(node == ends[0]) - (node == ends[1]) for node in range(nodes)]
    limit = float(bound.limit) if bound else UNBOUNDED
    of_one_path = [*((wanted, wanted) for wanted in balances), (-UNBOUNDED, limit), *[(-UNBOUNDED, 0.0)] * len(risks)]
    program.add_rows([*of_one_path, *of_one_path, *[(-UNBOUNDED, 1.0)] * len(risks)])
    dearest = max(costs)
    for path in range(2):
        first = path * rows_per_path
        program.add_columns(
            [
                Column(
                    costs[link] / dearest,
                    1,
                    [
                        first + arcs.sources[link],
                        first + arcs.targets[link],
                        first + nodes,
                        *(first + nodes + 1 + number for number in risks_of[link]),
                    ],
                    [1, -1, bound.delays[link] if bound else 0, *[1] * len(risks_of[link])],
                    is_integer=True,
                )
                for link in usable
            ]
        )
    for path in range(2):
        first = path * rows_per_path + nodes + 1
        program.add_columns(
            [
                Column(0, 1, [first + number, 2 * rows_per_path + number], [-max(1, len(risk)), 1], is_integer=True)
                for number, risk in enumerate(risks)
            ]
        )
    outcome = program.solve()
    if outcome is not Outcome.OPTIMAL:
        return None, outcome is Outcome.INFEASIBLE
    values = program.values
    chosen = [
        {link for number, link in enumerate(usable) if values[path * len(usable) + number] > _CHOSEN}
        for path in range(2)
    ]
    pair = [
        cheapest(arcs, [cost if link in uses else BLOCKED for link, cost in enumerate(costs)], *ends, bound)
        for uses in chosen
    ]
    first_hops, second_hops = sorted(pair, key=lambda hops: (sum(costs[link] for link in hops), hops))
    return (first_hops, second_hops), True
