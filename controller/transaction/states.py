"""Owns the state machine of the network-wide commit: states, signals and the one table (design: RFC 6241 8.3, 8.4).

A transaction drives every device towards a goal: FORWARD to its target until the decision to give up, BACKWARD to its
base from then on. `TRANSITIONS` says where a device goes from each state on each signal under each goal; what it must
do on arrival stands in `ON_ENTRY`. States without an instruction wait for the transaction's barrier. Every pair that
is not in the table is illegal under BACKWARD and turns the transaction back under FORWARD.
"""

from collections.abc import Mapping
from enum import StrEnum


class Goal(StrEnum):
    """Where the transaction wants every device."""

    FORWARD = "forward"
    BACKWARD = "backward"


class DeviceState(StrEnum):
    """Where one participant stands."""

    IDLE = "idle"
    LOCKING = "locking"
    READING = "reading"
    PREPARING = "preparing"
    PREPARED = "prepared"
    COMMITTING = "committing"
    CHECKING = "checking"
    CHECKED = "checked"
    APPLYING = "applying"
    READING_BACK = "reading-back"
    APPLIED = "applied"
    CONFIRMING = "confirming"
    DISARMING = "disarming"
    """A confirm was refused or ran out of time: make sure that no timer is armed before looking."""
    RESOLVING = "resolving"
    REAPPLYING = "reapplying"
    VERIFYING = "verifying"
    AT_TARGET = "at-target"
    CANCELLING = "cancelling"
    COMPARING = "comparing"
    UNDOING = "undoing"
    AT_BASE = "at-base"
    ASTRAY = "astray"
    """Not known, or neither base nor target: the verdict is UNKNOWN until it heals."""


class Signal(StrEnum):
    """What happened to a device, or what the barrier asks of it."""

    GO = "go"
    GO_LATE = "go-late"
    """The turn of a participant that cannot commit tentatively."""
    DONE = "done"
    REJECTED = "rejected"
    """The device said no."""
    LOST = "lost"
    """No session, or sent and never answered."""
    EXPIRED = "expired"
    """Lost for too long to go on trying."""
    FOUND_BASE = "found-base"
    FOUND_TARGET = "found-target"
    FOUND_OTHER = "found-other"
    GIVE_UP = "give-up"
    HEAL = "heal"


class Act(StrEnum):
    """What the executor is asked to do with a device."""

    LOCK = "lock"
    READ = "read"
    PREPARE = "prepare"
    COMMIT = "commit"
    APPLY = "apply"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    UNDO = "undo"


class Phase(StrEnum):
    """Where the transaction as a whole stands."""

    PLANNED = "planned"
    PREPARING = "preparing"
    COMMITTING = "committing"
    CHECKING = "checking"
    APPLYING = "applying"
    RECHECKING = "rechecking"
    CONFIRMING = "confirming"
    VERIFYING = "verifying"
    ABORTING = "aborting"
    COMPENSATING = "compensating"
    UNKNOWN = "unknown"
    COMMITTED = "committed"
    ABORTED = "aborted"


FINAL = frozenset({Phase.COMMITTED, Phase.ABORTED})

_D, _S = DeviceState, Signal

ON_ENTRY: Mapping[DeviceState, Act] = {
    _D.LOCKING: Act.LOCK,
    _D.READING: Act.READ,
    _D.PREPARING: Act.PREPARE,
    _D.COMMITTING: Act.COMMIT,
    _D.CHECKING: Act.READ,
    _D.APPLYING: Act.APPLY,
    _D.READING_BACK: Act.READ,
    _D.CONFIRMING: Act.CONFIRM,
    _D.DISARMING: Act.CANCEL,
    _D.RESOLVING: Act.READ,
    _D.REAPPLYING: Act.APPLY,
    _D.VERIFYING: Act.READ,
    _D.CANCELLING: Act.CANCEL,
    _D.COMPARING: Act.READ,
    _D.UNDOING: Act.UNDO,
}

_FAILED = (_S.REJECTED, _S.LOST)
_FOUND = (_S.FOUND_BASE, _S.FOUND_TARGET, _S.FOUND_OTHER)

