"""Prices behind the bands, the bands in front of them, and grades that are withdrawn while there is no room."""

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.negotiation.bands import BANDS, Band, Level, banded, opened
from controller.negotiation.catalogue import Axis
from controller.negotiation.scarcity import ShadowPrices, stepped
from tests.controller.market_samples import NOW, POLICY

CAPACITY = (10**9,)
BANDS_POLICY = POLICY.bands
DWELL = BANDS_POLICY.dwell_seconds
RATES = (10, 50, 200)


def after(loads: list[float], axis: Axis = Axis.BANDWIDTH) -> list[float]:
    """The price on an axis after each of these loads, as shares of what may be sold on it."""
    share = POLICY.scarcity.targets[axis].share * CAPACITY[0]
    prices, found = ShadowPrices.nothing(1), []
    for load in loads:
        given_loads = {each: (load * share if each is axis else 0.0,) for each in Axis}
        prices = stepped(prices, given_loads, CAPACITY, POLICY.scarcity)
        found.append(prices.by_axis[axis][0])
    return found


@pytest.mark.parametrize("axis", list(Axis))
def test_a_price_rises_while_more_is_expected_than_the_target_and_falls_when_it_is_over(axis: Axis) -> None:
    rising, falling = after([0.95] * 5, axis), after([0.95] * 5 + [0.1] * 20, axis)[5:]
    assert rising == sorted(set(rising))
    assert falling[0] < rising[-1]
    assert falling[-1] == 0.0


def test_a_price_rests_between_the_target_and_its_slack() -> None:
    before = after([1.0] * 3)[-1]
    assert after([1.0] * 3 + [0.8] * 50)[-1] == before > 0


def test_a_price_never_rises_so_far_that_it_could_not_come_down_again() -> None:
    assert after([50.0] * 1000)[-1] == POLICY.scarcity.most
    assert after([50.0] * 1000 + [0.0] * 40)[-1] == 0.0


def test_each_axis_has_a_price_of_its_own() -> None:
    loads = {Axis.BANDWIDTH: (0.0,), Axis.LATENCY: (float(CAPACITY[0]),), Axis.AVAILABILITY: (0.0,)}
    prices = stepped(ShadowPrices.nothing(1), loads, CAPACITY, POLICY.scarcity)
    assert [prices.by_axis[axis][0] > 0 for axis in Axis] == [False, True, False]


@pytest.mark.parametrize("load", [nan, inf, -1.0])
def test_a_load_that_is_no_quantity_is_refused_with_the_links_name(load: float) -> None:
    loads = {axis: (load if axis is Axis.LATENCY else 0.0,) for axis in Axis}
    with pytest.raises(InvalidInputError, match="link 'a:1>b:1' has the latency load"):
        stepped(ShadowPrices.nothing(1), loads, CAPACITY, POLICY.scarcity, ("a:1>b:1",))


def test_a_band_is_entered_at_one_price_and_left_at_a_lower_one() -> None:
    modest = BANDS_POLICY.thresholds[0]
    between = (modest.enter + modest.leave) / 2
    at = Level(0, 0.0)
    assert banded(at, between, NOW, BANDS_POLICY).rank == Band.BASELINE.rank
    at = banded(at, modest.enter, NOW, BANDS_POLICY)
    assert BANDS[at.rank] is Band.MODEST
    assert BANDS[banded(at, between, NOW + 10 * DWELL, BANDS_POLICY).rank] is Band.MODEST
    assert BANDS[banded(at, modest.leave / 2, NOW + 10 * DWELL, BANDS_POLICY).rank] is Band.BASELINE


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 20)), max_size=60))
def test_two_changes_of_a_band_are_never_closer_than_its_dwell(steps: list[tuple[float, float]]) -> None:
    level, now, changes = Level(0, 0.0), NOW, []
    for price, passed in steps:
        now += passed
        after_look = banded(level, price, now, BANDS_POLICY)
        if after_look.rank != level.rank:
            changes.append(now)
        level = after_look
    assert all(later - earlier >= DWELL for earlier, later in pairwise(changes))


def test_a_clock_that_is_set_back_delays_a_band_by_its_dwell_and_no_more() -> None:
    level = Level(2, NOW)
    level = banded(level, 0.0, NOW - 86_400, BANDS_POLICY)
    assert level.rank == 2
    assert banded(level, 0.0, NOW - 86_400 + DWELL, BANDS_POLICY).rank == 0


@given(st.lists(st.tuples(st.floats(-50, 400), st.floats(0, 60)), max_size=60))
def test_what_is_on_sale_always_fits(looks: list[tuple[float, float]]) -> None:
    level, now = Level(len(RATES), 0.0), NOW
    for room, passed in looks:
        now += passed
        level = opened(level, room, RATES, now, BANDS_POLICY)
        assert all(rate <= room for rate in RATES[: level.rank])


def test_an_exhausted_grade_is_withdrawn_at_once_and_back_when_there_is_room_to_spare_for_a_while() -> None:
    level = opened(Level(3, NOW), 199, RATES, NOW, BANDS_POLICY)
    assert level.rank == 2
    assert opened(level, 10_000, RATES, NOW + DWELL - 1, BANDS_POLICY).rank == 2
    assert opened(level, 200, RATES, NOW + DWELL, BANDS_POLICY).rank == 2
    assert opened(level, 250, RATES, NOW + DWELL, BANDS_POLICY).rank == 3


def test_a_grade_as_large_as_the_link_comes_back_when_the_link_is_empty() -> None:
    policy, rates, later = POLICY.bands, (10, 100), NOW + POLICY.bands.dwell_seconds
    sold = opened(Level(2, 0.0), 90.0, rates, NOW, policy, whole=100.0)
    assert sold.rank == 1
    assert opened(sold, 99.0, rates, later, policy, whole=100.0).rank == 1
    assert opened(sold, 100.0, rates, later, policy, whole=100.0).rank == 2
