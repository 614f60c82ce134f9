"""Owns a network as data: nodes, termination points, directed links, paths.

Words of RFC 8345 section 4; the attributes of a link are those of RFC 8795 section 4 (capacity, delay, metric, shared
risk link groups, administrative group, loss, availability). A network is checked whole when it is made.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite, prod
from typing import NewType

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate

LinkId = NewType("LinkId", str)
"""`source>target` in termination points, such as `pe-a:core0>p-b:core1`. One direction of a wire."""

ADMIN_GROUP_BITS = 32


class TopologyError(InvalidInputError):
    """A network that cannot be; the message lists every problem with the object's name."""


@dataclass(frozen=True, slots=True, order=True)
class TerminationPoint:
    """A port of a node that a link ends in, written `node:port`."""

    node: DeviceName
    name: str

    def __str__(self) -> str:
        return f"{self.node}:{self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A router. `endpoint` is the address its SR policies end in, `segment` its End SID.

    `termination_points` names its ports; left empty where they are not known, and then any port may carry a link.
    """

    name: DeviceName
    endpoint: str = ""
    segment: str = ""
    router_id: str = ""
    role: str = ""
    termination_points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """One direction between two nodes. `segment` is the End.X SID of its source port."""

    source: TerminationPoint
    target: TerminationPoint
    capacity: BitRate
    delay_seconds: float = 0.0
    metric: int = 10
    srlgs: frozenset[int] = frozenset()
    admin_group: int = 0
    loss_ratio: float = 0.0
    availability: float = 1.0
    is_up: bool = True
    segment: str = ""
    id: LinkId = field(init=False, repr=False, compare=False)
    """Its name."""

    def __post_init__(self) -> None:
        """Name it once; names are asked for often."""
        object.__setattr__(self, "id", LinkId(f"{self.source}>{self.target}"))

    @property
    def reverse_id(self) -> LinkId:
        """The name of the other direction of the same wire."""
        return LinkId(f"{self.target}>{self.source}")


@dataclass(frozen=True, slots=True)
class Path:
    """Links from one node to another, each beginning where the one before it ends."""

    links: tuple[Link, ...]

    @property
    def link_ids(self) -> tuple[LinkId, ...]:
        """The links by name."""
        return tuple(link.id for link in self.links)

    @property
    def nodes(self) -> tuple[DeviceName, ...]:
        """All nodes from the first to the last."""
        return (*(link.source.node for link in self.links[:1]), *(link.target.node for link in self.links))

    @property
    def delay_seconds(self) -> float:
        """The sum of the links' given delays; what was measured is `TeDatabase.path_delay_seconds`."""
        return sum(link.delay_seconds for link in self.links)

    @property
    def metric(self) -> int:
        """The sum of the links' metrics."""
        return sum(link.metric for link in self.links)

    @property
    def availability(self) -> float:
        """The product of the links' availabilities."""
        return prod(link.availability for link in self.links)

    @property
    def segments(self) -> tuple[str, ...]:
        """The End.X SIDs in order."""
        return tuple(link.segment for link in self.links)

    def __str__(self) -> str:
        return " > ".join(self.nodes)


@dataclass(frozen=True, slots=True)
class Arcs:
    """The network as numbers, for searching: links and nodes by position, in the order of their names."""

    links: tuple[Link, ...]
    ids: tuple[LinkId, ...]
    link_positions: Mapping[LinkId, int]
    nodes: tuple[DeviceName, ...]
    node_positions: Mapping[DeviceName, int]
    leaving: tuple[tuple[tuple[int, int], ...], ...]
    """Of each node: (link, the node it leads to)."""
    entering: tuple[tuple[tuple[int, int], ...], ...]
    """Of each node: (link, the node it comes from)."""
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    metrics: tuple[int, ...]
    capacities: tuple[int, ...]
    """In bit/s."""


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes and directed links, all of which are sound; `TopologyError` lists what is not."""

    nodes: Mapping[DeviceName, Node]
    links: Mapping[LinkId, Link]
    arcs: Arcs = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse the network with all its problems at once, or number its parts for searching."""
        if problems := [*_key_problems(self), *_link_problems(self), *_port_problems(self)]:
            raise TopologyError(
                f"the network has {len(problems)} problem(s): {'; '.join(problems)}", remedy="correct each of them"
            )
        object.__setattr__(self, "arcs", _arcs(self))

    @classmethod
    def of(cls, nodes: Iterable[Node], links: Iterable[Link]) -> "Network":
        """A network of these; a name that comes twice is a `TopologyError`."""
        nodes, links = tuple(nodes), tuple(links)
        names = Counter([*(node.name for node in nodes), *(link.id for link in links)])
        if twice := [name for name, times in names.items() if times > 1]:
            raise TopologyError(f"named more than once: {', '.join(twice)}", remedy="give each a name of its own")
        return cls({node.name: node for node in nodes}, {link.id: link for link in links})

    def out_of(self, node: DeviceName) -> tuple[Link, ...]:
        """The links that begin at `node`, by name; `NotFoundError` when there is no such node."""
        return tuple(self.arcs.links[link] for link, _ in self.arcs.leaving[self.node_position(node)])

    def link(self, link_id: LinkId) -> Link:
        """The link of that name; `NotFoundError` names it when there is none."""
        return self.arcs.links[self.link_position(link_id)]

    def link_position(self, link_id: LinkId) -> int:
        """Where the link stands in `arcs.links`; `NotFoundError` names it when there is none."""
        try:
            return self.arcs.link_positions[link_id]
        except KeyError:
            raise NotFoundError(
                f"the network has no link '{link_id}'", remedy="write it like 'a:port>b:port', as its source says it"
            ) from None

    def node_position(self, node: DeviceName) -> int:
        """Where the node stands in `arcs.nodes`; `NotFoundError` names it when there is none."""
        try:
            return self.arcs.node_positions[node]
        except KeyError:
            raise NotFoundError(f"the network has no node '{node}'", remedy="name one of its nodes") from None

    def both_directions(self, link_ids: Iterable[LinkId]) -> frozenset[LinkId]:
        """The wires these links run on: with each link the one that comes back, where there is one."""
        links = [self.link(link_id) for link_id in link_ids]
        back = (link.reverse_id for link in links)
        return frozenset(link.id for link in links) | {link_id for link_id in back if link_id in self.links}

    def path(self, link_ids: Iterable[LinkId]) -> Path:
        """These links as a path; refused when one does not begin where the one before it ends."""
        links = tuple(self.link(link_id) for link_id in link_ids)
        for before, after in pairwise(links):
            if before.target.node != after.source.node:
                raise InvalidInputError(
                    f"link '{after.id}' does not begin at '{before.target.node}', where '{before.id}' ends",
                    remedy="name the links in the order they are passed",
                )
        return Path(links)


