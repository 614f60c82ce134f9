"""Owns the intent instance: the live, managed object that an agreement becomes, one enum and one transition table.

Draft naas-agentic-negotiation, The Intent Instance as a Live Object, with the edges that it leaves out: refusal, failed
provisioning with compensation, expiry, and the way back to assured. What an agreement holds follows reserve, then
commit or release: each edge that changes it carries its duty, to be done with the record of the edge or not at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from controller.model.errors import ConflictError

STEPS_KEPT = 100
"""The latest steps of an instance; the event log has all of them."""


class InstanceState(StrEnum):
    """Where an intent instance stands."""

    DECLARED = "declared"
    """Understood; nothing is offered, or what was offered is off the table."""
    NEGOTIATED = "negotiated"
    """An offer lies on the table."""
    AGREED = "agreed"
    """Both sides are bound and what it takes is reserved; the network does not carry it yet."""
    PROVISIONED = "provisioned"
    """The network carries it; nobody has seen yet that it keeps its objectives."""
    ASSURED = "assured"
    AT_RISK = "at-risk"
    """A breach is predicted, or there; something may be done about it."""
    COOLING = "cooling"
    """Still at risk, but nothing may be done for a while: it was just done, refused, or did not help."""
    RENEGOTIATED = "renegotiated"
    """Other terms are agreed, or another way of keeping these, and the change is under way."""
    RESTORED = "restored"
    """The change is carried out; nobody has seen yet that it helped."""
    TERMINATED = "terminated"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens; a service that comes back is another instance."""
        return self is InstanceState.TERMINATED

    @property
    def is_serving(self) -> bool:
        """Whether the network carries the service."""
        return self in _SERVING


class InstanceEvent(StrEnum):
    """What can happen to an intent instance."""

    NEGOTIATE = "negotiate"
    """An offer, or a counter-offer, is made."""
    REFUSE = "refuse"
    """One side, a check, or the twin says no."""
    LAPSE = "lapse"
    """The offer's time is over."""
    AGREE = "agree"
    PROVISION = "provision"
    """The transaction committed."""
    PROVISIONING_FAILED = "provisioning-failed"
    """The transaction was rolled back."""
    ASSURE = "assure"
    """Measurements that can be trusted show that the objectives are kept."""
    PREDICT_BREACH = "predict-breach"
    CLEAR = "clear"
    HOLD = "hold"
    """A guard says not now."""
    COOLED = "cooled"
    RENEGOTIATE = "renegotiate"
    """The closed loop changes something: a remedy is proved and admitted, or a counter-offer accepted."""
    MODIFY = "modify"
    """The owner changes something."""
    CHANGE_COMMITTED = "change-committed"
    CHANGE_FAILED = "change-failed"
    EXPIRE = "expire"
    """The agreed time is over and the network carries it no more."""
    TERMINATE = "terminate"
    """It was withdrawn and the network carries it no more."""


class Duty(StrEnum):
    """What is owed to the ledger and the reservations together with an edge."""

    RESERVE = "reserve"
    COMMIT = "commit"
    RELEASE = "release"
    """Compensation: what was reserved is given back."""


_S, _E = InstanceState, InstanceEvent
_SERVING = frozenset({_S.PROVISIONED, _S.ASSURED, _S.AT_RISK, _S.COOLING, _S.RENEGOTIATED, _S.RESTORED})
_SETTLED = (_S.PROVISIONED, _S.ASSURED, _S.AT_RISK, _S.COOLING, _S.RESTORED)
_UNFINISHED = tuple(state for state in InstanceState if state is not _S.TERMINATED)

TRANSITIONS: Mapping[tuple[InstanceState, InstanceEvent], InstanceState] = MappingProxyType(
    {
        (_S.DECLARED, _E.NEGOTIATE): _S.NEGOTIATED,
        (_S.DECLARED, _E.REFUSE): _S.TERMINATED,
        (_S.NEGOTIATED, _E.NEGOTIATE): _S.NEGOTIATED,
        (_S.NEGOTIATED, _E.REFUSE): _S.DECLARED,
        (_S.NEGOTIATED, _E.LAPSE): _S.DECLARED,
        (_S.NEGOTIATED, _E.AGREE): _S.AGREED,
        (_S.AGREED, _E.PROVISION): _S.PROVISIONED,
        (_S.AGREED, _E.PROVISIONING_FAILED): _S.DECLARED,
        (_S.PROVISIONED, _E.ASSURE): _S.ASSURED,
        (_S.PROVISIONED, _E.PREDICT_BREACH): _S.AT_RISK,
        (_S.ASSURED, _E.PREDICT_BREACH): _S.AT_RISK,
        # Walking back to what costs least, once scarcity has cleared.
        (_S.ASSURED, _E.RENEGOTIATE): _S.RENEGOTIATED,
        (_S.AT_RISK, _E.CLEAR): _S.ASSURED,
        (_S.AT_RISK, _E.RENEGOTIATE): _S.RENEGOTIATED,
        (_S.AT_RISK, _E.REFUSE): _S.COOLING,
        (_S.AT_RISK, _E.HOLD): _S.COOLING,
        (_S.COOLING, _E.COOLED): _S.AT_RISK,
        (_S.COOLING, _E.CLEAR): _S.ASSURED,
        (_S.RENEGOTIATED, _E.CHANGE_COMMITTED): _S.RESTORED,
        (_S.RENEGOTIATED, _E.CHANGE_FAILED): _S.COOLING,
        (_S.RESTORED, _E.ASSURE): _S.ASSURED,
        # It did not help: the same must not be tried at once.
        (_S.RESTORED, _E.PREDICT_BREACH): _S.COOLING,
        **{(state, _E.MODIFY): _S.RENEGOTIATED for state in _SETTLED},
        **{(state, _E.EXPIRE): _S.TERMINATED for state in _UNFINISHED},
        **{(state, _E.TERMINATE): _S.TERMINATED for state in _UNFINISHED},
    }
)
"""What the table does not list is illegal. Who ends an instance waits for the change under way (leases)."""

