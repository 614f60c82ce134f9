"""Owns the network-wide commit as a deterministic state machine: inputs in, records and instructions out.

No I/O and no clock: `now` is in each input. It can be killed after any record and goes on from there (`recovery`). The
tables are in `states`; the caller's duties in `messages`. Sections: RFC 6241 8.3 (candidate), 8.4 (confirmed commit).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.datastore.contributions import Delta
from controller.datastore.diff import Edit, apply, diff, to_json
from controller.model.identifiers import DeviceName, TransactionId
from controller.model.yang_path import Path
from controller.ports import ParticipantClass
from controller.transaction import messages
from controller.transaction.judgement import explain, judge
from controller.transaction.messages import (
    PHASE_RECORDS,
    ChecksDone,
    Do,
    GiveUp,
    Input,
    Output,
    Record,
    Release,
    Result,
    RunChecks,
    WakeUp,
    Woken,
)
from controller.transaction.out_of_band import DEFAULT_RULES, PolicyRule, settle
from controller.transaction.plan import DevicePlan, Plan
from controller.transaction.plan_json import delta_to_json, edit_to_json
from controller.transaction.states import (
    FINAL,
    ON_ENTRY,
    PHASE_ON_TURNING_BACK,
    TRANSITIONS,
    Act,
    DeviceState,
    Goal,
    Phase,
    Signal,
)

_MAX_ATTEMPTS = 3
_BACK_OFF_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
_HEAL_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_WRITES = frozenset({Act.PREPARE, Act.APPLY, Act.UNDO})
_SETTLED = frozenset({DeviceState.AT_BASE, DeviceState.AT_TARGET})


@dataclass(slots=True)
class Participant:
    """One device in the transaction."""

    plan: DevicePlan
    base: Mapping[Path, str]
    edit: Edit
    scope: tuple[Path, ...]
    state: DeviceState = DeviceState.IDLE
    observed: Mapping[Path, str] | None = None
    adopted: Delta = field(default_factory=Delta)
    attempts: int = 0
    losses: int = 0
    reason: str = ""
    is_released: bool = False

    @classmethod
    def of(cls, plan: DevicePlan) -> "Participant":
        """A participant that has not begun."""
        return cls(plan=plan, base=plan.base, edit=plan.edit, scope=plan.scope)

    @property
    def target(self) -> dict[Path, str]:
        """What the scope holds when the edit has been carried out."""
        return apply(self.base, self.edit)


class Coordinator:
    """Drives one plan to COMMITTED, ABORTED, or UNKNOWN until it heals."""

    def __init__(
        self,
        transaction: TransactionId,
        plan: Plan,
        *,
        confirm_timeout_seconds: float = 120.0,
        rules: Callable[[DeviceName], Sequence[PolicyRule]] = lambda _: DEFAULT_RULES,
    ) -> None:
        self.transaction = transaction
        self.plan = plan
        self.confirm_timeout_seconds = confirm_timeout_seconds
        self.phase = Phase.PLANNED
        self.goal = Goal.FORWARD
        self.reason = ""
        self.deadline = float("inf")
        self.devices = {device.device: Participant.of(device) for device in plan.changed}
        self._rules = rules
        self._in_flight = 0
        self._told_astray: list[DeviceName] = []
        self._is_checking = False
        self._waves = self._split_into_waves()
        self._out = Output()

    def _split_into_waves(self) -> list[list[DeviceName]]:
        two_phase = {name for name, device in self.devices.items() if device.plan.participant.is_two_phase}
        waves = [[name for name in wave if name in two_phase] for wave in self.plan.waves]
        rest = sorted(two_phase.difference(*waves))
        return [wave for wave in (*waves, rest) if wave]

    # -- inputs ------------------------------------------------------------------------------------------------

    def start(self, now: float) -> Output:
        """Begin: every device is locked, read, prepared and validated in parallel."""
        self.phase = Phase.PREPARING
        self._signal_all(self.devices, Signal.GO)
        return self._finish(now)

    def handle(self, event: Input) -> Output:
        """Take one input. The output's records come before its instructions."""
        match event:
            case Result():
                self._on_result(event)
            case ChecksDone():
                self._on_checks(event)
            case Woken():
                if self.devices[event.device].state is DeviceState.ASTRAY:
                    self._signal(event.device, Signal.HEAL)
            case GiveUp():
                if self.goal is Goal.FORWARD and PHASE_ON_TURNING_BACK.get(self.phase) is Phase.ABORTING:
                    self._turn_back(event.reason)
        return self._finish(event.now)

    @property
    def is_final(self) -> bool:
        """Whether the verdict is reached; UNKNOWN is not final."""
        return self.phase in FINAL

    @property
    def astray(self) -> list[DeviceName]:
        """Devices whose state is not known."""
        return [name for name, device in self.devices.items() if device.state is DeviceState.ASTRAY]

    @property
    def unsettled(self) -> list[DeviceName]:
        """Devices with which this transaction is not done."""
        return [name for name, device in self.devices.items() if device.state not in _SETTLED]

    # -- resuming after a crash (`recovery` decides the states) -------------------------------------------------

    def resume_device(self, name: DeviceName, state: DeviceState) -> None:
        """Put a device into the state the journal implies, with that state's instruction."""
        self._enter(name, self.devices[name], state)

    def resume_phase(self, now: float) -> Output:
        """Finish resuming: what to do next."""
        return self._finish(now)

    def rebase_device(self, name: DeviceName, base: Mapping[Path, str]) -> None:
        """Take over a base that out-of-band policy had settled before the crash."""
        device = self.devices[name]
        device.edit, device.base = diff(base, device.target), base

    # -- results -----------------------------------------------------------------------------------------------

    def _on_result(self, result: Result) -> None:
        device = self.devices[result.device]
        if device.state is not result.state or device.state not in ON_ENTRY:
            return  # a late answer to a question nobody asks any more
        if result.reason:
            device.reason = result.reason
        signal = result.signal
        if result.observed is not None:
            signal = self._classify(device, result.observed)
        elif signal is Signal.LOST and device.state is DeviceState.CONFIRMING:
            signal = self._still_worth_trying(device, result.now)
        self._signal(result.device, signal)

    def _classify(self, device: Participant, observed: Mapping[Path, str]) -> Signal:
        device.observed = observed
        if device.state is DeviceState.READING:
            return self._meet_out_of_band(device, observed)
        found = judge(observed, device.base, device.edit, device.target)
        if self.goal is Goal.BACKWARD and found is Signal.FOUND_TARGET and observed == device.base:
            found = Signal.FOUND_BASE
        if found is not Signal.FOUND_TARGET:
            device.reason = explain(diff(device.target, observed))
        return found

    def _meet_out_of_band(self, device: Participant, observed: Mapping[Path, str]) -> Signal:
        if observed == device.base:
            return Signal.FOUND_BASE
        met = settle(device.plan.device, device.base, observed, self._rules(device.plan.device))
        if met.refused:
            device.reason = f"the base moved since the plan was made: {explain(met.refused)}"
            return Signal.FOUND_OTHER
        target = device.target
        device.base, device.adopted = met.base, met.adopted
        device.edit = diff(observed, target)
        return Signal.FOUND_BASE

    def _still_worth_trying(self, device: Participant, now: float) -> Signal:
        """A session-bound confirm cannot be repeated: another session's commit would confirm nothing."""
        margin = min(5.0, self.confirm_timeout_seconds / 10)
        bound = device.plan.participant is ParticipantClass.SESSION_BOUND
        return Signal.EXPIRED if bound or now >= self.deadline - margin else Signal.LOST

    def _on_checks(self, event: ChecksDone) -> None:
        if not self._is_checking or self.goal is Goal.BACKWARD:
            return
        self._is_checking = False
        if event.failure:
            self._turn_back(f"post-checks failed: {event.failure}")

    # -- transitions -------------------------------------------------------------------------------------------

    def _signal(self, name: DeviceName, signal: Signal) -> None:
        device = self.devices[name]
        following = TRANSITIONS[self.goal].get((device.state, signal))
        if following is not None:
            self._enter(name, device, following)
        elif self.goal is Goal.BACKWARD:
            raise AssertionError(f"{name}: no transition from {device.state} on {signal} going backward")
        elif self.phase is Phase.UNKNOWN:
            self._enter(name, device, DeviceState.ASTRAY)
        else:
            reason = device.reason or signal.value
            self._turn_back(reason if reason.startswith(f"{name}: ") else f"{name}: {reason}", (name, signal))

    def _signal_all(self, names: Iterable[DeviceName], signal: Signal) -> None:
        for name in sorted(names):
            self._signal(name, signal)

    def _enter(self, name: DeviceName, device: Participant, state: DeviceState) -> None:
        self._in_flight += (state in ON_ENTRY) - (device.state in ON_ENTRY)
        repeated = device.state is state
        came_from, device.state = device.state, state
        self._journal_device(name, device, came_from)
        act = ON_ENTRY.get(state)
        if act in {Act.APPLY, Act.UNDO}:
            device.attempts += 1
            if device.attempts > _MAX_ATTEMPTS:
                self._in_flight -= 1
                device.state, device.attempts = DeviceState.ASTRAY, 0  # try anew after a pause
                state = device.state
                act = None
        if act is not None:
            self._instruct(name, device, act, repeated=repeated)
        elif state is DeviceState.ASTRAY:
            self._out.instructions.append(WakeUp(name, _HEAL_SECONDS[min(device.losses, len(_HEAL_SECONDS) - 1)]))
            device.losses += 1

    def _instruct(self, name: DeviceName, device: Participant, act: Act, *, repeated: bool) -> None:
        delay = 0.0
        if repeated:
            delay = _BACK_OFF_SECONDS[min(device.losses, len(_BACK_OFF_SECONDS) - 1)]
            device.losses += 1
        edit = self._edit_for(device, act) if act in _WRITES else ()
        self._out.instructions.append(Do(name, act, device.state, edit, device.scope, delay))

    def _edit_for(self, device: Participant, act: Act) -> Edit:
        if act is Act.UNDO:
            return diff(device.observed or {}, device.base)
        if device.state is DeviceState.REAPPLYING:
            return diff(device.observed or {}, device.target)
        return device.edit

    def _journal_device(self, name: DeviceName, device: Participant, came_from: DeviceState) -> None:
        match device.state:
            case DeviceState.PREPARED:
                moved = {"base": to_json(device.base)} if device.base is not device.plan.base else {}
                self._record(messages.PREPARED, device=name, **moved)
                if device.adopted:
                    self._record(messages.ADOPTED, device=name, delta=delta_to_json(device.adopted))
            case DeviceState.CHECKING if came_from is DeviceState.COMMITTING:
                self._record(messages.TENTATIVE, device=name)
            case DeviceState.APPLYING:
                self._record(messages.APPLYING, device=name)
            case DeviceState.APPLIED:
                self._record(messages.APPLIED, device=name)

    def _turn_back(self, reason: str, cause: tuple[DeviceName, Signal] | None = None) -> None:
        self.goal = Goal.BACKWARD
        self.reason = reason
        self._enter_phase(PHASE_ON_TURNING_BACK[self.phase], reason=reason)
        self._is_checking = False
        for name in sorted(self.devices):
            device = self.devices[name]
            if cause and name == cause[0]:
                self._signal(name, cause[1])
            elif device.state not in ON_ENTRY and device.state is not DeviceState.AT_BASE:
                self._signal(name, Signal.GIVE_UP)

    # -- barriers ----------------------------------------------------------------------------------------------

    def _finish(self, now: float) -> Output:
        while self._in_flight == 0 and not self._is_checking and not self.is_final and self._advance(now):
            pass
        out, self._out = self._out, Output()
        return out

    def _advance(self, now: float) -> bool:
        """Take the step that waits for every device; False when there is none to take."""
        if self.goal is Goal.BACKWARD or self.phase in {Phase.VERIFYING, Phase.UNKNOWN}:
            return self._conclude()
        match self.phase:
            case Phase.PREPARING:
                self.deadline = now + self.confirm_timeout_seconds
                self._enter_phase(Phase.COMMITTING, deadline=self.deadline)
                self._next_wave_or_late()
            case Phase.COMMITTING | Phase.APPLYING:
                self.phase = Phase.CHECKING if self.phase is Phase.COMMITTING else Phase.RECHECKING
                self._check()
            case Phase.CHECKING:
                self.phase = Phase.COMMITTING
                self._next_wave_or_late()
            case Phase.RECHECKING:
                self._confirm()
            case Phase.CONFIRMING:
                self.phase = Phase.VERIFYING
                self._signal_all(self._in_state(DeviceState.APPLIED), Signal.GO)
        return True

    def _next_wave_or_late(self) -> None:
        if self._waves:
            self._signal_all(self._waves.pop(0), Signal.GO)
            return
        late = self._in_state(DeviceState.PREPARED)
        if late:
            self.phase = Phase.APPLYING
            self._signal_all(late, Signal.GO_LATE)
        else:
            self._confirm()

    def _check(self) -> None:
        self._is_checking = True
        changed = [*self._in_state(DeviceState.CHECKED), *self._in_state(DeviceState.APPLIED)]
        self._out.instructions.append(RunChecks(tuple(changed)))

    def _confirm(self) -> None:
        self._enter_phase(Phase.CONFIRMING)
        self._signal_all(self._in_state(DeviceState.CHECKED), Signal.GO)

    def _conclude(self) -> bool:
        astray = sorted(self.astray)
        if astray:
            # Told anew when devices have healed: a settled one is free for others, and no restart may touch it again.
            if astray != self._told_astray:
                self._told_astray = astray
                self._enter_phase(Phase.UNKNOWN, devices=astray, goal=self.goal, reason=self.reason)
                self._release_settled()
            return False
        verdict = Phase.COMMITTED if self.goal is Goal.FORWARD else Phase.ABORTED
        self._enter_phase(verdict, reason=self.reason, observed=self._corrections())
        self._release_settled()
        return False

    def _corrections(self) -> dict[str, object]:
        """Where the read-back differs from what the plan promised, per device: what the mirror must learn."""
        expected = {
            name: device.target if self.goal is Goal.FORWARD else dict(device.plan.base)
            for name, device in self.devices.items()
        }
        return {
            name: edit_to_json(rest)
            for name, device in self.devices.items()
            if device.observed is not None and (rest := diff(expected[name], device.observed))
        }

    # -- small things ------------------------------------------------------------------------------------------

    def _in_state(self, state: DeviceState) -> list[DeviceName]:
        return [name for name, device in self.devices.items() if device.state is state]

    def _release_settled(self) -> None:
        for name, device in self.devices.items():
            if device.state in _SETTLED:
                self._release(name, device)

    def _release(self, name: DeviceName, device: Participant) -> None:
        if not device.is_released:
            device.is_released = True
            self._out.instructions.append(Release(name))

    def _enter_phase(self, phase: Phase, **data: object) -> None:
        self.phase = phase
        if phase in PHASE_RECORDS:
            self._record(PHASE_RECORDS[phase], **data)

    def _record(self, type_: str, **data: object) -> None:
        self._out.records.append(Record(type_, data))
