"""Owns the record of staged changes: where each stands and how it got there. A fold of `change.*` events."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from controller.events import types
from controller.model.errors import NotFoundError
from controller.ports import Event
from controller.transaction.stages import Cue, Stage, StagedPlan, advance

Json = Any


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a staged change's history. Time in UTC seconds."""

    stage: Stage
    time: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StagedChange:
    """A staged change as it stands. Times in UTC seconds."""

    id: str
    plan: StagedPlan
    actor: str
    stage: Stage
    started: float
    steps: tuple[Step, ...] = ()

    @property
    def deadline(self) -> float:
        """When it is too late to move."""
        return self.started + self.plan.deadline_seconds


@dataclass(slots=True)
class StagedHistory:
    """All staged changes: a fold of `change.*` events."""

    _changes: dict[str, StagedChange] = field(default_factory=dict)

    def __iter__(self) -> Iterator[StagedChange]:
        return iter(self._changes.values())

    def get(self, id_: str) -> StagedChange:
        """One; `NotFoundError` names it."""
        if id_ not in self._changes:
            raise NotFoundError(f"there is no staged change '{id_}'", remedy="list them: accord change list", path=id_)
        return self._changes[id_]

    def apply(self, event: Event) -> None:
        """Fold one event."""
        data: Json = event.data
        id_ = event.stream.partition("/")[2]
        if event.type == types.CHANGE_BEGUN:
            plan = StagedPlan.from_json(data["plan"])
            step = Step(Stage.BUILDING, event.time)
            self._changes[id_] = StagedChange(id_, plan, event.actor, Stage.BUILDING, event.time, (step,))
        elif event.type == types.CHANGE_ADVANCED:
            change = self._changes[id_]
            stage = advance(change.stage, Cue(data["cue"]))
            step = Step(stage, event.time, str(data["reason"]))
            self._changes[id_] = replace(change, stage=stage, steps=(*change.steps, step))

    def to_json(self) -> Json:
        """Every change, for a snapshot."""
        return [
            [c.id, c.plan.to_json(), c.actor, c.started, [[s.stage, s.time, s.reason] for s in c.steps]]
            for c in self._changes.values()
        ]

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        for id_, plan, actor, started, steps in document:
            history = tuple(Step(Stage(stage), time, reason) for stage, time, reason in steps)
            self._changes[id_] = StagedChange(
                id_, StagedPlan.from_json(plan), actor, history[-1].stage, started, history
            )
