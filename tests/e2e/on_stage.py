"""Plays a scenario on emulated routers, and in simulation beside it."""

import asyncio
from dataclasses import replace
from typing import Any

from controller.scenarios.episodes import SCENARIOS, Outcome
from controller.scenarios.simulation import simulated
from controller.scenarios.surroundings import Market, OpenSurroundings
from lab.stage.lab_stage import on_lab
from tests.controller.market_samples import CATALOGUE, POLICY

_PATIENCE_SECONDS = 400.0


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
