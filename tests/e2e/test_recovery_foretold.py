"""What assurance foretells is kept from happening: a remedy is proposed with its proof, carried out, and goes again."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.assurance.breach import Breach
from controller.assurance.decision import CauseFinding
from controller.assurance.objectives import Objective, ObjectiveName
from controller.mapping.fragment import service_id
from controller.recovery.history import Recovery
from controller.recovery.states import RecoveryState
from controller.runtime.recovery_remedies import RecoveryRemedies
from controller.runtime.remedies import Proposal
from tests.e2e.provider import ACTOR, Provider
from tests.e2e.recovering import (
    BRUSSELS,
    LONG,
    LYON,
    NORTH,
    NORTH_WIRE,
    eventually,
    lose,
    made,
    recoveries,
    recovering,
    told,
    ways,
)
from tests.e2e.world import until

pytestmark = pytest.mark.timeout(900)
BOTH = ("gold", "gold-back")
MOVED = ["building", "verifying", "moving", "draining", "removing", "done"]


@pytest.fixture(autouse=True)
def links_are_measured_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a share of lost packets shows within seconds."""
    monkeypatch.setattr("controller.mapping.tunnel_probes.LINK_MILLISECONDS", 25)


def remedies(provider: Provider) -> RecoveryRemedies:
    """Those that assurance asks, as they were wired."""
    found = provider.controller.assurance.deciding.remedies
    assert isinstance(found, RecoveryRemedies)
    return found


def foretold(service: str = "acme") -> Breach:
    """A delay that is as good as certain to be too long in five minutes."""
    objective = Objective(service_id(service), ObjectiveName.ONE_WAY_DELAY, 0.010)
    return Breach(objective, 300.0, 0.014, 0.012, 0.016, 0.95, 1.0)


def let_assurance_be_first(provider: Provider) -> None:
    """Faults are seen, and no recovery begins by itself."""
    pace = provider.controller.recoveries.pace
    provider.controller.recoveries.pace = replace(pace, settle=10 * LONG)


async def localised(provider: Provider, service: str = "acme") -> CauseFinding:
    """What is found to be wrong with a service, as soon as it is."""
    finding_for = provider.controller.localisation.finding_for
    await until(lambda: (finding_for(service) or CauseFinding()).cause == NORTH, LONG, lambda: told(provider))
    found = finding_for(service)
    assert found is not None
    return found


async def proposed(provider: Provider, finding: CauseFinding, service: str = "acme") -> Proposal:
    found = await remedies(provider).propose(service, foretold(service), finding)
    assert found is not None
    assert found.verdict.is_proved, found.verdict
    return found


def assert_moved_in_stages(provider: Provider, one: Recovery) -> None:
    """What it changed carried all the time."""
    changes = list(provider.controller.world.changes)
    assert changes
    assert {change.id for change in changes} <= set(one.transactions)
    assert all([step.stage.value for step in change.steps] == MOVED for change in changes)


async def test_a_service_is_moved_in_stages_before_its_breach_away_from_the_fullest_link_where_no_cause_is_known(
    tmp_path: Path,
) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        let_assurance_be_first(provider)
        proposal = await proposed(provider, CauseFinding())
        assert proposal.kind == "shift"
        assert not recoveries(provider), "nothing is done before it is agreed to"
        before = {name: ways(provider, name) for name in BOTH}
        assert await remedies(provider).carry_out(proposal, ACTOR) == "", told(provider)
        (one,) = recoveries(provider)
        assert (one.state, one.services) == (RecoveryState.RECOVERED, ("acme",))
        assert one.verification
        assert not [name for name in BOTH if ways(provider, name) == before[name]], "both directions at once"
        assert_moved_in_stages(provider, one)


