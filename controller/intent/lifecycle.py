"""Owns the life cycle of an intent (RFC 9315 section 5, TMF921 lifecycleStatus): one enum, one transition table.

`advance` is the only way from state to state. What the table does not list is illegal, and says so.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import cast

from controller.model.errors import ConflictError


class IntentState(StrEnum):
    """Where an intent stands."""

    RECEIVED = "received"
    NEEDS_CLARIFICATION = "needs-clarification"
    UNDERSTOOD = "understood"
    PLANNED = "planned"
    COMMITTING = "committing"
    ACTIVE = "active"
    DEGRADED = "degraded"
    CHANGE_PLANNED = "change-planned"
    CHANGE_COMMITTING = "change-committing"
    WITHDRAWAL_PLANNED = "withdrawal-planned"
    WITHDRAWING = "withdrawing"
    FAILED = "failed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"

    @property
    def is_over(self) -> bool:
        """Whether nothing is wanted any more; only a rollback brings a withdrawn intent back."""
        return self in {IntentState.REJECTED, IntentState.WITHDRAWN}

    @property
    def is_serving(self) -> bool:
        """Whether the network carries the service."""
        return self in _SERVING


class IntentEvent(StrEnum):
    """What can happen to an intent."""

    UNDERSTAND = "understand"
    ASK_BACK = "ask-back"
    REJECT = "reject"
    PLAN = "plan"
    COMMIT = "commit"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    DEGRADE = "degrade"
    RESTORE = "restore"
    PLAN_WITHDRAWAL = "plan-withdrawal"
    DROP_PLAN = "drop-plan"
    WITHDRAW = "withdraw"
    CREATION_UNDONE = "creation-undone"
    CHANGE_UNDONE = "change-undone"
    WITHDRAWAL_UNDONE = "withdrawal-undone"


_S, _E = IntentState, IntentEvent
_SERVING = frozenset({_S.ACTIVE, _S.DEGRADED, _S.CHANGE_PLANNED, _S.CHANGE_COMMITTING, _S.WITHDRAWAL_PLANNED})
_SETTLED = (_S.ACTIVE, _S.DEGRADED, _S.CHANGE_PLANNED, _S.WITHDRAWAL_PLANNED)

TRANSITIONS: MappingProxyType[tuple[IntentState, IntentEvent], IntentState] = MappingProxyType(
    {
        (_S.RECEIVED, _E.UNDERSTAND): _S.UNDERSTOOD,
        (_S.RECEIVED, _E.ASK_BACK): _S.NEEDS_CLARIFICATION,
        (_S.RECEIVED, _E.REJECT): _S.REJECTED,
        # The answer to a question may itself raise one.
        (_S.NEEDS_CLARIFICATION, _E.ASK_BACK): _S.NEEDS_CLARIFICATION,
        (_S.NEEDS_CLARIFICATION, _E.UNDERSTAND): _S.UNDERSTOOD,
        (_S.NEEDS_CLARIFICATION, _E.REJECT): _S.REJECTED,
        (_S.NEEDS_CLARIFICATION, _E.WITHDRAW): _S.WITHDRAWN,
        (_S.UNDERSTOOD, _E.PLAN): _S.PLANNED,
        (_S.UNDERSTOOD, _E.REJECT): _S.REJECTED,
        (_S.UNDERSTOOD, _E.WITHDRAW): _S.WITHDRAWN,
        # A plan whose base moved is planned again.
        (_S.PLANNED, _E.PLAN): _S.PLANNED,
        (_S.PLANNED, _E.COMMIT): _S.COMMITTING,
        (_S.PLANNED, _E.REJECT): _S.REJECTED,
        (_S.PLANNED, _E.DROP_PLAN): _S.UNDERSTOOD,
        (_S.PLANNED, _E.WITHDRAW): _S.WITHDRAWN,
        (_S.COMMITTING, _E.COMMITTED): _S.ACTIVE,
        (_S.COMMITTING, _E.ROLLED_BACK): _S.FAILED,
        (_S.FAILED, _E.PLAN): _S.PLANNED,
        (_S.FAILED, _E.WITHDRAW): _S.WITHDRAWN,
        (_S.ACTIVE, _E.DEGRADE): _S.DEGRADED,
        (_S.ACTIVE, _E.PLAN): _S.CHANGE_PLANNED,
        (_S.ACTIVE, _E.PLAN_WITHDRAWAL): _S.WITHDRAWAL_PLANNED,
        (_S.DEGRADED, _E.RESTORE): _S.ACTIVE,
        (_S.DEGRADED, _E.PLAN): _S.CHANGE_PLANNED,
        (_S.DEGRADED, _E.PLAN_WITHDRAWAL): _S.WITHDRAWAL_PLANNED,
        (_S.CHANGE_PLANNED, _E.PLAN): _S.CHANGE_PLANNED,
        (_S.CHANGE_PLANNED, _E.COMMIT): _S.CHANGE_COMMITTING,
        (_S.CHANGE_PLANNED, _E.DROP_PLAN): _S.ACTIVE,
        (_S.CHANGE_PLANNED, _E.PLAN_WITHDRAWAL): _S.WITHDRAWAL_PLANNED,
        (_S.CHANGE_COMMITTING, _E.COMMITTED): _S.ACTIVE,
        # A change that was taken back leaves the service as it was; assurance says again if that is degraded.
        (_S.CHANGE_COMMITTING, _E.ROLLED_BACK): _S.ACTIVE,
        (_S.WITHDRAWAL_PLANNED, _E.PLAN_WITHDRAWAL): _S.WITHDRAWAL_PLANNED,
        (_S.WITHDRAWAL_PLANNED, _E.COMMIT): _S.WITHDRAWING,
        (_S.WITHDRAWAL_PLANNED, _E.DROP_PLAN): _S.ACTIVE,
        (_S.WITHDRAWING, _E.COMMITTED): _S.WITHDRAWN,
        (_S.WITHDRAWING, _E.ROLLED_BACK): _S.ACTIVE,
        # A later transaction rolled back the one that had made it so.
        **{(state, _E.CREATION_UNDONE): _S.WITHDRAWN for state in _SETTLED},
        **{(state, _E.CHANGE_UNDONE): _S.ACTIVE for state in _SETTLED},
        (_S.WITHDRAWN, _E.WITHDRAWAL_UNDONE): _S.ACTIVE,
    }
)


def advance(state: IntentState, event: IntentEvent) -> IntentState:
    """The state after `event`; `ConflictError` when the event cannot happen in this state."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise ConflictError(
            f"an intent that is {state} cannot {event}",
            remedy="possible now: " + (", ".join(possible_events(state)) or "nothing, the state is final"),
        )
    return after