FORWARD: Mapping[tuple[DeviceState, Signal], DeviceState] = {
    (_D.IDLE, _S.GO): _D.LOCKING,
    (_D.LOCKING, _S.DONE): _D.READING,
    (_D.READING, _S.FOUND_BASE): _D.PREPARING,
    (_D.PREPARING, _S.DONE): _D.PREPARED,
    (_D.PREPARED, _S.GO): _D.COMMITTING,
    (_D.PREPARED, _S.GO_LATE): _D.APPLYING,
    (_D.COMMITTING, _S.DONE): _D.CHECKING,
    (_D.CHECKING, _S.FOUND_TARGET): _D.CHECKED,
    (_D.APPLYING, _S.DONE): _D.READING_BACK,
    (_D.READING_BACK, _S.FOUND_TARGET): _D.APPLIED,
    # From the commit record on: forward, through lost replies and fired timers.
    (_D.CHECKED, _S.GO): _D.CONFIRMING,
    (_D.CONFIRMING, _S.DONE): _D.VERIFYING,
    (_D.CONFIRMING, _S.LOST): _D.CONFIRMING,
    (_D.CONFIRMING, _S.REJECTED): _D.DISARMING,
    (_D.CONFIRMING, _S.EXPIRED): _D.DISARMING,
    (_D.DISARMING, _S.DONE): _D.RESOLVING,
    (_D.RESOLVING, _S.FOUND_TARGET): _D.AT_TARGET,
    (_D.RESOLVING, _S.FOUND_BASE): _D.REAPPLYING,
    (_D.REAPPLYING, _S.DONE): _D.VERIFYING,
    (_D.REAPPLYING, _S.LOST): _D.ASTRAY,
    (_D.APPLIED, _S.GO): _D.AT_TARGET,
    (_D.VERIFYING, _S.FOUND_TARGET): _D.AT_TARGET,
    (_D.VERIFYING, _S.FOUND_BASE): _D.REAPPLYING,
    (_D.VERIFYING, _S.FOUND_OTHER): _D.REAPPLYING,
    (_D.VERIFYING, _S.LOST): _D.ASTRAY,
    (_D.ASTRAY, _S.HEAL): _D.VERIFYING,
}

BACKWARD: Mapping[tuple[DeviceState, Signal], DeviceState] = {
    # Nothing has reached running: the device is at its base, whatever the answer to the call under way.
    **{(state, _S.GIVE_UP): _D.AT_BASE for state in (_D.IDLE, _D.PREPARED)},
    **{(state, signal): _D.AT_BASE for state in (_D.LOCKING, _D.PREPARING) for signal in (_S.DONE, *_FAILED)},
    **{(_D.READING, signal): _D.AT_BASE for signal in (*_FOUND, *_FAILED)},
    # A tentative commit may be pending: cancel it, then look.
    (_D.CHECKED, _S.GIVE_UP): _D.CANCELLING,
    **{(_D.COMMITTING, signal): _D.CANCELLING for signal in (_S.DONE, *_FAILED)},
    **{(_D.CONFIRMING, signal): _D.CANCELLING for signal in (_S.DONE, *_FAILED, _S.EXPIRED)},
    **{
        (state, signal): _D.CANCELLING
        for state in (_D.CHECKING, _D.RESOLVING, _D.VERIFYING)
        for signal in (*_FOUND, *_FAILED)
    },
    # The change may hold for good: look, then undo what is there.
    **{(state, _S.GIVE_UP): _D.COMPARING for state in (_D.APPLIED, _D.AT_TARGET)},
    **{(state, signal): _D.COMPARING for state in (_D.APPLYING, _D.REAPPLYING) for signal in (_S.DONE, *_FAILED)},
    **{(_D.READING_BACK, signal): _D.COMPARING for signal in (*_FOUND, *_FAILED)},
    **{(_D.DISARMING, signal): _D.CANCELLING for signal in (_S.DONE, *_FAILED)},
    **{(_D.CANCELLING, signal): _D.COMPARING for signal in (_S.DONE, _S.REJECTED)},
    (_D.CANCELLING, _S.LOST): _D.ASTRAY,
    (_D.COMPARING, _S.FOUND_BASE): _D.AT_BASE,
    (_D.COMPARING, _S.FOUND_TARGET): _D.UNDOING,
    (_D.COMPARING, _S.FOUND_OTHER): _D.UNDOING,
    **{(_D.COMPARING, signal): _D.ASTRAY for signal in _FAILED},
    (_D.UNDOING, _S.DONE): _D.COMPARING,
    **{(_D.UNDOING, signal): _D.ASTRAY for signal in _FAILED},
    (_D.ASTRAY, _S.HEAL): _D.CANCELLING,
    (_D.ASTRAY, _S.GIVE_UP): _D.ASTRAY,
}

TRANSITIONS: Mapping[Goal, Mapping[tuple[DeviceState, Signal], DeviceState]] = {
    Goal.FORWARD: FORWARD,
    Goal.BACKWARD: BACKWARD,
}

PHASE_ON_TURNING_BACK: Mapping[Phase, Phase] = {
    **dict.fromkeys(
        (Phase.PLANNED, Phase.PREPARING, Phase.COMMITTING, Phase.CHECKING, Phase.APPLYING, Phase.RECHECKING),
        Phase.ABORTING,
    ),
    **dict.fromkeys((Phase.CONFIRMING, Phase.VERIFYING), Phase.COMPENSATING),
}
