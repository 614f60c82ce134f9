"""Owns what is done in each state of a recovery: remedies made and chosen, proved by the twin, carried out, undone.

Each is safe to be done again: what is wanted is a state of tunnels or devices, and what holds already is not done.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import is_alive
from controller.model.errors import AccordError, SupersededError
from controller.model.identifiers import DeviceName
from controller.recovery.history import Recovery
from controller.recovery.remedies import Remedy, candidates
from controller.recovery.scoring import Candidate, ranked
from controller.recovery.situation import Fault, Situation
from controller.runtime.localisation import Localisation
from controller.runtime.proof import Proof
from controller.runtime.recovery_flows import Flows, flows_in
from controller.runtime.recovery_situation import Situations
from controller.runtime.staged_changes import StagedChanges
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.tunnels import Tunnels
from controller.runtime.world import World
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.stage_history import StagedChange
from controller.transaction.stages import Stage, StagedPlan
from controller.transaction.states import Phase
from controller.twin.verdict import Verdict

ACTOR = "accord"
_MOST_CANDIDATES = 8

MakePlan = Callable[[], Awaitable[Plan]]


class Commits(Protocol):
    """The way of every change (`runtime.controller`)."""

    async def commit_agreed(self, make_plan: MakePlan, summary: str, actor: str) -> TransactionSummary:
        """Plan, keep and commit."""
        ...

    async def plan_repair(self, devices: Iterable[DeviceName], actor: str) -> Plan:
        """What makes every owned line hold again."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """What came of carrying something out: why it was not, or empty; and under which ids it was."""

    failure: str = ""
    ids: tuple[str, ...] = ()


@dataclass(slots=True)
class RecoveryWork:
    """The hands of recoveries."""

    world: World
    topology: TopologyView
    tunnels: Tunnels
    changes: StagedChanges
    proof: Proof
    localisation: Localisation
    commits: Commits
    situations: Situations = field(init=False)

    def __post_init__(self) -> None:
        """Situations are made of the same parts."""
        self.situations = Situations(self.world, self.topology)

    # -- choosing ----------------------------------------------------------------------------------------------

    async def suffering(self, fault: Fault) -> tuple[str, ...]:
        """The services that take what is faulty now, the most important first."""
        flows = await self.localisation.flows.current()
        return self.situations.of(fault, flows, self.localisation.clock.now()).services

    async def candidates(self, fault: Fault) -> tuple[Candidate, ...]:
        """What could be done, the best first."""
        flows = await self.localisation.flows.current()
        situation: Situation = self.situations.of(fault, flows, self.localisation.clock.now(), self.localisation.faults)
        return ranked(situation, candidates(situation))[:_MOST_CANDIDATES]

    # -- proving -----------------------------------------------------------------------------------------------

    async def plan(self, remedy: Remedy, summary: str) -> Plan:
        """What carrying it out would send."""
        if remedy.devices:
            return await self.commits.plan_repair(remedy.devices, ACTOR)
        return self.tunnels.plan(remedy.wanted, summary)

    async def prove(self, fault: Fault, remedy: Remedy, summary: str) -> tuple[Verdict | None, str]:
        """The twin's verdict, and why the remedy is refused; empty where it is proved to lead clear of the fault."""
        try:
            plan = await self.plan(remedy, summary)
            self.tunnels.refuse_overbooked(plan)
            verdict = await self.proof.verdict(plan, failures=False)
        except AccordError as error:
            return None, str(error)
        if not verdict.is_proved:
            return verdict, str(verdict)
        after = flows_in(self.topology.database, self.proof.states(plan)[1], self._after(remedy))
        stuck = _stuck(fault, remedy, after)
        return verdict, f"the twin: {', '.join(stuck)} would still take {fault.cause}" if stuck else ""

    def _after(self, remedy: Remedy) -> TunnelChange:
        changed = {tunnel.name: tunnel for tunnel in self.world.tunnels}
        changed.update({tunnel.name: tunnel for tunnel in remedy.wanted.upserted})
        return TunnelChange(tuple(changed.values()))

    # -- carrying out ------------------------------------------------------------------------------------------

    async def carry_out(self, recovery: Recovery) -> Done:
        """Make-before-break where the old path still carries, at once where it is dead."""
        candidate = recovery.candidate
        if candidate is None:
            return Done("no remedy is chosen")
        remedy, summary = candidate.remedy, f"{recovery.id}.{recovery.attempts}: {candidate.remedy.summary}"
        if remedy.devices:
            return await self._committed(lambda: self.commits.plan_repair(remedy.devices, ACTOR), summary)
        return await self._to(recovery, remedy.wanted, summary, _acceptable(recovery))

    async def undo(self, recovery: Recovery) -> Done:
        """What the remedy changed is as before; `Done.failure` says why it is left as it is."""
        candidate = recovery.candidate
        if candidate is None or candidate.remedy.devices:
            return Done("a restored device has what its owners want: there is nothing to undo")
        remedy = candidate.remedy
        if self.world.tunnels.holds(remedy.before):
            return Done()
        if not self.world.tunnels.holds(remedy.wanted):
            return Done("a tunnel was changed by somebody else meanwhile: it is left as it is")
        if self._is_dead(remedy.before):
            return Done("what there was before is dead: the remedy is left until there is a better one")
        return await self._to(recovery, remedy.before, f"{recovery.id}.{recovery.attempts}: undo", (remedy.wanted,))

    def made(self) -> tuple[str, ...]:
        """The tunnels that remedies made: what an operator made keeps its tunnel, whatever it is called."""
        tried = [one.candidates[number].remedy for one in self.world.recoveries for number in one.tried]
        ours = {name for remedy in tried for name in remedy.before.deleted}
        return tuple(sorted(tunnel.name for tunnel in self.world.tunnels if tunnel.name in ours))

    async def take_away(self, names: tuple[str, ...]) -> Done:
        """The end of tunnels: what they carried follows the shortest path."""
        summary = f"all is well: take away {', '.join(names)}"

        async def make_plan() -> Plan:
            return self.tunnels.plan(TunnelChange(deleted=names), summary)

        return await self._committed(make_plan, summary)

    async def _to(
        self, recovery: Recovery, wanted: TunnelChange, summary: str, acceptable: tuple[TunnelChange, ...]
    ) -> Done:
        """From one of the acceptable states to the wanted one; there already is done already."""
        begun = next((change for change in self.world.changes if change.plan.summary == summary), None)
        if begun is None and self.world.tunnels.holds(wanted):
            return Done()
        try:
            if begun is None and self._carries(recovery, wanted):
                self._refuse_foreign(acceptable)
                begun = await self.changes.begin(await self._staged(recovery, wanted, summary), ACTOR)
        except AccordError as error:
            return Done(str(error))
        if begun is not None:
            over = await self.changes.finish(begun.id)
            return Done("" if over.stage is Stage.DONE else _why(over), (over.id,))

        async def make_plan() -> Plan:
            if not self.world.tunnels.holds(wanted):
                self._refuse_foreign(acceptable)
            return self.tunnels.plan(wanted, summary)

        return await self._committed(make_plan, summary)

    async def _staged(self, recovery: Recovery, wanted: TunnelChange, summary: str) -> StagedPlan:
        """In stages; without waiting for test packets where these would come back over the fault itself."""
        plan = self.tunnels.staged(self.tunnels.plan(wanted, summary))
        flows = await self.localisation.flows.current()
        back = frozenset[str]().union(*(flows.links(one.target, one.source) for one in wanted.upserted))
        return replace(plan, probes=()) if recovery.fault.hits(back) else plan

    async def _committed(self, make_plan: MakePlan, summary: str) -> Done:
        try:
            done = await self.commits.commit_agreed(make_plan, summary, ACTOR)
        except AccordError as error:
            return Done(str(error))
        return Done("" if done.phase is Phase.COMMITTED else f"{done.id} was rolled back: {done.reason}", (done.id,))

    def _refuse_foreign(self, acceptable: tuple[TunnelChange, ...]) -> None:
        if not any(self.world.tunnels.holds(state) for state in acceptable):
            raise SupersededError("a tunnel was changed by somebody else meanwhile")

    def _carries(self, recovery: Recovery, wanted: TunnelChange) -> bool:
        """Whether traffic could be lost by moving at once: a tunnel that there is has a path that lives."""
        known = [self.world.tunnels.get(one.name) for one in wanted.upserted if one.name in self.world.tunnels]
        return not recovery.fault.is_down and bool(known) and not self._is_dead(TunnelChange(tuple(known)))

    def _is_dead(self, change: TunnelChange) -> bool:
        """Whether no path of any of these tunnels lives."""
        database = self.topology.database
        paths = [path for tunnel in change.upserted for path in tunnel.paths]
        return bool(paths) and not any(is_alive(database, path) for path in paths)


def _why(change: StagedChange) -> str:
    """What turned a staged change back."""
    turned = (step.reason for step in change.steps if step.stage in {Stage.RETURNING, Stage.UNBUILDING, Stage.ABORTED})
    return next(turned, "") or f"{change.id} was taken back"


def _acceptable(recovery: Recovery) -> tuple[TunnelChange, ...]:
    """States from which the chosen remedy may begin: as it was planned, or as another of ours has left it."""
    chosen = recovery.candidate
    mine = [recovery.candidates[number].remedy.wanted for number in recovery.tried]
    return (*([chosen.remedy.before] if chosen else []), *mine)


def _stuck(fault: Fault, remedy: Remedy, after: Flows) -> list[str]:
    """Flows that the remedy is for and that would still meet the fault."""
    if remedy.devices:
        return []
    helped = frozenset(remedy.flows)
    return [flow.name for flow in after.flows if flow.name in helped and fault.hits(flow.links, flow.nodes)]
