"""Quotes: what is scarce costs more, what tolerates it goes elsewhere, and nothing else moves a price."""

import inspect
from dataclasses import fields, replace
from fractions import Fraction
from math import nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.errors import ConflictError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation import mesh, pricing, quote, scarcity
from controller.negotiation.bands import Band
from controller.negotiation.candidates import CandidatePaths
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.mesh import Mesh, Window, expected_loads
from controller.negotiation.pricing import Tariff
from controller.negotiation.quote import Offer, Quote, QuoteCheck, QuoteRefusal, Seller, hold, price
from controller.negotiation.request import ServiceRequest
from controller.topology.te_database import TeDatabase
from tests.controller.market_samples import (
    CATALOGUE,
    NOW,
    POLICY,
    REQUEST,
    SQUARE,
    asked,
    bought,
    loads,
    offered,
    seller,
    ticked,
)
from tests.controller.topology_samples import drawn

DAY = 86_400.0


def nodes(offer: Offer) -> str:
    return "".join(offer.path.path.nodes)


# -- scarcity moves prices and paths -----------------------------------------------------------------------------------


def test_everybody_takes_the_quickest_path_at_the_base_price_while_there_is_enough() -> None:
    offer = offered(seller())
    assert nodes(offer) == "abd"
    assert offer.quote.price_per_hour == CATALOGUE.offering("ip-1G-any-basic").price_per_hour
    assert set(offer.quote.bands.values()) == {Band.BASELINE}


def test_the_shortest_path_gets_dearer_for_those_who_need_it_and_the_tolerant_go_round_it_at_the_base_price() -> None:
    operator = seller()
    base = offered(operator, latency_seconds=0.02).quote
    now = ticked(operator, loads(operator.meshes[0], "ab", share=0.9), 70)
    in_haste, tolerant = offered(operator, now, latency_seconds=0.02), offered(operator, now)
    assert (nodes(in_haste), nodes(tolerant)) == ("abd", "acd")
    assert in_haste.quote.bands[Axis.BANDWIDTH] is Band.STEEP
    assert in_haste.quote.price_per_hour == base.price_per_hour.times(
        POLICY.tariff.factors[Axis.BANDWIDTH][Band.STEEP.rank]
    )
    assert tolerant.quote.price_per_hour == CATALOGUE.offering("ip-1G-any-basic").price_per_hour


def test_when_both_ways_are_scarce_the_tolerant_pay_for_the_one_that_is_less_so() -> None:
    operator = seller()
    both = loads(operator.meshes[0], "ab", "bd", "ac", "cd", share=0.9)
    now = ticked(operator, both, 5)
    now = ticked(operator, loads(operator.meshes[0], "ab", "bd", share=0.95), 12, now)
    offer = offered(operator, now)
    assert nodes(offer) == "acd"
    assert offer.quote.bands[Axis.BANDWIDTH] is Band.BASELINE


@pytest.mark.parametrize("axis", [Axis.LATENCY, Axis.AVAILABILITY])
def test_an_axis_is_paid_by_those_who_take_of_it_and_by_nobody_else(axis: Axis) -> None:
    operator = seller()
    share = 0.95 * POLICY.scarcity.targets[axis].share
    now = ticked(operator, loads(operator.meshes[0], "ab", "ac", share=share, axes=(axis,)), 30)
    wanting = offered(operator, now, latency_seconds=0.05, availability=0.999, bandwidth=BitRate(10**7)).quote
    plain = offered(operator, now, bandwidth=BitRate(10**7)).quote
    assert {each for each, band in wanting.bands.items() if band is not Band.BASELINE} == {axis}
    assert plain.price_per_hour == CATALOGUE.offering("ip-10M-any-basic").price_per_hour


def test_a_price_comes_down_again_when_the_load_has_gone() -> None:
    operator = seller()
    busy = ticked(operator, loads(operator.meshes[0], "ab", "ac", share=0.95), 20)
    calm = ticked(operator, loads(operator.meshes[0], share=0.0), 20, busy)
    assert offered(operator, calm).quote.price_per_hour == offered(seller()).quote.price_per_hour


