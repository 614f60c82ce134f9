"""The draft's five episodes: each ends as its agents decide, and otherwise when the world is otherwise."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from controller.cli.main import main
from controller.scenarios.episodes import SCENARIOS, Outcome
from controller.scenarios.surroundings import Market
from tests.controller.market_samples import CATALOGUE, POLICY

_PATIENCE_SECONDS = 100.0


async def played(name: str, **turned: Any) -> tuple[Outcome, list[str]]:
    scenario = SCENARIOS[name]
    story: list[str] = []
    async with asyncio.timeout(_PATIENCE_SECONDS):
        outcome = await scenario.run(
            Market(CATALOGUE, POLICY),
            lambda time, words: story.append(f"{time:.0f} {words}"),
            replace(scenario.dials, **turned),
        )
    return outcome, story


@pytest.mark.parametrize(
    "turned, verdict, tiers",
    [
        ({}, "IP first, then optical", ["ip", "optical"]),
        ({"load": 0.3}, "optical at once", ["optical"]),
        ({"ceiling": "7.00"}, "IP only", ["ip"]),
        ({"ceiling": "0.10"}, "refused", None),
        ({"ceiling": "400.00"}, "optical at once", ["optical"]),
    ],
)
async def test_service_switching_goes_as_load_and_wallet_have_it(
    turned: dict[str, Any], verdict: str, tiers: list[str] | None
) -> None:
    outcome, story = await played("service-switching", **turned)
    assert outcome.verdict == verdict
    assert outcome.facts.get("tiers") == tiers
    assert outcome.facts.get("lost", 0) == 0
    assert any("wants a service" in line for line in story)


@pytest.mark.parametrize(
    "turned, verdict",
    [
        ({}, "money path paid for, bulk lowered"),
        ({"load": 0.0}, "money path paid for, bulk kept"),
        ({"ceiling": "0.50"}, "money path held back, bulk not agreed"),
    ],
)
async def test_a_volatile_open_is_resolved_on_the_firms_own_spur(turned: dict[str, Any], verdict: str) -> None:
    outcome, _ = await played("volatile-open", **turned)
    assert outcome.verdict == verdict
    assert {route[:2] for route in outcome.facts["routes"]} <= {("docklands", "london")}
    assert outcome.facts["lost"] == 0


@pytest.mark.parametrize("load, is_losing", [(0.2, False), (0.9, True)])
async def test_what_is_on_the_spur_is_counted_and_what_it_cannot_carry_is_lost(load: float, is_losing: bool) -> None:
    outcome, _ = await played("volatile-open", load=load)
    counted = outcome.facts["on_spur_megabits"]
    sent = 1000 * load + sum(outcome.facts["levels"].values())
    assert counted["after"] == min(sent, counted["capacity"])
    assert counted["beside"] == 1000 * load
    assert (outcome.facts["lost"] > 0) is outcome.verdict.endswith("packets lost") is is_losing


@pytest.mark.parametrize(
    "turned, verdict",
    [
        ({}, "risk pays for the short way, block goes round"),
        ({"load": 0.1}, "both take the short way"),
        ({"ceiling": "0.50"}, "not both agreed"),
    ],
)
async def test_an_energy_shock_makes_two_opposite_negotiations(turned: dict[str, Any], verdict: str) -> None:
    outcome, _ = await played("energy-shock", **turned)
    assert outcome.verdict == verdict


async def test_foreign_congestion_is_renegotiated_in_flight_and_back_and_nothing_is_lost() -> None:
    outcome, _ = await played("foreign-congestion")
    assert outcome.verdict == "renegotiated in flight, and back"
    assert outcome.facts["strategies"] == ["as asked", "step up", "step back"]
    assert outcome.facts["tiers"] == ["ip", "optical", "ip"]
    assert outcome.facts["routes"] == [
        ("london", "paris", "frankfurt"),
        ("london", "amsterdam", "frankfurt"),
        ("london", "paris", "frankfurt"),
    ]
    assert outcome.facts["lost"] == 0
    assert outcome.facts["sent"] > 0
    assert outcome.facts["flags"] == 1


@pytest.mark.parametrize(
    "turned, verdict, is_losing",
    [
        ({"load": 0.3}, "left alone", False),
        ({"ceiling": "300.00"}, "congested, and nothing else could be paid", True),
        ({"ceiling": "0.10"}, "refused", False),
    ],
)
async def test_foreign_congestion_ends_otherwise_with_less_load_or_less_money(
    turned: dict[str, Any], verdict: str, is_losing: bool
) -> None:
    outcome, _ = await played("foreign-congestion", **turned)
    assert outcome.verdict == verdict
    assert (outcome.facts.get("lost", 0) > 0) is is_losing


async def test_refusals_name_their_checks_and_cost_nothing() -> None:
    outcome, story = await played("refusals")
    assert outcome.verdict == "all refused, nothing paid"
    assert outcome.facts["checks"] == {
        "revoked": "status",
        "expired": "dates",
        "forged": "signature",
        "wrong holder": "holder",
        "over its ceiling": "ledger",
        "unaffordable": "ceiling",
        "replayed": "holder",
        "forked": "ledger",
        "below the floor": "policy",
        "provisioning fails": "provisioning",
        "withdrawn": "nothing-offered",
    }
    assert outcome.facts["paid"] == "0.00 EUR"
    assert any("used before" in line for line in story)
    assert len(story) > len(outcome.facts["checks"])


async def test_what_is_withdrawn_is_to_be_had_when_others_leave_room() -> None:
    outcome, _ = await played("refusals", load=0.2)
    assert outcome.verdict == "went through: withdrawn"


def test_the_command_tells_ways_and_what_was_measured_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "run", "volatile-open"]) == 0
    told = capsys.readouterr().out
    assert "docklands > london > paris > frankfurt" in told
    assert "measured (ip): 860 Mbit/s from docklands to london" in told
    assert "bulk-transfer 10" in told


@pytest.mark.parametrize(
    "words, remedy",
    [
        (["refusals", "--ceiling", "0.00"], "give a sum"),
        (["refusals", "--ceiling", "much"], "write a decimal text"),
        (["refusals", "--load", "nan"], "from 0 to 1"),
        (["no-such-thing"], "name one of service-switching"),
    ],
)
def test_what_cannot_be_played_is_refused_before_any_router_starts(
    words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scenario", "run", *words, "--on", "lab", "--watch"]) != 0
    refused = capsys.readouterr().err
    assert remedy in refused
    assert "routers start" not in refused
