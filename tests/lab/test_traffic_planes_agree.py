"""The same scenario on both planes: what memory calculates is what packets do in namespaces.

Each figure is compared with the rule it follows (a gap costs rate x gap, a shift to a faster way reorders rate x
difference of delay, a failure costs rate x reaction) and the planes with one another.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from bench.traffic_lab import FAILING_LINK, LONG, PACKET_RATE, SHORT, SHORT_HOP_SECONDS, TrafficLab, traffic_lab
from lab.planes import FlowReport
from lab.planes.choose import namespaces_refused

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(bool(namespaces_refused()), reason=f"no namespaces: {namespaces_refused()}"),
]
LONG_HOP_SECONDS = 0.015
DELAY_DIFFERENCE_SECONDS = 3 * (LONG_HOP_SECONDS - SHORT_HOP_SECONDS)
STILL_SECONDS = 600.0
TIMES = 4
GAP_SECONDS = 0.2
ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """What a flow lost and what was out of order, and for how long nothing could be carried."""

    report: FlowReport
    seconds: float

    @property
    def expected_lost(self) -> float:
        return self.seconds * PACKET_RATE

    @property
    def lost_a_second(self) -> float:
        return self.report.lost / self.seconds


Scenario = Callable[[TrafficLab], Awaitable[float]]


async def gaps(lab: TrafficLab) -> float:
    """The path is taken away and put back a while later; how long it was away."""
    away = 0.0
    for _ in range(TIMES):
        await lab.take_away()
        began = time.monotonic()
        await asyncio.sleep(GAP_SECONDS)
        await lab.put_back(SHORT)
        away += time.monotonic() - began
        await asyncio.sleep(0.1)
    return away


async def shifts(lab: TrafficLab) -> float:
    """The service moves to the long way and back; nothing is away."""
    for _ in range(TIMES):
        for way in (LONG, SHORT):
            await lab.move_in_place(way)
            await asyncio.sleep(0.15)
    return 0.0


async def failures(lab: TrafficLab) -> float:
    """A link is cut, and somebody tells the head end a while later; the sum of the reactions."""
    reactions = 0.0
    for _ in range(TIMES):
        began = time.monotonic()
        lab.plane.set_link(FAILING_LINK, up=False)
        await asyncio.sleep(GAP_SECONDS)
        await lab.move_in_place(LONG)
        reactions += time.monotonic() - began
        lab.plane.set_link(FAILING_LINK, up=True)
        await asyncio.sleep(0.1)
        await lab.move_in_place(SHORT)
        await asyncio.sleep(0.2)
    return reactions


async def measure(plane: str, scenario: Scenario) -> Measured:
    async with traffic_lab(plane, igp_seconds=STILL_SECONDS, long_hop_seconds=LONG_HOP_SECONDS) as lab:
        flow = await lab.start_flow()
        await asyncio.sleep(0.1)
        seconds = await scenario(lab)
        await asyncio.sleep(0.1)
        report = await lab.stop_flow(flow)
    assert report.plane.split()[0] == plane
    return Measured(report, seconds)


async def on_both(scenario: Scenario, agree: Callable[[Measured, Measured], bool]) -> None:
    """Both planes after one another; again when they do not agree, for a busy machine measures itself."""
    for _ in range(ATTEMPTS):
        packets, calculated = await measure("netns", scenario), await measure("memory", scenario)
        if agree(packets, calculated):
            return
    pytest.fail(f"packets {packets}, calculated {calculated}")


def close(found: float, expected: float, share: float, packets: float) -> bool:
    return abs(found - expected) <= max(share * expected, packets)


async def test_a_gap_costs_rate_times_gap_on_both_planes() -> None:
    def agree(packets: Measured, calculated: Measured) -> bool:
        rule = all(close(m.report.lost, m.expected_lost, 0.1, 2 * TIMES) for m in (packets, calculated))
        return rule and close(packets.lost_a_second, calculated.lost_a_second, 0.1, 0)

    await on_both(gaps, agree)


async def test_a_move_in_place_loses_nothing_and_a_shift_to_the_faster_way_reorders_alike() -> None:
    def agree(packets: Measured, calculated: Measured) -> bool:
        expected = TIMES * DELAY_DIFFERENCE_SECONDS * PACKET_RATE
        rule = all(close(m.report.reordered, expected, 0.2, 0) for m in (packets, calculated))
        lossless = packets.report.lost == calculated.report.lost == 0
        assert lossless or packets.report.late >= packets.report.sent / 100  # only a machine that is too busy loses
        return lossless and rule and close(packets.report.reordered, calculated.report.reordered, 0.2, 0)

    await on_both(shifts, agree)


async def test_a_failure_costs_rate_times_reaction_on_both_planes() -> None:
    def agree(packets: Measured, calculated: Measured) -> bool:
        rule = all(close(m.report.lost, m.expected_lost, 0.1, 2 * TIMES) for m in (packets, calculated))
        return rule and close(packets.lost_a_second, calculated.lost_a_second, 0.1, 0)

    await on_both(failures, agree)
