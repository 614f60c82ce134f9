"""Assurance as the daemon runs it: series become breaches, breaches move agreements, decisions are recorded."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from controller.assurance.book import AssuranceBook
from controller.assurance.instance import InstanceState
from controller.assurance.objectives import Objective, ObjectiveName
from controller.events import types
from controller.mapping.fragment import service_id
from controller.model.errors import NotFoundError
from controller.northbound.assurance import assurance_view
from controller.ports import Event, NewEvent
from controller.runtime.assurance import Pace
from controller.runtime.assurance_deciding import NOBODY, NOTHING
from controller.runtime.assurance_explaining import Explaining
from controller.runtime.remedies import Proposal
from controller.twin.verdict import CounterExample, Fault, Verdict
from tests.controller.assurance_world import DELAY, LINK, PACE, TICK, AssuredWorld, Recovery, restarted
from tests.controller.mapping_samples import access, edit, service, site, two_sites

S = InstanceState
AVAILABLE = Objective(service_id("acme"), ObjectiveName.AVAILABILITY, 0.999, 86_400.0)


async def assured(recovery: Recovery | None = None, pace: Pace = PACE) -> AssuredWorld:
    world = AssuredWorld(pace=pace)
    world.wire(recovery)
    await world.serve(two_sites())
    await world.promise(DELAY)
    for _ in range(40):
        await world.tick(0.010)
    assert world.state() is S.ASSURED
    return world


async def raised(world: AssuredWorld, ticks: int = 3, delay: float = 0.030) -> None:
    for _ in range(ticks):
        await world.tick(delay)


# -- the life of an agreement ------------------------------------------------------------------------------------------


async def test_a_service_becomes_an_agreement_with_the_commit_and_ends_with_its_withdrawal() -> None:
    world = AssuredWorld()
    await world.serve(two_sites())
    steps = world.world.assurance.loop.get("acme").steps
    assert [step.state.value for step in steps] == ["negotiated", "agreed", "provisioned"]
    assert len(world.world.assurance.positions("acme")) == 3
    await world.serve(edit(site("p", "Paris", "FR", access(3))))
    assert [step.state.value for step in world.world.assurance.loop.get("acme").steps][3:] == [
        "renegotiated",
        "restored",
    ]
    await world.serve(edit(delete=("l", "p"), delete_services=("acme",)))
    assert world.state() is S.TERMINATED
    await world.serve(two_sites())
    assert world.state() is S.PROVISIONED


async def test_a_service_whose_objectives_are_seen_kept_is_assured() -> None:
    world = await assured()
    standing = world.assurance.standings["acme"]
    by_name = {(one.objective.name, one.objective.subject): one for one in standing.objectives}
    delay = by_name[ObjectiveName.ONE_WAY_DELAY, "lon1>par1"]
    assert (delay.measured.value, delay.measured.quality, delay.objective.target) == (0.010, 1.0, 0.015)
    assert delay.breach is not None
    assert delay.breach.lower <= 0.010 <= delay.breach.upper
    assert world.assurance.recent(delay.objective)[-3:] == [0.010] * 3


async def test_a_breach_is_predicted_before_it_is_there_and_the_decision_says_that_nobody_proposes() -> None:
    world = await assured(pace=replace(PACE, horizon_seconds=300.0))
    recovery = Recovery()
    world.assurance.deciding.localiser = recovery
    noise = 0.0002 * np.random.default_rng(3).standard_normal(700)
    rising = 0.010 + noise + np.concatenate([np.zeros(300), np.linspace(0.0, 0.008, 400)])
    told = iter(rising)
    while world.state() is S.ASSURED:
        delay = float(next(told))
        await world.tick(delay)
    assert world.state() is S.AT_RISK
    assert 0.013 < delay < DELAY.target
    for _ in range(5):
        await world.tick(0.030)
    assert world.against("proof") == [NOBODY]
    assert world.against("cause") == []
    assert recovery.asked == []
    assert "renegotiate" not in world.events()


async def test_what_is_unusual_is_told_by_its_shape_whether_or_not_a_breach_is_foreseen() -> None:
    world = await assured()
    random = np.random.default_rng(4)

    async def told(ticks: int, delay: float | None) -> list[str]:
        found = []
        for _ in range(ticks):
            await world.tick(None if delay is None else delay + 0.0001 * random.normal())
            view = assurance_view(world.assurance, "acme")["objectives"]
            found += [one["anomaly"] for one in view if one["objective"] == "delay-one-way"]
        return found

    await told(150, 0.005)
    quiet = await told(40, 0.005)
    assert quiet.count("") > 0.9 * len(quiet)
    assert "level-shift" not in quiet
    shifted = await told(8, 0.009)
    assert "level-shift" in shifted
    assert world.state() is S.ASSURED
    await told(60, 0.009)
    assert "silence" in await told(12, None)


async def test_what_is_unusual_takes_of_the_health_and_is_explained_until_it_clears_and_nothing_is_done() -> None:
    world = await assured()
    random = np.random.default_rng(4)
    for delay in [*[0.005] * 150, 0.009]:
        await world.tick(delay + 0.0001 * random.normal())
    for _ in range(30):
        if (view := assurance_view(world.assurance, "acme"))["symptoms"]:
            break
        await world.tick(0.009 + 0.0001 * random.normal())
    (symptom,) = view["symptoms"]
    assert symptom["kind"] == "unusual"
    assert "delay-one-way" in symptom["reason"]
    assert view["health"] == 85
    told = Explaining(world.assurance, dict).explain("acme")
    (sentence,) = [one for one in told["sentences"] if "unusual" in one["text"]]
    assert sentence["text"].endswith(f"{symptom['reason']} (health 85 of 100).")
    assert sentence["clauses"][0]["figures"][0]["samples"][0]
    for _ in range(60):
        await world.tick(0.009 + 0.0001 * random.normal())
    assert assurance_view(world.assurance, "acme")["health"] == 100, "it is over"
    assert not any("unusual" in one["text"] for one in Explaining(world.assurance, dict).explain("acme")["sentences"])
    assert world.state() is S.ASSURED
    assert world.decisions() == [], "nothing is done for its sake"


async def test_nobody_localises_then_the_decision_says_so_and_nothing_is_done() -> None:
    world = await assured()
    await raised(world)
    assert world.against("cause") == ["not localised yet"]
    recorded = len(world.decisions())
    await raised(world, 10)
    assert len(world.decisions()) == recorded, "grounds that stay are one decision"


async def test_a_remedy_that_is_proved_is_carried_out_and_seen_to_help() -> None:
    recovery = Recovery()
    world = await assured(recovery)
    await raised(world, 5)
    assert world.state() is S.RESTORED
    assert recovery.carried_out == [recovery.proposal]
    last = world.decisions()[-1]
    assert (last["acts"], last["remedy"], last["cause"]) == (True, "move to p3-p4", "link p1-p2 down")
    for _ in range(20):
        await world.tick(0.010)
    assert world.state() is S.ASSURED
    assert world.events()[1:] == ["predict-breach", "renegotiate", "change-committed", "assure"]


async def test_recovery_that_proposes_nothing_is_a_recorded_refusal_that_cools() -> None:
    world = await assured(Recovery(proposal=None))
    await raised(world, 5)
    assert world.state() is S.COOLING
    assert world.against("proof") == [NOTHING]


async def test_a_remedy_that_the_twin_refuses_is_not_carried_out() -> None:
    refused = Verdict(refusals=(CounterExample(Fault.LOOP, "acme", "lon1", "192.0.2.2", "it goes round"),))
    recovery = Recovery(proposal=Proposal("loop", "reroute", refused, None))
    world = await assured(recovery)
    await raised(world, 5)
    assert recovery.carried_out == []
    assert world.state() is S.COOLING
    assert world.against("proof") == [str(refused).splitlines()[0]]


async def test_a_change_that_fails_cools_with_the_reason() -> None:
    world = await assured(Recovery(failure="rolled back: par1 said no"))
    await raised(world, 5)
    assert world.state() is S.COOLING
    assert world.world.assurance.loop.get("acme").steps[-1].happening.reason == "rolled back: par1 said no"


async def test_recovery_that_breaks_does_not_stop_the_loop() -> None:
    class Broken(Recovery):
        async def propose(self, *_: object) -> None:
            raise RuntimeError("no idea")

    world = await assured(Broken())
    await raised(world, 5)
    assert world.against("proof") == ["recovery failed to propose: no idea"]
    assert world.state() is S.COOLING


async def test_below_the_floor_of_quality_nothing_is_done_and_the_reason_is_shown() -> None:
    recovery = Recovery(finding=None)
    world = await assured(recovery)
    await world.tick(0.030)
    for _ in range(3):
        await world.tick(None)
    recovery.finding = LINK
    for _ in range(5):
        await world.tick(None)
    assert recovery.carried_out == []
    delay = next(one for one in world.assurance.standings["acme"].objectives if one.objective.subject == "lon1>par1")
    assert delay.measured.quality < 0.6
    assert "below 0.60" in delay.measured.why
    assert "stale" in delay.measured.why
    assert world.state() is S.AT_RISK
    (why,) = world.against("quality")
    assert why.endswith("the floor is 0.6")


# -- restarts ----------------------------------------------------------------------------------------------------------


async def test_a_restarted_daemon_has_the_same_instances_decisions_objectives_and_budget() -> None:
    world = await assured(Recovery(proposal=None))
    await world.promise(DELAY, AVAILABLE)
    for lost in (0.0, 10.0, 0.0, 10.0):
        for _ in range(8):
            await world.tick(0.030, lost=lost)
    before = world.world.assurance
    again = restarted(world).world.assurance
    assert again.to_json() == before.to_json()
    from_snapshot = AssuranceBook(before.loop.guards.limits)
    from_snapshot.load_json(json.loads(json.dumps(before.to_json())))
    assert from_snapshot.to_json() == before.to_json()
    assert again.availability("acme").budget(AVAILABLE, world.clock.time).bad_seconds > 0
    assert again.objectives("acme") == (DELAY, AVAILABLE)


async def test_a_change_that_was_under_way_at_kill_9_has_failed_and_cools() -> None:
    recovery = Recovery()
    world = await assured(recovery)
    recovery.gate.clear()
    await raised(world, 5)
    assert world.state() is S.RENEGOTIATED
    again = restarted(world)
    await again.assurance.resume()
    assert again.state() is S.COOLING
    assert again.events()[-1] == "change-failed"
    recovery.gate.set()
    await world.settle()


async def test_what_nobody_looked_at_is_neither_good_nor_bad() -> None:
    world = await assured()
    await world.promise(DELAY, AVAILABLE)
    for _ in range(12):
        await world.tick(0.010)
    measured = world.world.assurance.availability("acme").budget(AVAILABLE, world.clock.time).measured_seconds
    await world.log.append([world_started()], actor="accord")
    again = restarted(world)
    again.clock.time += 3600.0
    for _ in range(12):
        await again.tick(0.010)
    later = again.world.assurance.availability("acme").budget(AVAILABLE, again.clock.time).measured_seconds
    assert measured < later <= measured + 13 * TICK


def world_started() -> NewEvent:
    return NewEvent("daemon", types.DAEMON_STARTED, {"folded": 0})


# -- availability, reports, objectives ---------------------------------------------------------------------------------


async def test_an_outage_uses_up_the_error_budget_and_puts_the_service_at_risk() -> None:
    world = await assured()
    await world.promise(AVAILABLE)
    for _ in range(10):
        await world.tick(0.010)
    for _ in range(20):
        await world.tick(0.010, lost=10.0)
    standing = world.assurance.standings["acme"]
    stood = next(one for one in standing.objectives if one.objective.name is ObjectiveName.AVAILABILITY)
    assert stood.budget is not None
    assert stood.budget.bad_seconds >= 18 * TICK
    assert stood.budget.remaining_ratio < 0
    assert stood.breach is not None
    assert stood.breach.probability == 1.0
    assert world.state() is S.AT_RISK
    assert standing.health < 50


async def test_reports_are_sent_when_something_changes_and_on_schedule() -> None:
    world = await assured()

    def sent() -> list[tuple[str, str]]:
        events = [one for one in world.log.read(stream="assurance/acme") if one.type == types.ASSURANCE_REPORTED]
        sent: list[Any] = [one.data["report"] for one in events]
        bodies = [one["expression"]["expressionValue"] for one in sent]
        return [
            (body["reportTrigger"], body["intentFulfilmentReport"]["intentFulfilmentInfo"]["fulfilmentStatus"])
            for body in bodies
        ]

    before = len(sent())
    await raised(world, 3)
    assert sent()[-1] == ("on-change", "NOT_FULFILLED")
    assert len(sent()) > before
    for _ in range(100):
        await world.tick(0.030)
    assert sent()[-1][0] == "on-schedule"
    report = world.world.assurance.report("acme")
    assert report is not None
    assert "delay-one-way is 30 ms, above 15 ms" in report.data["report"]["description"]


async def test_objectives_of_a_service_that_is_not_there_are_refused() -> None:
    world = AssuredWorld()
    with pytest.raises(NotFoundError, match="no service 'nobody' is assured"):
        await world.promise(DELAY, agreement="nobody")


async def test_of_a_service_that_is_only_planned_it_is_said_that_nothing_is_served_yet() -> None:
    world = AssuredWorld()
    world.world.assurance.apply(
        Event(1, "intent/i-1", 1, types.INTENT_ADVANCED, 1.0, "ada", "", {"event": "plan", "vpn_id": "acme"}, "", "")
    )
    with pytest.raises(NotFoundError, match="nothing of 'acme' is served yet"):
        await world.promise(DELAY)


async def test_a_service_that_goes_takes_everything_along() -> None:
    world = await assured()
    await world.promise(DELAY, AVAILABLE)
    for _ in range(3):
        await world.tick(0.010)
    await world.serve(edit(delete=("l", "p"), delete_services=("acme",)))
    await world.tick(0.010)
    assert world.assurance.standings == {}
    assert world.world.assurance.told("acme") == "unknown"


# -- no oscillation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
async def test_under_adversarial_telemetry_changes_are_rare_and_replay_gives_the_same_history(seed: int) -> None:
    source = np.random.default_rng(seed)
    recovery = Recovery()
    world = AssuredWorld()
    world.wire(recovery)
    names = ("acme", "beta")
    for number, name in enumerate(names):
        sites = (
            site(f"{name}-l", "London", "GB", access(10 + 2 * number, vpn_id=name)),
            site(f"{name}-p", "Paris", "FR", access(11 + 2 * number, vpn_id=name)),
        )
        await world.serve(edit(service(name), *sites))
        await world.promise(replace(DELAY, service=service_id(name)), agreement=name)
    for _ in range(600):
        delay = source.choice([0.010, 0.0149, 0.0151, 0.060, -1.0, np.nan])
        told = None if source.random() < 0.1 else float(delay)
        recovery.failure = "no" if source.random() < 0.3 else ""
        recovery.proposal = None if source.random() < 0.2 else Recovery().proposal
        await world.tick(told, sent=float(source.choice([0.0, 10.0])), lost=float(source.choice([0.0, 5.0])))
    cooling = world.world.assurance.loop.guards.limits.cooling_seconds
    for name in names:
        begun = [time for time, event in world.happenings(name) if event == "renegotiate"]
        assert all(later - earlier >= cooling for earlier, later in pairwise(begun))
        moved = world.happenings(name)
        assert len(moved) <= 8 * (1 + 600 * TICK / PACE.horizon_seconds)
    assert restarted(world).world.assurance.to_json() == world.world.assurance.to_json()
