"""Owns carrying out a transaction: the coordinator's instructions become calls, its records events in the log.

The three duties of `transaction.messages` are kept here: one input at a time, records durable first, then instructions.
Each input is handled as it comes; what comes out waits in a backlog for the journal. What a device has done is stored
together with the next decision, so a thousand devices share one commit; acts that leave running as it is wait for none.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from controller.datastore.codec import Codec
from controller.datastore.diff import within
from controller.model.errors import (
    AccordError,
    ConnectionFailedError,
    LockedError,
    OutcomeUnknownError,
    ProtocolViolationError,
    TransientError,
)
from controller.model.identifiers import DeviceName
from controller.model.yang_path import Path
from controller.ports import Clock, DeviceSession, EventLog, NewEvent, ParticipantClass, Transport
from controller.runtime.sessions import SessionPool
from controller.transaction import messages
from controller.transaction.coordinator import Coordinator
from controller.transaction.messages import (
    ChecksDone,
    Do,
    GiveUp,
    Input,
    Instruction,
    Output,
    Record,
    Release,
    Result,
    RunChecks,
    WakeUp,
    Woken,
)
from controller.transaction.states import FINAL, Act, DeviceState, Phase, Signal

_log = structlog.get_logger(__name__)
_LOST = (ConnectionFailedError, OutcomeUnknownError, ProtocolViolationError)
_REPEATABLE = frozenset({Act.LOCK, Act.READ})
"""Acts that a session found dead before anything was sent does not fail: another session is opened."""
_READ_BACK = frozenset({Act.LOCK, Act.COMMIT, Act.APPLY, Act.UNDO, Act.CONFIRM})
"""Acts that a reading follows when they went well."""
_FREE = frozenset({Act.LOCK, Act.READ, Act.PREPARE})
"""Acts that leave running as it is: after a crash nothing of them would have to be known."""
_CAN_WAIT = frozenset({messages.PREPARED, messages.ADOPTED, messages.TENTATIVE, messages.APPLIED})
"""Records that nothing is decided by; whoever watches sees them a moment later."""
_CAN_WAIT_SECONDS = 0.5
_DECISIVE = frozenset({DeviceState.COMPARING, DeviceState.RESOLVING, DeviceState.VERIFYING})
"""Readings that decide what became of the device."""
_LOCK_RETRY_SECONDS = 0.25
_LATE_WRITE_SECONDS = 3.0
"""How long after its deadline a request is believed to be on its way yet, where there are no locks to tell."""
_JOURNAL_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class PostCheck(Protocol):
    """Looks at devices after their change and before it is made permanent."""

    async def check(self, coordinator: Coordinator, devices: Sequence[DeviceName]) -> str:
        """What is wrong, or an empty string."""
        ...


@dataclass(slots=True)
class _Participation:
    """What this transaction did with a device's session so far."""

    filters: Sequence[str]
    """What selects the scope, as the device's codec writes it."""
    locked_on: DeviceSession | None = None
    own_sessions: set[str] = field(default_factory=set)
    """Session-ids of every session that held the lock: who else holds it cannot be us."""
    prepared_on: DeviceSession | None = None
    entity_tag: str = ""
    body: bytes = b""
    observed: Mapping[Path, str] = field(default_factory=dict)
    """What the last reading's `body` means: the next one is often the same."""
    quiet_until: float = 0.0
    """Monotonic seconds until which a lost write may still be carried out where no lock could tell."""


