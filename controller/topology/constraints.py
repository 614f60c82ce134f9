"""Owns what a path may be asked for and which links that takes out.

Constraints of RFC 9522 section 5.1 on constraint-based routing; affinities (exclude-any, include-any, include-all)
as in RFC 3209 section 4.7.4; shared risk link groups as in RFC 8795 section 4.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import compress
from operator import not_, sub
from types import MappingProxyType

from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import LinkId, Network
from controller.topology.te_database import NANOSECONDS, TeDatabase

_NOTHING = BitRate(0)
_NO_LINKS: frozenset[LinkId] = frozenset()
_NO_NODES: frozenset[DeviceName] = frozenset()
_NO_SRLGS: frozenset[int] = frozenset()


class Objective(StrEnum):
    """What a path has least of; among equals it is the number of hops."""

    IGP = "igp"
    DELAY = "delay"
    HOPS = "hops"


@dataclass(frozen=True, slots=True)
class PathRequest:
    """A path that is wanted: its ends, what it must fit, and what it has least of."""

    source: DeviceName
    target: DeviceName
    bandwidth: BitRate = _NOTHING
    delay_bound_seconds: float | None = None
    link_loss_limit: float | None = None
    """The share of packets that any one of its links may lose (RFC 8570, link loss)."""
    objective: Objective = Objective.IGP
    exclude_any: int = 0
    include_any: int = 0
    include_all: int = 0
    avoid_links: frozenset[LinkId] = _NO_LINKS
    avoid_nodes: frozenset[DeviceName] = _NO_NODES
    avoid_srlgs: frozenset[int] = _NO_SRLGS

    def __str__(self) -> str:
        return f"{self.source} to {self.target}"


class Constraint(StrEnum):
    """Why a link, or a path, is out of the question."""

    LINK_STATE = "link state"
    BANDWIDTH = "bandwidth"
    DELAY_BOUND = "delay bound"
    LINK_LOSS = "link loss"
    EXCLUDE_ANY = "exclude-any affinity"
    INCLUDE_ANY = "include-any affinity"
    INCLUDE_ALL = "include-all affinity"
    AVOID_LINKS = "links to avoid"
    AVOID_NODES = "nodes to avoid"
    AVOID_SRLGS = "shared risk link groups to avoid"


def check(network: Network, request: PathRequest) -> None:
    """Refuse a request that names what is not there, or asks for what cannot be; the error names it."""
    for node in (request.source, request.target, *sorted(request.avoid_nodes)):
        network.node_position(node)
    for link_id in sorted(request.avoid_links):
        network.link_position(link_id)
    problem = ""
    if request.source == request.target:
        problem = "begins where it ends"
    elif request.bandwidth.bits_per_second < 0:
        problem = f"asks for {request.bandwidth}"
    elif request.delay_bound_seconds is not None and not request.delay_bound_seconds > 0:
        problem = f"asks for a delay of at most {request.delay_bound_seconds} s"
    elif request.link_loss_limit is not None and not 0 <= request.link_loss_limit <= 1:
        problem = f"asks for links that lose at most {request.link_loss_limit}, which is no share of packets"
    elif ends := request.avoid_nodes & {request.source, request.target}:
        problem = f"avoids its own end {', '.join(sorted(ends))}"
    if problem:
        raise InvalidInputError(f"the path from {request} {problem}", remedy="ask for a path that can be")


def active(request: PathRequest) -> tuple[Constraint, ...]:
    """The constraints that this request has; the state of links is always one."""
    asked = {
        Constraint.BANDWIDTH: request.bandwidth.bits_per_second > 0,
        Constraint.DELAY_BOUND: request.delay_bound_seconds is not None,
        Constraint.LINK_LOSS: request.link_loss_limit is not None,
        Constraint.EXCLUDE_ANY: request.exclude_any,
        Constraint.INCLUDE_ANY: request.include_any,
        Constraint.INCLUDE_ALL: request.include_all,
        Constraint.AVOID_LINKS: request.avoid_links,
        Constraint.AVOID_NODES: request.avoid_nodes,
        Constraint.AVOID_SRLGS: request.avoid_srlgs,
    }
    return (Constraint.LINK_STATE, *(constraint for constraint, is_asked in asked.items() if is_asked))


def delay_limit_nanoseconds(request: PathRequest) -> int:
    """The delay bound of a request that has one, in the unit of the database."""
    return round((request.delay_bound_seconds or 0) * NANOSECONDS)


def blocked(database: TeDatabase, request: PathRequest, constraint: Constraint) -> list[int]:
    """The links that this one constraint takes out, by position; none for a bound on the path as a whole."""
    rule = _BLOCKED.get(constraint)
    return rule(database, request) if rule else []


def _down(database: TeDatabase, _: PathRequest) -> list[int]:
    return list(compress(range(len(database.states)), map(not_, database.states)))


def _too_full(database: TeDatabase, request: PathRequest) -> list[int]:
    wanted = request.bandwidth.bits_per_second
    left = map(sub, database.network.arcs.capacities, database.reserved_rates)
    return [link for link, rate in enumerate(left) if rate < wanted]


def _too_lossy(database: TeDatabase, request: PathRequest) -> list[int]:
    limit = 1.0 if request.link_loss_limit is None else request.link_loss_limit
    ids = database.network.arcs.ids
    return [position for position, link_id in enumerate(ids) if database.loss_ratio(link_id) > limit]


def _excluded(database: TeDatabase, request: PathRequest) -> list[int]:
    mask = request.exclude_any
    return [position for position, link in enumerate(database.network.arcs.links) if link.admin_group & mask]


def _without_any(database: TeDatabase, request: PathRequest) -> list[int]:
    mask = request.include_any
    return [position for position, link in enumerate(database.network.arcs.links) if not link.admin_group & mask]


def _without_all(database: TeDatabase, request: PathRequest) -> list[int]:
    mask = request.include_all
    return [position for position, link in enumerate(database.network.arcs.links) if link.admin_group & mask != mask]


def _avoided_links(database: TeDatabase, request: PathRequest) -> list[int]:
    return [database.network.link_position(link_id) for link_id in request.avoid_links]


def _avoided_nodes(database: TeDatabase, request: PathRequest) -> list[int]:
    arcs, network = database.network.arcs, database.network
    return [link for node in request.avoid_nodes for link, _ in arcs.entering[network.node_position(node)]]


def _avoided_srlgs(database: TeDatabase, request: PathRequest) -> list[int]:
    groups = request.avoid_srlgs
    return [position for position, link in enumerate(database.network.arcs.links) if link.srlgs & groups]


_BLOCKED: Mapping[Constraint, Callable[[TeDatabase, PathRequest], list[int]]] = MappingProxyType(
    {
        Constraint.LINK_STATE: _down,
        Constraint.BANDWIDTH: _too_full,
        Constraint.LINK_LOSS: _too_lossy,
        Constraint.EXCLUDE_ANY: _excluded,
        Constraint.INCLUDE_ANY: _without_any,
        Constraint.INCLUDE_ALL: _without_all,
        Constraint.AVOID_LINKS: _avoided_links,
        Constraint.AVOID_NODES: _avoided_nodes,
        Constraint.AVOID_SRLGS: _avoided_srlgs,
    }
)