DUTIES: Mapping[tuple[InstanceState, InstanceEvent], Duty] = MappingProxyType(
    {
        (_S.NEGOTIATED, _E.AGREE): Duty.RESERVE,
        (_S.AGREED, _E.PROVISION): Duty.COMMIT,
        (_S.AGREED, _E.PROVISIONING_FAILED): Duty.RELEASE,
        **{(state, _E.RENEGOTIATE): Duty.RESERVE for state in (_S.ASSURED, _S.AT_RISK)},
        **{(state, _E.MODIFY): Duty.RESERVE for state in _SETTLED},
        (_S.RENEGOTIATED, _E.CHANGE_COMMITTED): Duty.COMMIT,
        (_S.RENEGOTIATED, _E.CHANGE_FAILED): Duty.RELEASE,
        **{(state, end): Duty.RELEASE for state in (_S.AGREED, _S.RENEGOTIATED) for end in (_E.EXPIRE, _E.TERMINATE)},
    }
)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to an agreement: what the event log keeps and everything here is a fold of.

    `time` in UTC seconds; `cause` names what it is about, the same name for the same; `reason` is for people.
    """

    agreement: str
    event: InstanceEvent
    time: float
    cause: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InstanceStep:
    """A happening and where it led."""

    state: InstanceState
    happening: Happening


@dataclass(frozen=True, slots=True)
class IntentInstance:
    """An intent instance as it stands. `since` is when it came into its state, in UTC seconds."""

    agreement: str
    state: InstanceState
    since: float
    steps: tuple[InstanceStep, ...] = ()

    def after(self, happening: Happening) -> "IntentInstance":
        """The instance after something happened to it; `ConflictError` for what cannot happen."""
        state = advance(self.state, happening.event)
        since = self.since if state is self.state else happening.time
        steps = (*self.steps, InstanceStep(state, happening))[-STEPS_KEPT:]
        return replace(self, state=state, since=since, steps=steps)


def advance(state: InstanceState, event: InstanceEvent) -> InstanceState:
    """The state after `event`; `ConflictError` when the event cannot happen in this state."""
    after = TRANSITIONS.get((state, event))
    if after is None:
        possible = ", ".join(one for one in InstanceEvent if (state, one) in TRANSITIONS)
        raise ConflictError(
            f"an intent instance that is {state} cannot {event}",
            remedy="possible now: " + (possible or "nothing, the state is final"),
        )
    return after


def declare(agreement: str, time: float) -> IntentInstance:
    """A new instance."""
    return IntentInstance(agreement, InstanceState.DECLARED, time)


def replay(agreement: str, declared: float, happenings: Iterable[Happening]) -> IntentInstance:
    """The instance that these happenings, in their order, make."""
    instance = declare(agreement, declared)
    for happening in happenings:
        instance = instance.after(happening)
    return instance


def mermaid() -> str:
    """The picture of the table; the two ends that every state has are drawn once."""
    ends = {_E.EXPIRE, _E.TERMINATE}
    names = {state: state.name.lower() for state in InstanceState}
    lines = ["stateDiagram-v2", f"    [*] --> {names[_S.DECLARED]}"]
    for (before, event), after in TRANSITIONS.items():
        if event in ends:
            continue
        duty = DUTIES.get((before, event))
        lines.append(f"    {names[before]} --> {names[after]}: {event}" + (f" ({duty})" if duty else ""))
    lines.append(f"    note right of {names[_S.TERMINATED]} : expire, terminate lead here from every other state")
    lines.append(f"    {names[_S.TERMINATED]} --> [*]")
    return "\n".join(lines) + "\n"
