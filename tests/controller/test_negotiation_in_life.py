"""Agreements live: either side changes them, in place and in a chain, and they end; a crash changes nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from controller.adapters.event_log_memory import MemoryEventLog
from controller.assurance.breach import Breach
from controller.assurance.instance import InstanceState
from controller.assurance.objectives import Objective, ObjectiveName
from controller.model.identifiers import ServiceId
from controller.model.units import BitRate, Duration
from controller.negotiation.agreement import Strategy, verify_chain
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.dialogue import Stage
from controller.negotiation.guardrails import OfferCheck
from controller.negotiation.request import ServiceRequest
from controller.negotiation.strategy import Risk
from controller.negotiation.wallet import ServiceLevelFloor
from controller.ports import NewEvent
from tests.controller.market_samples import loads, ticked
from tests.controller.negotiation_plane import START, TERMS, Plane, both_tiers, held, key_of
from tests.controller.negotiation_samples import euro
from tests.controller.test_negotiation_plane import WISH, negotiated, taken

_PATIENCE_SECONDS = 60.0


def breach(probability: float, latency_seconds: float = 0.02) -> Breach:
    objective = Objective(ServiceId("naas"), ObjectiveName.ONE_WAY_DELAY, latency_seconds)
    return Breach(objective, 300.0, 0.03, 0.02, 0.04, probability, 1.0)


async def forecast(
    plane: Plane, probability: float, seconds: float, links: Sequence[str] = (), axis: Axis = Axis.LATENCY
) -> None:
    """So long this is forecast of the only agreement; every ten seconds it is looked at."""
    (standing,) = plane.negotiations.agreements()
    until = plane.clock.time + seconds
    while plane.clock.time < until:
        plane.clock.time += 10.0
        risk = Risk(axis, tuple(links))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await plane.negotiations.watch({standing.root: ((breach(probability),), risk)})
            await plane.negotiations.tick()
            await plane.negotiations.idle()


def state(plane: Plane) -> InstanceState:
    network = plane.negotiations.network
    assert network is not None
    (standing,) = network.house.desk.agreements.values()
    return network.assurance.loop.get(standing.root).state


def strategies(plane: Plane) -> list[Strategy]:
    (standing,) = plane.negotiations.agreements()
    verify_chain(standing.issues, key_of)
    return [issue.terms.strategy for issue in standing.issues]


# -- the consumer opens ------------------------------------------------------------------------------------------------


async def test_a_burst_is_agreed_in_place_under_the_same_service_and_the_difference_is_paid() -> None:
    plane = Plane()
    first = await negotiated(plane)
    plane.clock.time += 1800
    done = await negotiated_change(plane, first.terms.root, bandwidth=BitRate(10**9))
    assert done.stage is Stage.DONE
    (standing,) = plane.negotiations.agreements()
    verify_chain(standing.issues, key_of)
    assert [act for act, _ in plane.carrier.acts] == ["provision", "change"]
    assert len({service for _, service in plane.carrier.acts}) == 1
    assert standing.terms.level.bit_rate == 10**9
    old, new = first.terms.quote.total.minor, standing.terms.quote.total.minor
    assert abs(taken(plane) - (old // 2 + new)) <= 1


async def negotiated_change(plane: Plane, agreement: str, **changes: Any) -> Any:
    subject = await plane.negotiations.change(agreement, changes)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        done = await plane.negotiations.outcome(subject)
        await plane.negotiations.idle()
    return done


async def test_less_is_agreed_too_and_what_it_saves_comes_back() -> None:
    plane = Plane()
    first = await negotiated(plane)
    plane.clock.time += 1800
    done = await negotiated_change(plane, first.terms.root, bandwidth=BitRate(10_000_000))
    old, new = first.terms.quote.total.minor, done.terms.quote.total.minor
    assert done.terms.amount.minor == 0
    assert abs(taken(plane) - (old - old // 2 + new)) <= 1


async def test_a_change_that_cannot_be_provisioned_leaves_the_agreement_and_the_money_as_they_were() -> None:
    plane = Plane()
    first = await negotiated(plane)
    before = taken(plane)
    plane.carrier.refuses = {"change"}
    done = await negotiated_change(plane, first.terms.root, bandwidth=BitRate(10**9))
    assert done.stage is Stage.FAILED
    assert taken(plane) == before
    (standing,) = plane.negotiations.agreements()
    assert standing.current == first.signed


async def test_the_end_of_an_agreement_gives_back_what_was_not_used_up() -> None:
    plane = Plane()
    first = await negotiated(plane)
    plane.clock.time += 1800
    subject = await plane.negotiations.terminate(first.terms.root, "no need any more")
    async with asyncio.timeout(_PATIENCE_SECONDS):
        assert (await plane.negotiations.outcome(subject)).stage is Stage.DONE
        await plane.negotiations.idle()
    assert not plane.carrier.services
    assert abs(taken(plane) - first.terms.quote.total.minor / 2) <= 1
    assert plane.negotiations.agreement(first.terms.root).is_over
    assert state(plane) is InstanceState.TERMINATED


async def test_an_agreement_whose_time_is_over_ends_by_itself() -> None:
    plane = Plane()
    first = await negotiated(plane)
    plane.clock.time += 3601
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await plane.negotiations.tick()
        await plane.negotiations.idle()
    assert not plane.carrier.services
    assert plane.negotiations.agreement(first.terms.root).is_over
    assert taken(plane) == first.terms.quote.total.minor


# -- the operator opens ------------------------------------------------------------------------------------------------


async def test_a_predicted_breach_is_renegotiated_onto_another_way_and_left_there_while_that_costs_the_same() -> None:
    plane = Plane()
    first = await negotiated(plane, replace(WISH, duration_seconds=36_000, latency_seconds=0.05))
    (service,) = plane.carrier.services
    _, old = plane.carrier.services[service]
    await forecast(plane, 0.95, 60.0, old[:1])
    assert strategies(plane) == [Strategy.AS_ASKED, Strategy.REROUTE]
    _, new = plane.carrier.services[service]
    assert not set(old) & set(new)
    await forecast(plane, 0.01, 3000.0)
    # The other way costs the same: going back would gain nothing, and nobody asks for it.
    assert strategies(plane) == [Strategy.AS_ASKED, Strategy.REROUTE]
    assert not plane.records("flag-recovery")
    assert plane.negotiations.agreements()[0].terms.level == first.terms.level


async def test_a_predicted_breach_is_stepped_up_and_back_again_when_that_saves_more_than_the_switch() -> None:
    plane = Plane(operator=both_tiers())
    first = await negotiated(plane, replace(WISH, duration_seconds=36_000))
    await forecast(plane, 0.95, 60.0)
    assert strategies(plane) == [Strategy.AS_ASKED, Strategy.STEP_UP]
    dear = taken(plane)
    assert plane.negotiations.agreements()[0].terms.level.latency_microseconds == 10_000
    assert state(plane) is InstanceState.RESTORED
    await forecast(plane, 0.01, 3000.0)
    assert strategies(plane) == [Strategy.AS_ASKED, Strategy.STEP_UP, Strategy.STEP_BACK]
    assert plane.negotiations.agreements()[0].terms.level == first.terms.level
    assert first.terms.quote.total.minor < taken(plane) < dear


async def test_a_step_back_that_saves_less_than_a_switch_costs_is_refused_and_each_time_rests_twice_as_long() -> None:
    plane = Plane(operator=both_tiers())
    plane.negotiations.consumer().policy.switching_cost = 10**9
    await negotiated(plane, replace(WISH, duration_seconds=36_000))
    await forecast(plane, 0.95, 60.0)
    await forecast(plane, 0.01, 9000.0)
    assert strategies(plane) == [Strategy.AS_ASKED, Strategy.STEP_UP]
    refused = plane.records("refuse-offer")
    assert {event.data["arguments"]["check"] for event in refused} == {OfferCheck.GAIN}
    times = [event.time for event in refused]
    rests = [later - earlier for earlier, later in pairwise(times)]
    assert len(rests) > 2
    assert all(later >= 1.8 * earlier for earlier, later in pairwise(rests))


async def test_a_breach_that_comes_and_goes_does_not_make_the_agreement_oscillate() -> None:
    plane = Plane(operator=both_tiers())
    await negotiated(plane, replace(WISH, duration_seconds=36_000))
    for _ in range(30):
        await forecast(plane, 0.95, 60.0)
        await forecast(plane, 0.01, 60.0)
    # An hour: twice the forecast horizon lies between two changes, and a cause that comes back is damped.
    assert 1 <= len(strategies(plane)) - 1 <= 6
    flags = len(plane.records("flag-risk")) + len(plane.records("flag-recovery"))
    assert flags <= 8


async def test_a_step_down_below_the_floor_is_blocked_and_the_agreement_stays() -> None:
    floor = ServiceLevelFloor(BitRate(200_000_000), Duration(20_000))
    plane = Plane(held=held(replace(TERMS, floor=floor)))
    wish = replace(WISH, workload_class="general", duration_seconds=36_000)
    await negotiated(plane, wish)
    await forecast(plane, 0.95, 60.0)
    assert strategies(plane) == [Strategy.AS_ASKED]
    refused = plane.records("refuse-offer")
    assert refused
    assert refused[0].data["arguments"]["check"] == "service-level"
    assert state(plane) is InstanceState.COOLING


async def test_what_cannot_be_afforded_as_asked_runs_lesser_first_and_goes_up_when_it_clears() -> None:
    """The compromise: best effort first, and the deterministic tier once its surge is over."""
    plane = Plane(operator=both_tiers(), held=held(replace(TERMS, ceiling=euro("30.00"))))
    optical = plane.operator.meshes[1]
    busy = loads(optical, "ab", "bd", "ac", "cd", share=0.95)
    plane.clock.time = ticked_tier(plane, optical, busy, 40)
    wish = replace(WISH, start=plane.clock.time, tier=Tier.OPTICAL, latency_seconds=0.01, duration_seconds=7200)
    done = await negotiated(plane, wish)
    assert done.stage is Stage.DONE
    assert done.terms.level.tier == "ip"
    assert done.terms.asked.tier is Tier.OPTICAL
    await forecast(plane, 0.01, 600.0)
    assert [issue.terms.level.tier for issue in plane.negotiations.agreements()[0].issues] == ["ip"]
    plane.clock.time = ticked_tier(plane, optical, loads(optical, share=0.0), 30)
    await forecast(plane, 0.01, 900.0)
    assert [issue.terms.level.tier for issue in plane.negotiations.agreements()[0].issues] == ["ip", "optical"]
    assert strategies(plane)[-1] is Strategy.STEP_BACK


def ticked_tier(plane: Plane, mesh: Any, load: Any, ticks: int) -> float:
    return ticked(replace(plane.operator, meshes=(mesh,)), load, ticks, plane.clock.time)


# -- crashes -----------------------------------------------------------------------------------------------------------


class DyingLog(MemoryEventLog):
    """Stores so many appends, and then nothing ever again; where it is torn so many events, be it half an append."""

    left = 10**9
    is_torn = False

    async def append(self, events: Sequence[NewEvent], **how: Any) -> Any:
        most = len(events) if self.left > 0 else 0
        self.left -= len(events) if self.is_torn else 1
        if self.is_torn and self.left < 0:
            most = max(0, most + self.left)
        if most < len(events):
            await super().append(events[:most], **how)
            await asyncio.Event().wait()
        return await super().append(events, **how)


@pytest.mark.parametrize("stored, is_torn", [*((n, False) for n in range(1, 15)), *((n, True) for n in range(1, 31))])
async def test_a_crash_after_any_record_costs_nothing_and_the_negotiation_is_finished(
    stored: int, is_torn: bool
) -> None:
    plane = Plane()
    plane.log = log = DyingLog(clock=plane.clock)
    log.is_torn = is_torn
    plane = replace(plane)
    log.left = stored
    asking = asyncio.create_task(plane.negotiations.negotiate(WISH))
    for _ in range(200):
        await asyncio.sleep(0)
    asking.cancel()
    await plane.negotiations.stop()
    log.left = 10**9
    after = plane.restarted()
    (subject,) = after.negotiations.consumer().house.desk.dialogues
    after.negotiations.resume()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        done = await after.negotiations.outcome(subject)
        await after.negotiations.idle()
    if done.stage is not Stage.DONE:
        # A presentation is good for once: dying between its use and the record of it costs the negotiation, no money.
        assert done.refusal is not None
        assert done.refusal.check == "holder"
        assert taken(after) == 0
        return
    (standing,) = after.negotiations.agreements()
    assert taken(after) == standing.terms.quote.total.minor
    assert set(after.carrier.services) == {standing.service}


# -- many --------------------------------------------------------------------------------------------------------------


async def test_of_two_changes_of_one_agreement_at_once_one_is_refused_or_follows_the_other() -> None:
    plane = Plane()
    first = await negotiated(plane)
    root = first.terms.root
    subjects = [await plane.negotiations.change(root, {"bandwidth": BitRate(rate)}) for rate in (10**9, 50_000_000)]
    async with asyncio.timeout(_PATIENCE_SECONDS):
        done = [await plane.negotiations.outcome(subject) for subject in subjects]
        await plane.negotiations.idle()
    made = [one for one in done if one.stage is Stage.DONE]
    assert made
    assert {one.stage for one in done} <= {Stage.DONE, Stage.REFUSED, Stage.FAILED}
    (standing,) = plane.negotiations.agreements()
    verify_chain(standing.issues, key_of)
    assert len(standing.issues) == 1 + len(made)


async def test_many_negotiations_at_once_stay_within_one_wallet() -> None:
    plane = Plane(held=held(replace(TERMS, ceiling=euro("20.00"))))
    wishes: list[ServiceRequest] = [replace(WISH, start=START + 1.0)] * 12
    subjects = [await plane.negotiations.negotiate(wish) for wish in wishes]
    async with asyncio.timeout(_PATIENCE_SECONDS):
        done = [await plane.negotiations.outcome(subject) for subject in subjects]
        await plane.negotiations.idle()
    agreed = [one for one in done if one.stage is Stage.DONE]
    assert 0 < len(agreed) < len(done)
    assert taken(plane) == sum(one.terms.quote.total.minor for one in agreed) <= 2000
