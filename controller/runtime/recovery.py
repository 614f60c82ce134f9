"""Owns recoveries: what is wrong and felt is localised, planned, proved, carried out, verified, undone or escalated.

Every step is an event before the next begins; what a state asks for is safe to be done again, so a restarted controller
goes on from the log. There is one recovery for a cause; only one at a time changes the network. Carriers are repaired
by `tunnel_repair` first: a fault has to last a little before a recovery begins.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from controller.events import types
from controller.model.errors import AccordError, ConflictError, InvalidInputError
from controller.model.identifiers import DeviceName
from controller.ports import Clock, EventLog, NewEvent
from controller.recovery.history import Recovery
from controller.recovery.remedies import Remedy
from controller.recovery.scoring import Candidate
from controller.recovery.situation import Fault, FaultKind
from controller.recovery.states import Cue, Mode, RecoveryState, advance
from controller.runtime.collection import Collection
from controller.runtime.localisation import BLIND, Localisation
from controller.runtime.recovery_evidence import Finding, Verification
from controller.runtime.recovery_faults import Faults
from controller.runtime.recovery_tidying import Tidying
from controller.runtime.recovery_work import ACTOR, RecoveryWork
from controller.runtime.world import World

_log = structlog.get_logger(__name__)
_S = RecoveryState
_LOOK_SECONDS = 0.5
Json = Any


class _OvertakenError(ConflictError):
    """Somebody else has brought the recovery on since it was looked at."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take, in seconds.

    A fault lasts `settle` before a recovery begins, one without a known cause `settle_unknown`; it is over when it was
    not seen for `clear`.
    """

    settle: float = 3.0
    settle_unknown: float = 30.0
    clear: float = 5.0
    verify: float = 60.0
    watch: float = 300.0
    """How long the area is watched closely, reading its routers every `watch_interval`."""
    watch_interval: float = 1.0
    calm: float = 600.0
    """Without any fault for so long, tunnels that remedies made are taken away again; without its own fault for so
    long, who gets less than was promised gets all again."""


@dataclass(slots=True)
class Recoveries:
    """Every recovery of this daemon. `tick` is called by a scheduler."""

    world: World
    log: EventLog
    clock: Clock
    collection: Collection
    localisation: Localisation
    work: RecoveryWork
    mode: Callable[[], Mode] = lambda: Mode.AUTO
    pace: Pace = field(default_factory=Pace)
    recheck: Callable[[DeviceName], Any] | None = None
    """Compares a device again, now."""
    look_closer: Callable[[Sequence[DeviceName], float, float], None] = lambda *_: None
    """Called after a recovery, and where no cause is known, with the area, how often to read it, and for how long."""
    faults: Faults = field(init=False)
    verification: Verification = field(init=False)
    tidying: Tidying = field(init=False)
    _running: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _recording: asyncio.Lock = field(default_factory=asyncio.Lock)
    """What a recovery is and what is recorded of it next belong together: operators and the clockwork act at once."""

    def __post_init__(self) -> None:
        """What sees a fault sees that it is gone."""
        self.faults = Faults(self.world, self.localisation)
        self.verification = Verification(self.localisation)
        self.tidying = Tidying(self.world, self.log, self.work, self.faults, self.verification, self._changing)

    # -- the clockwork -----------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Look at the network, begin what has to begin, and go on with what is under way."""
        if self.mode() is Mode.OFF:
            return
        await self.localisation.diagnose()
        now = self.clock.now()
        self.faults.see(now, self.pace.clear)
        for fault in tuple(self.faults.now.values()):
            await self._consider(fault, now)
        for recovery in self.world.recoveries:
            if not recovery.is_over:
                self.go_on(recovery.id)
        self.tidying.tick(now, self.pace.calm, self.mode())

    def go_on(self, id_: str) -> None:
        """Let a recovery take its steps, unless it does already, or nothing is to be done."""
        if id_ in self._running or self.mode() is Mode.OFF:
            return
        task = asyncio.get_running_loop().create_task(self._run(id_), name=f"recovery {id_}")
        self._running[id_] = task
        task.add_done_callback(lambda done: self._ended(id_, done))

    async def stop(self) -> None:
        """Leave every recovery where the log says it is."""
        self.localisation.stop()
        await self.tidying.stop()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self, id_: str) -> Recovery:
        """Wait until a recovery is over or waits for an operator."""
        while not ((one := self.world.recoveries.get(id_)).is_over or one.state is _S.ESCALATED):
            self.go_on(id_)
            if id_ not in self._running:
                break
            await asyncio.wait([self._running[id_]])
            if self.localisation.blind:
                await asyncio.sleep(_LOOK_SECONDS)
        return one

    def _ended(self, id_: str, task: "asyncio.Task[None]") -> None:
        self._running.pop(id_, None)
        one = self.world.recoveries.get(id_)
        if one.state is _S.RECOVERED:
            self.look_closer(self.faults.area(one.fault), self.pace.watch_interval, self.pace.watch)
        if not task.cancelled() and task.exception() is not None:
            _log.error("recovery_stopped", recovery=id_, exc_info=task.exception())

    # -- faults ------------------------------------------------------------------------------------------------

    async def _consider(self, fault: Fault, now: float) -> None:
        """Begin a recovery where a fault lasts and is felt."""
        if self.world.recoveries.open_for(fault.cause) is not None:
            return
        is_unknown = fault.kind == FaultKind.UNKNOWN and fault.cause != BLIND
        if now - self.faults.since[fault.cause] < (self.pace.settle_unknown if is_unknown else self.pace.settle):
            return
        services = await self._who(fault)
        if not services and fault.kind != FaultKind.UNKNOWN:
            return
        # Of a device that drifted nobody tells anything new before the next look at it, whoever suffers.
        is_old = fault.kind == FaultKind.DRIFT or not await self.work.suffering(fault)
        if is_old and self._was_told(fault, services):
            return
        with suppress(ConflictError):  # it was taken up meanwhile
            await self.begin(fault, services)

    async def _who(self, fault: Fault) -> tuple[str, ...]:
        if fault.kind == FaultKind.DRIFT:
            return self.faults.owners(fault)
        if fault.kind == FaultKind.DELAY:
            return await self.work.suffering(fault)
        return tuple(sorted({*await self.work.suffering(fault), *self.localisation.touched(fault.elements)}))

    def _was_told(self, fault: Fault, services: tuple[str, ...]) -> bool:
        """Whether the latest recovery from this cause said that these are carried elsewhere: nothing is new."""
        earlier = [one for one in self.world.recoveries if one.cause == fault.cause and one.is_over]
        since = self.faults.since[fault.cause]
        return bool(earlier) and set(services) <= set(earlier[-1].services) and earlier[-1].since >= since

    async def begin(self, fault: Fault, services: tuple[str, ...], *steps: Json, actor: str = ACTOR) -> Recovery:
        """Record a fault that is felt, and first steps; `ConflictError` when its cause is being seen to already."""
        data = {"fault": fault.to_json(), "services": list(services), "reason": fault.reason}
        async with self._recording:
            under_way = self.world.recoveries.open_for(fault.cause)
            if under_way is not None:
                raise ConflictError(f"'{under_way.id}' sees to {fault.cause} already", path=under_way.id)
            id_ = self.world.next_id("recovery")
            events = [NewEvent(f"recovery/{id_}", types.RECOVERY_BEGUN, data)]
            events += [NewEvent(f"recovery/{id_}", types.RECOVERY_ADVANCED, step) for step in steps]
            await self.log.append(events, actor=actor)
        _log.warning("recovery_begun", recovery=id_, cause=fault.cause, services=list(services))
        self._watch(fault)
        return self.world.recoveries.get(id_)

    def _watch(self, fault: Fault) -> None:
        """Enhanced monitoring of the area, for a bounded time; with more probes where these may tell the cause."""
        area = self.faults.area(fault)
        self.collection.hasten(area, self.pace.watch_interval, self.pace.watch)
        if fault.kind == FaultKind.UNKNOWN and area:
            self.look_closer(area, self.pace.watch_interval, self.pace.watch)

    # -- one recovery ------------------------------------------------------------------------------------------

    async def _run(self, id_: str) -> None:
        """Until it is over, waits for an operator, or there is nothing to do before the next tick."""
        goes_on = True
        while goes_on:
            with suppress(_OvertakenError):  # an operator was first: what is to be done is another thing now
                goes_on = await self._step(self.world.recoveries.get(id_))

    async def _step(self, one: Recovery) -> bool:
        """Do what the state asks for and record what came of it; False when nothing came yet."""
        if self.localisation.blind and one.cause != BLIND and not one.is_touched and one.state is not _S.ROLLED_BACK:
            return False  # what nobody can see is neither over nor to be acted on
        work = {
            _S.DETECTED: self._localise,
            _S.LOCALISED: self._plan,
            _S.PLANNED: self._prove,
            _S.PROVED: self._decide,
            _S.EXECUTING: self._execute,
            _S.VERIFYING: self._verify,
            _S.ROLLED_BACK: self._roll_back,
            _S.ESCALATED: self._wait,
        }.get(one.state)
        return False if work is None else await work(one)

    async def _localise(self, one: Recovery) -> bool:
        if one.fault.kind == FaultKind.UNKNOWN:
            return await self._advance(one, Cue.ABSTAIN, f"nothing is done by itself: {one.fault.reason}")
        return await self._advance(one, Cue.LOCALISE, f"{one.cause}, confidence {one.fault.confidence:.2f}")

    async def _plan(self, one: Recovery) -> bool:
        if gone := await self._gone(one):
            return await self._advance(one, Cue.CLEAR, gone)
        found = await self.work.candidates(one.fault)
        if not found:
            return await self._advance(one, Cue.NOTHING, f"nothing that could be changed helps against {one.cause}")
        documents = [each.to_json() for each in found]
        reason = f"{_remedies(len(found))}; {found[0].remedy.summary}"
        return await self._advance(one, Cue.PLAN, reason, candidates=documents, chosen=0)

    async def _prove(self, one: Recovery) -> bool:
        if gone := await self._gone(one):
            return await self._advance(one, Cue.CLEAR, gone)
        remedy = self._remedy(one)
        verdict, refused = await self.work.prove(one.fault, remedy, f"{one.id}: {remedy.summary}")
        if refused:
            return await self._advance(one, Cue.REFUSE, refused, verdict=refused)
        asked = self.mode() is not Mode.AUTO or self.faults.is_guarded(one.fault)
        return await self._advance(one, Cue.PROVE, "the twin proves it", verdict=str(verdict), asked=asked)

    async def _decide(self, one: Recovery) -> bool:
        if gone := await self._gone(one):
            return await self._advance(one, Cue.CLEAR, gone)
        if one.is_asked and not one.is_approved:
            return await self._advance(one, Cue.ASK, f"an operator decides: {self._remedy(one).summary}")
        return await self._advance(one, Cue.EXECUTE, self._remedy(one).summary)

    async def _execute(self, one: Recovery) -> bool:
        async with self._changing:
            done = await self.work.carry_out(one)
        if done.failure:
            return await self._advance(one, Cue.REFUSE, done.failure, transactions=list(done.ids))
        self._watch(one.fault)
        return await self._advance(one, Cue.COMMITTED, "carried out", transactions=list(done.ids))

    async def _verify(self, one: Recovery) -> bool:
        """A controller that was restarted meanwhile has to hear for itself, and has as long for it."""
        begun = self.clock.now()
        while True:
            finding, text = await self._judge(one)
            if finding is Finding.HELPED:
                return await self._advance(one, Cue.HELPED, text, verification=text)
            is_late = self.clock.now() - begun >= self.pace.verify
            if is_late or (finding is Finding.NO_HELP and self.clock.now() - one.since >= self.pace.clear):
                late = f"not seen to help within {self.pace.verify:g} s: " if finding is Finding.WAIT else ""
                return await self._advance(one, Cue.NO_HELP, late + text, verification=late + text)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _judge(self, one: Recovery) -> tuple[Finding, str]:
        if one.fault.kind == FaultKind.DRIFT and self.recheck is not None:
            try:
                report = await self.recheck(DeviceName(one.fault.elements[0]))
            except AccordError as error:
                return Finding.WAIT, str(error)
            return (
                (Finding.HELPED, "the device is as its owners want")
                if report.is_in_sync
                else (
                    Finding.NO_HELP,
                    f"{len(report.differences)} lines still differ",
                )
            )
        evidence = await self.verification.judge(one, one.since)
        return evidence.finding, evidence.text

    async def _roll_back(self, one: Recovery) -> bool:
        if one.is_touched:
            async with self._changing:
                done = await self.work.undo(one)
            data = {"reason": done.failure or "as before", "transactions": list(done.ids)}
            await self.log.append([NewEvent(f"recovery/{one.id}", types.RECOVERY_UNDONE, data)], actor=ACTOR)
            return True
        if one.untried:
            following = one.untried[0]
            return await self._advance(one, Cue.NEXT, one.candidates[following].remedy.summary, chosen=following)
        return await self._advance(one, Cue.EXHAUST, f"no remedy is left; the last one: {one.reason}")

    async def _wait(self, one: Recovery) -> bool:
        """An operator decides, unless it is over by itself, or its cause is known by now."""
        if gone := await self._gone(one):
            return await self._advance(one, Cue.CLEAR, gone)
        return False

    async def _gone(self, one: Recovery) -> str:
        """Why nobody suffers any more; empty as long as somebody does."""
        is_seen = one.cause in self.faults.last
        if one.is_dismissed and not is_seen and one.fault.reason.startswith(FORETOLD):
            return "what was foretold is dismissed, and not seen"
        if one.fault.kind == FaultKind.DRIFT:
            # What was read to be repaired is known, and differs from nothing any more: its owners have to be asked.
            found, text = (Finding.WAIT, "") if is_seen else await self._judge(one)
            return text if found is Finding.HELPED else ""
        is_well = not is_seen and self._has_looked(one) and not self.verification.is_bad(one.fault)
        if is_well and self.verification.is_crossed(one.fault):
            return "the fault is gone"
        if one.fault.kind != FaultKind.UNKNOWN and not await self.work.suffering(one.fault):
            return "everybody is carried clear of it by now"
        return ""

    def _has_looked(self, one: Recovery) -> bool:
        """Whether this daemon has looked for long enough to miss a fault; one that was foretold is not looked for."""
        foretold = one.fault.reason.startswith(FORETOLD)
        seconds = self.pace.clear + self.localisation.patience.window
        return not foretold and self.localisation.has_looked_since(seconds)

    def _remedy(self, one: Recovery) -> Remedy:
        if one.candidate is None:
            raise ConflictError(f"no remedy is chosen for '{one.id}'", path=one.id)
        return one.candidate.remedy

    # -- the operators' inbox ----------------------------------------------------------------------------------

    async def approve(self, id_: str, actor: str, number: int | None = None) -> Recovery:
        """Agree to a remedy: the chosen one, or one by its number from 1. It is proved again before it begins."""
        one = self.world.recoveries.get(id_)
        if self.mode() is Mode.OFF:
            remedy = "set recovery.mode to ask and reload, or dismiss it"
            raise ConflictError("recovery is off: nothing would be done", remedy=remedy, path=id_)
        chosen = (one.chosen if one.chosen is not None else 0) if number is None else number - 1
        if not 0 <= chosen < len(one.candidates):
            raise InvalidInputError(
                f"'{id_}' has no remedy {chosen + 1}: there {_remedies(len(one.candidates), 'is', 'are')}",
                remedy=f"see: accord inbox show {id_}; dismiss it when you have seen to it",
                path=id_,
            )
        summary = one.candidates[chosen].remedy.summary
        await self._advance(one, Cue.APPROVE, f"{actor} agrees: {summary}", actor=actor, chosen=chosen)
        self.go_on(id_)
        return self.world.recoveries.get(id_)

    async def dismiss(self, id_: str, actor: str, reason: str = "") -> Recovery:
        """Have nothing done; the cause stays held until it is gone."""
        one = self.world.recoveries.get(id_)
        await self._advance(one, Cue.DISMISS, reason or f"{actor} wants nothing done", actor=actor)
        return self.world.recoveries.get(id_)

    # -- on behalf of assurance --------------------------------------------------------------------------------

    async def adopt(self, fault: Fault, services: tuple[str, ...], candidate: Candidate, actor: str) -> Recovery:
        """Take up a remedy against what is foretold: it goes the same way as any other, from the choice on."""
        reason = fault.reason if fault.reason.startswith(FORETOLD) else f"{FORETOLD}: {fault.reason}"
        localised = {"cue": Cue.LOCALISE.value, "reason": fault.cause}
        planned: Json = {"cue": Cue.PLAN.value, "reason": candidate.remedy.summary}
        planned |= {"candidates": [candidate.to_json()], "chosen": 0}
        # At once, for the clockwork would localise and plan it by itself.
        one = await self.begin(replace(fault, reason=reason), services, localised, planned, actor=actor)
        return await self.settled(one.id)

    # -- recording ---------------------------------------------------------------------------------------------

    async def _advance(self, one: Recovery, cue: Cue, reason: str, *, actor: str = ACTOR, **data: Json) -> bool:
        """The guards are asked of what the event will have made of it."""
        asked = data.get("asked", one.is_asked)
        event = {"cue": cue.value, "reason": reason, **data}
        async with self._recording:
            now = self.world.recoveries.get(one.id)
            if now.state is not one.state:
                remedy = f"see: accord recovery show {one.id}"
                raise _OvertakenError(f"'{one.id}' is {now.state} by now", remedy=remedy, path=one.id)
            advance(one.state, cue, replace(one, is_asked=asked, chosen=data.get("chosen", one.chosen)))
            await self.log.append([NewEvent(f"recovery/{one.id}", types.RECOVERY_ADVANCED, event)], actor=actor)
        _log.info("recovery_advanced", recovery=one.id, cue=cue.value, reason=reason)
        return True


FORETOLD = "foretold"
"""What begins the reason of a fault that has not happened yet."""


def _remedies(count: int, one: str = "", several: str = "") -> str:
    return f"{one} 1 remedy".strip() if count == 1 else f"{several} {count or 'no'} remedies".strip()
