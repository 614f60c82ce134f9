"""Owns carrying out staged changes (make-before-break): commits each stage, waits for its probes, takes the way back.

What is wanted in a stage is a state, not a step: a stage that is committed again after a crash finds nothing to do, so
a restarted controller goes on from the stage in the log.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from controller.events import types
from controller.model.errors import AccordError, SupersededError
from controller.ports import Clock, EventLog, NewEvent
from controller.runtime.probes import Probes
from controller.runtime.transactions import CommitOptions
from controller.runtime.world import World
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.stage_history import StagedChange
from controller.transaction.stages import Cue, Stage, StagedPlan
from controller.transaction.states import Phase

_log = structlog.get_logger(__name__)
_TIDYING = frozenset({Stage.REMOVING, Stage.RETURNING, Stage.UNBUILDING})
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0)

MakePlan = Callable[[], Awaitable[Plan]]
CommitFresh = Callable[[MakePlan, CommitOptions, str], Awaitable[TransactionSummary]]


@dataclass(slots=True)
class StagedChanges:
    """Every staged change that runs in this daemon.

    `plan` makes the plan of a stage with a summary (`SupersededError` when others came between), `commit` carries it
    out, `ended` waits for an UNKNOWN one.
    """

    world: World
    log: EventLog
    clock: Clock
    probes: Probes
    plan: Callable[[StagedPlan, Stage, str, str], Awaitable[Plan]]
    commit: CommitFresh
    ended: Callable[[TransactionSummary], Awaitable[Phase]]
    _running: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)

    async def begin(self, plan: StagedPlan, actor: str) -> StagedChange:
        """Note the change and set off; it goes on by itself, and after a restart."""
        id_ = self.world.next_id("change")
        event = NewEvent(f"change/{id_}", types.CHANGE_BEGUN, {"plan": plan.to_json()})
        await self.log.append([event], actor=actor)
        self._start(id_)
        return self.world.changes.get(id_)

    async def finish(self, id_: str) -> StagedChange:
        """Wait until a change is over."""
        task = self._running.get(id_)
        if task is not None:
            await asyncio.shield(task)
        return self.world.changes.get(id_)

    def cancel(self, id_: str) -> StagedChange:
        """Ask for the way back; the stage under way is finished first. Too late once the old is being removed."""
        change = self.world.changes.get(id_)
        if not change.stage.is_over:
            self._cancelled.add(id_)
        return change

    def resume(self) -> int:
        """After a restart: go on with every change that is not over; returns how many."""
        open_ = [change.id for change in self.world.changes if not change.stage.is_over]
        for id_ in open_:
            self._start(id_)
        return len(open_)

    async def stop(self) -> None:
        """Leave the running changes where the log says they are."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, id_: str) -> None:
        task = asyncio.get_running_loop().create_task(self._run(id_), name=f"staged change {id_}")
        self._running[id_] = task
        task.add_done_callback(lambda done: self._over(id_, done))

    def _over(self, id_: str, task: "asyncio.Task[None]") -> None:
        self._running.pop(id_, None)
        self._cancelled.discard(id_)
        if not task.cancelled() and task.exception() is not None:
            _log.error("staged_change_stopped", change=id_, exc_info=task.exception())

    async def _run(self, id_: str) -> None:
        attempt = 0
        while not (change := self.world.changes.get(id_)).stage.is_over:
            cue, reason = await self._cue(change)
            await self._advance(change, cue, reason)
            if self.world.changes.get(id_).stage is change.stage:
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1

    async def _cue(self, change: StagedChange) -> tuple[Cue, str]:
        """Do what the stage asks for, and say what came of it."""
        if change.stage is Stage.VERIFYING:
            return await self._verify(change)
        if change.stage is Stage.DRAINING:
            return await self._drain(change)
        return await self._commit_stage(change)

    async def _verify(self, change: StagedChange) -> tuple[Cue, str]:
        return await self._unless_cancelled(change, self.probes.verify(change.plan.probes, change.deadline))

    async def _drain(self, change: StagedChange) -> tuple[Cue, str]:
        """Wait for what is under way on the old; a probe that fails meanwhile takes the traffic back."""
        return await self._unless_cancelled(change, self.probes.watch(change.plan.probes, change.plan.drain_seconds))

    async def _unless_cancelled(self, change: StagedChange, wait: Awaitable[tuple[Cue, str]]) -> tuple[Cue, str]:
        waiting = asyncio.ensure_future(wait)
        try:
            while not (await asyncio.wait([waiting], timeout=0.1))[0]:
                if change.id in self._cancelled:
                    return Cue.CANCEL, "somebody asked for it"
            return waiting.result()
        finally:
            waiting.cancel()

    async def _commit_stage(self, change: StagedChange) -> tuple[Cue, str]:
        summary = f"{change.plan.summary} ({change.id}, {change.stage})"

        async def make_plan() -> Plan:
            return await self.plan(change.plan, change.stage, summary, change.actor)

        try:
            plan = await make_plan()
            if plan.is_empty and not plan.effects:
                return Cue.COMMITTED, "it held already"
            plans = [plan]

            async def first_or_fresh() -> Plan:
                return plans.pop() if plans else await make_plan()

            done = await self.commit(first_or_fresh, CommitOptions(comment=summary), change.actor)
            phase = done.phase if done.phase is not Phase.UNKNOWN else await self.ended(done)
        except SupersededError as error:  # nothing of ours is left to be tidied up, and the way back is not ours
            return (Cue.COMMITTED if change.stage in _TIDYING else Cue.REFUSED), str(error)
        except AccordError as error:
            return Cue.REFUSED, str(error)
        if phase is Phase.COMMITTED:
            return Cue.COMMITTED, done.id
        return Cue.REFUSED, f"{done.id} was rolled back: {self.world.transactions.get(done.id).reason}"

    async def _advance(self, change: StagedChange, cue: Cue, reason: str) -> None:
        data = {"cue": cue.value, "reason": reason}
        await self.log.append([NewEvent(f"change/{change.id}", types.CHANGE_ADVANCED, data)], actor=change.actor)