def test_an_exhausted_grade_is_withdrawn_and_smaller_ones_still_sold() -> None:
    operator = seller()
    now = ticked(operator, loads(operator.meshes[0], "ab", "ac", share=0.95), 1)
    refused = asked(operator, now)
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.WITHDRAWN
    assert "bandwidth grade '1G'" in refused.text
    assert offered(operator, now, bandwidth=BitRate(10**8)).quote.bit_rate == 200_000_000


def test_each_tier_is_priced_by_its_own_scarcity() -> None:
    operator = seller(SQUARE, Tier.IP, Tier.OPTICAL)
    before = {each.quote.tier: each.quote for each in asked(operator)}
    optical = operator.meshes[1]
    for number in range(40):
        optical.windows[0].tick(loads(optical, "ab", "ac", share=0.9), NOW + 10 * number)
    after = {each.quote.tier: each.quote for each in asked(operator, NOW + 400)}
    assert list(after) == [Tier.IP, Tier.OPTICAL]
    assert after[Tier.IP].price_per_hour == before[Tier.IP].price_per_hour
    assert after[Tier.OPTICAL].price_per_hour > before[Tier.OPTICAL].price_per_hour
    assert [each.quote.tier for each in asked(operator, NOW + 400, tier=Tier.OPTICAL)] == [Tier.OPTICAL]


def test_what_is_wanted_later_is_priced_by_the_window_it_is_in() -> None:
    first, later = (Window(SQUARE, CATALOGUE, POLICY, NOW + start * 3600, NOW + (start + 1) * 3600) for start in (0, 1))
    operator = Seller(CATALOGUE, POLICY, (Mesh(Tier.IP, CandidatePaths(TeDatabase(SQUARE)), (later, first)),))
    for number in range(40):
        first.tick(loads(operator.meshes[0], "ab", "ac", share=0.9), NOW + 10 * number)
    now_, then, across = (
        price(replace(REQUEST, start=NOW + start, duration_seconds=1800), operator, NOW) for start in (0, 3600, 3000)
    )
    assert not isinstance(now_, QuoteRefusal)
    assert not isinstance(then, QuoteRefusal)
    assert not isinstance(across, QuoteRefusal)
    assert then[0].quote.total < now_[0].quote.total == across[0].quote.total
    hold(across[0], NOW)
    assert [window.holdings.held_by(REQUEST.consumer) for window in (first, later)] == [1, 1]
    beyond = price(replace(REQUEST, start=NOW + 6000), operator, NOW)
    assert isinstance(beyond, QuoteRefusal)
    assert beyond.check is QuoteCheck.WINDOW


# -- what cannot be seen, what cannot matter ---------------------------------------------------------------------------

_SHARES = st.floats(0, 1.2)
_WIRES = st.lists(st.sampled_from(["ab", "bd", "ac", "cd"]), max_size=4)
_REQUESTS = st.builds(
    lambda rate, latency, availability, hours: replace(
        REQUEST,
        bandwidth=BitRate(rate),
        latency_seconds=latency,
        availability=availability,
        duration_seconds=hours * 3600,
    ),
    st.sampled_from([10**7, 10**8, 10**9, 10**10]),
    st.sampled_from([None, 0.1, 0.02]),
    st.sampled_from([0.0, 0.999]),
    st.integers(1, 48),
)


def answers(operator: Seller, requests: list[ServiceRequest], now: float) -> list[object]:
    """All that an asker gets to see."""
    found = (price(replace(each, start=now), operator, now) for each in requests)
    return [each if isinstance(each, QuoteRefusal) else [offer.quote.to_json() for offer in each] for each in found]


