"""The draft's episodes on emulated routers, with packets: they end as they do in simulation, and packets are counted.

Each plays over real NETCONF sessions, an optical domain's controller, plan, twin and transaction; link loads and delays
are what counters and test packets say.
"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from controller.scenarios.episodes import SCENARIOS, Outcome
from controller.scenarios.simulation import simulated
from controller.scenarios.surroundings import Market, OpenSurroundings
from stage.lab_stage import on_lab
from tests.controller.market_samples import CATALOGUE, POLICY

_PATIENCE_SECONDS = 400.0
pytestmark = pytest.mark.timeout(500)


async def played(name: str, on: OpenSurroundings = on_lab, **turned: Any) -> tuple[Outcome, list[str]]:
    scenario = SCENARIOS[name]
    story: list[str] = []
    async with asyncio.timeout(_PATIENCE_SECONDS):
        outcome = await scenario.run(
            Market(CATALOGUE, POLICY),
            lambda _, words: story.append(words),
            replace(scenario.dials, **turned),
            surroundings=on,
        )
    return outcome, story


async def on_both(name: str, *facts: str, **turned: Any) -> tuple[Outcome, list[str]]:
    """What the lab makes of it; verdict and these facts are those of the simulation."""
    (expected, _), (outcome, story) = await played(name, simulated, **turned), await played(name, **turned)
    assert outcome.verdict == expected.verdict, story
    assert {fact: outcome.facts.get(fact) for fact in facts} == {fact: expected.facts.get(fact) for fact in facts}
    return outcome, story


async def test_foreign_congestion_is_renegotiated_under_traffic_and_back_and_no_packet_is_lost() -> None:
    outcome, story = await on_both("foreign-congestion", "strategies", "tiers", "routes", "flags")
    assert outcome.verdict == "renegotiated in flight, and back"
    assert outcome.facts["strategies"] == ["as asked", "step up", "step back"]
    assert outcome.facts["sent"] > 10_000_000
    assert outcome.facts["lost"] == 0, story
    there, back = (line for line in story if "provisions it" in line and "change-" in line)
    assert "light over london--amsterdam" in there
    assert "light" not in back


async def test_foreign_congestion_that_cannot_be_paid_out_of_costs_packets_and_they_are_counted() -> None:
    outcome, story = await on_both("foreign-congestion", "strategies", "tiers", "routes", ceiling="300.00")
    assert outcome.verdict == "congested, and nothing else could be paid"
    assert 0 < outcome.facts["lost"] < outcome.facts["sent"], story
    assert any("'ceiling'" in line for line in story)


async def test_a_tenant_that_leaves_room_changes_nothing() -> None:
    outcome, story = await on_both("foreign-congestion", "strategies", "routes", "flags", load=0.3)
    assert outcome.verdict == "left alone"
    assert outcome.facts["lost"] == 0, story


async def test_a_burst_is_served_on_ip_first_and_moves_onto_light_make_before_break() -> None:
    outcome, story = await on_both("service-switching", "tiers", "routes")
    assert outcome.verdict == "IP first, then optical"
    assert outcome.facts["sent"] > 1_000_000
    assert outcome.facts["lost"] == 0, story
    assert any("light over london--paris" in line and "change-" in line for line in story)


async def test_a_volatile_open_is_resolved_under_traffic_by_what_the_firm_itself_gives_up() -> None:
    outcome, story = await on_both("volatile-open", "levels")
    assert outcome.verdict == "money path paid for, bulk lowered"
    assert outcome.facts["on_spur"] <= outcome.facts["spur"]
    assert outcome.facts["sent"] > 1_000_000
    assert outcome.facts["lost"] == 0, story


async def test_an_energy_shock_sends_two_flows_two_ways() -> None:
    outcome, story = await on_both("energy-shock")
    assert outcome.verdict == "risk pays for the short way, block goes round"
    assert outcome.facts["risk"]["route"] == ("london", "paris", "frankfurt")
    assert outcome.facts["block"]["route"] == ("london", "amsterdam", "frankfurt")
    assert outcome.facts["sent"] > 1_000_000
    assert outcome.facts["lost"] == 0, story


async def test_what_is_refused_leaves_neither_a_service_nor_a_debt_on_the_lab() -> None:
    outcome, story = await on_both("refusals", "checks", "paid", "effort")
    assert outcome.verdict == "all refused, nothing paid"
    assert any("rejected by a scripted fault" in line for line in story)
