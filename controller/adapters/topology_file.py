"""Owns reading a topology that somebody wrote down (RFC 8345 and RFC 8795 words): it goes before what devices tell.

    nodes:
      - {name: pe-a, endpoint: "fc00:0:1::1"}
    links:
      - {source: "pe-a:core0", target: "p-b:core3", capacity: 100 Gbit/s, delay: 2.5 ms, srlgs: [101]}

A link is meant in both directions, unless it says `one_way: true`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from controller.adapters.yaml_files import read_mapping
from controller.model.errors import AccordError, InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate, Duration
from controller.runtime.topology_reading import GivenTopology
from controller.topology.network import Link, Node, TerminationPoint


def _bit_rate(text: str) -> str:
    return _or_value_error(BitRate.parse, text)


def _duration(text: str) -> str:
    return _or_value_error(Duration.parse, text)


def _or_value_error(parse: Any, text: str) -> str:
    try:
        parse(text)
    except AccordError as error:
        raise ValueError(str(error)) from error
    return text


_Port = Annotated[str, Field(pattern=r"^[^:\s]+:\S+$")]


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    endpoint: str = ""
    segment: str = ""
    router_id: str = ""
    role: str = ""


class _Link(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: _Port
    target: _Port
    capacity: Annotated[str, AfterValidator(_bit_rate)]
    delay: Annotated[str, AfterValidator(_duration)] = "0 ms"
    metric: int = Field(default=10, ge=1)
    srlgs: tuple[int, ...] = ()
    admin_group: int = Field(default=0, ge=0)
    loss_ratio: float = Field(default=0.0, ge=0, le=1)
    availability: float = Field(default=1.0, ge=0, le=1)
    segment: str = ""
    one_way: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: tuple[_Node, ...] = ()
    links: tuple[_Link, ...] = ()


def load_topology(file: Path | None) -> GivenTopology:
    """What the file says; nothing without one. `InvalidInputError` names file and key."""
    if file is None:
        return GivenTopology()
    try:
        found = _File.model_validate(read_mapping(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{file}: {where}: {first['msg']}", path=where, remedy="correct the file") from error
    nodes = tuple(Node(**(node.model_dump() | {"name": DeviceName(node.name)})) for node in found.nodes)
    return GivenTopology(nodes, tuple(link for entry in found.links for link in _links(entry)))


def _links(entry: _Link) -> Iterator[Link]:
    ends = [_point(entry.source), _point(entry.target)]
    for source, target in [ends] if entry.one_way else [ends, ends[::-1]]:
        yield Link(
            source=source,
            target=target,
            capacity=BitRate.parse(entry.capacity),
            delay_seconds=Duration.parse(entry.delay).seconds,
            metric=entry.metric,
            srlgs=frozenset(entry.srlgs),
            admin_group=entry.admin_group,
            loss_ratio=entry.loss_ratio,
            availability=entry.availability,
            segment=entry.segment if entry.one_way else "",
        )


def _point(text: str) -> TerminationPoint:
    node, _, port = text.partition(":")
    return TerminationPoint(DeviceName(node), port)
