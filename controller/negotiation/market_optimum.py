"""Owns the best a market could do: the linear program that serves flows by what they are worth, prices aside.

A flow may be served in part and over several of its paths, so that no pricing reaches above it.
"""

from collections.abc import Sequence

from controller.model.errors import BusyError
from controller.negotiation.candidates import CandidatePaths
from controller.negotiation.catalogue import Axis
from controller.negotiation.market_flows import Flow
from controller.negotiation.scarcity import ScarcityPolicy
from controller.topology.linear_program import UNBOUNDED, Column, LinearProgram, Outcome

_TIME_LIMIT_SECONDS = 60.0


def best_worth(paths: CandidatePaths, flows: Sequence[Flow], policy: ScarcityPolicy, fill: float = 1.0) -> float:
    """The most that can be served an hour, in minor units, with each axis filled up to this share of what is sold."""
    capacities = paths.network.arcs.capacities
    rooms = [(axis, link) for axis in Axis for link in range(len(capacities))]
    row_of = {room: row for row, room in enumerate(rooms)}
    columns = []
    for number, flow in enumerate(flows):
        rate = flow.offering.bit_rate
        for way in flow.ways(paths):
            taken = [(axis, link) for axis in flow.offering.axes for link in way.links]
            rows = [*(row_of[room] for room in taken), len(rooms) + number]
            shares = [rate / (policy.targets[axis].share * capacities[link]) for axis, link in taken]
            columns.append(Column(-float(flow.worth_per_hour.minor), UNBOUNDED, rows, [*shares, 1.0]))
    if not columns:
        return 0.0
    program = LinearProgram(_TIME_LIMIT_SECONDS)
    program.add_rows([*((0.0, fill) for _ in rooms), *((0.0, 1.0) for _ in flows)])
    program.add_columns(columns)
    if program.solve() is not Outcome.OPTIMAL:
        raise BusyError("the optimum was not found in time", remedy="ask for less demand or a smaller topology")
    return -program.cost
