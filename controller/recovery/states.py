"""Owns the life of a recovery: one table of states and cues, and the guards that a cue has to pass.

Draft agent-recovery-networks section 6.3 (detection, correlation, evaluation, execution, feedback). What has to be done
in a state is a state to be reached and not a step, so a restarted controller does it again and finds what is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from controller.model.errors import ConflictError


class RecoveryState(StrEnum):
    """Where a recovery stands."""

    DETECTED = "detected"
    LOCALISED = "localised"
    PLANNED = "planned"
    """A remedy is chosen: the best that was not tried yet."""
    PROVED = "proved"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    RECOVERED = "recovered"
    ROLLED_BACK = "rolled-back"
    """The remedy did not help: what it changed is undone before anything else happens."""
    ESCALATED = "escalated"
    """It waits for an operator: in the inbox until somebody decides."""


class Cue(StrEnum):
    """What happened to a recovery."""

    LOCALISE = "localise"
    ABSTAIN = "abstain"
    """No cause is known, or what is seen cannot be trusted: nothing is done by itself."""
    PLAN = "plan"
    NOTHING = "nothing-helps"
    PROVE = "prove"
    REFUSE = "refuse"
    """The twin, the plan or the transaction says no."""
    EXECUTE = "execute"
    ASK = "ask"
    COMMITTED = "committed"
    HELPED = "helped"
    NO_HELP = "no-help"
    NEXT = "next"
    EXHAUST = "exhaust"
    APPROVE = "approve"
    DISMISS = "dismiss"
    CLEAR = "clear"
    """Nobody suffers any more, by whatever way."""


class Mode(StrEnum):
    """What the operator allows."""

    AUTO = "auto"
    ASK = "ask"
    OFF = "off"


class Subject(Protocol):
    """What guards look at."""

    @property
    def is_approved(self) -> bool:
        """Whether an operator agreed to the remedy that is chosen."""
        ...

    @property
    def is_dismissed(self) -> bool:
        """Whether an operator wants nothing done."""
        ...

    @property
    def is_asked(self) -> bool:
        """Whether the remedy needs an operator's word."""
        ...

    @property
    def chosen(self) -> int | None:
        """The remedy that is tried."""
        ...

    @property
    def untried(self) -> tuple[int, ...]:
        """The remedies that are left."""
        ...

    @property
    def is_touched(self) -> bool:
        """Whether the remedy may have changed something that is not undone yet."""
        ...

    @property
    def is_localised(self) -> bool:
        """Whether its cause is known."""
        ...


@dataclass(frozen=True, slots=True)
class Guard:
    """What has to hold for a cue, in words and as a question."""

    text: str
    holds: Callable[[Subject], bool]


_S, _C = RecoveryState, Cue

TRANSITIONS: Mapping[tuple[RecoveryState, Cue], RecoveryState] = MappingProxyType(
    {
        (_S.DETECTED, _C.LOCALISE): _S.LOCALISED,
        (_S.DETECTED, _C.ABSTAIN): _S.ESCALATED,
        (_S.DETECTED, _C.CLEAR): _S.RECOVERED,
        (_S.LOCALISED, _C.PLAN): _S.PLANNED,
        (_S.LOCALISED, _C.NOTHING): _S.ESCALATED,
        (_S.LOCALISED, _C.CLEAR): _S.RECOVERED,
        (_S.PLANNED, _C.PROVE): _S.PROVED,
        (_S.PLANNED, _C.REFUSE): _S.ROLLED_BACK,
        (_S.PLANNED, _C.CLEAR): _S.RECOVERED,
        (_S.PROVED, _C.EXECUTE): _S.EXECUTING,
        (_S.PROVED, _C.ASK): _S.ESCALATED,
        (_S.PROVED, _C.CLEAR): _S.RECOVERED,
        # From here on something may have been changed: it is either seen to help, or undone.
        (_S.EXECUTING, _C.COMMITTED): _S.VERIFYING,
        (_S.EXECUTING, _C.REFUSE): _S.ROLLED_BACK,
        (_S.VERIFYING, _C.HELPED): _S.RECOVERED,
        (_S.VERIFYING, _C.NO_HELP): _S.ROLLED_BACK,
        (_S.ROLLED_BACK, _C.NEXT): _S.PLANNED,
        (_S.ROLLED_BACK, _C.EXHAUST): _S.ESCALATED,
        (_S.ESCALATED, _C.APPROVE): _S.PLANNED,
        (_S.ESCALATED, _C.DISMISS): _S.ESCALATED,
        (_S.ESCALATED, _C.LOCALISE): _S.LOCALISED,
        (_S.ESCALATED, _C.CLEAR): _S.RECOVERED,
    }
)
"""What the table does not list cannot happen."""

_IS_CHOSEN = Guard("a remedy is chosen", lambda one: one.chosen is not None)
GUARDS: Mapping[tuple[RecoveryState, Cue], Guard] = MappingProxyType(
    {
        (_S.PLANNED, _C.PROVE): _IS_CHOSEN,
        (_S.PROVED, _C.EXECUTE): Guard("allowed, or approved", lambda one: one.is_approved or not one.is_asked),
        (_S.PROVED, _C.ASK): Guard("not approved yet", lambda one: one.is_asked and not one.is_approved),
        (_S.EXECUTING, _C.COMMITTED): _IS_CHOSEN,
        (_S.ROLLED_BACK, _C.NEXT): Guard("undone, others left", lambda one: not one.is_touched and bool(one.untried)),
        (_S.ROLLED_BACK, _C.EXHAUST): Guard("undone, none left", lambda one: not one.is_touched and not one.untried),
        (_S.ESCALATED, _C.APPROVE): Guard("not dismissed", lambda one: not one.is_dismissed),
        (_S.ESCALATED, _C.DISMISS): Guard("not dismissed", lambda one: not one.is_dismissed),
        (_S.ESCALATED, _C.LOCALISE): Guard(
            "not dismissed, no cause was known", lambda one: not one.is_dismissed and not one.is_localised
        ),
    }
)


def advance(state: RecoveryState, cue: Cue, subject: Subject | None = None) -> RecoveryState:
    """The next state; `ConflictError` for what cannot happen, or what a guard of the `subject` forbids."""
    if (state, cue) not in TRANSITIONS:
        raise ConflictError(f"a recovery cannot take '{cue}' while {state}", remedy=_possible(state))
    guard = GUARDS.get((state, cue))
    if guard is not None and subject is not None and not guard.holds(subject):
        raise ConflictError(f"a recovery that is {state} takes '{cue}' only if: {guard.text}", remedy=_possible(state))
    return TRANSITIONS[state, cue]


def _possible(state: RecoveryState) -> str:
    cues = [cue.value for one, cue in TRANSITIONS if one is state]
    return f"possible now: {', '.join(cues) or 'nothing, it is over'}"


def mermaid() -> str:
    """The picture of the table, with the guards in brackets."""
    names = {state: state.name.lower() for state in RecoveryState}
    lines = ["stateDiagram-v2", f"    [*] --> {names[_S.DETECTED]}"]
    for (before, cue), after in TRANSITIONS.items():
        guard = GUARDS.get((before, cue))
        lines.append(f"    {names[before]} --> {names[after]}: {cue}" + (f" [{guard.text}]" if guard else ""))
    lines.append(f"    {names[_S.RECOVERED]} --> [*]")
    return "\n".join(lines) + "\n"
