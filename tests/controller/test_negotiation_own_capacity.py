"""What a running agreement has is its own when it is changed: it steps up and down where it is, others do not."""

from dataclasses import replace
from typing import Any

import pytest

from controller.model.units import BitRate
from controller.negotiation.agreement import Strategy
from controller.negotiation.bands import Band
from controller.negotiation.catalogue import Axis
from controller.negotiation.dialogue import Stage
from controller.negotiation.mesh import expected_loads
from controller.negotiation.quote import Offer, Quote, QuoteCheck, QuoteRefusal, Seller, hold, price
from controller.negotiation.wallet import ServiceLevelFloor
from controller.topology.te_database import TeDatabase
from tests.controller.market_samples import NOW, REQUEST, bought, loads, seller, ticked
from tests.controller.negotiation_plane import START, TERMS, Plane, held
from tests.controller.negotiation_samples import euro
from tests.controller.test_negotiation_in_life import forecast, negotiated_change, strategies
from tests.controller.test_negotiation_plane import WISH, negotiated
from tests.controller.topology_samples import drawn

GIGABIT = 10**9
WIRE = drawn(("a", "d", 1))
FILLING = replace(
    WISH, bandwidth=BitRate(10 * GIGABIT), workload_class="general", latency_seconds=None, availability=0.0
)


RICH = replace(TERMS, ceiling=euro("1000.00"), floor=ServiceLevelFloor(BitRate(10_000_000)))


def wire() -> Seller:
    """One link of 10 Gbit/s."""
    return seller(WIRE)


def full(operator: Seller, now: float = NOW) -> float:
    """It is carried at its end for so long that nothing is sold on it."""
    now = ticked(operator, loads(operator.meshes[0], "ad", share=2.0), 20, now)
    assert set(operator.meshes[0].windows[0].published().bands[Axis.BANDWIDTH]) == {Band.WITHDRAWN.rank}
    return now


def renewed(operator: Seller, had: Offer, gigabits: int, now: float = NOW, **changes: Any) -> Any:
    request = replace(REQUEST, id="r2", start=now, bandwidth=BitRate(gigabits * GIGABIT), **changes)
    return price(request, operator, now, instead_of=had.quote.reservation)


def test_who_fills_a_link_steps_down_and_up_again_on_it_and_never_beyond_what_it_has_and_what_is_free() -> None:
    operator = wire()
    had = bought(operator)
    for number in range(8):
        bought(operator, id=f"other-{number}")
    # 1 of 10 Gbit/s is free, 1 is its own.
    assert not isinstance(renewed(operator, had, 1), QuoteRefusal)
    assert isinstance(renewed(operator, had, 10), QuoteRefusal)
    bought(operator, id="the-last")
    (again,) = renewed(operator, had, 1)
    hold(again, NOW)
    window = operator.meshes[0].windows[0]
    assert [window.room(Axis.BANDWIDTH, link) for link in range(2)] == [0, 0]


def test_what_is_taken_beyond_ones_own_is_held_and_counted_once() -> None:
    operator = wire()
    window, database = operator.meshes[0].windows[0], TeDatabase(WIRE)
    had = bought(operator)
    (larger,) = renewed(operator, had, 10)
    hold(larger, NOW)
    assert [window.room(Axis.BANDWIDTH, link) for link in range(2)] == [0, 0]
    window.buy(larger.holding.id)
    window.holdings.end(had.holding.id)
    assert expected_loads(database, window.holdings, [0.0, 0.0])[Axis.BANDWIDTH] == [10 * GIGABIT] * 2
    (smaller,) = renewed(operator, larger, 1)
    hold(smaller, NOW)
    assert [window.room(Axis.BANDWIDTH, link) for link in range(2)] == [0, 0]
    window.buy(smaller.holding.id)
    window.holdings.end(larger.holding.id)
    window.tick(expected_loads(database, window.holdings, [0.0, 0.0]), NOW + 10)
    assert [window.room(Axis.BANDWIDTH, link) for link in range(2)] == [9 * GIGABIT] * 2


