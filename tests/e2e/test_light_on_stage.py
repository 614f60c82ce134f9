"""Light for an agreement on emulated routers: what cannot be had of it leaves nothing behind, and costs no packet."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.cli.main import main
from controller.model.errors import AccordError
from controller.model.units import BitRate
from controller.negotiation.catalogue import Tier
from controller.negotiation.dialogue import Stage
from controller.scenarios.episodes import SCENARIOS, wallet_of
from controller.scenarios.surroundings import Market
from controller.scenarios.theatre import Theatre
from lab.stage.clock import StageClock
from lab.stage.lab_stage import LabStage, on_lab
from tests.controller.market_samples import CATALOGUE, POLICY

pytestmark = pytest.mark.timeout(400)
DOMAIN = "light"


@pytest.fixture
async def theatre() -> AsyncIterator[Theatre]:
    market = Market(CATALOGUE, POLICY)
    async with on_lab(SCENARIOS["service-switching"].wires, market, lambda _seconds, _words: None) as stage:
        theatre = Theatre(wallet_of(CATALOGUE, "1000.00"), stage, market)
        await theatre.warm_up(ticks=4)
        yield theatre


async def tunnels(theatre: Theatre) -> list[str]:
    stage: Any = theatre.surroundings
    assert isinstance(stage, LabStage)
    return [tunnel.name for tunnel in (await stage.controller.optical.read(DOMAIN)).tunnels]


async def test_light_that_a_router_refuses_to_use_is_taken_down_and_the_service_stays_where_it_is(
    theatre: Theatre,
) -> None:
    wish = theatre.wish("london", "frankfurt", 200, "order-execution", latency_seconds=0.02, tier=Tier.IP)
    agreed = await theatre.negotiate(wish)
    root, before = agreed.terms.root, theatre.taken
    theatre.surroundings.refuse(is_refusing=True)
    refused = await theatre.change(root, tier=Tier.OPTICAL)
    assert refused.stage is Stage.FAILED
    assert await tunnels(theatre) == []
    assert theatre.taken == before
    theatre.surroundings.refuse(is_refusing=False)
    changed = await theatre.change(root, tier=Tier.OPTICAL)
    assert changed.stage is Stage.DONE
    assert await tunnels(theatre) == [theatre.standing(root).service]
    await theatre.end(root)
    assert await tunnels(theatre) == []
    delivered = await theatre.delivered()
    assert delivered.sent > 1_000
    assert delivered.lost == 0


async def test_light_for_a_new_service_goes_with_the_service_that_a_router_refuses(theatre: Theatre) -> None:
    theatre.surroundings.refuse(is_refusing=True)
    wish = theatre.wish("london", "frankfurt", 200, "order-execution", latency_seconds=0.01)
    done = await theatre.negotiate(wish)
    assert done.stage is Stage.FAILED
    assert await tunnels(theatre) == []
    assert theatre.taken.minor == 0


async def test_a_domain_that_does_not_answer_keeps_no_service_without_light_from_its_change_and_its_end(
    theatre: Theatre,
) -> None:
    stage: Any = theatre.surroundings
    wish = theatre.wish("london", "frankfurt", 200, "order-execution", latency_seconds=0.02, tier=Tier.IP)
    root = (await theatre.negotiate(wish)).terms.root
    await stage.lab.optical.router.stop()
    with pytest.raises(AccordError):
        await stage.controller.optical.read(DOMAIN)
    changed = await theatre.change(root, bandwidth=BitRate(1_000_000_000))
    assert changed.stage is Stage.DONE, changed.refusal
    await theatre.end(root)
    assert [tunnel.name for tunnel in stage.controller.world.tunnels] == []


async def test_of_three_orders_at_once_for_two_lights_two_are_served_and_the_third_pays_nothing(
    theatre: Theatre,
) -> None:
    wishes = [
        theatre.wish("london", "frankfurt", 200, workload, latency_seconds=0.02, tier=Tier.OPTICAL)
        for workload in list(CATALOGUE.classes)[:3]
    ]
    subjects = [await theatre.negotiations.negotiate(wish) for wish in wishes]
    done = [await theatre.negotiations.outcome(subject) for subject in subjects]
    await theatre.negotiations.idle()
    served = [one for one in done if one.stage is Stage.DONE]
    assert len(served) == 2, [(one.stage, one.refusal and one.refusal.text) for one in done]
    assert sorted(await tunnels(theatre)) == sorted(one.service for one in served)
    assert theatre.taken.minor == sum(one.terms.amount.minor for one in served)


async def test_orders_at_once_over_the_same_routers_are_all_served(theatre: Theatre) -> None:
    wishes = [
        theatre.wish("london", "frankfurt", 10, workload, latency_seconds=0.05, tier=Tier.IP)
        for workload in CATALOGUE.classes
    ]
    subjects = [await theatre.negotiations.negotiate(wish) for wish in wishes]
    done = [await theatre.negotiations.outcome(subject) for subject in subjects]
    assert [(one.stage, one.refusal) for one in done] == [(Stage.DONE, None)] * len(wishes)


def test_the_command_plays_on_the_lab_and_tells_it_as_json() -> None:
    words = ["scenario", "run", "refusals", "--on", "lab", "-o", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "controller.cli.main", *words], capture_output=True, text=True, check=True, timeout=300
    )
    told = json.loads(done.stdout)
    assert (told["on"], told["verdict"]) == ("lab", "all refused, nothing paid")
    assert told["facts"]["checks"]["forked"] == "ledger"
    assert told["facts"]["flows"][0]["lost"] == 0


def test_a_stage_that_nobody_has_is_refused_and_the_others_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "run", "refusals", "--on", "the-moon"]) != 0
    assert "simulation, lab" in capsys.readouterr().err


def test_the_time_of_a_play_leaps_stands_and_runs_and_never_goes_back() -> None:
    clock = StageClock(100.0)
    clock.leap(110.0)
    assert clock.now() == clock.now() == 110.0
    with clock.running(), clock.running():
        before = clock.now()
        while clock.now() == before:
            pass
    stood = clock.now()
    assert stood == clock.monotonic() > 110.0
    with pytest.raises(ValueError, match="time does not go back"):
        clock.leap(110.0)
