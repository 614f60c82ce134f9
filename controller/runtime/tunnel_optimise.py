"""Owns placing all tunnels anew so that the busiest link is as little used as can be, and the steps that lead there.

The order is one in which no link is overfull in between; each step is a change in stages (make-before-break).
Protected tunnels stay where they are: what they hold on both their paths is taken as given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_paths import along, request_of
from controller.topology.demand import TunnelDemand
from controller.topology.network import Path
from controller.topology.optimise import minimise_maximum_utilisation
from controller.topology.te_database import TeDatabase
from controller.topology.update_order import Action, Move, Step, order_updates

LEAST_GAIN = 0.001
"""Of utilisation; less is not worth a move."""


@dataclass(frozen=True, slots=True)
class Reoptimisation:
    """What placing anew would bring. Utilisations are of the busiest link; `bound` is what nothing goes below."""

    utilisation_before: float
    utilisation_after: float
    bound: float
    method: str
    steps: tuple[tuple[Tunnel, ...], ...] = ()
    """The tunnels as each step leaves them; empty when there is nothing to gain."""


def reoptimised(database: TeDatabase, tunnels: Sequence[Tunnel], *, time_limit_seconds: float = 10.0) -> Reoptimisation:
    """The best placement of the tunnels that can be moved, and the way there."""
    movable = {tunnel.name: tunnel for tunnel in tunnels if _is_movable(tunnel)}
    before = _utilisation(database)
    if not movable:
        return Reoptimisation(before, before, before, "")
    free = database.without_reservations(movable)
    demands = [TunnelDemand(name, request_of(tunnel, free)) for name, tunnel in movable.items()]
    found = minimise_maximum_utilisation(free, demands, time_limit_seconds=time_limit_seconds, unsplit=True)
    if found.unroutable or found.utilisation > before - LEAST_GAIN:
        return Reoptimisation(before, before, found.bound, found.method)
    paths = {name: shares[0][0] for name, shares in found.shares.items()}
    moves = [
        Move(name, database.network.path(tunnel.paths[0].hops), paths[name], tunnel.bandwidth)
        for name, tunnel in movable.items()
        if paths[name].link_ids != tunnel.paths[0].hops
    ]
    steps = tuple(_after(step, movable, paths) for step in order_updates(database, moves))
    return Reoptimisation(before, found.utilisation, found.bound, found.method, steps)


def _is_movable(tunnel: Tunnel) -> bool:
    return tunnel.protection == "none" and len(tunnel.paths) == 1 and not tunnel.beside and not tunnel.probes


def _after(step: Step, tunnels: dict[str, Tunnel], paths: Mapping[str, Path]) -> tuple[Tunnel, ...]:
    """The tunnels of a step as it leaves them; later steps go on from there."""
    for name, rate in step.rates.items():
        tunnel = replace(tunnels[name], bandwidth=rate)
        tunnels[name] = along(tunnel, paths[name]) if step.action is Action.MOVE else tunnel
    return tuple(tunnels[name] for name in step.rates)


def _utilisation(database: TeDatabase) -> float:
    rates = zip(database.network.arcs.links, database.reserved_rates, strict=True)
    return max((rate / link.capacity.bits_per_second for link, rate in rates), default=0.0)
