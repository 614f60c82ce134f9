"""Owns make-before-break: a change in stages, each a transaction of its own, with the table that leads through them.

A staged change knows four states of what is wanted (opaque JSON, as whoever planned it writes it): `before`, `built`
beside the old, `moved` onto the new, and `after` the old is gone. The old carries until the new was seen to work; every
way back leads to `before` through a state in which something carries. (RFC 3209 section 2.5, RFC 8402; draft
naas-agentic-negotiation, life cycle: overlap window.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from controller.model.errors import ConflictError
from controller.model.identifiers import DeviceName

Json = Any


class Stage(StrEnum):
    """Where a staged change stands."""

    BUILDING = "building"
    VERIFYING = "verifying"
    MOVING = "moving"
    DRAINING = "draining"
    """The overlap window: traffic is on the new, the old waits until nothing is under way on it."""
    REMOVING = "removing"
    DONE = "done"
    RETURNING = "returning"
    """The new failed after the move: traffic goes back to the old."""
    UNBUILDING = "unbuilding"
    ABORTED = "aborted"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self in {Stage.DONE, Stage.ABORTED}


class Cue(StrEnum):
    """What happened to a staged change."""

    COMMITTED = "committed"
    REFUSED = "refused"
    """The stage's plan was refused, or its transaction rolled back."""
    GOOD = "good"
    """Every probe came through, within its bound."""
    BAD = "bad"
    LATE = "late"
    DRAINED = "drained"
    CANCEL = "cancel"


_S, _C = Stage, Cue

TRANSITIONS: Mapping[tuple[Stage, Cue], Stage] = MappingProxyType(
    {
        (_S.BUILDING, _C.COMMITTED): _S.VERIFYING,
        (_S.BUILDING, _C.REFUSED): _S.ABORTED,
        (_S.VERIFYING, _C.GOOD): _S.MOVING,
        (_S.VERIFYING, _C.BAD): _S.UNBUILDING,
        (_S.VERIFYING, _C.LATE): _S.UNBUILDING,
        (_S.VERIFYING, _C.CANCEL): _S.UNBUILDING,
        (_S.MOVING, _C.COMMITTED): _S.DRAINING,
        (_S.MOVING, _C.REFUSED): _S.UNBUILDING,
        (_S.DRAINING, _C.DRAINED): _S.REMOVING,
        (_S.DRAINING, _C.BAD): _S.RETURNING,
        (_S.DRAINING, _C.CANCEL): _S.RETURNING,
        (_S.REMOVING, _C.COMMITTED): _S.DONE,
        # What has to happen for tidiness, or to get back, is tried until it works.
        (_S.REMOVING, _C.REFUSED): _S.REMOVING,
        (_S.RETURNING, _C.COMMITTED): _S.UNBUILDING,
        (_S.RETURNING, _C.REFUSED): _S.RETURNING,
        (_S.UNBUILDING, _C.COMMITTED): _S.ABORTED,
        (_S.UNBUILDING, _C.REFUSED): _S.UNBUILDING,
    }
)
"""What the table does not list is illegal, except a cancel, which waits for the stage under way."""

WANTED: Mapping[Stage, str] = MappingProxyType(
    {
        _S.BUILDING: "built",
        _S.MOVING: "moved",
        _S.REMOVING: "after",
        _S.RETURNING: "built",
        _S.UNBUILDING: "before",
    }
)
"""Which state of what is wanted a stage commits; the other stages look and wait."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A measurement that a change waits for: a STAMP session of a device (RFC 8762), and what it must show.

    `packets` test packets must come back without a loss; `delay_bound_seconds` is one-way, None for no bound.
    """

    device: DeviceName
    session: int
    packets: int = 10
    delay_bound_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StagedPlan:
    """A change in stages, before it begins. `deadline_seconds` bounds the time until the move."""

    summary: str
    before: Json
    built: Json
    moved: Json
    after: Json
    probes: tuple[Probe, ...] = ()
    drain_seconds: float = 1.0
    deadline_seconds: float = 60.0

    @property
    def states(self) -> tuple[Json, ...]:
        """All four, in order."""
        return self.before, self.built, self.moved, self.after

    def wanted(self, stage: Stage) -> Json:
        """What is wanted in a stage that commits something."""
        state: Json = getattr(self, WANTED[stage])
        return state

    def to_json(self) -> Json:
        """The plan as JSON."""
        return {
            "summary": self.summary,
            "before": self.before,
            "built": self.built,
            "moved": self.moved,
            "after": self.after,
            "probes": [[p.device, p.session, p.packets, p.delay_bound_seconds] for p in self.probes],
            "drain_seconds": self.drain_seconds,
            "deadline_seconds": self.deadline_seconds,
        }

    @classmethod
    def from_json(cls, document: Json) -> "StagedPlan":
        """The plan that `to_json` was made of."""
        probes = tuple(
            Probe(DeviceName(d), session, packets, bound) for d, session, packets, bound in document["probes"]
        )
        return cls(**{**document, "probes": probes})


def advance(stage: Stage, cue: Cue) -> Stage:
    """The next stage; `ConflictError` for what cannot happen."""
    if (stage, cue) not in TRANSITIONS:
        raise ConflictError(f"a staged change cannot take '{cue}' while {stage}", tag="operation-failed")
    return TRANSITIONS[stage, cue]


def mermaid() -> str:
    """The picture of the table."""
    lines = ["stateDiagram-v2", f"    [*] --> {Stage.BUILDING}"]
    lines += [f"    {stage} --> {following}: {cue}" for (stage, cue), following in TRANSITIONS.items()]
    lines += [f"    {stage} --> [*]" for stage in Stage if stage.is_over]
    return "\n".join(lines) + "\n"
