"""The lab's network as plain data: routers, their sites and ports, links, demands.

Owns the immutable topology every other part of the lab reads. Words follow RFC 8345 (node, termination point, link) and
RFC 8795 section 4 (capacity, delay, shared risk link groups); `port` stands for a termination point.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from math import asin, cos, radians, sin, sqrt
from typing import TypeVar

from lab.optical.domain import OpticalDomain, problems_of

EARTH_RADIUS_KILOMETRES = 6371.0
FIBRE_KILOMETRES_PER_SECOND = 200_000.0
DEFAULT_BUFFER_SECONDS = 0.05
_T = TypeVar("_T")


class TopologyError(ValueError):
    """A topology that cannot be built; `problems` names each object and what is wrong with it."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join([f"topology {source} is not usable:", *(f"  - {p}" for p in self.problems)]))


class Role(StrEnum):
    """What a router does: provider edge (has access ports) or provider core."""

    PE = "pe"
    P = "p"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a router stands. Degrees are WGS 84; `country` is ISO 3166-1 alpha-2 or empty when unknown."""

    city: str
    country: str
    latitude: float
    longitude: float
    pop: str


@dataclass(frozen=True, slots=True)
class Node:
    """One router: its core ports carry links, its access ports face customers."""

    name: str
    role: Role
    site: Site
    core_ports: tuple[str, ...] = ()
    access_ports: tuple[str, ...] = ()
    access_bit_rate: int = 10_000_000_000


@dataclass(frozen=True, slots=True, order=True)
class PortRef:
    """A port of a node, written `node:port`."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}:{self.port}"


@dataclass(frozen=True, slots=True)
class Link:
    """A bidirectional link between two core ports; capacity in bit/s and delay in seconds, each per direction.

    `jitter_seconds` is the most that a packet waits beyond the delay, evenly from nothing on; packets keep their order.
    `buffer_seconds` is how long the queue before the link takes to empty when it is full.
    """

    name: str
    a: PortRef
    b: PortRef
    capacity_bit_rate: int
    delay_seconds: float
    srlgs: tuple[int, ...] = ()
    over: str = ""
    """The optical domain that a tunnel has to be set up in before this link carries; empty for a fibre of its own."""
    loss_ratio: float = 0.0
    jitter_seconds: float = 0.0
    buffer_seconds: float = DEFAULT_BUFFER_SECONDS

    def other_end(self, node: str) -> PortRef:
        """The end that is not at `node`."""
        return self.b if self.a.node == node else self.a

    def end_at(self, node: str) -> PortRef:
        """The end at `node`."""
        return self.a if self.a.node == node else self.b


@dataclass(frozen=True, slots=True)
class Demand:
    """Background traffic from one router to another, in bit/s."""

    source: str
    target: str
    bit_rate: int


@dataclass(frozen=True)
class Topology:
    """A checked network: every reference resolves and every name is unique, or `TopologyError` is raised."""

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    demands: tuple[Demand, ...] = ()
    optical: OpticalDomain | None = None
    _by_name: dict[str, Node] = field(init=False, repr=False, compare=False, default_factory=dict)
    _links_of: dict[str, list[Link]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        problems = [*_node_problems(self.nodes), *_link_problems(self.nodes, self.links)]
        problems += _demand_problems(self.nodes, self.demands)
        problems += _optical_problems(self)
        if problems:
            raise TopologyError(self.name, problems)
        self._by_name.update((node.name, node) for node in self.nodes)
        for link in self.links:
            for end in (link.a, link.b):
                self._links_of.setdefault(end.node, []).append(link)

    def node(self, name: str) -> Node:
        """The node called `name`; raises KeyError that lists nothing else."""
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"topology {self.name} has no router {name!r}") from None

    def links_of(self, name: str) -> tuple[Link, ...]:
        """The links that end at `name`, in the topology's order."""
        return tuple(self._links_of.get(name, ()))

    def edge_nodes(self) -> tuple[Node, ...]:
        """The routers that take customers."""
        return tuple(node for node in self.nodes if node.role is Role.PE)


def great_circle_kilometres(a: Site, b: Site) -> float:
    """Distance over ground between two sites (haversine)."""
    lat_a, lat_b = radians(a.latitude), radians(b.latitude)
    half_lon = radians(b.longitude - a.longitude) / 2
    chord = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_KILOMETRES * asin(min(1.0, sqrt(chord)))


def fibre_delay_seconds(kilometres: float) -> float:
    """One-way propagation delay over fibre of that length, to the microsecond, at least one microsecond."""
    return max(1e-6, round(kilometres / FIBRE_KILOMETRES_PER_SECOND, 6))


