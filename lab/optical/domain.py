"""An optical domain as plain data: nodes, the client ports that routers are attached to, fibres with slots and delay.

Words are those of yang/accord-otn.yang. Delay does not depend on the load (fine-grain OTN): the given one holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

DEFAULT_SLOT_BIT_RATE = 10_000_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, order=True)
class Client:
    """A client port of a node, written `node:port`."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClientPort:
    """A client port: the router and port attached to it, and the most slots that a tunnel from it can have."""

    name: str
    router: str
    router_port: str
    slots: int


@dataclass(frozen=True, slots=True)
class OpticalNode:
    """A switch of the domain."""

    name: str
    client_ports: tuple[ClientPort, ...] = ()


@dataclass(frozen=True, slots=True)
class OpticalLink:
    """A fibre between two nodes; slots are taken in both directions at once."""

    name: str
    a: str
    b: str
    slots: int
    delay_seconds: float
    srlgs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OpticalDomain:
    """Everything the domain controller knows before anybody asks it for a tunnel."""

    name: str
    nodes: tuple[OpticalNode, ...]
    links: tuple[OpticalLink, ...]
    slot_bit_rate: int = DEFAULT_SLOT_BIT_RATE
    setup_seconds: float = 2.0

    @property
    def clients(self) -> Mapping[Client, ClientPort]:
        """Every client port."""
        return {Client(node.name, port.name): port for node in self.nodes for port in node.client_ports}

    def client_of(self, router: str, port: str) -> Client | None:
        """The client port that a router's port is attached to."""
        for client, found in self.clients.items():
            if (found.router, found.router_port) == (router, port):
                return client
        return None

    def link(self, name: str) -> OpticalLink:
        """The link of that name; KeyError when there is none."""
        for link in self.links:
            if link.name == name:
                return link
        raise KeyError(f"optical domain {self.name} has no link {name!r}")


def problems_of(domain: OpticalDomain) -> Iterator[str]:
    """What is wrong within the domain, each problem with the object's name."""
    label = f"optical domain {domain.name}"
    if domain.slot_bit_rate <= 0:
        yield f"{label}: slots of {domain.slot_bit_rate} bit/s carry nothing"
    if domain.setup_seconds < 0:
        yield f"{label}: a set-up time of {domain.setup_seconds:g} s is negative"
    yield from _node_problems(domain, label)
    yield from _link_problems(domain, label)


def _node_problems(domain: OpticalDomain, label: str) -> Iterator[str]:
    for name in _repeated(node.name for node in domain.nodes):
        yield f"{label}: node {name} is listed twice"
    for node in domain.nodes:
        for name in _repeated(port.name for port in node.client_ports):
            yield f"{label}: node {node.name}: client port {name} is listed twice"
    attached = [f"{port.router}:{port.router_port}" for port in domain.clients.values()]
    for name in _repeated(attached):
        yield f"{label}: {name} is attached to two client ports"
    for client, port in domain.clients.items():
        if port.slots <= 0:
            yield f"{label}: client port {client} has {port.slots} slots"


def _link_problems(domain: OpticalDomain, label: str) -> Iterator[str]:
    nodes = {node.name for node in domain.nodes}
    for name in _repeated(link.name for link in domain.links):
        yield f"{label}: link {name} is listed twice"
    for link in domain.links:
        for end in (link.a, link.b):
            if end not in nodes:
                yield f"{label}: link {link.name}: there is no node {end}"
        if link.a == link.b:
            yield f"{label}: link {link.name}: both ends are at {link.a}"
        if link.slots <= 0:
            yield f"{label}: link {link.name} has {link.slots} slots"
        if link.delay_seconds < 0:
            yield f"{label}: link {link.name}: delay {link.delay_seconds:g} s is negative"


def _repeated(values: Iterable[_T]) -> list[_T]:
    return [value for value, times in Counter(values).items() if times > 1]
