"""Owns reading a scenario to diagnose, YAML or JSON: a topology, paths over it, and what was observed.

    topology:
      nodes: [a, b, c]
      links: [{a: a, b: b, srlgs: [7]}, {a: b, b: c, name: fibre-9}]
    cards: {b/1: [a-b, fibre-9]}                     # optional: links, by name, on one line card
    paths: {p1: [a, b], p2: [a, b, c]}               # the nodes in order, or the links by name
    observations:
      - {path: p2, sent: 1000, lost: 21}             # a probe; or loss: 0.021, of 1000 packets
      - {path: p1, state: good}                      # a detector's verdict: good or bad
      - {path: p1, delay: 13.9, usual: 10.1, deviation: 0.4}
      - {link: a-b, state: down}                     # a carrier: up or down
      - {node: c, state: silent}                     # a device: answers or silent
    symptoms: [p2, a-b]                              # instead, or too: the names of what is bad

Instead of nodes and links a topology may be the name of a published one (`topology: sndlib/germany50`, or germany50
alone), whose shared risks stand beside it (`srlgs: {duct-1: [a-b, b-c]}`), as they may beside any.

With symptoms, paths count as good that nothing is said of; so do links and nodes once one of them is a symptom. An
observation may have a sensor (the device that says so; a path's first node without it), a time (seconds or a date;
incidents are told apart by it) and a quality (0 to 1). A link is called a-b, or b-a, unless it has a name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.adapters.published_topology import published_network
from controller.adapters.yaml_files import read_mapping
from controller.assurance.root_cause_groups import RiskGroup, RiskKind, risk_groups, wire_name
from controller.assurance.root_cause_observations import Observation, ObservationKind, path_elements
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, Network, Node, Path, TerminationPoint

_REMEDY = "accord bench localise --help shows the form"
_PACKETS = 1000
_ANY_CAPACITY = BitRate(1)
_LISTED_LIES = 1e-4
"""How often all that begins at a router is listed wrongly: rarer than a fault, as who lists symptoms looked at them."""
_DEVIATIONS = 3.0
_LEAST_DEVIATION = 0.02
"""Of the usual delay."""
_CARRIERS = {"up": False, "good": False, "down": True, "bad": True}
_ANSWERS = {"answers": False, "up": False, "good": False, "silent": True, "down": True, "bad": True}
_VERDICTS = {"good": False, "up": False, "bad": True, "down": True}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)


class _Node(_Part):
    name: str


class _Link(_Part):
    a: str
    b: str
    name: str = ""
    srlgs: tuple[str, ...] = ()


class _Topology(_Part):
    nodes: tuple[str | _Node, ...]
    links: tuple[_Link, ...]


class _Observed(_Part):
    path: str = ""
    link: str = ""
    node: str = ""
    sensor: str = ""
    state: Literal["", "good", "bad", "up", "down", "answers", "silent"] = ""
    sent: int = Field(default=_PACKETS, ge=1, le=10**12)
    lost: int | None = Field(default=None, ge=0)
    loss: float | None = Field(default=None, ge=0, le=1)
    delay: float | None = Field(default=None, ge=0)
    usual: float | None = Field(default=None, gt=0)
    deviation: float = Field(default=0.0, ge=0)
    time: float | datetime | None = None
    quality: float = Field(default=1.0, ge=0, le=1)


class _File(_Part):
    topology: _Topology
    cards: dict[str, tuple[str, ...]] = {}
    srlgs: dict[str, tuple[str, ...]] = {}
    paths: dict[str, tuple[str, ...]] = {}
    observations: tuple[_Observed, ...] = ()
    symptoms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedScenario:
    """What can fail, under the file's names, and what was observed."""

    groups: tuple[RiskGroup, ...]
    observations: tuple[Observation, ...]


def read_scenario(file: FilePath) -> RecordedScenario:
    """The scenario of a file; `InvalidInputError` names the file and the object that is wrong."""
    try:
        document = read_mapping(file)
        if isinstance(document.get("topology"), str):
            document["topology"] = _published(document["topology"])
        found = _File.model_validate(document)
        return _Reader(found).scenario()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{where}: {first['msg']}", path=str(file), remedy=_REMEDY) from None
    except (InvalidInputError, NotFoundError) as error:
        error.path = error.path or str(file)
        raise


def _published(name: str) -> dict[str, Any]:
    """A published topology as a file would list it; one of SNDlib's without its collection too."""
    try:
        network = published_network(name if "/" in name else f"sndlib/{name}")
    except NotFoundError as error:
        remedy = f"{error.remedy}; or list nodes and links under topology"
        raise NotFoundError(f"topology: {error.message}", remedy=remedy) from None
    wires = {frozenset((link.source.node, link.target.node)): None for link in network.links.values()}
    links = [dict(zip(("a", "b"), sorted(ends), strict=True)) for ends in wires]
    return {"nodes": list(network.nodes), "links": links}


