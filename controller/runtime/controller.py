"""Owns the use cases: what any door (RESTCONF, JSON API, CLI through it, later TMF and A2A) can ask of the daemon.

Every door turns bytes into one of these calls and renders what comes back; none reaches further in. `actor` is who
asks, as authenticated at the door, and ends up in the log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from controller.datastore.codec import Codec
from controller.events import types
from controller.intent.lifecycle import IntentState
from controller.mapping.intent_to_l3sm import withdrawal
from controller.mapping.measurement import Measurement
from controller.mapping.optical import segment_over
from controller.mapping.service_change import L3smEdit
from controller.mapping.tunnel_book import TunnelChange
from controller.model.errors import (
    BusyError,
    ConflictError,
    InvalidInputError,
    NotAuthorizedError,
    NotFoundError,
    ScheduledError,
    StalePlanError,
    SupersededError,
    UndecidedError,
)
from controller.model.identifiers import DeviceName, IntentId, PlanId, TransactionId
from controller.model.inventory import DeviceRecord
from controller.model.units import BitRate
from controller.model.yang_path import Path, parse_path
from controller.ports import Capabilities, Clock, EventLog, NewEvent
from controller.runtime.assurance import Assurance
from controller.runtime.assurance_measures import Measures
from controller.runtime.collection import Collection
from controller.runtime.collection_campaigns import Campaigns
from controller.runtime.collection_enhanced import Enhancements
from controller.runtime.collection_push import Pushes
from controller.runtime.collection_witnesses import Witnesses
from controller.runtime.device_care import DeviceCare, DeviceStatus, SyncReport
from controller.runtime.intents import IntentOutcome, Intents, served_by
from controller.runtime.leases import Leases
from controller.runtime.localisation import Localisation
from controller.runtime.optical_domains import OpticalDomains
from controller.runtime.optical_services import OpticalServices
from controller.runtime.planner import Planner
from controller.runtime.probes import Probes
from controller.runtime.proof import Proof
from controller.runtime.recovery import Recoveries
from controller.runtime.recovery_faults import drift_on
from controller.runtime.recovery_flows import FlowView
from controller.runtime.recovery_remedies import RecoveryRemedies
from controller.runtime.recovery_work import RecoveryWork
from controller.runtime.service_probes import ServiceProbes
from controller.runtime.sessions import SessionPool
from controller.runtime.staged_changes import StagedChanges
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.topology_measurements import LinkMeasurements
from controller.runtime.transactions import CommitOptions, Transactions
from controller.runtime.tunnel_optimise import Reoptimisation, reoptimised
from controller.runtime.tunnels import Tunnels
from controller.runtime.world import World, plan_created
from controller.topology.network import LinkId
from controller.transaction.history import TransactionSummary
from controller.transaction.impact import Impact
from controller.transaction.network_state import DeviceKnowledge
from controller.transaction.plan import Plan
from controller.transaction.render import text
from controller.transaction.stage_history import StagedChange
from controller.transaction.stages import Stage, StagedPlan
from controller.transaction.states import Phase

MakePlan = Callable[[], Awaitable[Plan]]
_ATTEMPTS = 8
_HEALING_SECONDS = 60.0


@dataclass(slots=True)
class Controller:
    """The application service; made by `bootstrap`."""

    world: World
    log: EventLog
    clock: Clock
    leases: Leases
    sessions: SessionPool
    planner: Planner
    transactions: Transactions
    intents: Intents
    care: DeviceCare
    codecs: Callable[[DeviceName], Codec]
    records: Callable[[], Mapping[DeviceName, DeviceRecord]]
    approval: str = "never"
    """Which plans need it: `never`, `traffic-affecting`, `always`."""
    topology: TopologyView = field(init=False)
    optical: OpticalDomains = field(init=False)
    optical_services: OpticalServices = field(init=False)
    tunnels: Tunnels = field(init=False)
    changes: StagedChanges = field(init=False)
    proof: Proof = field(init=False)
    collection: Collection = field(init=False)
    campaigns: Campaigns = field(init=False)
    pushes: Pushes = field(init=False)
    service_probes: ServiceProbes = field(init=False)
    witnesses: Witnesses = field(init=False)
    enhanced: Enhancements = field(init=False)
    assurance: Assurance = field(init=False)
    localisation: Localisation = field(init=False)
    recoveries: Recoveries = field(init=False)
    _agreed: set[PlanId] = field(default_factory=set)
    """Plans that need no approval of their own."""

    def __post_init__(self) -> None:
        """Staged changes go the same road as everybody's: plan, proof, transaction."""
        self.topology = TopologyView(self.world, self.sessions, self.records)
        self.optical = OpticalDomains(self.sessions, self.records, self.clock)
        self.topology.told_delays = self.optical.delays
        self.tunnels = Tunnels(self.world, self.planner, self.topology)
        self.optical_services = OpticalServices(
            self.world, self.topology, self.optical, self.tunnels, self, self._commit_to_the_end
        )
        self.transactions.refuse_overbooked = self.tunnels.refuse_overbooked
        self.proof = Proof(self.world, self.topology, self._observe)
        self.collection = Collection(
            self.sessions, self.leases, self.records, lambda: list(self.world.network), self.clock
        )
        self.topology.measurements = LinkMeasurements(self.clock.now, self.collection.told_every_seconds)
        self.pushes = Pushes(self.collection)
        self.witnesses = Witnesses(self.world, self.topology, self.collection.series)
        self.campaigns = Campaigns(
            self.world, self.log, self.clock, self.collection, self.topology, self.commit_measurements
        )
        budget, commit = self.campaigns.budget, self.commit_measurements
        self.service_probes = ServiceProbes(self.world, self.clock, self.collection, self.topology, budget, commit)
        self.campaigns.account = account = self.service_probes.account
        self.enhanced = Enhancements(self.world, self.collection, self.topology, budget, commit, account)
        sessions = self.service_probes.measurements_of
        measures = Measures(self.world, lambda: self.collection.series, self.topology, sessions)
        self.assurance = Assurance(self.world, self.log, self.clock, measures)
        probes = Probes(self.sessions, self.clock)
        self.changes = StagedChanges(
            self.world, self.log, self.clock, probes, self._plan_wanted, self.commit_fresh, self._outcome
        )
        self._make_recovery()

    def _make_recovery(self) -> None:
        """Localisation says what is wrong, recovery does something about it; assurance asks both."""
        flows = FlowView(self.world, self.proof)
        self.localisation = Localisation(flows, self.topology, self.collection, self.log, self.clock)
        work = RecoveryWork(self.world, self.topology, self.tunnels, self.changes, self.proof, self.localisation, self)
        self.proof.late = work.late
        self.recoveries = Recoveries(self.world, self.log, self.clock, self.collection, self.localisation, work)
        self.recoveries.recheck, self.recoveries.look_closer = self.compare, self.enhanced.soon
        self.assurance.deciding.localiser = self.localisation
        self.assurance.deciding.remedies = RecoveryRemedies(self.localisation, work, self.recoveries)

    def _observe(self, what: str, seconds: float) -> None:
        self.planner.observe(what, seconds)

    # -- intents -----------------------------------------------------------------------------------------------

    async def submit_intent(self, said: str, actor: str, *, customer: str = "") -> IntentOutcome:
        """Listen to a sentence; the outcome holds questions, or the plan (nothing is sent)."""
        return await self.intents.submit(said, actor, customer=customer)

    async def withdraw_intent(self, id_: IntentId, actor: str) -> Plan:
        """Plan the end of an intent's service."""
        return await self.intents.withdraw(id_, actor)

    # -- plans -------------------------------------------------------------------------------------------------

    async def plan_services(self, edit: L3smEdit, summary: str, actor: str) -> Plan:
        """Plan an edit of the L3VPN services and keep the plan."""
        return await self._keep(self.planner.services(edit, summary, self.intents.ended_by(edit)), actor)

    async def plan_service_deletion(self, vpn_id: str, actor: str) -> Plan:
        """Plan the end of a VPN with the sites that belong to it alone."""
        edit = withdrawal(vpn_id, self.world.services)
        return await self._keep(self.planner.services(edit, f"delete VPN {vpn_id}", self.intents.ended_by(edit)), actor)

    async def plan_tunnels(self, make: Callable[[Tunnels], Plan], actor: str) -> Plan:
        """Plan something about tunnels and keep the plan."""
        return await self._keep(make(self.tunnels), actor)

    async def plan_optical(
        self,
        domain: DeviceName,
        name: str,
        link: LinkId,
        actor: str,
        *,
        bandwidth: BitRate,
        delay_bound_seconds: float | None = None,
    ) -> Plan:
        """Plan the optical tunnel that brings up a link between two routers, and keep the plan; see `segment_over`."""
        found = await self.optical.read(domain)
        segment = segment_over(found, name, self.topology.network.link(link), bandwidth, delay_bound_seconds)
        return await self._keep(self.planner.optical([segment], (), f"optical tunnel {name}, {bandwidth}"), actor)

    async def plan_optical_removal(self, domain: DeviceName, name: str, actor: str) -> Plan:
        """Plan the end of an optical tunnel; its slots are free again when the plan is committed."""
        if (await self.optical.read(domain)).tunnel(name) is None:
            raise NotFoundError(f"'{domain}' has no tunnel '{name}'", path=name)
        return await self._keep(self.planner.optical((), [(domain, name)], f"remove optical tunnel {name}"), actor)

    async def plan_repair(self, devices: Iterable[DeviceName], actor: str) -> Plan:
        """Read the devices, then plan what makes every owned line hold again; refuses to go on with a fight."""
        names = sorted(devices)
        for name in names:
            self.care.refuse_fight(await self._read_in(name, actor))
        return await self._keep(self.planner.repair(names, f"repair {', '.join(names)}"), actor)

    async def plan_rollback(self, transaction: TransactionId, actor: str) -> Plan:
        """Plan the undoing of one committed transaction."""
        return await self._keep(self.planner.rollback(transaction), actor)

    def plan(self, id_: PlanId) -> Plan:
        """A plan that was made."""
        return self.world.plan(id_)

    async def approve(self, id_: PlanId, actor: str) -> Plan:
        """Agree to a plan that somebody else asked for; `NotAuthorizedError` for one's own."""
        plan = self.plan(id_)
        if self.world.author_of(id_) == actor:
            raise NotAuthorizedError(f"'{actor}' asked for '{id_}', so somebody else must approve it", path=id_)
        event = NewEvent(f"plan/{id_}", types.PLAN_APPROVED, {"checksum": plan.checksum})
        await self.log.append([event], actor=actor)
        return plan

    def _require_approval(self, plan: Plan) -> None:
        if plan.id in self._agreed:
            self._agreed.discard(plan.id)
            return
        is_needed = self.approval == "always" or (
            self.approval == "traffic-affecting" and plan.impact[0] is Impact.TRAFFIC_AFFECTING
        )
        if is_needed and not self.world.approver_of(plan.id):
            raise ConflictError(
                f"plan '{plan.id}' needs somebody's approval ({plan.impact[1]})",
                remedy=f"an approver says: accord approve {plan.id}",
                path=plan.id,
                tag="access-denied",
            )

    def show_plan(self, plan: Plan, format_: str = "unified", *, reverse: bool = False) -> str:
        """A plan as text: `unified`, `paths`, `xml` or `cli`."""
        return text(plan, format_, self.codecs, reverse=reverse)

    async def _keep(self, plan: Plan, actor: str) -> Plan:
        event = plan_created(plan)
        self.world.expect(event.stream, plan)
        await self.log.append([event], actor=actor)
        return plan

    # -- transactions ------------------------------------------------------------------------------------------

    async def commit(
        self, id_: PlanId, options: CommitOptions, actor: str, *, checksum: str = ""
    ) -> TransactionSummary:
        """Commit a plan; returns at the verdict. A `checksum` that is not the plan's is refused.

        `ScheduledError` tells that the plan's intent begins later, and that it will be committed then.
        """
        plan = self._checked(id_, checksum)
        if left := self.planner.orphans(plan):
            await self.commit_measurements([], left, f"make way for {plan.id}", actor)
        return await self._commit(plan, options, actor, None)

    def _checked(self, id_: PlanId, checksum: str) -> Plan:
        plan = self.plan(id_)
        if checksum and checksum != plan.checksum:
            raise InvalidInputError(f"the checksum is not that of plan '{id_}'", remedy="look at the plan again")
        return plan

    async def commit_fresh(self, make_plan: MakePlan, options: CommitOptions, actor: str) -> TransactionSummary:
        """Plan and commit at once: the wish counts, and it is planned again when others have come between.

        `make_plan` is asked whenever a plan has become stale; what it raises ends the attempt. `StalePlanError` or
        `UndecidedError` when others keep coming between.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._commit(await make_plan(), options, actor, make_plan)
            except UndecidedError as error:
                await self.transactions.ended(TransactionId(error.path), options.lease_wait_seconds)
            except StalePlanError:
                continue
        return await self._commit(await make_plan(), options, actor, make_plan)

    async def commit_intent(
        self,
        id_: PlanId,
        options: CommitOptions,
        actor: str,
        *,
        checksum: str = "",
        permit: Callable[[Plan], None] = lambda _: None,
    ) -> TransactionSummary:
        """`commit_fresh` for the plan of an intent: planned again from the intent when it has become stale.

        `permit` is asked before a plan that was made anew is committed; what it raises ends the attempt.
        """
        first = self._checked(id_, checksum)
        plans = [first]

        async def make_plan() -> Plan:
            if plans:
                return plans.pop()
            made = await self._plan_again(first, actor)
            permit(made)
            return made

        return await self.commit_fresh(make_plan, options, actor)

    async def _plan_again(self, plan: Plan, actor: str) -> Plan:
        served = served_by(plan)
        record = self.world.intents.get(served[0]) if len(served) == 1 else None
        if record is not None and record.state in {IntentState.PLANNED, IntentState.FAILED}:
            return await self.intents.replan(record.id, actor)
        if record is not None and not any("intent" in effect.data for effect in plan.effects):
            return await self.intents.withdraw(record.id, actor)
        raise StalePlanError(f"the plan '{plan.id}' is out of date", remedy="say it again", tag="data-exists")

    async def _commit(
        self, plan: Plan, options: CommitOptions, actor: str, make_plan: MakePlan | None
    ) -> TransactionSummary:
        self._require_approval(plan)
        later = await self.intents.approve_later(plan, actor)
        if later is not None:
            raise ScheduledError(f"intent '{later.id}' begins later and will be committed then", path=later.id)
        self.tunnels.refuse_overbooked(plan)
        await self.proof.require(plan)
        served = await self.intents.before_commit(plan, actor)

        async def again(error: StalePlanError) -> Plan:
            nonlocal served
            await self.intents.after_abort(served, str(error), actor)
            served = []
            fresh = await make_plan() if make_plan else plan
            self._require_approval(fresh)
            await self.proof.require(fresh)
            served = await self.intents.before_commit(fresh, actor)
            return fresh

        try:
            summary = await self.transactions.commit(plan, options, actor, again=again if make_plan else None)
        except Exception as error:
            await self.intents.after_abort(served, str(error), actor)
            raise
        if summary.phase is Phase.ABORTED:
            await self.intents.after_abort(served, summary.reason, actor)
        return summary

    async def begin_staged(self, id_: PlanId, actor: str, *, checksum: str = "") -> StagedChange:
        """Carry out a plan of tunnels in stages (make-before-break); it goes on by itself."""
        plan = self._checked(id_, checksum)
        self._require_approval(plan)
        return await self.changes.begin(self.tunnels.staged(plan), actor)

    async def reoptimise_tunnels(
        self, actor: str, *, is_dry_run: bool
    ) -> tuple[Reoptimisation, Sequence[StagedChange]]:
        """Place all tunnels anew, step after step, up to one that has to be taken back."""
        found = await asyncio.to_thread(reoptimised, self.topology.database, tuple(self.world.tunnels))
        carried_out: list[StagedChange] = []
        for number, step in enumerate(() if is_dry_run else found.steps, start=1):
            summary = f"reoptimise tunnels, step {number} of {len(found.steps)}"
            plan = await self._keep(self.tunnels.plan(TunnelChange(step), summary), actor)
            begun = await self.begin_staged(plan.id, actor)
            carried_out.append(await self.changes.finish(begun.id))
            if carried_out[-1].stage is not Stage.DONE:
                break
        return found, carried_out

    async def commit_tunnels(self, plan: Plan) -> TransactionSummary:
        """Carry out a plan that the daemon made itself: what the operator allowed beforehand needs no approval."""
        await self.proof.require(plan)
        return await self.transactions.commit(plan, CommitOptions(comment=plan.summary), "accord")

    async def commit_agreed(self, make_plan: MakePlan, summary: str, actor: str) -> TransactionSummary:
        """Plan, keep and commit what was agreed to already; returns when the verdict is known."""

        async def kept() -> Plan:
            plan = await self._keep(await make_plan(), actor)
            self._agreed.add(plan.id)
            return plan

        done = await self.commit_fresh(kept, CommitOptions(comment=summary), actor)
        await self._outcome(done)
        return self.world.transactions.get(done.id)

    async def commit_measurements(
        self, wanted: Iterable[Measurement], gone: Iterable[Measurement], summary: str, actor: str
    ) -> None:
        """Make measurements run, and others end: they carry nobody's traffic and need no approval."""
        wanted, gone = tuple(wanted), tuple(gone)

        async def make_plan() -> Plan:
            plan = await self._keep(self.planner.measurements(wanted, gone, summary), actor)
            self._agreed.add(plan.id)
            return plan

        if self.planner.measurements(wanted, gone, summary).devices:
            done = await self.commit_fresh(make_plan, CommitOptions(comment=summary), actor)
            if await self._outcome(done) is not Phase.COMMITTED:
                raise ConflictError(f"{summary}: {done.reason}", remedy=f"see: accord transaction show {done.id}")

    async def _plan_wanted(self, staged: StagedPlan, stage: Stage, summary: str, actor: str) -> Plan:
        """The plan of a staged change's next state of tunnels; whoever agreed to the change agreed to its stages."""
        if not any(self.world.tunnels.holds(TunnelChange.from_json(state)) for state in staged.states):
            raise SupersededError("a tunnel was changed by somebody else meanwhile", path=staged.summary)
        wanted = staged.wanted(stage)
        plan = await self._keep(self.planner.tunnels(TunnelChange.from_json(wanted), summary), actor)
        self._agreed.add(plan.id)
        return plan

    async def _commit_to_the_end(self, plan: Plan, actor: str) -> TransactionSummary:
        done = await self.commit(plan.id, CommitOptions(comment=plan.summary), actor)
        await self._outcome(done)
        return self.world.transactions.get(done.id)

    async def _outcome(self, summary: TransactionSummary) -> Phase:
        """The verdict of a transaction that is UNKNOWN, when it has healed."""
        while (now := self.world.transactions.get(summary.id)).phase is Phase.UNKNOWN:
            with suppress(BusyError):
                await self.transactions.ended(summary.id, _HEALING_SECONDS)
        return now.phase

    # -- devices -----------------------------------------------------------------------------------------------

    def devices(self) -> list[DeviceStatus]:
        """Every device of the inventory, and what is known of it."""
        return [self.device(name) for name in self.records()]

    def device(self, name: DeviceName) -> DeviceStatus:
        """One device; `NotFoundError` when the inventory has none of that name."""
        connection = self.sessions.connections().get(name)
        is_known = name in self.world.network
        return DeviceStatus(
            record=self.records()[name],
            state=connection.state if connection else "idle",
            error=connection.error if connection else "",
            is_known=is_known,
            count_lines=lambda: self.world.network.lines(name) if is_known else 0,
            lease=self.leases.holder(name),
        )

    async def sync_from(self, name: DeviceName, actor: str) -> DeviceKnowledge:
        """Read a device whole and take what it says as the truth about it."""
        async with self.leases.hold([name], actor, "sync-from", 30.0):
            return await self.care.sync_from(name, actor)

    async def check_sync(self, name: DeviceName) -> SyncReport:
        """What changed on a device behind the controller's back; changes nothing.

        What was read to plan its repair is known by then, and drift for as long as that waits for a word.
        """
        report, waiting = await self.care.check_sync(name), self.world.recoveries.open_for(drift_on(name))
        is_waiting = report.is_in_sync and waiting is not None and not waiting.is_dismissed
        return await self.care.compare(name) if is_waiting else report

    async def compare(self, name: DeviceName) -> SyncReport:
        """What a device lacks of what its owners want; changes nothing."""
        return await self.care.compare(name)

    async def adopt(self, name: DeviceName, path: str, actor: str) -> int:
        """Give existing configuration at a path an owner; returns how many lines."""
        root: Path = parse_path(path)
        async with self.leases.hold([name], actor, "adopt", 30.0):
            return await self.care.adopt(name, root, actor)

    async def facts(self, name: DeviceName) -> Capabilities:
        """What a device says of itself."""
        return await self.care.facts(name)

    async def _read_in(self, name: DeviceName, actor: str) -> SyncReport:
        async with self.leases.hold([name], actor, "read before repair", 30.0):
            return await self.care.note_drift(name, actor)


def with_canary(options: CommitOptions, canary: Iterable[DeviceName]) -> CommitOptions:
    """Commit on these devices first, and on the rest only when the post-checks there have passed."""
    return replace(options, waves=(tuple(canary),))
