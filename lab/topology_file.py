"""The lab's own topology file: YAML in, checked `Topology` out, and back.

Owns the file form (nodes with role and site, links with capacity, delay and SRLGs, demands) and its error messages,
which name the object by its name and not by its position.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lab.optical.allocation import least_delay_seconds
from lab.optical.domain import OpticalDomain
from lab.optical.file import OpticalEntry, optical_document
from lab.topology import (
    DEFAULT_BUFFER_SECONDS,
    Demand,
    Link,
    Node,
    PortRef,
    Role,
    Site,
    Topology,
    TopologyError,
    fibre_delay_seconds,
    great_circle_kilometres,
)
from lab.topology_values import parse_bit_rate, parse_port_ref

_ROUTE_FACTOR = 1.3  # fibre does not run in straight lines


_BitRate = Annotated[int, BeforeValidator(parse_bit_rate)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
_PortName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class _SiteEntry(_Entry):
    city: Annotated[str, Field(min_length=1)]
    country: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = ""
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    pop: Annotated[str, Field(min_length=1)]


class _NodeEntry(_Entry):
    name: _Name
    role: Role
    site: _SiteEntry
    core_ports: tuple[_PortName, ...] = ()
    access_ports: tuple[_PortName, ...] = ()
    access_bit_rate: _BitRate = 10_000_000_000


class _LinkEntry(_Entry):
    name: _Name | None = None
    a: Annotated[PortRef, BeforeValidator(parse_port_ref)]
    b: Annotated[PortRef, BeforeValidator(parse_port_ref)]
    capacity: _BitRate
    delay_milliseconds: float | None = None
    srlgs: tuple[Annotated[int, Field(ge=0, le=2**32 - 1)], ...] = ()
    over: str = ""
    loss: float = 0.0
    jitter_milliseconds: float = 0.0
    buffer_milliseconds: float = DEFAULT_BUFFER_SECONDS * 1000


class _DemandEntry(_Entry):
    source: _Name
    target: _Name
    bit_rate: _BitRate


class _TopologyEntry(_Entry):
    name: Annotated[str, Field(min_length=1)]
    nodes: tuple[_NodeEntry, ...]
    links: tuple[_LinkEntry, ...] = ()
    demands: tuple[_DemandEntry, ...] = ()
    optical: OpticalEntry | None = None


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; a topology says so instead."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                line = node.value[index][0].start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: key {key!r} is written twice")
        return super().construct_mapping(node, deep=deep)


def load_topology(path: Path) -> Topology:
    """The topology in that YAML (or JSON) file; raises `TopologyError` naming the file and each faulty object."""
    try:
        return parse_topology(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(str(path), [f"cannot read it: {error}"]) from error


def parse_topology(text: str, *, source: str = "text") -> Topology:
    """The topology in that YAML text; raises `TopologyError` naming each faulty object."""
    try:
        document = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise TopologyError(source, [f"it is not YAML: {error}"]) from error
    if not isinstance(document, Mapping):
        raise TopologyError(source, ["the top level is not a mapping with name, nodes and links"])
    return topology_from_document(document, source=source)


def topology_from_document(document: Mapping[str, Any], *, source: str) -> Topology:
    """The topology in a parsed document; raises `TopologyError`."""
    try:
        entry = _TopologyEntry.model_validate(document)
    except ValidationError as error:
        raise TopologyError(source, [_problem(document, dict(item)) for item in error.errors()]) from error
    try:
        return _build(entry)
    except TopologyError as error:
        raise TopologyError(source, error.problems) from error


def topology_document(topology: Topology) -> dict[str, Any]:
    """The file form of a topology: what `topology_from_document` reads back as an equal topology."""
    document = {
        "name": topology.name,
        "nodes": [_node_document(node) for node in topology.nodes],
        "links": [_link_document(link) for link in topology.links],
        "demands": [{"source": d.source, "target": d.target, "bit_rate": d.bit_rate} for d in topology.demands],
    }
    return document if topology.optical is None else {**document, "optical": optical_document(topology.optical)}


def _build(entry: _TopologyEntry) -> Topology:
    nodes = tuple(_node(item) for item in entry.nodes)
    sites = {node.name: node.site for node in nodes}
    optical = entry.optical.domain() if entry.optical else None
    return Topology(
        name=entry.name,
        nodes=nodes,
        links=tuple(_link(item, sites, optical) for item in entry.links),
        demands=tuple(Demand(item.source, item.target, item.bit_rate) for item in entry.demands),
        optical=optical,
    )


def _node(item: _NodeEntry) -> Node:
    site = Site(**item.site.model_dump())
    return Node(item.name, item.role, site, item.core_ports, item.access_ports, item.access_bit_rate)


def _link(item: _LinkEntry, sites: Mapping[str, Site], optical: OpticalDomain | None) -> Link:
    name = item.name or f"{item.a.node}--{item.b.node}"
    if item.delay_milliseconds is not None:
        delay_seconds = round(item.delay_milliseconds / 1000, 9)
    elif item.over:
        delay_seconds = _optical_delay_seconds(item, optical)
    elif item.a.node in sites and item.b.node in sites:
        kilometres = great_circle_kilometres(sites[item.a.node], sites[item.b.node])
        delay_seconds = fibre_delay_seconds(kilometres * _ROUTE_FACTOR)
    else:
        delay_seconds = 0.0  # the topology's own check names the missing node
    return Link(
        name,
        item.a,
        item.b,
        item.capacity,
        delay_seconds,
        item.srlgs,
        item.over,
        loss_ratio=item.loss,
        jitter_seconds=round(item.jitter_milliseconds / 1000, 9),
        buffer_seconds=round(item.buffer_milliseconds / 1000, 9),
    )


def _optical_delay_seconds(item: _LinkEntry, optical: OpticalDomain | None) -> float:
    """The delay of the tunnel that is going to carry the link; 0 where the topology's own check finds what is wrong."""
    clients = [optical.client_of(end.node, end.port) for end in (item.a, item.b)] if optical else []
    ends = [client for client in clients if client is not None]
    return (least_delay_seconds(optical, *ends) or 0.0) if optical and len(ends) == 2 else 0.0