def _node_problems(nodes: tuple[Node, ...]) -> list[str]:
    problems = [] if nodes else ["it has no nodes"]
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            problems.append(f"node {node.name}: the name is used twice")
        seen.add(node.name)
        ports = (*node.core_ports, *node.access_ports)
        problems += [f"node {node.name}: port {port} is listed twice" for port in sorted(_repeated(ports))]
        if node.role is Role.P and node.access_ports:
            problems.append(f"node {node.name}: a P router has no access ports, make it a pe or drop access_ports")
    return problems


def _link_problems(nodes: tuple[Node, ...], links: tuple[Link, ...]) -> list[str]:
    by_name = {node.name: node for node in nodes}
    problems = [f"link {name}: the name is used twice" for name in sorted(_repeated(link.name for link in links))]
    ends = [(link, end) for link in links for end in (link.a, link.b)]
    for link, end in ends:
        problems += _end_problems(link, end, by_name)
    for end in sorted(_repeated(end for _, end in ends)):
        users = ", ".join(sorted({link.name for link, used in ends if used == end}))
        problems.append(f"port {end}: carries more than one link end ({users})")
    for link in links:
        problems += _value_problems(link)
    return problems


def _end_problems(link: Link, end: PortRef, by_name: dict[str, Node]) -> list[str]:
    node = by_name.get(end.node)
    if node is None:
        return [f"link {link.name}: there is no node {end.node} (in {end})"]
    if end.port in node.access_ports:
        return [f"link {link.name}: port {end} is an access port, links need a core port"]
    if end.port not in node.core_ports:
        known = ", ".join(node.core_ports) or "none"
        return [f"link {link.name}: node {end.node} has no core port {end.port} (its core ports: {known})"]
    return []


def _value_problems(link: Link) -> list[str]:
    problems = []
    if link.a.node == link.b.node:
        problems.append(f"link {link.name}: both ends are at {link.a.node}")
    if link.delay_seconds < 0:
        problems.append(f"link {link.name}: delay {link.delay_seconds:g} s is negative")
    if link.capacity_bit_rate <= 0:
        problems.append(f"link {link.name}: capacity {link.capacity_bit_rate} bit/s is not positive")
    if not 0 <= link.loss_ratio <= 1:
        problems.append(f"link {link.name}: loss {link.loss_ratio:g} is not a share from 0 to 1")
    if link.jitter_seconds < 0:
        problems.append(f"link {link.name}: jitter {link.jitter_seconds:g} s is negative")
    if link.buffer_seconds <= 0:
        problems.append(f"link {link.name}: buffer {link.buffer_seconds:g} s is not positive")
    if _repeated(link.srlgs):
        problems.append(f"link {link.name}: SRLG {min(_repeated(link.srlgs))} is listed twice")
    return problems


def _demand_problems(nodes: tuple[Node, ...], demands: tuple[Demand, ...]) -> list[str]:
    names = {node.name for node in nodes}
    problems = []
    for demand in demands:
        label = f"demand {demand.source} -> {demand.target}"
        problems += [f"{label}: there is no node {end}" for end in (demand.source, demand.target) if end not in names]
        if demand.bit_rate < 0:
            problems.append(f"{label}: {demand.bit_rate} bit/s is negative")
    return problems


def _optical_problems(topology: Topology) -> list[str]:
    """What does not fit between the optical domain and the routers."""
    domain = topology.optical
    name = domain.name if domain else ""
    problems = [
        f"link {link.name}: there is no optical domain {link.over}"
        for link in topology.links
        if link.over and link.over != name
    ]
    if domain is None:
        return problems
    links = {link.name for link in topology.links}
    if name in links or any(node.name == name for node in topology.nodes):
        problems.append(f"optical domain {name}: a router or a link has this name already")
    problems += [
        f"optical link {link.name}: a link has this name already" for link in domain.links if link.name in links
    ]
    return [*problems, *problems_of(domain), *_client_problems(topology, domain)]


def _client_problems(topology: Topology, domain: OpticalDomain) -> Iterator[str]:
    ports = {node.name: node.core_ports for node in topology.nodes}
    own = {end for link in topology.links if not link.over for end in (link.a, link.b)}
    for client, port in domain.clients.items():
        label = f"optical domain {domain.name}: client port {client}"
        if port.router not in ports:
            yield f"{label}: there is no node {port.router}"
        elif port.router_port not in ports[port.router]:
            yield f"{label}: node {port.router} has no core port {port.router_port}"
        elif PortRef(port.router, port.router_port) in own:
            yield f"{label}: {port.router}:{port.router_port} carries a link of its own"
    for link in topology.links:
        for end in (link.a, link.b) if link.over == domain.name else ():
            if domain.client_of(end.node, end.port) is None:
                yield f"link {link.name}: {end} is not attached to {domain.name}"


def _repeated(values: Iterable[_T]) -> set[_T]:
    return {value for value, times in Counter(values).items() if times > 1}
