"""The draft's episodes on emulated routers, with packets: they end as they do in simulation, and packets are counted.

Each plays over real NETCONF sessions, an optical domain's controller, plan, twin and transaction; link loads and delays
are what counters and test packets say.
"""

import pytest

from tests.e2e.on_stage import on_both

pytestmark = pytest.mark.timeout(500)


async def test_a_burst_is_served_on_ip_first_and_moves_onto_light_make_before_break() -> None:
    outcome, story = await on_both("service-switching", "tiers", "routes")
    assert outcome.verdict == "IP first, then optical"
    assert outcome.facts["sent"] > 1_000_000
    assert outcome.facts["lost"] == 0, story
    assert any("light over london--paris" in line and "change-" in line for line in story)


async def test_a_volatile_open_is_resolved_under_traffic_by_what_the_firm_itself_gives_up() -> None:
    outcome, story = await on_both("volatile-open", "levels")
    assert outcome.verdict == "money path paid for, bulk lowered"
    assert {route[:2] for route in outcome.facts["routes"]} == {("docklands", "london")}
    counted = outcome.facts["on_spur_megabits"]
    assert counted["beside"] == pytest.approx(200, abs=5)
    assert sum(outcome.facts["levels"].values()) + 200 < counted["after"] < counted["capacity"] == 1000
    assert {flow["class"] for flow in outcome.facts["flows"]} == set(outcome.facts["levels"])
    assert all(flow["sent"] > 1_000 for flow in outcome.facts["flows"])
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