def _key_problems(network: Network) -> Iterator[str]:
    for name, node in network.nodes.items():
        if name != node.name:
            yield f"node '{node.name}' is listed as '{name}'"
    for link_id, link in network.links.items():
        if link_id != link.id:
            yield f"link '{link.id}' is listed as '{link_id}'"


def _link_problems(network: Network) -> Iterator[str]:
    for link in network.links.values():
        if link.source.node == link.target.node:
            yield f"link '{link.id}' ends where it begins"
        if link.capacity.bits_per_second <= 0:
            yield f"link '{link.id}' has capacity {link.capacity}, which must be above 0"
        if not (isfinite(link.delay_seconds) and link.delay_seconds >= 0):
            yield f"link '{link.id}' has delay {link.delay_seconds} s, which must not be negative"
        if link.metric < 1:
            yield f"link '{link.id}' has metric {link.metric}, which must be at least 1"
        if not 0 <= link.loss_ratio <= 1:
            yield f"link '{link.id}' has loss ratio {link.loss_ratio}, which must be between 0 and 1"
        if not 0 <= link.availability <= 1:
            yield f"link '{link.id}' has availability {link.availability}, which must be between 0 and 1"
        if not 0 <= link.admin_group < 1 << ADMIN_GROUP_BITS:
            yield f"link '{link.id}' has administrative group {link.admin_group:#x}, which has {ADMIN_GROUP_BITS} bits"
        if any(srlg < 0 for srlg in link.srlgs):
            yield f"link '{link.id}' is in a shared risk link group of negative number"


def _port_problems(network: Network) -> Iterator[str]:
    begins = Counter(link.source for link in network.links.values())
    ends = Counter(link.target for link in network.links.values())
    for link in network.links.values():
        for point in (link.source, link.target):
            node = network.nodes.get(point.node)
            if node is None:
                yield f"link '{link.id}' is at '{point.node}', which is not a node"
            elif node.termination_points and point.name not in node.termination_points:
                yield f"link '{link.id}' is at '{point}', which is not a port of '{point.node}'"
    for point in sorted({*begins, *ends}):
        if begins[point] > 1 or ends[point] > 1:
            yield f"port '{point}' carries more than one link"


def _arcs(network: Network) -> Arcs:
    ids = tuple(sorted(network.links))
    links = tuple(network.links[link_id] for link_id in ids)
    nodes = tuple(sorted(network.nodes))
    numbers = {name: position for position, name in enumerate(nodes)}
    sources = tuple(numbers[link.source.node] for link in links)
    targets = tuple(numbers[link.target.node] for link in links)
    leaving: list[list[tuple[int, int]]] = [[] for _ in nodes]
    entering: list[list[tuple[int, int]]] = [[] for _ in nodes]
    for link, (source, target) in enumerate(zip(sources, targets, strict=True)):
        leaving[source].append((link, target))
        entering[target].append((link, source))
    return Arcs(
        links=links,
        ids=ids,
        link_positions={link_id: position for position, link_id in enumerate(ids)},
        nodes=nodes,
        node_positions=numbers,
        leaving=tuple(map(tuple, leaving)),
        entering=tuple(map(tuple, entering)),
        sources=sources,
        targets=targets,
        metrics=tuple(link.metric for link in links),
        capacities=tuple(link.capacity.bits_per_second for link in links),
    )
