"""The draft's five episodes: each ends as its agents decide, and otherwise when the world is otherwise."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

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
        ({"ceiling": "0.50"}, "money path held back"),
    ],
)
async def test_a_volatile_open_is_resolved_on_the_firms_own_spur(turned: dict[str, Any], verdict: str) -> None:
    outcome, _ = await played("volatile-open", **turned)
    assert outcome.verdict.startswith(verdict)


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


@pytest.mark.parametrize(
    "turned, verdict", [({}, "renegotiated in flight"), ({"load": 0.3}, "left alone"), ({"ceiling": "0.10"}, "refused")]
)
async def test_foreign_congestion_is_renegotiated_in_flight_and_nothing_is_lost(
    turned: dict[str, Any], verdict: str
) -> None:
    outcome, _ = await played("foreign-congestion", **turned)
    assert outcome.verdict == verdict
    if verdict == "renegotiated in flight":
        assert outcome.facts["lost"] == 0
        assert outcome.facts["sent"] > 0
        assert outcome.facts["flags"] <= 2
        before, moved, _ = outcome.facts["routes"]
        assert "paris" in before
        assert "paris" not in moved


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
        "below the floor": "policy",
        "provisioning fails": "provisioning",
        "withdrawn": "nothing-offered",
    }
    assert outcome.facts["taken"] == "0.00 EUR"
    assert len(story) > len(outcome.facts["checks"])


async def test_what_is_withdrawn_is_to_be_had_when_others_leave_room() -> None:
    outcome, _ = await played("refusals", load=0.2)
    assert outcome.verdict == "went through: withdrawn"
