"""A network of devices in memory with faults chosen by a random source: the coordinator's opponent in tests.

It implements what RFC 6241 8.3 and 8.4 promise: a tentative commit reverts on its timer (or with its session), a cancel
reverts at once, a reply may be lost after or before the device acted.
"""

import random
from collections import deque
from dataclasses import dataclass, field

from controller.datastore.contributions import Delta
from controller.datastore.diff import Change, apply
from controller.model.identifiers import DeviceName, PlanId
from controller.model.yang_path import Step
from controller.ports import ParticipantClass
from controller.transaction.coordinator import Coordinator
from controller.transaction.messages import (
    ChecksDone,
    Do,
    Input,
    Output,
    Record,
    Release,
    Result,
    RunChecks,
    WakeUp,
    Woken,
)
from controller.transaction.plan import DevicePlan, Plan
from controller.transaction.states import Act, Signal

BASE = {(Step("m", "mtu"),): "1500", (Step("m", "old"),): "x"}
EDIT = (
    Change((Step("m", "old"),), "x", None),
    Change((Step("m", "mtu"),), "1500", "9000"),
    Change((Step("m", "vrf", (("name", "a"),)),), None, ""),
)
TARGET = apply(BASE, EDIT)
KINDS = list(ParticipantClass)


def make_plan(kinds, waves=()):
    devices = tuple(
        DevicePlan(DeviceName(f"d{n}"), kind, EDIT, dict(BASE), Delta(), {}) for n, kind in enumerate(kinds)
    )
    return Plan(PlanId("p"), "test", devices, waves=waves)


@dataclass
class Device:
    kind: ParticipantClass
    running: dict = field(default_factory=lambda: dict(BASE))
    before: dict | None = None
    reverts_at: float = 0.0
    is_down: bool = False
    holds_lock: bool = False

    def tick(self, now):
        if self.before is not None and now >= self.reverts_at:
            self.running, self.before = self.before, None

    def session_died(self):
        self.holds_lock = False
        if self.kind is ParticipantClass.SESSION_BOUND and self.before is not None:
            self.running, self.before = self.before, None


class Network:
    """Runs a coordinator against devices; `fault(act, device)` says what goes wrong with each act."""

    def __init__(self, plan, fault, *, timeout=60.0, rules=None):
        self.devices = {d.device: Device(d.participant) for d in plan.changed}
        self.timeout = timeout
        self.plan = plan
        self.fault = fault
        self.now = 0.0
        self.journal: list[Record] = []
        self.pending: deque = deque()
        self.check_failure = ""
        self.sent: list[tuple] = []
        self.released: set[str] = set()
        self.coordinator = self._coordinator(rules)

    def _coordinator(self, rules=None):
        kwargs = {"rules": rules} if rules else {}
        return Coordinator("tx", self.plan, confirm_timeout_seconds=self.timeout, **kwargs)

    def take(self, output: Output, *, crash_after=None):
        for record in output.records:
            self.journal.append(record)
            if crash_after is not None and len(self.journal) >= crash_after:
                raise CrashError
        self.pending.extend(output.instructions)

    def run(self, rng: random.Random, *, crash_after=None, limit=5000):
        """Until the verdict, or until only astray devices are left waiting."""
        while self.pending and limit:
            limit -= 1
            self.pending.rotate(rng.randrange(len(self.pending)))
            instruction = self.pending.popleft()
            for event in self.carry_out(instruction):
                self.take(self.coordinator.handle(event), crash_after=crash_after)
        assert limit, "the transaction never ends"

    def carry_out(self, instruction) -> list[Input]:
        self.now += 0.01
        for device in self.devices.values():
            device.tick(self.now)
        match instruction:
            case Do():
                self.now += instruction.delay_seconds
                return [self.act(instruction)]
            case RunChecks():
                return [ChecksDone(self.now, self.check_failure)]
            case WakeUp():
                self.now += instruction.delay_seconds
                return [Woken(instruction.device, self.now)]
            case Release():
                self.released.add(instruction.device)
                self.devices[instruction.device].holds_lock = False
        return []

    def act(self, do: Do) -> Result:
        device = self.devices[do.device]
        self.sent.append((do.device, do.act))
        fault = self.fault(do.act, do.device)
        if fault == "down" or device.is_down:
            device.session_died()
            return Result(do.device, do.state, Signal.LOST, self.now, reason="connection refused")
        if fault == "rejected":
            return Result(do.device, do.state, Signal.REJECTED, self.now, reason="no")
        if fault == "reboot":
            device.session_died()
            if device.before is not None:
                device.running, device.before = device.before, None
            return Result(do.device, do.state, Signal.LOST, self.now, reason="rebooted")
        if fault == "lost-before":
            device.session_died()
            return Result(do.device, do.state, Signal.LOST, self.now, reason="no reply")
        signal, observed = self.perform(device, do)
        if fault == "lost-after":
            device.session_died()
            return Result(do.device, do.state, Signal.LOST, self.now, reason="no reply")
        return Result(do.device, do.state, signal, self.now, observed=observed)

    def perform(self, device: Device, do: Do):
        match do.act:
            case Act.LOCK:
                device.holds_lock = True
            case Act.READ:
                return Signal.DONE, dict(device.running)
            case Act.COMMIT:
                device.before, device.running = device.running, apply(device.running, EDIT)
                device.reverts_at = self.now + self.timeout
            case Act.CONFIRM:
                if device.before is None and device.kind is ParticipantClass.PERSISTENT:
                    return Signal.REJECTED, None
                device.before = None
            case Act.CANCEL:
                if device.before is not None and device.kind.is_two_phase:
                    device.running, device.before = device.before, None
            case Act.APPLY | Act.UNDO:
                device.running = apply(device.running, do.edit)
        return Signal.DONE, None

    def settle(self):
        """Let every armed timer fire."""
        self.now += self.timeout + 1
        for device in self.devices.values():
            device.tick(self.now)


class CrashError(Exception):
    """kill -9 right after a record became durable."""
