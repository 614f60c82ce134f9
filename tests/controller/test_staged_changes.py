"""Make-before-break carried out: stages in order, the way back, retries, cancels, a controller that dies in between."""

import asyncio
from dataclasses import dataclass, field

import pytest

from controller.adapters.event_log_memory import MemoryEventLog
from controller.model.errors import StalePlanError, SupersededError
from controller.model.identifiers import DeviceName, PlanId, TransactionId
from controller.runtime.staged_changes import StagedChanges
from controller.runtime.world import World
from controller.transaction.history import TransactionSummary
from controller.transaction.plan import Plan
from controller.transaction.stages import Cue, Probe, Stage, StagedPlan
from controller.transaction.states import Phase
from tests.controller.plan_samples import GOLD, PORT, Device
from tests.e2e.world import SteppingClock
from tests.patience import PATIENCE_SECONDS

PLAN = StagedPlan("move t1", "before", "built", "moved", "after", (Probe(DeviceName("pe1"), 7),), drain_seconds=0.0)


@dataclass
class Network:
    """What is wanted of it last, and how often a stage shall be refused."""

    wanted: list[str] = field(default_factory=lambda: ["before"])
    refusals: dict[str, int] = field(default_factory=dict)
    verdict: tuple[Cue, str] = (Cue.GOOD, "came through")
    drained: tuple[Cue, str] = (Cue.DRAINED, "quiet")
    hold: asyncio.Event | None = None
    is_superseded: bool = False

    superseded_at: Stage | None = None

    async def plan(self, staged, stage, summary, _actor):
        if self.superseded_at is stage:
            self.is_superseded = True
        if self.is_superseded:
            raise SupersededError("somebody else has changed t1")
        wanted = staged.wanted(stage)
        devices = () if wanted == self.wanted[-1] else (Device().plan((GOLD, {PORT: ""})),)
        return Plan(PlanId(f"plan-{len(self.wanted)}"), f"{wanted}|{summary}", devices)

    async def commit(self, make_plan, options, actor):
        plan = await make_plan()
        wanted = plan.summary.partition("|")[0]
        if self.refusals.get(wanted, 0):
            self.refusals[wanted] -= 1
            raise StalePlanError(f"{wanted} is refused")
        self.wanted.append(wanted)
        return TransactionSummary(TransactionId("tx-1"), plan.id, plan.summary, actor, "", Phase.COMMITTED, 0.0)

    async def ended(self, _summary):
        return Phase.COMMITTED

    async def verify(self, _probes, _deadline):
        if self.hold:
            await self.hold.wait()
        return self.verdict

    async def watch(self, _probes, _seconds):
        return self.drained


def changes_over(network, log=None):
    log = log or MemoryEventLog(clock=SteppingClock())
    world = World()
    world.load(log)
    log.subscribe(world.apply_all)
    return StagedChanges(world, log, SteppingClock(), network, network.plan, network.commit, network.ended)


async def test_a_change_goes_through_its_stages_and_ends_with_the_new_alone():
    network = Network()
    changes = changes_over(network)
    change = await changes.finish((await changes.begin(PLAN, "ada")).id)
    assert change.stage is Stage.DONE
    assert network.wanted == ["before", "built", "moved", "after"]


@pytest.mark.parametrize("cue", [Cue.BAD, Cue.LATE])
async def test_a_new_path_that_does_not_work_is_taken_away_and_the_old_never_moved(cue):
    network = Network(verdict=(cue, "probe 7 of pe1 lost 3 of 10 packets"))
    changes = changes_over(network)
    change = await changes.finish((await changes.begin(PLAN, "ada")).id)
    assert change.stage is Stage.ABORTED
    assert network.wanted == ["before", "built", "before"]
    assert change.steps[2].reason == "probe 7 of pe1 lost 3 of 10 packets"


async def test_a_path_that_fails_after_the_move_gives_the_traffic_back_to_the_old():
    network = Network(drained=(Cue.BAD, "probe 7 lost 1 of 2 packets"))
    changes = changes_over(network)
    change = await changes.finish((await changes.begin(PLAN, "ada")).id)
    assert change.stage is Stage.ABORTED
    assert network.wanted == ["before", "built", "moved", "built", "before"]


async def test_a_refused_build_leaves_everything_as_it_was():
    network = Network(refusals={"built": 1})
    changes = changes_over(network)
    change = await changes.finish((await changes.begin(PLAN, "ada")).id)
    assert (change.stage, network.wanted) == (Stage.ABORTED, ["before"])
    assert change.steps[-1].reason == "built is refused"


async def test_a_refused_move_is_unbuilt():
    network = Network(refusals={"moved": 1})
    changes = changes_over(network)
    change = await changes.finish((await changes.begin(PLAN, "ada")).id)
    assert (change.stage, network.wanted) == (Stage.ABORTED, ["before", "built", "before"])


async def test_removing_the_old_is_tried_until_it_works(monkeypatch):
    monkeypatch.setattr("controller.runtime.staged_changes._RETRY_SECONDS", (0.0,))
    network = Network(refusals={"after": 3})
    changes = changes_over(network)
    change = await changes.finish((await changes.begin(PLAN, "ada")).id)
    assert (change.stage, network.wanted[-1]) == (Stage.DONE, "after")
    assert [step.reason for step in change.steps].count("after is refused") == 3


@pytest.mark.parametrize(
    "stage,ends",
    [(Stage.BUILDING, Stage.ABORTED), (Stage.MOVING, Stage.ABORTED), (Stage.REMOVING, Stage.DONE)],
)
async def test_what_somebody_else_changed_meanwhile_is_left_as_they_made_it(stage, ends):
    network = Network(superseded_at=stage)
    changes = changes_over(network)
    change = await changes.finish((await changes.begin(PLAN, "ada")).id)
    assert change.stage is ends
    assert network.wanted == ["before", "built", "moved"][: {Stage.BUILDING: 1, Stage.MOVING: 2}.get(stage, 3)]
    assert change.steps[-1].reason == "somebody else has changed t1"


async def test_a_cancelled_change_is_taken_back():
    network = Network(hold=asyncio.Event())
    changes = changes_over(network)
    begun = await changes.begin(PLAN, "ada")
    changes.cancel(begun.id)
    change = await asyncio.wait_for(changes.finish(begun.id), PATIENCE_SECONDS)
    assert (change.stage, network.wanted) == (Stage.ABORTED, ["before", "built", "before"])


@pytest.mark.parametrize("dies_after", range(1, 5))
async def test_a_controller_that_dies_after_any_stage_is_followed_by_one_that_goes_on(dies_after):
    network = Network()
    log = MemoryEventLog(clock=SteppingClock())
    first = changes_over(network, log)
    begun = await first.begin(PLAN, "ada")
    stepped = asyncio.Event()
    log.subscribe(lambda _: len(first.world.changes.get(begun.id).steps) >= dies_after and stepped.set())
    if dies_after > 1:
        await asyncio.wait_for(stepped.wait(), PATIENCE_SECONDS)
    await first.stop()
    second = changes_over(network, log)
    change = second.world.changes.get(begun.id)
    assert second.resume() == (not change.stage.is_over)
    assert (await second.finish(begun.id)).stage is Stage.DONE
    assert [w for w, before in zip(network.wanted[1:], network.wanted, strict=False) if w != before] == [
        "built",
        "moved",
        "after",
    ]
