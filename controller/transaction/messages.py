"""Owns what goes into and comes out of the coordinator: results in; instructions and journal records out.

The contract with the caller, as in any deterministic core that does no I/O:

1. Feed one input; take the `Output`.
2. Make its `records` durable, in order, before anything else.
3. Only then carry out its `instructions`, in any order; results come back as inputs.

Acts that leave running as it is (lock, read, prepare) need no record and may go ahead; records of what a device has
done decide nothing and may wait for the next that does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.datastore.diff import Edit
from controller.model.identifiers import DeviceName
from controller.model.yang_path import Path
from controller.transaction.states import Act, DeviceState, Phase, Signal


@dataclass(frozen=True, slots=True)
class Do:
    """Carry out one act on one device; `edit` for those that write, `scope` for those that read."""

    device: DeviceName
    act: Act
    state: DeviceState
    """The state that asked, to tell a late answer from a current one."""
    edit: Edit = ()
    scope: tuple[Path, ...] = ()
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunChecks:
    """Run the post-checks on these devices; answer `ChecksDone`."""

    devices: tuple[DeviceName, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """The device is not needed any more: discard, unlock, hand the session back."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Answer `Woken` for the device after the delay: it is astray and shall be looked at again."""

    device: DeviceName
    delay_seconds: float


Instruction = Do | RunChecks | Release | WakeUp


@dataclass(frozen=True, slots=True)
class Result:
    """How an act ended: `DONE`, `REJECTED` or `LOST`; `observed` is what a reading found within the scope."""

    device: DeviceName
    state: DeviceState
    signal: Signal
    now: float
    observed: Mapping[Path, str] | None = None
    reason: str = ""
    entity_tag: str = ""


@dataclass(frozen=True, slots=True)
class ChecksDone:
    """The post-checks' verdict; `failure` is empty when they passed."""

    now: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Woken:
    """A `WakeUp` came due, or the device is known to answer again."""

    device: DeviceName
    now: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Somebody asks to abort: an operator, a shutdown, a failed gate. Ignored once the commit record is written."""

    now: float
    reason: str


Input = Result | ChecksDone | Woken | GiveUp


@dataclass(frozen=True, slots=True)
class Record:
    """A journal record: durable before any instruction that follows it leaves."""

    type: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Output:
    """Records to store, then instructions to carry out."""

    records: list[Record] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)


PREPARED, TENTATIVE, APPLYING, APPLIED, ADOPTED = "prepared", "tentative", "applying", "applied", "adopted"
PHASE_RECORDS: Mapping[Phase, str] = {
    Phase.COMMITTING: "committing",
    Phase.ABORTING: "aborting",
    Phase.CONFIRMING: "confirming",
    Phase.COMPENSATING: "compensating",
    Phase.UNKNOWN: "unknown",
    Phase.COMMITTED: "committed",
    Phase.ABORTED: "aborted",
}
"""Phases that are journaled when entered; `confirming` is the commit record."""
