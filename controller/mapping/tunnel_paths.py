"""Owns where a tunnel goes and which colour it has: paths for what it asks, a colour that steers what it serves.

Constraint-based paths over the TE database (RFC 9522 section 5.1); a protected tunnel gets two that share no link, node
or risk group.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from controller.mapping.fragment import service_id
from controller.mapping.tunnel import BACKUP, PRIMARY, Tunnel, TunnelPath, lowest_free_color, with_paths
from controller.mapping.tunnel_steering import colors_on
from controller.model.errors import ConflictError, InvalidInputError
from controller.model.identifiers import DeviceName
from controller.topology.constraints import Objective, PathRequest
from controller.topology.disjoint import Disjointness, disjoint_pair
from controller.topology.network import LinkId, Path
from controller.topology.paths import NoPathError, shortest_path
from controller.topology.te_database import Reservation, TeDatabase

_NO_LINKS: frozenset[LinkId] = frozenset()
_NO_NODES: frozenset[DeviceName] = frozenset()
_PROTECTIONS = ("none", *(kind.value for kind in Disjointness))
_OBJECTIVES = tuple(kind.value for kind in Objective)


@dataclass(frozen=True, slots=True)
class Avoidance:
    """What paths are to keep away from this time."""

    links: frozenset[LinkId] = _NO_LINKS
    nodes: frozenset[DeviceName] = _NO_NODES


NOTHING = Avoidance()


def check(tunnel: Tunnel) -> None:
    """Refuse words that mean nothing; the error names them."""
    for what, value, known in (
        ("protection", tunnel.protection, _PROTECTIONS),
        ("objective", tunnel.objective, _OBJECTIVES),
    ):
        if value not in known:
            raise InvalidInputError(f"there is no {what} '{value}'", remedy=f"one of: {', '.join(known)}", path=what)


def request_of(tunnel: Tunnel, database: TeDatabase, avoid: Avoidance = NOTHING) -> PathRequest:
    """What a tunnel asks of its path. A link without a segment cannot be named in one, so it is avoided."""
    nameless = frozenset(link.id for link in database.network.links.values() if not link.segment)
    return PathRequest(
        source=tunnel.source,
        target=tunnel.target,
        bandwidth=tunnel.bandwidth,
        delay_bound_seconds=tunnel.delay_bound_seconds,
        link_loss_limit=tunnel.link_loss_limit,
        objective=Objective(tunnel.objective),
        exclude_any=tunnel.exclude_any,
        include_any=tunnel.include_any,
        include_all=tunnel.include_all,
        avoid_links=avoid.links | nameless,
        avoid_nodes=avoid.nodes,
    )


def placed(database: TeDatabase, tunnel: Tunnel, avoid: Avoidance = NOTHING) -> Tunnel:
    """The tunnel along the best paths that there are for it; `NoPathError` names what is in the way."""
    check(tunnel)
    free = _without(database, tunnel.name)
    request = request_of(tunnel, free, avoid)
    if tunnel.protection == "none":
        return along(tunnel, shortest_path(free, request))
    return along(tunnel, *disjoint_pair(free, request, Disjointness(tunnel.protection)))


def along(tunnel: Tunnel, *paths: Path) -> Tunnel:
    """The tunnel along these, best first."""
    return with_paths(tunnel, *((path.link_ids, path.segments) for path in paths))


def is_alive(database: TeDatabase, path: TunnelPath) -> bool:
    """Whether every link of a path is there and up."""
    return all(hop in database.network.links and database.is_up(hop) for hop in path.hops)


TUNNEL_STATES = ("up", "switched", "down")


def state_of(database: TeDatabase, tunnel: Tunnel) -> str:
    """`up`, `switched` (a path that is not the preferred one carries), or `down`."""
    alive = [is_alive(database, path) for path in tunnel.ranked]
    return "up" if alive[:1] == [True] else "switched" if any(alive) else "down"


def restored(database: TeDatabase, tunnel: Tunnel) -> Tunnel:
    """The tunnel with a live path in place of each dead one; a path that lives stays as it is and goes on carrying.

    `NoPathError` when none of its paths lives and there is no other.
    """
    alive = [path for path in tunnel.ranked if is_alive(database, path)]
    if not alive:
        return _anywhere(database, tunnel)
    if len(alive) > 1 or tunnel.protection == "none":
        return tunnel
    return with_backup(database, tunnel, alive[0])


def _anywhere(database: TeDatabase, tunnel: Tunnel) -> Tunnel:
    """Protected where that is possible, else along one path: to carry comes first."""
    try:
        return placed(database, tunnel)
    except NoPathError:
        if tunnel.protection == "none":
            raise
    single = placed(database, replace(tunnel, protection="none"))
    return replace(single, protection=tunnel.protection)


def with_backup(database: TeDatabase, tunnel: Tunnel, carrying: TunnelPath) -> Tunnel:
    """A second path that shares with the carrying one what its protection allows; the tunnel as it is if there is none.

    The carrying path stays as it is; the new one takes the preference that the dead one had.
    """
    free = _without(database, tunnel.name)
    request = request_of(tunnel, free)
    links = [free.network.link(hop) for hop in carrying.hops]
    inner = frozenset(link.target.node for link in links[:-1])
    request = replace(
        request,
        avoid_links=request.avoid_links | free.network.both_directions(carrying.hops),
        avoid_nodes=inner if tunnel.protection != Disjointness.LINK else _NO_NODES,
        avoid_srlgs=frozenset(group for link in links for group in link.srlgs)
        if tunnel.protection == Disjointness.SRLG
        else frozenset(),
    )
    try:
        path = shortest_path(free, request)
    except NoPathError:
        return tunnel
    second = along(tunnel, path).paths[0]
    preference = BACKUP if carrying.preference > BACKUP else PRIMARY
    return replace(tunnel, paths=(carrying, replace(second, preference=preference)))


def _without(database: TeDatabase, name: str) -> TeDatabase:
    return database.without_reservation(name) if name in database.reservations else database


def reservations(tunnels: Iterable[Tunnel], known: Collection[LinkId]) -> dict[str, Reservation]:
    """What tunnels take of the links: each its bandwidth on every link of any of its paths (shared explicit)."""
    return {
        tunnel.name: Reservation(tuple(sorted(tunnel.links.intersection(known))), tunnel.bandwidth)
        for tunnel in tunnels
        if tunnel.bandwidth.bits_per_second
    }


def colored(tunnel: Tunnel, tunnels: Iterable[Tunnel]) -> Tunnel:
    """The tunnel with a colour that steers its services into it, and nobody else's.

    The VRF of a service has one colour on a router, so it takes the one that its services have there already; what has
    none keeps its own or gets one that is free, the one its services have elsewhere if possible.
    """
    others = [other for other in tunnels if other.name != tunnel.name]
    here = [other for other in others if other.source == tunnel.source]
    taken = {policy.color for other in here for policy in other.policies}
    shared = _shared_color(tunnel, here)
    if shared:
        _refuse_second(tunnel, shared, here)
        return replace(tunnel, color=shared)
    if tunnel.color and tunnel.color not in taken:
        return tunnel
    elsewhere = {color for place, color in colors_on(others).items() if place[0] in _services(tunnel)} - taken
    return replace(tunnel, color=min(elsewhere, default=0) or lowest_free_color(taken))


def _services(tunnel: Tunnel) -> set[str]:
    return {service_id(vpn_id) for vpn_id in tunnel.services}


def _shared_color(tunnel: Tunnel, here: Iterable[Tunnel]) -> int:
    found = colors_on(here)
    colors = {vpn_id: found.get((service_id(vpn_id), tunnel.source), 0) for vpn_id in tunnel.services}
    distinct = {color for color in colors.values() if color}
    if len(distinct) > 1:
        listed = ", ".join(f"{vpn_id} has {color}" for vpn_id, color in sorted(colors.items()) if color)
        raise ConflictError(
            f"tunnel '{tunnel.name}' cannot serve VPNs of several colours on {tunnel.source}: {listed}",
            remedy="give each colour a tunnel of its own",
            path=tunnel.name,
        )
    return min(distinct, default=0)


def _refuse_second(tunnel: Tunnel, color: int, here: Iterable[Tunnel]) -> None:
    for other in here:
        if other.color == color and other.endpoint == tunnel.endpoint:
            raise ConflictError(
                f"tunnel '{other.name}' takes {', '.join(other.services)} from {other.source} to {other.target}",
                remedy=f"change '{other.name}', or let it serve other VPNs",
                path=tunnel.name,
            )
