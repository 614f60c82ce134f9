"""Owns what is done in each state of a recovery: remedies made and chosen, proved by the twin, carried out, undone.

Each is safe to be done again: what is wanted is a state of tunnels or devices, and what holds already is not done.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import Avoidance, is_alive, placed
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
from controller.runtime.tunnels import Tunnels, reserving
from controller.runtime.world import World
from controller.topology.network import LinkId
from controller.topology.paths import NoPathError
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.stage_history import StagedChange
from controller.transaction.stages import Stage, StagedPlan
from controller.transaction.states import Phase
from controller.twin.verdict import Verdict

_log = structlog.get_logger(__name__)
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
            verdict = (await self.proof.verdict(plan, failures=False)).excusing(_subjects(remedy))
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

    def late(self) -> frozenset[str]:
        """What may be late for now, as the twin calls it: remedies that say so are being carried out."""
        under_way = (one.candidate.remedy for one in self.world.recoveries if one.is_touched and one.candidate)
        return frozenset[str]().union(*map(_subjects, under_way))

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

    def made(self) -> dict[str, Recovery]:
        """The tunnels that remedies made, by whom last: what an operator made stays his, whatever it is called."""
        found: dict[str, Recovery] = {}
        for one in self.world.recoveries:
            for remedy in (one.candidates[number].remedy for number in one.tried):
                ours = {*remedy.before.deleted, *(found.keys() & remedy.wanted.names)}
                found.update((name, one) for name in ours if name in self.world.tunnels)
        return found

    def owed(self) -> dict[str, tuple[Recovery, Tunnel]]:
        """The tunnels that do with less because of a remedy that is over, each with all that was promised before."""
        found: dict[str, tuple[Recovery, Tunnel]] = {}
        for one in self.world.recoveries:
            if one.is_over and one.candidate and one.candidate.remedy.less:
                found.update((was.name, (one, whole)) for was, whole in self._lessened(one, one.candidate.remedy))
        return found

    def _lessened(self, one: Recovery, remedy: Remedy) -> Iterator[tuple[Tunnel, Tunnel]]:
        """Its tunnels that are as it left them: as they were, and as they are with all that was promised."""
        lesser = {tunnel.name: tunnel for tunnel in remedy.wanted.upserted}
        for was in remedy.before.upserted:
            if was.name not in lesser or was.name in one.given_back or was.name not in self.world.tunnels:
                continue
            now, then = self.world.tunnels.get(was.name), lesser[was.name]
            is_late = now.paths == then.paths and not remedy.late.isdisjoint(now.services)
            if _promised(now) == _promised(then) and (is_late or _promised(now) != _promised(was)):
                yield was, replace(now, **_promised(was))

    async def give_back(
        self, recovery: Recovery, promised: Iterable[Tunnel], bad: Iterable[str]
    ) -> tuple[tuple[str, ...], Done]:
        """Those for which there is room by now have all again, clear of what is bad now: who they are, what came."""
        network = self.topology.network
        faulty = network.both_directions({LinkId(each) for each in bad} & network.links.keys())
        avoid = Avoidance(faulty | self.situations.shunned(self.localisation.clock.now()))
        database, found = self.topology.database, list[Tunnel]()
        for tunnel in promised:
            try:
                better = placed(database, replace(tunnel, probes=(), beside=()), avoid)
            except NoPathError as error:
                _log.info("promise_not_kept_yet", tunnel=tunnel.name, error=str(error))
                continue
            if better == self.world.tunnels.get(tunnel.name):
                continue
            found.append(better)
            database = reserving(database, better)
        if not found:
            return (), Done("there is no room for what was promised yet")
        lesser = TunnelChange(tuple(self.world.tunnels.get(tunnel.name) for tunnel in found))
        begun = sum(change.plan.summary.startswith(f"{recovery.id}+") for change in self.world.changes)
        summary = f"{recovery.id}+{begun + 1}: all that was promised again"
        sound = replace(recovery, fault=replace(recovery.fault, is_down=False))
        done = await self._to(sound, TunnelChange(tuple(found)), summary, (lesser,))
        return tuple(tunnel.name for tunnel in found), done

    async def take_away(self, names: tuple[str, ...]) -> Done:
        """The end of tunnels: what they carried follows the shortest path."""
        summary = f"all is well: take away {', '.join(names)}"

        async def make_plan() -> Plan:
            return self.tunnels.plan(TunnelChange(deleted=names), summary)

        return await self._committed(make_plan, summary)

    async def _to(
        self, recovery: Recovery, wanted: TunnelChange, summary: str, acceptable: tuple[TunnelChange, ...]
    ) -> Done:
        """From one of the acceptable states to the wanted one; there already is done already.

        What gets more moves first and gets it then: the old way may have no room for it.
        """
        moved = TunnelChange(tuple(map(self._not_more, wanted.upserted)), wanted.deleted)
        begun = next((change for change in self.world.changes if change.plan.summary == summary), None)
        if begun is None and self.world.tunnels.holds(wanted):
            return Done()
        try:
            if begun is None and self._carries(recovery, wanted):
                self._refuse_foreign(acceptable)
                begun = await self.changes.begin(await self._staged(recovery, moved, summary), ACTOR)
        except AccordError as error:
            return Done(str(error))
        ids: tuple[str, ...] = ()
        if begun is not None:
            over, ids = await self.changes.finish(begun.id), (begun.id,)
            if over.stage is not Stage.DONE or self.world.tunnels.holds(wanted):
                return Done("" if over.stage is Stage.DONE else _why(over), ids)

        async def make_plan() -> Plan:
            if not self.world.tunnels.holds(wanted):
                self._refuse_foreign((*acceptable, moved))
            return self.tunnels.plan(wanted, summary)

        done = await self._committed(make_plan, summary)
        return replace(done, ids=(*ids, *done.ids))

    def _not_more(self, tunnel: Tunnel) -> Tunnel:
        """A tunnel with no more of a rate than it has now."""
        now = self.world.tunnels.get(tunnel.name) if tunnel.name in self.world.tunnels else tunnel
        return replace(tunnel, bandwidth=min(tunnel.bandwidth, now.bandwidth))

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


def _subjects(remedy: Remedy) -> frozenset[str]:
    """As the twin calls the services that a remedy makes late."""
    return frozenset(f"VPN {service}" for service in remedy.late)


def _promised(tunnel: Tunnel) -> dict[str, Any]:
    """What a remedy may take away of a tunnel."""
    return {name: getattr(tunnel, name) for name in ("bandwidth", "delay_bound_seconds", "protection")}


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
