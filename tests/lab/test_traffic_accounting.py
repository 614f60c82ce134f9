"""The account a receiver keeps, without sockets or clocks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.traffic.accounting import Arrivals, Received
from lab.traffic.delays import DelayHistogram
from lab.traffic.packets import decode, encode, padding, smallest_octets

MILLISECOND = 1_000_000


def account(order: list[int], *, sent: int | None = None, delay: int = MILLISECOND) -> Received:
    """Packets of one a millisecond, that arrive in this order at the times they would have in the right one."""
    arrivals = Arrivals()
    for position, number in enumerate(order):
        arrivals.add(number, number * MILLISECOND, position * MILLISECOND + delay)
    count = len(order) if sent is None else sent
    return arrivals.account(count, 0, max(0, count - 1) * MILLISECOND)


def test_packets_in_order_are_received_and_nothing_else() -> None:
    found = account(list(range(5000)))
    assert (found.received, found.duplicated, found.reordered) == (5000, 0, 0)


def test_a_packet_below_one_that_came_before_is_reordered_and_those_after_it_are_not() -> None:
    assert account([0, 1, 5, 2, 3, 4, 6]).reordered == 3
    assert account([0, 1, 3, 2, 4]).reordered == 1


def test_a_packet_seen_twice_is_received_once_and_not_reordered() -> None:
    found = account([0, 1, 1, 2, 0])
    assert (found.received, found.duplicated, found.reordered) == (3, 2, 0)


def test_packets_sent_after_the_question_do_not_hide_lost_ones() -> None:
    found = account([0, 1, 4, 5, 6, 7], sent=5)
    assert found.received == 3


def test_nothing_received_has_no_delays_and_was_silent_all_the_time() -> None:
    found = account([], sent=1001)
    assert (found.received, found.delay_median_seconds, found.delay_p99_seconds) == (0, None, None)
    assert found.longest_gap_seconds == pytest.approx(1.0)


def test_the_longest_gap_is_between_arrivals_or_at_either_end() -> None:
    arrivals = Arrivals()
    for number in (0, 1, 30, 31):
        arrivals.add(number, number * MILLISECOND, (number + 10) * MILLISECOND)
    assert arrivals.account(32, 0, 31 * MILLISECOND).longest_gap_seconds == pytest.approx(0.029)
    assert arrivals.account(132, 0, 131 * MILLISECOND).longest_gap_seconds == pytest.approx(0.1)
    late = Arrivals()
    late.add(50, 50 * MILLISECOND, 60 * MILLISECOND)
    assert late.account(51, 0, 50 * MILLISECOND).longest_gap_seconds == pytest.approx(0.05)


def test_a_constant_path_delay_is_no_gap() -> None:
    assert account(list(range(10)), delay=500 * MILLISECOND).longest_gap_seconds == pytest.approx(0.001)


@given(st.lists(st.integers(0, 300)))
def test_received_and_duplicated_are_all_arrivals_whatever_their_order(order: list[int]) -> None:
    found = account(order, sent=301)
    assert found.received == len(set(order))
    assert found.received + found.duplicated == len(order)
    assert found.reordered <= found.received - bool(order)


@given(st.permutations(range(40)))
def test_reordered_counts_those_that_are_not_a_new_maximum(order: list[int]) -> None:
    behind = sum(1 for before, after in pairwise([max(order[: n + 1]) for n in range(len(order))]) if after == before)
    assert account(list(order)).reordered == behind


@given(st.lists(st.integers(0, 10**11), min_size=1), st.sampled_from([0.01, 0.5, 0.99, 1.0]))
def test_a_quantile_is_that_of_the_sorted_delays_within_a_percent(delays: list[int], share: float) -> None:
    histogram = DelayHistogram()
    for delay in delays:
        histogram.add(delay)
    exact = sorted(delays)[max(0, -int(-share * len(delays) // 1)) - 1]
    assert histogram.quantile_seconds(share) == pytest.approx(exact / 1e9, rel=0.01)
    assert (histogram.minimum_seconds, histogram.maximum_seconds) == (min(delays) / 1e9, max(delays) / 1e9)


def test_a_packet_is_as_long_as_asked_and_read_back() -> None:
    rest = padding("2001:db8::1", 200)
    payload = encode(7, 2**40, 123, rest)
    assert len(payload) + 8 + 40 == 200
    assert decode(7, payload) == (2**40, 123)


def test_a_packet_of_another_flow_is_none_of_ours() -> None:
    assert decode(8, encode(7, 1, 2, b"")) is None
    assert decode(7, b"short") is None


def test_the_smallest_packet_has_no_padding() -> None:
    assert smallest_octets("10.0.0.1") == 20 + 8 + 20
    assert padding("10.0.0.1", smallest_octets("10.0.0.1")) == b""
