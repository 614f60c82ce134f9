"""Owns what a recovery looks at: the fault, who suffers from it and what those were promised, and what there is left.

The fault event and the fault-context descriptor of draft agent-recovery-networks (6.3, 6.3.2) in our words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from controller.mapping.codec import from_json, to_json
from controller.mapping.tunnel import Tunnel
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName
from controller.topology.network import LinkId
from controller.topology.te_database import TeDatabase

Json = Any
MOST_IMPORTANT, LEAST_IMPORTANT, USUAL = 1, 9, 5
"""Priorities, as intents have them."""


class FaultKind(StrEnum):
    """What is wrong, as far as it decides what may help."""

    UNKNOWN = "unknown"
    LINK = "link"
    NODE = "node"
    SRLG = "srlg"
    LINE_CARD = "line-card"
    CONGESTION = "congestion"
    """Nothing is broken: more is sent over a link than it carries."""
    DELAY = "delay"
    """Packets take far longer over it than they usually do: that hurts who was promised a delay."""
    DRIFT = "drift"
    """Somebody changed a device behind the controller's back."""


class RemedyKind(StrEnum):
    """Ways to help; intents name them in their fallback policy."""

    PROTECT = "protect"
    """Carry on a path that is there already, and build another one to wait."""
    REROUTE = "reroute"
    SHIFT = "shift"
    """Part of the traffic goes another way."""
    RESTORE = "restore"
    """A device gets back what its owners want."""
    DEGRADE = "degrade"
    """Carry with less than was promised, before carrying nothing."""


FALLBACK: tuple[RemedyKind, ...] = tuple(RemedyKind)
"""The order in which ways are preferred where they are worth the same, and what is allowed where nobody says less."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong. `cause` names it, one recovery at a time; `elements` are directed links and nodes.

    `is_down`: nothing gets over them. `metric`, `value` and `threshold` are of the worst symptom.
    """

    cause: str
    kind: str
    elements: tuple[str, ...] = ()
    is_down: bool = False
    confidence: float = 0.0
    symptoms: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    """What cannot be told from it by what is seen."""
    reason: str = ""
    severity: str = "major"

    def to_json(self) -> Json:
        """The fault as JSON."""
        return to_json(self)

    @classmethod
    def from_json(cls, document: Json) -> "Fault":
        """The fault that `to_json` was made of."""
        made: Fault = from_json(cls, document)
        return made

    def hits(self, links: Iterable[str], nodes: Iterable[str] = ()) -> bool:
        """Whether any of these is faulty."""
        faulty = frozenset(self.elements)
        return not faulty.isdisjoint(links) or not faulty.isdisjoint(nodes)


@dataclass(frozen=True, slots=True)
class Promise:
    """What a service was promised, from its intent. Rates in bit/s, times in seconds."""

    service: str
    priority: int = USUAL
    delay_bound_seconds: float | None = None
    bit_rate: int = 0
    fallback: tuple[RemedyKind, ...] = FALLBACK

    @property
    def weight(self) -> int:
        """What it counts in a score: the most important nine times the least."""
        return LEAST_IMPORTANT + 1 - self.priority


@dataclass(frozen=True, slots=True)
class Flow:
    """What a service sends from one router to another: `tunnel` is empty where it takes the shortest paths."""

    service: str
    source: DeviceName
    target: DeviceName
    links: tuple[LinkId, ...]
    """Every link that any of its ways takes."""
    nodes: tuple[DeviceName, ...] = ()
    tunnel: str = ""
    bit_rate: int = 0
    is_carried: bool = True
    """Whether it gets there at all."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.service} from {self.source} to {self.target}"


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that remedies are made of: nothing else is asked."""

    fault: Fault
    database: TeDatabase
    tunnels: tuple[Tunnel, ...] = ()
    flows: tuple[Flow, ...] = ()
    promises: Mapping[str, Promise] = field(default_factory=dict)
    shunned: frozenset[LinkId] = frozenset()
    """Links that are up and not to be relied on: they flap."""
    _scales: dict[LinkId, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """How much more is sent over full links than the flows on them are taken to send."""
        self._scales.update((link, self._scale(link)) for link in self.full)

    @property
    def affected(self) -> tuple[Flow, ...]:
        """The flows that the fault hits, or that go nowhere while something is down; the most important first."""
        is_down = self.fault.is_down
        hit = [f for f in self.flows if self.fault.hits(f.links, f.nodes) or (is_down and not f.is_carried)]
        if self.fault.kind == FaultKind.DELAY:
            hit = [flow for flow in hit if self._is_late(flow)]
        return tuple(sorted(hit, key=lambda flow: (self.promise(flow.service).priority, flow.name)))

    def delay_seconds(self, flow: Flow) -> float:
        """Of all its links together: rather too much where it takes several ways."""
        known = self.database.network.links
        return sum(self.database.delay_seconds(link) for link in flow.links if link in known)

    def bound_seconds(self, flow: Flow) -> float | None:
        """The least of what was promised of its delay."""
        tunnel = self.tunnel(flow.tunnel) if flow.tunnel else None
        bounds = (self.promise(flow.service).delay_bound_seconds, tunnel.delay_bound_seconds if tunnel else None)
        return min((bound for bound in bounds if bound is not None), default=None)

    def _is_late(self, flow: Flow) -> bool:
        """Whether it takes longer than was promised."""
        bound = self.bound_seconds(flow)
        return bound is not None and self.delay_seconds(flow) > bound

    @property
    def full(self) -> tuple[LinkId, ...]:
        """The faulty links, where the fault is that they carry too much."""
        is_full = self.fault.kind == FaultKind.CONGESTION
        return tuple(LinkId(e) for e in self.fault.elements if is_full and e in self.database.network.links)

    def sent(self, flow: Flow) -> float:
        """Bit/s of a flow: rates are forecast, and on a full link all share what is measured in their proportions."""
        return flow.bit_rate * max((self._scales[link] for link in self.full if link in flow.links), default=1.0)

    def _scale(self, link: LinkId) -> float:
        load = self.database.load(link).bits_per_second
        taken = sum(flow.bit_rate for flow in self.flows if link in flow.links)
        return load / taken if load and taken else 1.0

    @property
    def services(self) -> tuple[str, ...]:
        """Who suffers, the most important first."""
        return tuple(dict.fromkeys(flow.service for flow in self.affected))

    def promise(self, service: str) -> Promise:
        """What it was promised; the usual where nobody said."""
        return self.promises.get(service, Promise(service))

    def tunnel(self, name: str) -> Tunnel | None:
        """One tunnel, if it is there."""
        return next((tunnel for tunnel in self.tunnels if tunnel.name == name), None)


def fallback_of(words: str, path: str = "fallback-policy") -> tuple[RemedyKind, ...]:
    """A fallback policy as people write it (`reroute, degrade`); nothing said is everything."""
    named = [word.strip().lower() for word in words.split(",") if word.strip()]
    unknown = [word for word in named if word not in FALLBACK]
    if unknown:
        raise InvalidInputError(
            f"'{unknown[0]}' is no way to recover", remedy=f"use some of: {', '.join(FALLBACK)}", path=path
        )
    return tuple(dict.fromkeys(map(RemedyKind, named))) or FALLBACK