@settings(max_examples=100)
@given(_WIRES, _SHARES, st.integers(1, 30), st.lists(_REQUESTS, min_size=1, max_size=4), st.floats(0, 0.2))
def test_no_request_can_tell_apart_two_states_with_the_same_bands(
    wires: list[str], share: float, ticks: int, requests: list[ServiceRequest], less: float
) -> None:
    real, other = seller(), seller()
    now = ticked(real, loads(real.meshes[0], *wires, share=share), ticks)
    window, shown = real.meshes[0].windows[0], other.meshes[0].windows[0]
    # Other prices behind the bands, other loads, other customers: the same that is published.
    hidden = {axis: tuple(value * less for value in window.prices.by_axis[axis]) for axis in Axis}
    shown.restore(scarcity.ShadowPrices(hidden), window.published(), now)
    assert shown.published() == window.published()
    assert shown.prices != window.prices or not any(map(any, window.prices.by_axis.values()))
    assert answers(real, requests, now) == answers(other, requests, now)


def test_the_path_to_a_price_has_no_place_for_a_budget() -> None:
    """By the names of all that the modules take in: what is not there cannot matter."""
    names = {field.name for each in (ServiceRequest, Seller, Tariff, Offer) for field in fields(each)}
    for module in (quote, pricing, mesh, scarcity):
        for _, function in inspect.getmembers(module, inspect.isfunction):
            names |= set(inspect.signature(function).parameters)
    assert not {name for name in names if any(word in name for word in ("wallet", "ceiling", "budget", "bid"))}


_LABELS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@given(_REQUESTS, _LABELS, st.sampled_from(sorted(CATALOGUE.classes)))
def test_the_price_is_the_same_whoever_asks_and_for_whatever_work(
    request: ServiceRequest, consumer: str, workload: str
) -> None:
    operator = seller()
    now = ticked(operator, loads(operator.meshes[0], "ab", share=0.9), 7)
    one = replace(request, start=now)
    other = replace(one, consumer=consumer, workload_class=workload)
    assert seen(price(one, operator, now)) == seen(price(other, operator, now))


def seen(answer: tuple[Offer, ...] | QuoteRefusal) -> object:
    """What decides, without the names that tell askers apart."""
    if isinstance(answer, QuoteRefusal):
        return answer
    return [(each.quote.total, each.quote.offering, each.quote.bands, nodes(each)) for each in answer]


def test_a_price_can_be_worked_out_again_from_the_catalogue_and_the_published_bands() -> None:
    operator = seller(SQUARE, Tier.IP, Tier.OPTICAL)
    now = ticked(operator, loads(operator.meshes[0], "ab", "ac", share=0.9, axes=(Axis.BANDWIDTH,)), 8)
    for offer in asked(operator, now, latency_seconds=0.05, availability=0.999):
        offering = CATALOGUE.offering(offer.quote.offering)
        assert POLICY.tariff.price_per_hour(offering, offer.quote.bands) == offer.quote.price_per_hour


def test_a_quote_says_nothing_of_its_path() -> None:
    operator = seller()
    text = str(offered(operator).quote.to_json())
    assert not any(f"'{each}'" in text or ">" in text for each in ("b", "core0"))
    now = ticked(operator, loads(operator.meshes[0], "ab", share=0.95), 20)
    around = offered(operator, now)
    direct = offered(seller(), now)
    assert nodes(around) != nodes(direct)
    assert around.quote == direct.quote


def test_asking_for_prices_does_not_raise_them() -> None:
    operator = seller()
    (only,) = operator.meshes
    for number in range(12):
        offer = offered(operator, consumer=f"label-{number}")
        hold(offer, NOW)
    window = only.windows[0]
    window.tick(expected_loads(TeDatabase(SQUARE), window.holdings, [0.0] * 8), NOW + 1)
    assert not any(map(any, window.prices.by_axis.values()))


# -- binding quotes hold what they promise -----------------------------------------------------------------------------

_ACTS = st.lists(
    st.tuples(st.sampled_from(["quote", "buy", "give back", "tick", "wait"]), _REQUESTS, st.integers(0, 5)), max_size=40
)