async def test_a_service_is_moved_in_stages_before_its_breach_away_from_the_cause_that_is_known(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        let_assurance_be_first(provider)
        lose(provider, NORTH_WIRE, 0.05)
        proposal = await proposed(provider, await localised(provider))
        assert proposal.kind == "reroute"
        assert await remedies(provider).carry_out(proposal, ACTOR) == "", told(provider)
        (one,) = recoveries(provider)
        assert (one.cause, one.is_over) == (NORTH, True)
        assert ways(provider, "gold") == ways(provider, "gold-back") == {LYON}
        assert_moved_in_stages(provider, one)
        assert ACTOR in {step.actor for step in one.steps}


SAID = "Connect London and Frankfurt with 100 Mbit/s and at most 50 ms latency for acme"


async def allowed(provider: Provider, policy: str) -> None:
    """A service by an intent whose owner allows these remedies; its tunnels fit over the north only."""
    intents = provider.controller.intents
    known = intents.knowledge()
    templates = tuple(replace(one, fallback_policy=policy) for one in known.templates)
    with_policy = replace(known, templates=templates)
    intents.knowledge = lambda: with_policy
    outcome = await provider.controller.submit_intent(SAID, ACTOR)
    assert outcome.plan is not None, outcome.result
    await provider.commit_plan(outcome.plan)
    assert f"fallback-policy = {policy} (template business)" in outcome.record.assumed
    for name in BOTH:
        await made(provider, name, services=("acme-1",), delay_bound_seconds=between(provider))
        assert ways(provider, name) == {BRUSSELS}


def between(provider: Provider) -> float:
    """A delay that the way over Brussels keeps and the one over Lyon does not."""
    links = provider.controller.topology.network.links
    delays = {
        way: sum(link.delay_seconds for link in links.values() if is_on(link.source.node, link.target.node, way))
        for way in (BRUSSELS, LYON)
    }
    assert delays[BRUSSELS] < delays[LYON]
    return sum(delays.values()) / 2


def is_on(source: str, target: str, way: str) -> bool:
    return (source, target) in {("pe-london", way), (way, "pe-frankfurt")}


async def test_where_nothing_else_fits_a_service_is_carried_with_less_if_its_owner_allows_that_until_all_is_well(
    tmp_path: Path,
) -> None:
    async with recovering(tmp_path) as provider:
        await allowed(provider, "reroute, degrade")
        let_assurance_be_first(provider)
        lose(provider, NORTH_WIRE, 0.05)
        proposal = await proposed(provider, await localised(provider, "acme-1"), "acme-1")
        assert proposal.kind == "degrade"
        assert await remedies(provider).carry_out(proposal, ACTOR) == "", told(provider)
        assert ways(provider, "gold") == ways(provider, "gold-back") == {LYON}
        (one,) = recoveries(provider)
        assert one.candidate is not None
        assert {service for service, _ in one.candidate.remedy.less} == {"acme-1"}
        assert all("later than" in what for _, what in one.candidate.remedy.less)
        tunnels = provider.controller.world.tunnels
        provider.controller.recoveries.pace = replace(provider.controller.recoveries.pace, calm=2.0)
        lose(provider, NORTH_WIRE, 0.0)
        bound = between(provider)
        await until(lambda: {tunnels.get(n).delay_bound_seconds for n in BOTH} == {bound}, LONG, lambda: told(provider))
        assert ways(provider, "gold") == ways(provider, "gold-back") == {BRUSSELS}


async def test_a_service_whose_delay_no_other_way_keeps_is_carried_late_rather_than_badly(tmp_path: Path) -> None:
    async with recovering(tmp_path) as provider:
        said = SAID.replace("50 ms", f"{1000 * between(provider):.1f} ms")
        outcome = await provider.controller.submit_intent(said, ACTOR)
        assert outcome.plan is not None, outcome.result
        await provider.commit_plan(outcome.plan)
        lose(provider, NORTH_WIRE, 0.05)
        one = await eventually(lambda one: one.cause == NORTH and one.is_over and one.transactions, provider)
        assert one.candidate is not None
        assert (one.candidate.remedy.kind, one.candidate.remedy.late) == ("degrade", {"acme-1"}), told(provider)
        assert {way for tunnel in provider.controller.world.tunnels for way in ways(provider, tunnel.name)} == {LYON}


async def test_where_its_owner_does_not_allow_less_nothing_is_proposed(tmp_path: Path) -> None:
    async with recovering(tmp_path) as provider:
        await allowed(provider, "reroute")
        let_assurance_be_first(provider)
        lose(provider, NORTH_WIRE, 0.05)
        finding = await localised(provider, "acme-1")
        assert await remedies(provider).propose("acme-1", foretold("acme-1"), finding) is None


async def test_tunnels_that_remedies_made_are_taken_away_when_all_has_been_well_for_a_while(tmp_path: Path) -> None:
    async with recovering(tmp_path) as provider:
        lose(provider, NORTH_WIRE, 0.05)
        await eventually(lambda one: one.cause == NORTH and one.is_over, provider)
        tunnels = provider.controller.world.tunnels
        own = {tunnel.name for tunnel in tunnels}
        assert own
        assert all(name.startswith("recovery-acme-") for name in own)
        assert {way for name in own for way in ways(provider, name)} == {LYON}
        provider.controller.recoveries.pace = replace(provider.controller.recoveries.pace, calm=2.0)
        await made(provider, "recovery-spare", services=())
        lose(provider, NORTH_WIRE, 0.0)
        await until(lambda: {tunnel.name for tunnel in tunnels} == {"recovery-spare"}, LONG, lambda: told(provider))
        await provider.assert_read_back_equal(["pe-london", "pe-frankfurt"])
