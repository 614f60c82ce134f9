"""The arithmetic of a queue between events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.planes import MEAN_PACKET_OCTETS
from lab.planes.fluid_clock import VirtualClock
from lab.planes.fluid_queue import FluidQueue

CAPACITY = 1e6
BUFFER_SECONDS = 0.1
STEPS = st.lists(st.tuples(st.floats(0.001, 5.0), st.floats(0.0, 4e6)), min_size=1, max_size=8)


@given(steps=STEPS)
def test_what_is_offered_leaves_waits_or_is_discarded(steps: list[tuple[float, float]]) -> None:
    queue, time, offered = FluidQueue(CAPACITY, BUFFER_SECONDS, 0.0), 0.0, 0.0
    for seconds, rate in steps:
        queue.offer(time, rate)
        time += seconds
        offered += seconds * rate
    passage, waiting = queue.passage(time), offered - CAPACITY * time
    discarded = passage.discards * MEAN_PACKET_OCTETS * 8
    assert 0 <= passage.octets * 8 <= CAPACITY * time + 1e-3
    left_behind = offered - passage.octets * 8 - discarded
    assert -1e-3 <= left_behind <= CAPACITY * BUFFER_SECONDS + 1e-3
    assert discarded >= waiting - CAPACITY * BUFFER_SECONDS - 1e-3


def test_a_queue_fills_and_drains_evenly() -> None:
    queue = FluidQueue(CAPACITY, BUFFER_SECONDS, 0.0)
    queue.offer(0.0, 1.5e6)
    assert queue.next_turn(0.0) == pytest.approx(0.2)
    assert queue.wait_seconds(0.1) == pytest.approx(0.05)
    assert (queue.slope(0.1), queue.drop_ratio(0.1)) == (pytest.approx(0.5), 0.0)
    assert (queue.slope(0.3), queue.drop_ratio(0.3)) == (0.0, pytest.approx(1 / 3))
    queue.offer(1.0, 0.5e6)
    assert queue.next_turn(1.0) == pytest.approx(1.2)
    assert queue.wait_seconds(1.1) == pytest.approx(0.05)
    assert queue.slope(1.1) == pytest.approx(-0.5)


def test_below_capacity_packets_wait_for_those_that_came_together() -> None:
    queue = FluidQueue(CAPACITY, BUFFER_SECONDS, 0.0)
    queue.offer(0.0, 0.5e6)
    assert queue.wait_seconds(10.0) == pytest.approx(0.5 * 8 * MEAN_PACKET_OCTETS / CAPACITY)
    assert queue.next_turn(10.0) is None


def test_a_virtual_clock_does_not_go_back() -> None:
    clock = VirtualClock(5.0)
    clock.advance(1.5)
    assert clock() == 6.5
    with pytest.raises(ValueError, match="does not go back by 1 s"):
        clock.advance(-1)