def _node_document(node: Node) -> dict[str, Any]:
    site = node.site
    return {
        "name": node.name,
        "role": node.role.value,
        "site": {
            "city": site.city,
            "country": site.country,
            "latitude": site.latitude,
            "longitude": site.longitude,
            "pop": site.pop,
        },
        "core_ports": list(node.core_ports),
        "access_ports": list(node.access_ports),
        "access_bit_rate": node.access_bit_rate,
    }


def _link_document(link: Link) -> dict[str, Any]:
    over = {"over": link.over} if link.over else {}
    return {
        **over,
        "name": link.name,
        "a": str(link.a),
        "b": str(link.b),
        "capacity": link.capacity_bit_rate,
        "delay_milliseconds": round(link.delay_seconds * 1000, 6),
        "srlgs": list(link.srlgs),
        "loss": link.loss_ratio,
        "jitter_milliseconds": round(link.jitter_seconds * 1000, 6),
        "buffer_milliseconds": round(link.buffer_seconds * 1000, 6),
    }


def _problem(document: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    """One line for a pydantic error: the object by name, then the member, then what is wrong."""
    location = [str(part) for part in error["loc"]]
    message = str(error["msg"]).removeprefix("Value error, ")
    label = _object_label(document, error["loc"])
    if label is None:
        return f"{'.'.join(location)}: {message}"
    return f"{label}: {'.'.join(location[2:])}: {message}" if len(location) > 2 else f"{label}: {message}"


def _object_label(document: Mapping[str, Any], location: tuple[str | int, ...]) -> str | None:
    if len(location) < 2 or not isinstance(location[1], int):
        return None
    kind, index = str(location[0]).removesuffix("s"), location[1]
    item = document[str(location[0])][index]
    if not isinstance(item, Mapping):
        return f"{kind} {index + 1}"
    ends = f"{item.get('a', item.get('source', '?'))} to {item.get('b', item.get('target', '?'))}"
    return f"{kind} {item.get('name') or (ends if kind != 'node' else index + 1)}"
