"""The `optical` section of a topology file: YAML in, `OpticalDomain` out, and back.

Owns its form. The topology checks what it says against the routers (`lab.topology`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lab.optical.domain import DEFAULT_SLOT_BIT_RATE, ClientPort, OpticalDomain, OpticalLink, OpticalNode
from lab.topology import PortRef
from lab.topology_values import parse_bit_rate, parse_port_ref

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
_MILLISECONDS = 1000


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class _ClientPortEntry(_Entry):
    name: _Name
    attached: Annotated[PortRef, BeforeValidator(parse_port_ref)]
    slots: int


class _NodeEntry(_Entry):
    name: _Name
    client_ports: tuple[_ClientPortEntry, ...] = ()


class _LinkEntry(_Entry):
    name: _Name | None = None
    a: _Name
    b: _Name
    slots: int
    delay_milliseconds: float
    srlgs: tuple[Annotated[int, Field(ge=0, le=2**32 - 1)], ...] = ()


class OpticalEntry(_Entry):
    """The section as it is written."""

    name: _Name = "otn-domain"
    slot: Annotated[int, BeforeValidator(parse_bit_rate)] = DEFAULT_SLOT_BIT_RATE
    setup_seconds: float = 2.0
    nodes: tuple[_NodeEntry, ...]
    links: tuple[_LinkEntry, ...]

    def domain(self) -> OpticalDomain:
        """The domain it describes."""
        return OpticalDomain(
            name=self.name,
            nodes=tuple(_node(node) for node in self.nodes),
            links=tuple(_link(link) for link in self.links),
            slot_bit_rate=self.slot,
            setup_seconds=self.setup_seconds,
        )


def optical_document(domain: OpticalDomain) -> dict[str, Any]:
    """The section that `OpticalEntry` reads back as an equal domain."""
    return {
        "name": domain.name,
        "slot": domain.slot_bit_rate,
        "setup_seconds": domain.setup_seconds,
        "nodes": [_node_document(node) for node in domain.nodes],
        "links": [_link_document(link) for link in domain.links],
    }


def _node(entry: _NodeEntry) -> OpticalNode:
    ports = (ClientPort(port.name, port.attached.node, port.attached.port, port.slots) for port in entry.client_ports)
    return OpticalNode(entry.name, tuple(ports))


def _link(entry: _LinkEntry) -> OpticalLink:
    name = entry.name or f"{entry.a}--{entry.b}"
    delay_seconds = round(entry.delay_milliseconds / _MILLISECONDS, 9)
    return OpticalLink(name, entry.a, entry.b, entry.slots, delay_seconds, entry.srlgs)


def _node_document(node: OpticalNode) -> dict[str, Any]:
    ports = [
        {"name": port.name, "attached": f"{port.router}:{port.router_port}", "slots": port.slots}
        for port in node.client_ports
    ]
    return {"name": node.name, "client_ports": ports}


def _link_document(link: OpticalLink) -> dict[str, Any]:
    return {
        "name": link.name,
        "a": link.a,
        "b": link.b,
        "slots": link.slots,
        "delay_milliseconds": round(link.delay_seconds * _MILLISECONDS, 6),
        "srlgs": list(link.srlgs),
    }
