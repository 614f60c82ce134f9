"""The journal of a transaction: few commits for many devices, and no decision carried out before it is stored."""

from collections.abc import Sequence
from typing import Any

import pytest

from controller.adapters.event_log_memory import MemoryEventLog
from controller.datastore.contributions import Delta
from controller.datastore.diff import Change
from controller.model.identifiers import DeviceName, PlanId, TransactionId
from controller.model.yang_path import parse_path
from controller.ports import Capabilities, DeviceTarget, Event, NewEvent, ParticipantClass, Transport, Warnings
from controller.runtime.executor import Executor
from controller.runtime.sessions import SessionPool
from controller.transaction.coordinator import Coordinator
from controller.transaction.plan import DevicePlan, Plan
from controller.transaction.states import Phase
from tests.e2e.memory_network import MemoryConnector, MemoryDevice, PlainCodec, StandingClock

PATH = parse_path("/ietf-system:system/hostname")
KINDS = tuple(ParticipantClass)
NAMES = [DeviceName(f"pe{number:02}") for number in range(40)]


class CountingLog(MemoryEventLog):
    """Counts what would each be a flush of the disk."""

    appends = 0

    async def append(self, events: Sequence[NewEvent], **options: Any) -> Sequence[Event]:
        self.appends += 1
        return await super().append(events, **options)


class Witness(MemoryDevice):
    """Remembers what was stored when running was changed."""

    log: CountingLog
    knew: dict[str, list[str]]
    steps: list[tuple[DeviceName, str]]

    async def lock(self) -> None:
        self.steps.append((self.device, "lock"))
        await super().lock()

    async def prepare(self, edit: bytes) -> Warnings:
        self.steps.append((self.device, "prepare"))
        return await super().prepare(edit)

    def note(self, step: str) -> None:
        self.knew[step] = [event.type.removeprefix("transaction.") for event in self.log.read()]

    async def commit_tentative(self, persist: TransactionId, timeout_seconds: float) -> Warnings:
        self.note("commit")
        return await super().commit_tentative(persist, timeout_seconds)

    async def confirm(self, persist: TransactionId) -> None:
        self.note("confirm")
        await super().confirm(persist)

    async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
        self.note("apply")
        return await super().apply(edit, entity_tag)


def kind(number: int) -> ParticipantClass:
    return KINDS[number % len(KINDS)]


def plan() -> Plan:
    edit = (Change(PATH, "before", "after"),)
    devices = [
        DevicePlan(name, kind(number), edit, {PATH: "before"}, Delta(), {PATH: ()}) for number, name in enumerate(NAMES)
    ]
    return Plan(PlanId("plan-1"), "rename", tuple(devices))


@pytest.fixture
def knew() -> dict[str, list[str]]:
    return {}


@pytest.fixture
def log(knew: dict[str, list[str]]) -> CountingLog:
    return CountingLog(clock=StandingClock())


async def carry_out(log: CountingLog, knew: dict[str, list[str]], **options: Any) -> Phase:
    devices = {}
    steps = options.pop("steps", [])
    for number, name in enumerate(NAMES):
        device = Witness(name, Capabilities(Transport.NETCONF, kind(number)), {PATH: "before"})
        device.log, device.knew, device.steps = log, knew, steps
        devices[name] = device
    clock, codec = StandingClock(), PlainCodec()
    sessions = SessionPool(
        {Transport.NETCONF: MemoryConnector(devices)},
        lambda name: DeviceTarget(name, "nowhere", 0, Transport.NETCONF, ""),
        clock,
    )
    coordinator = Coordinator(TransactionId("tx-1"), plan(), confirm_timeout_seconds=10_000.0)
    executor = Executor(coordinator, sessions, log, clock, lambda _: codec, **options)
    await executor.run(coordinator.start(clock.now()))
    assert all(device.running == {PATH: "after"} for device in devices.values())
    return await executor.verdict


async def test_the_records_of_many_devices_share_a_few_commits(log, knew):
    assert await carry_out(log, knew) is Phase.COMMITTED
    types = [event.type for event in log.read()]
    assert types.count("transaction.prepared") == len(NAMES)
    assert types.count("transaction.tentative") == len(NAMES) // 2
    assert log.appends <= 8


async def test_running_is_changed_only_after_the_decision_to_is_stored(log, knew):
    await carry_out(log, knew)
    assert "committing" in knew["commit"]
    assert "applying" in knew["apply"]
    assert "confirming" in knew["confirm"]
    assert knew["confirm"].count("prepared") == len(NAMES), "what devices have done is stored with the next decision"


async def test_a_device_that_has_its_turn_is_prepared_before_the_next_one_is_locked(log, knew):
    steps: list[tuple[DeviceName, str]] = []
    assert await carry_out(log, knew, concurrency=1, steps=steps) is Phase.COMMITTED
    preparing = [device for device, step in steps if step == "prepare"]
    expected = [(name, step) for name in NAMES for step in ("lock", "prepare") if step == "lock" or name in preparing]
    assert len(preparing) >= len(NAMES) // 2
    assert steps[: len(expected)] == expected