@dataclass(slots=True)
class Executor:
    """Runs one transaction to its verdict, and on until an UNKNOWN one has healed."""

    coordinator: Coordinator
    sessions: SessionPool
    log: EventLog
    clock: Clock
    codecs: Callable[[DeviceName], Codec]
    checks: Sequence[PostCheck] = ()
    actor: str = "accord"
    lock_wait_seconds: float = 10.0
    concurrency: int = 64
    on_release: Callable[[DeviceName], None] = lambda _: None
    on_act: Callable[[Act, float, str], None] = lambda _act, _seconds, _outcome: None
    verdict: asyncio.Future[Phase] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _slots: asyncio.Semaphore = field(init=False)
    _epoch: float = field(init=False)
    _backlog: list[tuple[Output, Phase]] = field(default_factory=list)
    """What the coordinator said and nobody has carried out yet, with the phase it stands for."""
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _phase: Phase = Phase.PLANNED
    """The phase up to which everything is durable; the coordinator may be ahead."""
    _fault: Exception | None = None
    _reminder: asyncio.TimerHandle | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _with: dict[DeviceName, _Participation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bound how many devices are worked on at once."""
        self._slots = asyncio.Semaphore(self.concurrency)
        self._epoch = self.clock.now() - self.clock.monotonic()

    def _now(self) -> float:
        """Wall time as it was at the start plus what has passed since: a stepped clock moves no deadline."""
        return self._epoch + self.clock.monotonic()

    async def run(self, first: Output) -> None:
        """Carry out `first` and everything that follows. `verdict` is set when it is reached, or UNKNOWN."""
        self._put(first)
        try:
            while not self._is_over:
                await self._more.wait()
                self._raise_fault()
                await self._take_backlog()
        except BaseException as error:
            if not self.verdict.done():
                self.verdict.set_exception(error)
                self.verdict.exception()  # seen: whoever waits for the verdict raises it again
            raise
        finally:
            self._forget_reminder()
            for task in self._tasks:
                task.cancel()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    @property
    def _is_over(self) -> bool:
        return self._phase in FINAL and not self._tasks and not self._backlog

    def give_up(self, reason: str) -> None:
        """Ask for an abort; has no effect once the commit record is written."""
        self._put(self._handle(GiveUp(self._now(), reason)))

    def _handle(self, event: Input) -> Output:
        try:
            return self.coordinator.handle(event)
        except Exception as error:  # the transaction cannot go on: whoever runs it must know
            self._fault = error
            self._more.set()
            raise

    def _put(self, output: Output) -> None:
        """Leave it to the loop: at once, or within a moment when nothing waits for it."""
        if not output.records and not output.instructions:
            if not self._backlog:
                self._phase = self.coordinator.phase
                self._publish_verdict()
            return
        self._backlog.append((output, self.coordinator.phase))
        if output.instructions or any(record.type not in _CAN_WAIT for record in output.records):
            self._more.set()
        elif self._reminder is None:
            self._reminder = asyncio.get_running_loop().call_later(_CAN_WAIT_SECONDS, self._more.set)

    async def _take_backlog(self) -> None:
        """Store all records that wait, in order, then carry out the instructions behind them."""
        self._more.clear()
        self._forget_reminder()
        waiting = list(self._backlog)
        records = [record for output, _ in waiting for record in output.records]
        if records:
            await self._journal(records)
        del self._backlog[: len(waiting)]
        for output, phase in waiting:
            self._phase = phase
            for instruction in output.instructions:
                self._spawn(self._carry_out(instruction))
        self._publish_verdict()

    def _forget_reminder(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def _publish_verdict(self) -> None:
        if not self.verdict.done() and (self._phase in FINAL or self._phase is Phase.UNKNOWN):
            self.verdict.set_result(self._phase)

    async def _journal(self, records: Sequence[Record]) -> None:
        transaction = self.coordinator.transaction
        events = [
            NewEvent(f"transaction/{transaction}", f"transaction.{record.type}", record.data) for record in records
        ]
        if records[-1].type == Phase.COMMITTED:
            events += self.coordinator.plan.effects
        for delay in itertools.chain(_JOURNAL_RETRY_SECONDS, itertools.repeat(_JOURNAL_RETRY_SECONDS[-1])):
            try:
                await self.log.append(events, actor=self.actor, cause=transaction)
            except TransientError as error:
                # No room: everything waits. Devices with an armed commit go back by themselves, which is found later.
                _log.error("journal_waits", transaction=transaction, error=str(error))
                await asyncio.sleep(delay)
            else:
                return

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("transaction_task_failed", exc_info=task.exception(), transaction=self.coordinator.transaction)
        if not self._tasks:
            self._more.set()

    async def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Do():
                await self._do_all(instruction)
            case RunChecks():
                failure = await self._check(instruction.devices)
                self._put(self._handle(ChecksDone(self._now(), failure)))
            case WakeUp():
                await asyncio.sleep(instruction.delay_seconds)
                self._put(self._handle(Woken(instruction.device, self._now())))
            case Release():
                await self._release(instruction.device)

    async def _do_all(self, first: Do) -> None:
        """One act, and the device's next ones as far as they need no record: one slot for all, so no queue between."""
        if first.delay_seconds:
            await asyncio.sleep(first.delay_seconds)
        following: Do | None = first
        async with self._slots:
            while following is not None:
                output = self._handle(await self._do(following))
                following = _free_act(output, first.device)
                self._put(output if following is None else Output(output.records))

    async def _check(self, devices: Sequence[DeviceName]) -> str:
        for check in self.checks:
            try:
                failure = await check.check(self.coordinator, devices)
            except AccordError as error:
                failure = str(error)
            if failure:
                return failure
        return ""

    async def _release(self, device: DeviceName) -> None:
        participation = self._with.get(device)
        try:
            if participation is not None and participation.locked_on is not None:
                async with self.sessions.use(device) as session:
                    if session is participation.locked_on:
                        await session.release()
        except AccordError as error:
            _log.info("release_failed", device=device, error=str(error))
            await self.sessions.drop(device, str(error))
        finally:
            self.on_release(device)

    async def _do(self, do: Do) -> Result:
        started = self.clock.monotonic()
        result = await self._attempt(do)
        self.on_act(do.act, self.clock.monotonic() - started, result.signal)
        return result

    async def _attempt(self, do: Do) -> Result:
        participation = self._with.get(do.device)
        if participation is None:
            participation = self._with[do.device] = _Participation(self.codecs(do.device).encode_filters(do.scope))
        if do.state in _DECISIVE:
            await asyncio.sleep(participation.quiet_until - self.clock.monotonic())
        try:
            if do.act in _REPEATABLE:
                return await self.sessions.ask(do.device, lambda session: self._on_session(session, participation, do))
            async with self.sessions.use(do.device) as session:
                return await self._on_session(session, participation, do)
        except _LOST as error:
            return self._failed(do, Signal.LOST, error)
        except AccordError as error:
            if do.act is Act.READ:  # nothing of ours can be wrong with a read: the session is in a mode that is no use
                await self.sessions.drop(do.device, str(error))
            return self._failed(do, Signal.REJECTED, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave other devices waiting
            _log.exception("act_failed", device=do.device, act=do.act)
            await self.sessions.drop(do.device, repr(error))
            return self._failed(do, Signal.LOST, error)

    def _failed(self, do: Do, signal: Signal, error: Exception) -> Result:
        return Result(do.device, do.state, signal, self._now(), reason=str(error) or repr(error))

    async def _on_session(self, session: DeviceSession, with_: _Participation, do: Do) -> Result:
        if do.act is Act.READ:
            return await self._read(session, with_, do)
        if do.act in _READ_BACK:
            session.foresee(read=with_.filters)
        await _ACTS[do.act](self, session, with_, do)
        return Result(do.device, do.state, Signal.DONE, self._now())

    async def _read(self, session: DeviceSession, with_: _Participation, do: Do) -> Result:
        if do.state in _DECISIVE and session is not with_.locked_on:
            await self._fence(session, with_, do)
        reading = await session.read(with_.filters)
        with_.entity_tag = reading.entity_tag
        if not with_.body or reading.body != with_.body:
            with_.observed = within(self.codecs(do.device).decode(reading.body), do.scope)
            with_.body = reading.body
        return Result(do.device, do.state, Signal.DONE, self._now(), observed=with_.observed)

    async def _lock(self, session: DeviceSession, with_: _Participation, _do: Do) -> None:
        deadline = self.clock.monotonic() + self.lock_wait_seconds
        while True:
            try:
                await session.lock()
            except LockedError:
                if self.clock.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_LOCK_RETRY_SECONDS)
            else:
                with_.locked_on = session
                with_.own_sessions.add(session.capabilities.session_id)
                return

    async def _fence(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        """Make sure that no earlier session of ours can still act: the lock is ours again, or somebody else's.

        What a device holds says nothing about the outcome as long as a lost request may still be carried out, or a
        session-bound commit still be taken back.
        """
        try:
            await self._lock(session, with_, do)
        except LockedError as error:
            if not error.app_tag.strip("0") or not with_.own_sessions or error.app_tag in with_.own_sessions:
                raise

    async def _prepare(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        if session is not with_.locked_on:
            raise ConnectionFailedError("the session that held the lock is gone", device=do.device)
        if session.capabilities.participant is not ParticipantClass.IMMEDIATE:
            session.foresee(validate=True)
            await session.prepare(self.codecs(do.device).encode_edit(do.edit))
            await session.validate()
        with_.prepared_on = session

    async def _commit(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        self._must_be_prepared(session, with_, do)
        timeout = self.coordinator.confirm_timeout_seconds
        await session.commit_tentative(self.coordinator.transaction, timeout)

    async def _apply(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        if do.state is DeviceState.APPLYING:
            self._must_be_prepared(session, with_, do)
            if session.capabilities.participant is ParticipantClass.CANDIDATE:
                await session.commit_now()
                return
        await self._write(session, with_, do)

    async def _write(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        if session is not with_.locked_on:
            await self._lock(session, with_, do)
        if not do.edit:
            return
        try:
            await session.apply(self.codecs(do.device).encode_edit(do.edit), with_.entity_tag)
        except OutcomeUnknownError:
            if session.capabilities.transport is not Transport.NETCONF:
                with_.quiet_until = self.clock.monotonic() + _LATE_WRITE_SECONDS
            raise

    async def _confirm(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        if session.capabilities.participant is ParticipantClass.SESSION_BOUND:
            self._must_be_prepared(session, with_, do)
        await session.confirm(self.coordinator.transaction)

    async def _cancel(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        participant = self.coordinator.devices[do.device].plan.participant
        if participant is ParticipantClass.PERSISTENT:
            await session.cancel(self.coordinator.transaction)
        elif participant is ParticipantClass.SESSION_BOUND and session is with_.prepared_on:
            await session.cancel(self.coordinator.transaction)
            with_.prepared_on = with_.locked_on = None
            await self.sessions.drop(do.device, "a session-bound commit was cancelled by closing its session")

    def _must_be_prepared(self, session: DeviceSession, with_: _Participation, do: Do) -> None:
        if session is not with_.prepared_on:
            raise ConnectionFailedError("the session that prepared the change is gone", device=do.device)


def _free_act(output: Output, device: DeviceName) -> Do | None:
    """The device's next act, where that is all there is to do and it may go ahead of the journal."""
    match output.instructions:
        case [Do(act=act, delay_seconds=0.0) as do] if act in _FREE and do.device == device:
            return do
    return None


_Step = Callable[[Executor, DeviceSession, _Participation, Do], Awaitable[None]]
_ACTS: Mapping[Act, _Step] = {
    Act.LOCK: Executor._lock,  # noqa: SLF001 - a table of this module's own methods
    Act.PREPARE: Executor._prepare,  # noqa: SLF001
    Act.COMMIT: Executor._commit,  # noqa: SLF001
    Act.APPLY: Executor._apply,  # noqa: SLF001
    Act.UNDO: Executor._write,  # noqa: SLF001
    Act.CONFIRM: Executor._confirm,  # noqa: SLF001
    Act.CANCEL: Executor._cancel,  # noqa: SLF001
}
