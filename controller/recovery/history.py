"""Owns the record of recoveries: the fault, who suffered, candidates with scores and reasons, what was done, what came.

A fold of `recovery.*` events: any prefix of them is a recovery that a restarted controller can go on with.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from controller.events import types
from controller.model.errors import NotFoundError
from controller.ports import Event
from controller.recovery.damping import FlapDamping, wire_of
from controller.recovery.scoring import Candidate
from controller.recovery.situation import Fault
from controller.recovery.states import Cue, RecoveryState, advance

Json = Any
_MOST_KEPT = 500
"""Recoveries that are over; the oldest are forgotten, and stay in the log."""
_PLAIN = ("started", "chosen", "verdict", "verification", "is_asked", "is_approved", "is_dismissed", "is_touched")
_LISTS = ("services", "tried", "transactions", "given_back")
_TRIES = frozenset({Cue.EXECUTE, Cue.REFUSE, Cue.NO_HELP})


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a recovery's history. Time in UTC seconds."""

    state: str
    cue: str
    time: float
    reason: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """One recovery as it stands. Times in UTC seconds."""

    id: str
    fault: Fault
    state: RecoveryState
    started: float
    services: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    chosen: int | None = None
    """The number of the candidate that is tried, from 0."""
    tried: tuple[int, ...] = ()
    verdict: str = ""
    """What the twin said of the chosen one."""
    transactions: tuple[str, ...] = ()
    """What was carried out, staged changes as well."""
    verification: str = ""
    is_asked: bool = False
    is_approved: bool = False
    is_dismissed: bool = False
    is_touched: bool = False
    given_back: tuple[str, ...] = ()
    """Tunnels that were to do with less, and have all that was promised again."""
    steps: tuple[Step, ...] = ()

    @property
    def cause(self) -> str:
        """What it is about."""
        return self.fault.cause

    @property
    def is_localised(self) -> bool:
        """Whether its cause is known."""
        return any(step.cue == Cue.LOCALISE for step in self.steps)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.state is RecoveryState.RECOVERED

    @property
    def is_waiting(self) -> bool:
        """Whether it is in the operator's inbox."""
        return self.state is RecoveryState.ESCALATED and not self.is_dismissed

    @property
    def untried(self) -> tuple[int, ...]:
        """The candidates that are left, best first."""
        return tuple(number for number in range(len(self.candidates)) if number not in self.tried)

    @property
    def attempts(self) -> int:
        """How often something was carried out: the same remedy may be tried again."""
        return sum(step.cue == Cue.EXECUTE for step in self.steps)

    @property
    def candidate(self) -> Candidate | None:
        """The one that is tried."""
        return None if self.chosen is None else self.candidates[self.chosen]

    @property
    def reason(self) -> str:
        """Why it is where it is."""
        return self.steps[-1].reason if self.steps else ""

    @property
    def since(self) -> float:
        """When it came to where it is."""
        return self.steps[-1].time if self.steps else self.started