@settings(max_examples=100)
@given(_ACTS)
def test_what_is_quoted_can_be_held_and_no_link_is_ever_oversold(acts: list[tuple[str, ServiceRequest, int]]) -> None:
    operator, now = seller(), NOW
    mesh_ = operator.meshes[0]
    window, database = mesh_.windows[0], TeDatabase(SQUARE)
    for number, (act, request, pick) in enumerate(acts):
        open_ = sorted(window.holdings.open)
        if act == "quote":
            found = price(replace(request, start=now, id=f"r{number}", consumer=f"c{pick}"), operator, now)
            if not isinstance(found, QuoteRefusal):
                hold(found[0], now)
        elif act == "buy" and open_:
            name = open_[pick % len(open_)]
            holding = window.buy(name)
            for link in holding.links:
                path = SQUARE.path([SQUARE.arcs.ids[link]])
                database = database.with_reservation(f"{name}/{link}", path, BitRate(holding.bit_rate))
        elif act == "give back" and open_:
            window.holdings.give_back(open_[pick % len(open_)])
        elif act == "tick":
            now += 10 * pick
            window.tick(expected_loads(database, window.holdings, [nan] * 8), now)
        else:
            now += 7 * pick
        for link, capacity in enumerate(SQUARE.arcs.capacities):
            assert database.reserved_rates[link] + window.holdings.held[Axis.BANDWIDTH][link] <= capacity
            assert all(window.room(axis, link) >= 0 for axis in Axis)


def test_a_quote_runs_out_and_gives_back_what_it_held() -> None:
    operator = seller()
    window = operator.meshes[0].windows[0]
    offer = offered(operator, bandwidth=BitRate(10**10))
    hold(offer, NOW)
    hold(offer, NOW)
    refused = asked(operator, bandwidth=BitRate(10**10), latency_seconds=0.02)
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.WITHDRAWN
    late = offer.quote.valid_until + POLICY.bands.dwell_seconds
    assert [each.id for each in window.holdings.run_out(late)] == [offer.quote.reservation]
    with pytest.raises(NotFoundError, match=offer.quote.reservation):
        window.buy(offer.quote.reservation)
    empty = loads(operator.meshes[0], share=0.0)
    assert isinstance(asked(operator, late, bandwidth=BitRate(10**10), latency_seconds=0.02), QuoteRefusal)
    window.tick(empty, late)
    assert not any(map(any, window.holdings.held.values()))


def test_what_is_bought_is_held_no_longer_and_still_not_sold_twice() -> None:
    operator = seller(drawn(("a", "d", 1)))
    bought(operator, bandwidth=BitRate(10**10))
    window = operator.meshes[0].windows[0]
    assert not window.holdings.open
    refused = asked(operator, bandwidth=BitRate(10**7))
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.WITHDRAWN


def test_what_was_bought_takes_of_its_axes_wherever_its_reservation_goes() -> None:
    operator = seller()
    offer = bought(operator, latency_seconds=0.1)
    window = operator.meshes[0].windows[0]
    around = SQUARE.path(
        [link.id for link in SQUARE.links.values() if (link.source.node, link.target.node) in {("a", "c"), ("c", "d")}]
    )
    database = TeDatabase(SQUARE).with_reservation(offer.quote.reservation, around, BitRate(offer.quote.bit_rate))
    found = expected_loads(database, window.holdings, [0.0] * 8)
    assert [sum(found[axis]) for axis in Axis] == [2 * 10**9, 2 * 10**9, 0]
    window.holdings.end(offer.quote.reservation)
    assert sum(expected_loads(database, window.holdings, [0.0] * 8)[Axis.LATENCY]) == 0


