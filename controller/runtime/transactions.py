"""Owns committing plans: leases, the check that no base moved, the run to a verdict, and resuming after a crash."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import structlog

from controller.datastore.codec import Codec
from controller.datastore.diff import Edit, diff
from controller.events import types
from controller.mapping.measurement import orphans
from controller.model.errors import BusyError, ConflictError, StalePlanError
from controller.model.identifiers import DeviceName, TransactionId
from controller.model.yang_path import Path
from controller.ports import Clock, EventLog, NewEvent
from controller.runtime.executor import Executor, PostCheck
from controller.runtime.leases import Lease, Leases
from controller.runtime.sessions import SessionPool
from controller.runtime.world import World
from controller.transaction.coordinator import Coordinator
from controller.transaction.history import TransactionSummary
from controller.transaction.judgement import explain
from controller.transaction.messages import Output
from controller.transaction.out_of_band import Policy, PolicyRule
from controller.transaction.plan import DevicePlan, Plan, plan_device
from controller.transaction.plan_json import plan_to_json
from controller.transaction.recovery import resume
from controller.transaction.states import Act

_log = structlog.get_logger(__name__)


PlanAgain = Callable[[StalePlanError], Awaitable[Plan]]
"""Makes the plan anew, told why it was stale."""


@dataclass(frozen=True, slots=True)
class CommitOptions:
    """How a plan is committed.

    `on_drift`: `strict` aborts on out-of-band changes, `warn` takes them as the new base, `policy` asks the rules.
    """

    comment: str = ""
    confirm_timeout_seconds: float | None = None
    """None takes the daemon's setting."""
    lease_wait_seconds: float = 30.0
    waves: tuple[tuple[DeviceName, ...], ...] = ()
    on_drift: str = "policy"