def undo_of(data: Mapping[str, object]) -> dict[str, object]:
    """The data of the event that undoes a committed one, itself with what undoes it in turn."""
    undo = dict(cast("Mapping[str, object]", data["undo"]))
    again: dict[str, object] = {"event": _UNDONE_AGAIN[IntentEvent(str(undo["event"]))].value}
    if "intent" in undo:
        again["intent"] = data["intent"]
    return {**undo, "undo": again}


_UNDONE_AGAIN = {
    _E.CREATION_UNDONE: _E.WITHDRAWAL_UNDONE,
    _E.WITHDRAWAL_UNDONE: _E.CREATION_UNDONE,
    _E.CHANGE_UNDONE: _E.CHANGE_UNDONE,
}


def possible_events(state: IntentState) -> tuple[IntentEvent, ...]:
    """The events that are legal in `state`, in the order of the enum."""
    return tuple(event for event in IntentEvent if (state, event) in TRANSITIONS)


def mermaid() -> str:
    """The transition table as a Mermaid state diagram, for the documentation."""
    names = {state: state.name.lower() for state in IntentState}
    lines = ["stateDiagram-v2", f"    [*] --> {names[IntentState.RECEIVED]}"]
    for (before, event), after in TRANSITIONS.items():
        lines.append(f"    {names[before]} --> {names[after]}: {event}")
    lines.extend(f"    {names[state]} --> [*]" for state in IntentState if state.is_over)
    return "\n".join(lines) + "\n"