def test_a_running_agreement_is_renewed_where_it_is_though_the_grade_is_withdrawn_from_others() -> None:
    operator = seller(drawn(("a", "d", 1)))
    had = bought(operator, bandwidth=BitRate(10**10))
    request = replace(REQUEST, id="r2", bandwidth=BitRate(10**10))
    assert isinstance(price(request, operator, NOW), QuoteRefusal)
    renewed = price(request, operator, NOW, instead_of=had.quote.reservation)
    assert not isinstance(renewed, QuoteRefusal)
    hold(renewed[0], NOW)
    window = operator.meshes[0].windows[0]
    assert all(window.room(Axis.BANDWIDTH, link) == 0 for link in range(2))
    window.buy(renewed[0].holding.id)
    window.holdings.end(had.quote.reservation)
    database = TeDatabase(operator.meshes[0].paths.network)
    assert expected_loads(database, window.holdings, [0.0, 0.0])[Axis.BANDWIDTH] == [10**10, 10**10]


def test_a_running_agreement_has_no_claim_to_more_than_it_has() -> None:
    operator = seller(drawn(("a", "d", 1)))
    had = bought(operator)
    bought(operator, id="other", bandwidth=BitRate(10**9), latency_seconds=None)
    for number in range(8):
        bought(operator, id=f"more-{number}")
    larger = replace(REQUEST, id="r2", bandwidth=BitRate(10**10))
    assert isinstance(price(larger, operator, NOW, instead_of=had.quote.reservation), QuoteRefusal)
    stranger = price(replace(REQUEST, id="r3"), operator, NOW, instead_of="hold-of-nobody")
    assert isinstance(stranger, QuoteRefusal)


def test_a_renewal_stays_on_its_path_while_no_other_is_cheaper() -> None:
    operator = seller()
    busy = ticked(operator, loads(operator.meshes[0], "ab", share=0.9), 70)
    had = bought(operator, busy)
    assert nodes(had) == "acd"
    calm = ticked(operator, loads(operator.meshes[0], share=0.0), 40, busy)
    assert nodes(offered(operator, calm)) == "abd"
    again = price(replace(REQUEST, start=calm), operator, calm, instead_of=had.quote.reservation)
    assert not isinstance(again, QuoteRefusal)
    assert nodes(again[0]) == "acd"


def test_what_is_bought_and_not_reserved_yet_is_counted_where_it_was_held() -> None:
    operator = seller()
    offer = bought(operator, latency_seconds=0.02)
    window = operator.meshes[0].windows[0]
    found = expected_loads(TeDatabase(SQUARE), window.holdings, [0.0] * 8)
    assert [sum(found[axis]) for axis in Axis] == [4 * offer.quote.bit_rate, 4 * offer.quote.bit_rate, 0]


def test_the_same_service_on_two_paths_at_the_same_time_is_two_quotes() -> None:
    operator = seller()
    one = offered(operator)
    hold(one, NOW)
    paths = CandidatePaths(TeDatabase(SQUARE).with_link_state(one.path.path.link_ids, is_up=False))
    around = replace(operator, meshes=(Mesh(Tier.IP, paths, operator.meshes[0].windows),))
    other = offered(around)
    assert (nodes(one), nodes(other)) == ("abd", "acd")
    assert one.quote.id != other.quote.id
    hold(other, NOW)
    assert offered(around).quote == other.quote


def test_what_is_bought_is_counted_once_under_whatever_names_it_is_reserved() -> None:
    operator = seller()
    offer = offered(operator, latency_seconds=0.1)
    hold(offer, NOW)
    window = operator.meshes[0].windows[0]
    window.buy(offer.holding.id, ("service", "service-back"))
    there = offer.path.path
    back = SQUARE.path([link.reverse_id for link in reversed(there.links)])
    rate = BitRate(offer.quote.bit_rate)
    database = TeDatabase(SQUARE)
    for name, way in (("service", there), ("service-back", back)):
        database = database.with_reservation(name, way, rate)
    found = expected_loads(database, window.holdings, [0.0] * 8)
    assert [sum(found[axis]) for axis in Axis] == [4 * 10**9, 4 * 10**9, 0]


