"""A published network of fifty routers, and one service across it that is asked for in the names of its own cities."""

from pathlib import Path

from controller.intent.lifecycle import IntentState
from lab.topologies_topohub import topohub_topology
from tests.e2e.provider import ACTOR, open_provider

CITIES = (
    *("Aachen", "Augsburg", "Bremerhaven", "Dresden", "Erfurt", "Flensburg"),
    *("Koeln", "Leipzig", "München", "Saarbruecken", "Stuttgart", "Ulm"),
)
ROUTERS = {city.lower().replace("ü", "ue") for city in CITIES}


async def test_a_service_across_the_cities_of_germany50_comes_and_goes(tmp_path: Path) -> None:
    async with open_provider(tmp_path, topohub_topology("sndlib/germany50")) as provider:
        controller, before = provider.controller, provider.running()
        assert len(before) == 50
        said = f"Connect {', '.join(CITIES[:-1])} and {CITIES[-1]} with 50 Mbit/s for acme"
        outcome = await controller.submit_intent(said, ACTOR)
        assert outcome.plan is not None, outcome.result
        assert {device.device for device in outcome.plan.changed} == ROUTERS
        await provider.commit_plan(outcome.plan)
        await provider.assert_read_back_equal(before)
        after = provider.running()
        assert {name for name in before if after[name] != before[name]} == ROUTERS
        await provider.commit_plan(await controller.withdraw_intent(outcome.record.id, ACTOR))
        assert provider.running() == before
        assert controller.world.intents.get(outcome.record.id).state is IntentState.WITHDRAWN