def test_a_band_that_is_withdrawn_is_steep_for_what_one_has_and_withdrawn_for_more_and_for_others() -> None:
    operator = wire()
    had = bought(operator)
    now = full(operator)
    same = renewed(operator, had, 1, now)
    assert not isinstance(same, QuoteRefusal)
    assert same[0].quote.bands[Axis.BANDWIDTH] is Band.STEEP
    for refused in (renewed(operator, had, 10, now), price(replace(REQUEST, start=now), operator, now)):
        assert isinstance(refused, QuoteRefusal)
        assert refused.check is QuoteCheck.WITHDRAWN


def test_an_axis_that_one_has_nothing_of_is_withdrawn_from_one_as_from_anybody() -> None:
    operator = wire()
    had = bought(operator)
    load = loads(operator.meshes[0], "ad", share=2.0, axes=(Axis.LATENCY,))
    now = ticked(operator, load, 20)
    assert not isinstance(renewed(operator, had, 1, now), QuoteRefusal)
    assert isinstance(renewed(operator, had, 1, now, latency_seconds=0.02), QuoteRefusal)


async def test_an_agreement_that_fills_its_link_steps_down_in_place_and_another_tenant_finds_it_withdrawn() -> None:
    plane = Plane(operator=wire(), held=held(RICH))
    first = await negotiated(plane, FILLING)
    plane.clock.time = full(plane.operator, START)
    done = await negotiated_change(plane, first.terms.root, bandwidth=BitRate(GIGABIT))
    assert done.stage is Stage.DONE, done.refusal
    assert done.terms.level.bit_rate == GIGABIT
    (service,) = plane.carrier.services
    assert plane.carrier.acts == [("provision", service), ("change", service)]
    stranger = await negotiated(plane, replace(FILLING, start=plane.clock.time))
    assert stranger.stage is Stage.REFUSED
    await negotiated_change(plane, first.terms.root, bandwidth=BitRate(10 * GIGABIT))
    assert plane.negotiations.agreement(first.terms.root).terms.level.bit_rate == GIGABIT


async def test_the_operator_steps_it_down_where_it_is_when_there_is_no_other_way() -> None:
    plane = Plane(operator=wire(), held=held(RICH))
    first = await negotiated(plane, replace(FILLING, duration_seconds=36_000))
    (links,) = {links for _, links in plane.carrier.services.values()}
    await forecast(plane, 0.95, 60.0, links, Axis.BANDWIDTH)
    assert strategies(plane) == [Strategy.AS_ASKED, Strategy.STEP_DOWN]
    ((terms, after),) = plane.carrier.services.values()
    assert after == links
    assert terms.level.bit_rate < first.terms.level.bit_rate


async def test_after_a_restart_the_market_holds_what_it_held_for_whom_it_held_it() -> None:
    plane = Plane(operator=wire(), held=held(RICH))
    first = await negotiated(plane, FILLING)
    after = replace(plane.restarted(), operator=wire())
    after.negotiations.load()
    network = after.negotiations.network
    assert network is not None
    network.market.restore(after.network_tools.bookings, after.clock.time)
    window = after.operator.meshes[0].windows[0]
    database = TeDatabase(WIRE)
    window.renew(expected_loads(database, window.holdings, [0.0, 0.0]), after.clock.time)
    assert isinstance(network.market.prices(FILLING, after.clock.time), QuoteRefusal)
    own = network.market.prices(FILLING, after.clock.time, first.terms.quote.reservation)
    assert not isinstance(own, QuoteRefusal)
    assert isinstance(own[0], Quote)


@pytest.mark.parametrize("is_late", [False, True])
async def test_an_offer_that_is_open_at_a_restart_holds_its_capacity_until_it_runs_out(is_late: bool) -> None:
    plane = Plane(operator=wire(), held=held(RICH))
    network = plane.negotiations.network
    assert network is not None
    first = await negotiated(plane, FILLING)
    bookings = plane.network_tools.bookings
    (booking,) = bookings.running.values()
    assert booking.reservation == first.terms.quote.reservation
    open_ = replace(booking, service="")
    fresh = wire()
    network.market.seller = fresh
    network.market.restore([open_], booking.valid_until + (1 if is_late else -1))
    assert (booking.reservation in fresh.meshes[0].windows[0].holdings.open) is not is_late