def test_one_name_holds_one_thing() -> None:
    operator = seller()
    offer = offered(operator)
    hold(offer, NOW)
    window = operator.meshes[0].windows[0]
    with pytest.raises(ConflictError, match=offer.holding.id):
        window.hold(replace(offer.holding, bit_rate=1), NOW)


def test_one_asker_cannot_hold_the_network_by_asking() -> None:
    operator = seller()
    for number in range(POLICY.quotes.most_open):
        hold(offered(operator, id=f"r{number}", bandwidth=BitRate(10**7)), NOW)
    refused = asked(operator, id="one-more", bandwidth=BitRate(10**7))
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.OPEN_QUOTES
    assert "label-1" in refused.text
    assert offered(operator, id="one-more", bandwidth=BitRate(10**7), consumer="label-2")


def test_the_same_question_at_the_same_time_has_the_same_answer_and_another_askers_has_not() -> None:
    operator = seller()
    assert offered(operator).quote == offered(operator).quote
    assert offered(operator).quote.id != offered(operator, consumer="label-2").quote.id


def test_a_quote_travels_as_json_and_back() -> None:
    given_quote = offered(seller()).quote
    assert Quote.from_json(given_quote.to_json()) == given_quote
    for broken in ({}, {**given_quote.to_json(), "tier": "copper"}, {**given_quote.to_json(), "extra": 1}):
        with pytest.raises(InvalidInputError):
            Quote.from_json(broken)


def test_the_shortest_service_costs_at_least_the_smallest_coin() -> None:
    assert offered(seller(), bandwidth=BitRate(1), duration_seconds=1).quote.total == Money(1, "EUR")


def test_a_total_is_rounded_once() -> None:
    found = offered(seller(), duration_seconds=1000).quote
    assert found.total == CATALOGUE.offering(found.offering).price_per_hour.times(Fraction(1000, 3600))


# -- paths that are kept -----------------------------------------------------------------------------------------------


def test_paths_are_searched_once_for_each_pair() -> None:
    operator = seller()
    paths = operator.meshes[0].paths
    for _ in range(5):
        offered(operator)
    assert paths.searched == 1


def test_a_link_that_fails_takes_with_it_the_paths_over_it_and_no_others() -> None:
    database = TeDatabase(SQUARE)
    paths = CandidatePaths(database)
    a, b, c, d = map(DeviceName, "abcd")
    before = {pair: paths.between(*pair) for pair in ((a, d), (b, d), (c, d))}
    (link,) = (link.id for link in SQUARE.links.values() if (link.source.node, link.target.node) == (a, b))
    wire = SQUARE.both_directions([link])
    down = database.with_link_state(wire, is_up=False)
    paths.renew(down)
    searched = paths.searched
    assert ["".join(each.path.nodes) for each in paths.between(a, d)] == ["acd"]
    assert paths.searched == searched + 1
    paths.renew(database)
    assert {pair: paths.between(*pair) for pair in before} == before


def test_a_service_needs_both_directions() -> None:
    database = TeDatabase(SQUARE)
    one_way = [link.id for link in SQUARE.links.values() if (link.source.node, link.target.node) == ("b", "a")]
    paths = CandidatePaths(database.with_link_state(one_way, is_up=False))
    found = paths.between(DeviceName("a"), DeviceName("d"))
    assert ["".join(each.path.nodes) for each in found] == ["acd"]
    assert len(found[0].links) == 4


def test_there_is_a_way_around_each_link_of_the_quickest_path_where_the_network_has_one() -> None:
    network = drawn(
        ("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("b", "e", 1), ("e", "c", 1), ("b", "f", 2), ("f", "c", 2),
        ("a", "g", 9), ("g", "d", 9),
    )  # fmt: skip
    found = CandidatePaths(TeDatabase(network)).between(DeviceName("a"), DeviceName("d"))
    quickest = found[0].path
    for link in quickest.links:
        assert any(link not in each.path.links for each in found)
