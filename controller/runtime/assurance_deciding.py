"""Owns deciding: what is at risk is weighed at each tick, recorded when the grounds change, and acted on by recovery.

The change itself goes its own way: while one is under way its agreement is left alone, whatever is foreseen meanwhile.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from controller.assurance.breach import Breach
from controller.assurance.decision import CauseFinding, Decision, Ground
from controller.assurance.instance import Happening, InstanceEvent, InstanceState
from controller.events import types
from controller.model.errors import AccordError
from controller.ports import Clock, EventLog, NewEvent
from controller.runtime.remedies import Localiser, Proposal, Remedies
from controller.runtime.world import World

_log = structlog.get_logger(__name__)
ACTOR = "accord"
NOBODY = "nobody is there to propose a remedy"
NOTHING = "recovery proposes no remedy"
Json = Any
_S, _E = InstanceState, InstanceEvent


@dataclass(slots=True)
class Deciding:
    """Weighs, records, and has remedies carried out. Without `remedies` nothing is ever done."""

    world: World
    log: EventLog
    clock: Clock
    localiser: Localiser | None = None
    remedies: Remedies | None = None
    _under_way: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    async def resume(self) -> None:
        """After a restart: changes that were under way are over; recovery finishes or undoes its own."""
        for instance in tuple(self.world.assurance.loop):
            last = instance.steps[-1].happening.event if instance.steps else None
            if instance.state is _S.RENEGOTIATED and last is _E.RENEGOTIATE:
                reason = "the daemon was started anew meanwhile"
                await self._append(instance.agreement, self._happening(instance.agreement, _E.CHANGE_FAILED, reason))

    async def stop(self) -> None:
        """Wait for nobody: the next start says what became of it."""
        tasks, self._under_way = list(self._under_way.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self, agreement: str) -> None:
        """Wait until what is under way for an agreement is over."""
        task = self._under_way.get(agreement)
        if task is not None:
            await asyncio.shield(task)

    async def decide(self, worst: Mapping[str, Breach | None], now: float) -> None:
        """Weigh what is at risk, the likeliest first; begin what is worth planning."""
        loop = self.world.assurance.loop
        risky = [
            (name, breach)
            for name, breach in worst.items()
            if breach is not None and name in loop and loop.get(name).state is _S.AT_RISK
        ]
        for name, breach in sorted(risky, key=lambda each: -each[1].confidence):
            if name in self._under_way:
                continue
            finding = self.localiser.finding_for(name) if self.localiser else None
            unproved = "" if self.remedies else NOBODY
            decision = loop.decide(name, breach, finding, now, unproved=unproved)
            await self._record(decision, finding)
            if decision.is_worth_planning and self.remedies is not None and finding is not None and self._has_room():
                work = self._act(self.remedies, name, breach, finding)
                self._under_way[name] = asyncio.get_running_loop().create_task(work, name=f"remedy for {name}")

    def _has_room(self) -> bool:
        """Planning costs: not more at once than may begin in a tick."""
        return len(self._under_way) < self.world.assurance.loop.guards.limits.changes_per_tick

    async def _act(self, remedies: Remedies, agreement: str, breach: Breach, finding: CauseFinding) -> None:
        try:
            await self._propose(remedies, agreement, breach, finding)
        except AccordError as error:
            _log.warning("remedy_not_recorded", service=agreement, error=str(error))
        finally:
            self._under_way.pop(agreement, None)

    async def _propose(self, remedies: Remedies, agreement: str, breach: Breach, finding: CauseFinding) -> None:
        why, proposal = NOTHING, None
        try:
            proposal = await remedies.propose(agreement, breach, finding)
        except Exception as error:  # noqa: BLE001 - whatever recovery stumbles over, the loop goes on and says so
            _log.exception("remedy_not_proposed", service=agreement)
            why = f"recovery failed to propose: {error}"
        now = self.clock.now()
        verdict = proposal.verdict if proposal else None
        decision = self.world.assurance.loop.decide(agreement, breach, finding, now, verdict, unproved=why)
        remedy = proposal.remedy if proposal else ""
        if decision.acts and proposal is not None:
            begun = self._happening(agreement, _E.RENEGOTIATE, remedy, decision.cause)
            await self._append(agreement, recorded(decision, finding, remedy), begun)
            await self._carry_out(remedies, agreement, proposal)
            return
        events = [recorded(decision, finding, remedy)]
        if proposal is None or not proposal.verdict.is_proved:
            reason = next((one.text for one in decision.against if one.ground is Ground.PROOF), why)
            events.append(self._happening(agreement, _E.REFUSE, reason, decision.cause))
        await self._append(agreement, *events)

    async def _carry_out(self, remedies: Remedies, agreement: str, proposal: Proposal) -> None:
        try:
            failure = await remedies.carry_out(proposal, ACTOR)
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("remedy_failed", service=agreement)
            failure = str(error) or type(error).__name__
        what = _E.CHANGE_FAILED if failure else _E.CHANGE_COMMITTED
        if self.world.assurance.loop.get(agreement).state is _S.RENEGOTIATED:
            await self._append(agreement, self._happening(agreement, what, failure or proposal.remedy))

    async def _record(self, decision: Decision, finding: CauseFinding | None) -> None:
        """A decision whose grounds are those of the last one is the same decision."""
        kept = self.world.assurance.decisions(decision.agreement)
        fresh = recorded(decision, finding)
        if not kept or _grounds(kept[-1].data) != _grounds(fresh.data) or not self._is_of_this_risk(decision, kept[-1]):
            await self._append(decision.agreement, fresh)

    def _is_of_this_risk(self, decision: Decision, last: Any) -> bool:
        return bool(last.data["time"] >= self.world.assurance.loop.get(decision.agreement).since)

    def _happening(self, agreement: str, what: InstanceEvent, reason: str, cause: str = "") -> NewEvent:
        one = Happening(agreement, what, self.clock.now(), cause, reason)
        return NewEvent(
            f"assurance/{agreement}",
            types.ASSURANCE_HAPPENING,
            {"event": one.event.value, "time": one.time, "cause": one.cause, "reason": one.reason},
        )

    async def _append(self, agreement: str, *events: NewEvent) -> None:
        await self.log.append(events, actor=ACTOR, cause=agreement)


def recorded(decision: Decision, finding: CauseFinding | None, remedy: str = "") -> NewEvent:
    """A decision as the event that keeps it."""
    data = {**decision.to_json(), "confidence": finding.confidence if finding else 0.0, "remedy": remedy}
    return NewEvent(f"assurance/{decision.agreement}", types.ASSURANCE_DECISION, data)


def _grounds(data: Mapping[str, Json]) -> tuple[object, ...]:
    """What makes a decision another one; numbers move at every tick."""
    said = [one["text"] for one in data["reasons"] if one["ground"] == Ground.PROOF]
    return data["cause"], *((one["ground"], one["holds"]) for one in data["reasons"]), *said