class _Reader:
    """The names of one file, resolved."""

    def __init__(self, file: _File) -> None:
        self._file = file
        self._srlgs: dict[str, int] = {}
        nodes = [node if isinstance(node, str) else node.name for node in file.topology.nodes]
        self._wires: dict[str, Link] = {}
        self._turned: dict[str, str] = {}
        """Names of links that have none of their own, from their other end."""
        for number, wire in enumerate(file.topology.links):
            self._add(number, wire, nodes)
        for srlg, names in file.srlgs.items():
            self._share(srlg, names)
        back = [replace(link, source=link.target, target=link.source) for link in self._wires.values()]
        self._network = Network.of([Node(DeviceName(node)) for node in nodes], [*self._wires.values(), *back])

    def _add(self, number: int, wire: _Link, nodes: Sequence[str]) -> None:
        name = wire.name or f"{wire.a}-{wire.b}"
        for end in (wire.a, wire.b):
            if end not in nodes:
                raise InvalidInputError(
                    f"link '{name}' ends at '{end}', which is not a node", remedy="list it under nodes"
                )
        if wire.a == wire.b:
            raise InvalidInputError(f"link '{name}' joins '{wire.a}' with itself", remedy="name its other end")
        if name in self._wires:
            raise InvalidInputError(f"two links are called '{name}'", remedy="give them names of their own")
        a, b = (TerminationPoint(DeviceName(end), f"link{number}") for end in (wire.a, wire.b))
        srlgs = frozenset(self._srlgs.setdefault(srlg, len(self._srlgs)) for srlg in wire.srlgs)
        self._wires[name] = Link(a, b, _ANY_CAPACITY, srlgs=srlgs)
        if not wire.name:
            self._turned[f"{wire.b}-{wire.a}"] = name

    def _share(self, srlg: str, names: Sequence[str]) -> None:
        """Links that lie in one shared risk; a link may lie in others too."""
        number = self._srlgs.setdefault(srlg, len(self._srlgs))
        for name in names:
            link = self._wire(name)
            self._wires[self._called(name)] = replace(link, srlgs=link.srlgs | {number})

    def _called(self, name: str) -> str:
        return name if name in self._wires else self._turned.get(name, name)

    def scenario(self) -> RecordedScenario:
        observed = list(self._file.observations)
        listed = [self._symptom(name) for name in self._file.symptoms]
        named = {one.path or self._called(one.link) or one.node for one in (*observed, *listed)}
        presumed = list(self._unnamed(named)) if listed else []
        if not observed and not listed:
            raise InvalidInputError("nothing was observed", remedy="list observations or symptoms")
        told = [found for one in observed for found in self._observations(one)]
        told += [replace(found, lies=_LISTED_LIES) for one in listed for found in self._observations(one)]
        quiet = (found for one in presumed for found in self._observations(one))
        told += [replace(found, lies=_LISTED_LIES, is_presumed=True) for found in quiet]
        return RecordedScenario(self._groups(), tuple(told))

    def _groups(self) -> tuple[RiskGroup, ...]:
        cards = {card: [self._wire(name).id for name in names] for card, names in self._file.cards.items()}
        wires = {str(wire_name(self._network, link.id)): name for name, link in self._wires.items()}
        srlgs = {str(number): name for name, number in self._srlgs.items()}
        names = {RiskKind.LINK: wires, RiskKind.SRLG: srlgs}
        return tuple(
            replace(
                group, name=names.get(group.kind, {}).get(group.name, group.name), direction=_arrow(group.direction)
            )
            for group in risk_groups(self._network, cards)
        )

    # -- what was observed -------------------------------------------------------------------------------------

    def _symptom(self, name: str) -> _Observed:
        if name in self._file.paths:
            return _Observed(path=name, state="bad")
        if self._called(name) in self._wires:
            return _Observed(link=self._called(name), state="down")
        if name in self._network.nodes:
            return _Observed(node=name, state="silent")
        raise InvalidInputError(f"symptom '{name}' is no path, link or node", remedy="list it among them")

    def _unnamed(self, named: set[str]) -> Iterator[_Observed]:
        """What is good because it is not among the symptoms, though others of its sort are, or could have been."""
        paths = (name for name in self._file.paths if name not in named)
        yield from (_Observed(path=name, state="good") for name in paths)
        if not self._wires.keys().isdisjoint(map(self._called, self._file.symptoms)):
            yield from (_Observed(link=name, state="up") for name in self._wires if name not in named)
        if not self._network.nodes.keys().isdisjoint(self._file.symptoms):
            yield from (_Observed(node=name, state="answers") for name in self._network.nodes if name not in named)

    def _observations(self, one: _Observed) -> Iterator[Observation]:
        """What was observed; a link's carrier by the routers at both of its ends, where nobody says by which."""
        if sum(map(bool, (one.path, one.link, one.node))) != 1:
            raise InvalidInputError(f"an observation is of one path, link or node, not: {_words(one)}", remedy=_REMEDY)
        if one.path:
            yield self._of_path(one)
        elif one.link:
            link, is_down = self._wire(one.link), _state(one, _CARRIERS)
            wire = frozenset(self._network.both_directions([link.id]))
            for end in (link.source.node, link.target.node)[: 1 if one.sensor else 2]:
                yield _made(one, ObservationKind.CARRIER, end, wire, is_bad=is_down)
        else:
            self._network.node_position(DeviceName(one.node))
            of_node = frozenset({one.node})
            yield _made(one, ObservationKind.SILENCE, "controller", of_node, is_bad=_state(one, _ANSWERS))

    def _of_path(self, one: _Observed) -> Observation:
        if one.path not in self._file.paths:
            raise InvalidInputError(f"there is no path '{one.path}'", remedy="list it under paths")
        path = self._path(one.path)
        elements, sensor = path_elements([path]), str(path.nodes[0])
        if one.lost is not None or one.loss is not None:
            lost = one.lost if one.lost is not None else round((one.loss or 0.0) * one.sent)
            return _made(one, ObservationKind.LOSS, sensor, elements, sent=one.sent, lost=lost)
        if one.delay is not None:
            return _made(one, ObservationKind.VERDICT, sensor, elements, is_bad=_is_late(one))
        return _made(one, ObservationKind.VERDICT, sensor, elements, is_bad=_state(one, _VERDICTS))

    def _path(self, name: str) -> Path:
        hops = self._file.paths[name]
        if hops and hops[0] in self._network.nodes:
            return (
                self._network.path(self._between(name, *ends).id for ends in pairwise(hops))
                if hops[1:]
                else _none(name)
            )
        return self._chain([self._wire(hop) for hop in hops]) if hops else _none(name)

    def _between(self, name: str, a: str, b: str) -> Link:
        self._network.node_position(DeviceName(b))
        links = [link for link in self._network.out_of(DeviceName(a)) if link.target.node == b]
        if len(links) != 1:
            raise InvalidInputError(
                f"path '{name}' goes from '{a}' to '{b}', between which there are {len(links)} links",
                remedy="list nodes that one link joins, or the links by name",
            )
        return links[0]

    def _chain(self, wires: list[Link]) -> Path:
        """Links in the direction in which each begins where the one before it ends."""
        first = wires[0]
        if wires[1:] and first.target.node not in {wires[1].source.node, wires[1].target.node}:
            first = self._network.link(first.reverse_id)
        links = [first]
        for wire in wires[1:]:
            forward = wire.source.node == links[-1].target.node
            links.append(wire if forward else self._network.link(wire.reverse_id))
        return self._network.path(link.id for link in links)

    def _wire(self, name: str) -> Link:
        if self._called(name) not in self._wires:
            raise InvalidInputError(f"there is no link '{name}'", remedy="name one of the topology's links")
        return self._wires[self._called(name)]