@dataclass(slots=True)
class RecoveryHistory:
    """All recoveries: a fold of `recovery.*` events. `version` counts the changes."""

    version: int = 0
    damping: FlapDamping = field(default_factory=FlapDamping)
    _recoveries: dict[str, Recovery] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Recovery]:
        return iter(tuple(self._recoveries.values()))

    def get(self, id_: str) -> Recovery:
        """One; `NotFoundError` names it."""
        if id_ not in self._recoveries:
            raise NotFoundError(f"there is no recovery '{id_}'", remedy="list them: accord recovery list", path=id_)
        return self._recoveries[id_]

    def open_for(self, cause: str) -> Recovery | None:
        """The one that is under way for a cause: there is at most one."""
        return next((one for one in self if one.cause == cause and not one.is_over), None)

    @property
    def inbox(self) -> tuple[Recovery, ...]:
        """What waits for an operator, oldest first."""
        return tuple(one for one in self if one.is_waiting)

    def apply(self, event: Event) -> None:
        """Fold one event."""
        data: Json = event.data
        id_ = event.stream.partition("/")[2]
        if event.type == types.RECOVERY_BEGUN:
            step = Step(RecoveryState.DETECTED.value, "", event.time, str(data.get("reason", "")), event.actor)
            fault = Fault.from_json(data["fault"])
            services = tuple(data["services"])
            self._recoveries[id_] = Recovery(
                id_, fault, RecoveryState.DETECTED, event.time, services=services, steps=(step,)
            )
        elif event.type == types.RECOVERY_ADVANCED:
            self._recoveries[id_] = _advanced(self._recoveries[id_], event, data)
        elif event.type == types.RECOVERY_UNDONE:
            self._recoveries[id_] = _undone(self._recoveries[id_], data)
        else:
            if event.type == types.LINK_CHANGED and not data["up"] and (wire := wire_of(data["links"])):
                self.damping.down(wire, event.time)
            return
        self.version += 1
        self._forget()

    def _forget(self) -> None:
        over = [id_ for id_, one in self._recoveries.items() if one.is_over]
        for id_ in over[: max(0, len(over) - _MOST_KEPT)]:
            del self._recoveries[id_]

    def to_json(self) -> Json:
        """Every recovery, for a snapshot."""
        return {"recoveries": [_to_json(one) for one in self], "damping": self.damping.to_json()}

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self._recoveries = {each["id"]: _from_json(each) for each in document["recoveries"]}
        self.damping.load_json(document["damping"])
        self.version += 1


def _advanced(one: Recovery, event: Event, data: Json) -> Recovery:
    """The log is the truth: guards were asked before the event was written."""
    cue = Cue(data["cue"])
    state = advance(one.state, cue)
    step = Step(state.value, cue.value, event.time, str(data.get("reason", "")), event.actor)
    one = replace(one, state=state, steps=(*one.steps, step))
    if "fault" in data:
        one = replace(one, fault=Fault.from_json(data["fault"]), services=tuple(data["services"]))
    if "candidates" in data:
        one = replace(one, candidates=tuple(map(Candidate.from_json, data["candidates"])), tried=())
    if cue in _TRIES and one.chosen is not None and one.chosen not in one.tried:
        one = replace(one, tried=(*one.tried, one.chosen))
    if "chosen" in data:
        is_approved = cue is Cue.APPROVE
        one = replace(one, chosen=data["chosen"], verdict="", verification="", is_approved=is_approved)
    if "transactions" in data:
        one = replace(one, transactions=(*one.transactions, *data["transactions"]))
    return replace(
        one,
        verdict=str(data.get("verdict", one.verdict)),
        verification=str(data.get("verification", one.verification)),
        is_asked=bool(data.get("asked", one.is_asked)),
        is_dismissed=one.is_dismissed or cue is Cue.DISMISS,
        is_touched=(one.is_touched or cue is Cue.EXECUTE) and cue is not Cue.HELPED,
    )


def _undone(one: Recovery, data: Json) -> Recovery:
    return replace(
        one,
        is_touched=False,
        transactions=(*one.transactions, *data.get("transactions", ())),
        given_back=(*one.given_back, *data.get("given_back", ())),
    )


def _to_json(one: Recovery) -> Json:
    return {
        "id": one.id,
        "fault": one.fault.to_json(),
        "state": one.state.value,
        **{name: getattr(one, name) for name in _PLAIN},
        **{name: list(getattr(one, name)) for name in _LISTS},
        "candidates": [each.to_json() for each in one.candidates],
        "steps": [[s.state, s.cue, s.time, s.reason, s.actor] for s in one.steps],
    }


def _from_json(document: Json) -> Recovery:
    plain: dict[str, Any] = {name: document[name] for name in _PLAIN}
    plain |= {name: tuple(document.get(name, ())) for name in _LISTS}
    return Recovery(
        id=document["id"],
        fault=Fault.from_json(document["fault"]),
        state=RecoveryState(document["state"]),
        candidates=tuple(map(Candidate.from_json, document["candidates"])),
        steps=tuple(Step(*step) for step in document["steps"]),
        **plain,
    )