@dataclass(slots=True)
class Transactions:
    """Every transaction that runs in this daemon."""

    world: World
    log: EventLog
    clock: Clock
    sessions: SessionPool
    leases: Leases
    codecs: Callable[[DeviceName], Codec]
    rules: Callable[[DeviceName], Sequence[PolicyRule]]
    checks: Sequence[PostCheck] = ()
    lock_wait_seconds: float = 10.0
    confirm_timeout_seconds: float = 120.0
    concurrency: int = 64
    refuse_overbooked: Callable[[Plan], None] = lambda _: None
    """Asked while nobody else can begin: raises where links have no room for what a plan's tunnels reserve."""
    observe_act: Callable[..., None] = lambda *_: None
    observe_end: Callable[[TransactionSummary], None] = lambda _: None
    _running: dict[TransactionId, tuple[Executor, "asyncio.Task[None]"]] = field(default_factory=dict)
    _accepting: bool = True
    _planning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def commit(
        self, plan: Plan, options: CommitOptions, actor: str, *, again: PlanAgain | None = None
    ) -> TransactionSummary:
        """Carry the plan out; returns at the verdict, or when it is UNKNOWN.

        `StalePlanError` when a base moved since the plan was made, `BusyError` when a device stays leased to others.
        With `again` a stale plan is made anew while its devices are held, and nobody plans so at the same time.
        """
        self._refuse_when_stopping()
        plan = replace(plan, waves=options.waves or plan.waves)
        devices = sorted(device.device for device in plan.devices)
        lease = await self.leases.take(devices, f"plan {plan.id}", plan.summary, options.lease_wait_seconds)
        try:
            self._refuse_when_stopping()
            async with self._planning if again else nullcontext():
                plan = await self._made_fresh(plan, again)
                executor, first = await self._plan_durably(plan, options, actor)
            self.leases.release(set(devices) - {device.device for device in plan.devices}, lease)
        except BaseException:
            self.leases.release(devices, lease)
            raise
        self._start(executor, first, lease)
        await asyncio.shield(executor.verdict)
        return self.world.transactions.get(executor.coordinator.transaction)

    async def _made_fresh(self, plan: Plan, again: PlanAgain | None) -> Plan:
        try:
            self.refuse_moved(plan)
        except StalePlanError as error:
            if again is None:
                raise
            fresh = replace(await again(error), waves=plan.waves)
            held = {device.device for device in plan.devices}
            if not held.issuperset(device.device for device in fresh.devices):
                raise StalePlanError(
                    f"planned again as '{fresh.id}', it needs other devices", tag="data-exists"
                ) from None
            self.refuse_moved(fresh)
            return fresh
        return plan

    async def ended(self, transaction: TransactionId, wait_seconds: float) -> None:
        """Wait until a transaction has ended; `BusyError` when it goes on for longer."""
        running = self._running.get(transaction)
        if running and not (await asyncio.wait([running[1]], timeout=wait_seconds))[0]:
            raise BusyError(f"the transaction '{transaction}' goes on", path=transaction, tag="in-use")

    def _refuse_when_stopping(self) -> None:
        if not self._accepting:
            raise ConflictError("the daemon is shutting down", remedy="commit again when it is back", tag="in-use")

    def refuse_moved(self, plan: Plan) -> None:
        """Compute each device's share anew from today's state: another edit or base means that the plan is stale."""
        for device in plan.devices:
            knowledge = self.world.network.device(device.device)
            if device.version == knowledge.version:
                continue  # nothing has happened to it since the plan was made
            if left := orphans(device.device, knowledge.contributions, device.edit):
                raise StalePlanError(
                    f"the plan '{plan.id}' is out of date: '{left[0].holder}' is measured in a VPN that it takes away",
                    remedy="plan again",
                    device=device.device,
                    tag="data-exists",
                )
            today = plan_device(knowledge.view(), device.delta) if device.delta else device
            base = knowledge.config.within(device.scope)
            if today.edit != device.edit or base != device.base:
                moved = explain(_moved(device, today, base))
                raise StalePlanError(
                    f"the plan '{plan.id}' is out of date: {moved or 'what it is based on has changed'}",
                    remedy="plan again, and look at the new diff",
                    device=device.device,
                    tag="data-exists",
                )
        self.world.reservations.refuse_stale(plan)
        self.world.tunnels.refuse_stale(plan.effects)
        self.refuse_overbooked(plan)

    async def _plan_durably(self, plan: Plan, options: CommitOptions, actor: str) -> tuple[Executor, Output]:
        transaction = TransactionId(self.world.next_id("transaction"))
        self.world.reservations.reserve(transaction, plan)
        timeout = options.confirm_timeout_seconds or self.confirm_timeout_seconds
        options = replace(options, confirm_timeout_seconds=timeout)
        data = {
            "plan": plan_to_json(plan),
            "comment": options.comment,
            "confirm_timeout_seconds": options.confirm_timeout_seconds,
            "on_drift": options.on_drift,
        }
        try:
            event = NewEvent(f"transaction/{transaction}", types.TRANSACTION_PLANNED, data)
            self.world.expect(event.stream, plan, options.comment)
            await self.log.append([event], actor=actor, cause=plan.id, expected_versions={event.stream: 0})
        except BaseException:
            self.world.reservations.release(transaction)
            raise
        executor = self._executor(transaction, plan, options, actor)
        return executor, executor.coordinator.start(self.clock.now())

    def _executor(self, transaction: TransactionId, plan: Plan, options: CommitOptions, actor: str) -> Executor:
        coordinator = Coordinator(
            transaction,
            plan,
            confirm_timeout_seconds=options.confirm_timeout_seconds or self.confirm_timeout_seconds,
            rules=_drift_rules(options.on_drift, self.rules),
        )
        return Executor(
            coordinator=coordinator,
            sessions=self.sessions,
            log=self.log,
            clock=self.clock,
            codecs=self.codecs,
            checks=self.checks,
            actor=actor,
            lock_wait_seconds=self.lock_wait_seconds,
            concurrency=self.concurrency,
            on_act=self._observe_act,
        )

    def _observe_act(self, act: Act, seconds: float, outcome: str) -> None:
        """Late binding: transactions taken up at the start run before anybody observes."""
        self.observe_act(act, seconds, outcome)

    def _start(self, executor: Executor, first: Output, lease: Lease) -> None:
        transaction = executor.coordinator.transaction
        executor.on_release = lambda device: self.leases.release([device], lease)
        task = asyncio.get_running_loop().create_task(executor.run(first), name=f"transaction {transaction}")
        self._running[transaction] = (executor, task)
        task.add_done_callback(lambda _: self._ended(executor, task, lease))

    def _ended(self, executor: Executor, task: "asyncio.Task[None]", lease: Lease) -> None:
        transaction = executor.coordinator.transaction
        self._running.pop(transaction, None)
        if executor.coordinator.is_final:  # else what it has stays taken: only a restart can go on with it
            self.world.reservations.release(transaction)
            self.leases.release((device.device for device in executor.coordinator.plan.devices), lease)
        if not task.cancelled() and task.exception() is not None:
            _log.error("transaction_stopped", transaction=transaction, error=repr(task.exception()))
        self.observe_end(self.world.transactions.get(transaction))

    async def resume_open(self) -> int:
        """After a restart: take up every transaction that has no verdict; returns how many."""
        found = self.world.transactions.open()
        for transaction, (plan, data, records) in found.items():
            options = CommitOptions(
                confirm_timeout_seconds=float(data["confirm_timeout_seconds"]), on_drift=str(data["on_drift"])
            )
            executor = self._executor(transaction, plan, options, "accord")
            first = resume(executor.coordinator, records, self.clock.now())
            devices = executor.coordinator.unsettled  # a settled one may belong to a later transaction by now
            lease = await self.leases.take(devices, transaction, "resumed after a restart", 1.0)
            self.world.reservations.reserve(transaction, plan)
            self._start(executor, first, lease)
        return len(found)

    async def drain(self, timeout_seconds: float) -> bool:
        """Stop accepting, let running transactions reach their verdict; False when some did not in time."""
        self._accepting = False
        verdicts = [executor.verdict for executor, _ in self._running.values()]
        if verdicts:
            _, late = await asyncio.wait(verdicts, timeout=timeout_seconds)
            for _, task in list(self._running.values()):
                task.cancel()
            return not late
        return True

    def running(self) -> list[TransactionId]:
        """Transactions that this daemon is working on, UNKNOWN ones included."""
        return list(self._running)


def _moved(device: DevicePlan, today: DevicePlan, base: Mapping[Path, str]) -> Edit:
    """What the plan expected and what is there now, as changes from the one to the other."""
    planned = {change.path: change.new or "" for change in device.edit}
    needed = {change.path: change.new or "" for change in today.edit}
    return diff(device.base, base) or diff(planned, needed)


def _drift_rules(
    on_drift: str, rules: Callable[[DeviceName], Sequence[PolicyRule]]
) -> Callable[[DeviceName], Sequence[PolicyRule]]:
    """`strict` and `warn` replace the configured policies for one commit."""
    policy = {"strict": Policy.ABORT, "warn": Policy.ACCEPT}.get(on_drift)
    if policy is None:
        return rules
    everywhere = (PolicyRule((), policy),)
    return lambda _: everywhere