def _made(one: _Observed, kind: ObservationKind, sensor: str, elements: frozenset[str], **said: Any) -> Observation:
    time = one.time
    if isinstance(time, datetime):
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    subject = one.path or one.link or one.node
    return Observation(kind, subject, one.sensor or sensor, elements, time=time, quality=one.quality, **said)


def _state(one: _Observed, states: Mapping[str, bool]) -> bool:
    if one.state not in states:
        raise InvalidInputError(f"what is said of it is not known: {_words(one)}", remedy=f"state: {', '.join(states)}")
    return states[one.state]


def _is_late(one: _Observed) -> bool:
    if one.usual is None or one.delay is None:
        raise InvalidInputError(f"a delay needs to be beside the usual one: {_words(one)}", remedy=_REMEDY)
    return one.delay - one.usual > _DEVIATIONS * max(one.deviation, _LEAST_DEVIATION * one.usual)


def _arrow(direction: str) -> str:
    """`a:link0>b:link0` as `a > b`: the file knows no ports."""
    return " > ".join(end.rpartition(":")[0] for end in direction.split(">")) if direction else ""


def _none(name: str) -> NoReturn:
    raise InvalidInputError(f"path '{name}' goes nowhere", remedy="list at least two nodes or one link")


def _words(one: _Observed) -> str:
    said = one.model_dump(exclude_defaults=True)
    return ", ".join(f"{key}: {value}" for key, value in said.items()) or "nothing"
