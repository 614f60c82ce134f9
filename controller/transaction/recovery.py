"""Owns what a restarted controller does with a transaction that it finds unfinished in the journal.

| last phase record | what may be true on devices | what is done |
|---|---|---|
| planned | candidates dirty, locks gone with the sessions | nothing reached running: ABORTED |
| committing, aborting, compensating | any subset tentative or applied | cancel, compare with the base, undo |
| confirming | any subset confirmed | roll forward; fired timers are re-applied; read back |
| unknown | as before it, some devices unreachable | look again at those |
"""

from collections.abc import Mapping, Sequence
from typing import cast

from controller.model.identifiers import DeviceName
from controller.model.yang_path import parse_path
from controller.ports import ParticipantClass
from controller.transaction import messages
from controller.transaction.coordinator import Coordinator, Participant
from controller.transaction.messages import PHASE_RECORDS, Output, Record
from controller.transaction.states import DeviceState, Goal, Phase

_PHASES = {record: phase for phase, record in PHASE_RECORDS.items()}


def resume(coordinator: Coordinator, records: Sequence[Record], now: float) -> Output:
    """Put a fresh coordinator where the journal says it was, and return what to do next."""
    _restore_bases(coordinator, records)
    phases = [record for record in records if record.type in _PHASES]
    if not phases:
        return _abandon(coordinator, now)
    last = phases[-1]
    for record in phases:
        if record.type == "committing":
            coordinator.deadline = float(str(record.data["deadline"]))
    coordinator.phase = _PHASES[last.type]
    if coordinator.is_final:
        return Output()
    coordinator.reason = str(last.data.get("reason", "")) or "the controller restarted"
    coordinator.goal = _goal(last)
    for name, state in _states(coordinator, records, last).items():
        coordinator.resume_device(name, state)
    return coordinator.resume_phase(now)


def _goal(last: Record) -> Goal:
    if last.type == "unknown":
        return Goal(str(last.data["goal"]))
    return Goal.FORWARD if last.type == "confirming" else Goal.BACKWARD


def _abandon(coordinator: Coordinator, now: float) -> Output:
    coordinator.goal = Goal.BACKWARD
    coordinator.phase = Phase.ABORTING
    coordinator.reason = "the controller restarted before anything was committed"
    for name in coordinator.devices:
        coordinator.resume_device(name, DeviceState.AT_BASE)
    return coordinator.resume_phase(now)


def _states(coordinator: Coordinator, records: Sequence[Record], last: Record) -> Mapping[DeviceName, DeviceState]:
    if last.type == "unknown":
        names = {str(name) for name in cast("Sequence[object]", last.data["devices"])}
        settled = DeviceState.AT_TARGET if coordinator.goal is Goal.FORWARD else DeviceState.AT_BASE
        return {name: DeviceState.ASTRAY if name in names else settled for name in coordinator.devices}
    began_late = {record.data["device"] for record in records if record.type in {messages.APPLYING, messages.APPLIED}}
    return {name: _state(device, coordinator.goal, name in began_late) for name, device in coordinator.devices.items()}


def _state(device: Participant, goal: Goal, began_late: bool) -> DeviceState:
    kind = device.plan.participant
    if goal is Goal.BACKWARD:
        if kind.is_two_phase:
            return DeviceState.CANCELLING
        return DeviceState.COMPARING if began_late else DeviceState.AT_BASE
    if kind is ParticipantClass.PERSISTENT:
        return DeviceState.CONFIRMING
    return DeviceState.DISARMING if kind is ParticipantClass.SESSION_BOUND else DeviceState.VERIFYING


def _restore_bases(coordinator: Coordinator, records: Sequence[Record]) -> None:
    for record in records:
        base = record.data.get("base")
        if record.type == messages.PREPARED and isinstance(base, Mapping):
            lines = {parse_path(str(path)): str(value) for path, value in base.items()}
            coordinator.rebase_device(DeviceName(str(record.data["device"])), lines)
