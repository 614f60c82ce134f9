"""Owns where tunnels go after links are cut: the untouched stay, the others move in order of their priority.

Each tunnel that lost its path takes the best one that fits what those before it left (setup priority, RFC 3209
section 4.7.1; among equals the largest first). Nobody is pushed off a path that still carries it, so what finds no
room is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.model.errors import InvalidInputError
from controller.topology.demand import TunnelDemand
from controller.topology.network import LinkId, Path
from controller.topology.paths import NoPathError, shortest_path
from controller.topology.te_database import TeDatabase


@dataclass(frozen=True, slots=True)
class Replanning:
    """What becomes of each tunnel, by name; `database` has the links cut and everybody on the new paths."""

    moved: Mapping[str, Path]
    kept: tuple[str, ...]
    unroutable: Mapping[str, str]
    database: TeDatabase


def replan(database: TeDatabase, tunnels: Sequence[TunnelDemand], cut: frozenset[LinkId]) -> Replanning:
    """New paths for the tunnels whose reservation crosses a link that is cut or down, or that have none yet.

    `cut` names directed links (`Network.both_directions` gives both of a wire); one that isn't there is an error.
    """
    if len({tunnel.name for tunnel in tunnels}) < len(tunnels):
        raise InvalidInputError("two tunnels have the same name", remedy="give each a name of its own")
    database = database.with_link_state(cut, is_up=False)
    down = {link_id for link_id, is_up in zip(database.network.arcs.ids, database.states, strict=True) if not is_up}
    kept: list[TunnelDemand] = []
    affected: list[TunnelDemand] = []
    for tunnel in tunnels:
        taken = database.reservations.get(tunnel.name)
        (kept if taken and down.isdisjoint(taken.links) else affected).append(tunnel)
    database = database.without_reservations(tunnel.name for tunnel in affected)
    moved, unroutable = {}, {}
    for tunnel in sorted(affected, key=_turn):
        try:
            moved[tunnel.name] = shortest_path(database, tunnel.request)
        except NoPathError as error:
            unroutable[tunnel.name] = str(error)
        else:
            database = database.with_reservation(tunnel.name, moved[tunnel.name], tunnel.request.bandwidth)
    return Replanning(moved, tuple(tunnel.name for tunnel in kept), unroutable, database)


def _turn(tunnel: TunnelDemand) -> tuple[int, int, str]:
    return tunnel.priority, -tunnel.request.bandwidth.bits_per_second, tunnel.name
