"""Wires do to packets what the topology says: nothing, delay, jitter, loss, capacity, silence."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from pathlib import Path

import pytest

from lab.planes import Attachment, FlowReport, FlowSpec
from lab.planes.choose import namespaces_refused
from lab.planes.netns.plane import NetnsPlane

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(bool(namespaces_refused()), reason=namespaces_refused() or "namespaces forward here"),
]

_spec = importlib.util.spec_from_file_location("netns_network", Path(__file__).parent / "netns_network.py")
netns_network = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(netns_network)


async def flow_over(plane: NetnsPlane, last: str, seconds: float, rate: float = 500, octets: int = 200) -> FlowReport:
    ends = Attachment("r0", "access0", ""), Attachment(last, "access0", "")
    flow = await plane.start_flow(FlowSpec(*ends, packet_rate=rate, packet_octets=octets))
    await asyncio.sleep(seconds)
    return await plane.stop_flow(flow)


async def report_over(*links: dict[str, object], seconds: float = 1.0, rate: float = 500, octets: int = 200):
    """What becomes of a flow over a row of links, and how many packets the first port found its queue full."""
    routers = netns_network.chain(*links)
    plane = NetnsPlane(routers.topology, routers, now=time.time)
    await plane.start()
    try:
        report = await flow_over(plane, f"r{len(links)}", seconds, rate, octets)
        await asyncio.sleep(1.2)  # counters are told once a second
        assert not any(plane.problems.values()), plane.problems
        return report, plane.interfaces("r0")["core0"].counters.out_discards
    finally:
        await plane.stop()


async def test_a_wire_without_impairments_is_the_kernels_and_loses_nothing() -> None:
    report, discards = await report_over({}, {}, {})
    assert report.received > 300
    assert (report.lost, discards) == (0, 0)
    assert report.delay_minimum_seconds < 0.001


async def test_delays_of_wires_add_up() -> None:
    report, _ = await report_over({"delay_seconds": 0.004}, {"delay_seconds": 0.006})
    assert report.lost == 0
    assert 0.010 <= report.delay_minimum_seconds < 0.013


async def test_jitter_spreads_delays_and_keeps_the_order() -> None:
    report, _ = await report_over({"delay_seconds": 0.002, "jitter_seconds": 0.010}, rate=200)
    assert (report.lost, report.reordered) == (0, 0)
    assert report.delay_minimum_seconds < 0.006
    assert report.delay_maximum_seconds > 0.008


async def test_a_lossy_wire_loses_its_share() -> None:
    report, _ = await report_over({"loss_ratio": 0.2}, rate=1000, seconds=2)
    assert report.lost / report.sent == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("delay_seconds", [0.0, 0.002])
async def test_more_than_the_capacity_waits_and_then_is_dropped_and_counted(delay_seconds: float) -> None:
    """Once in the kernel's queue, once in the wire's own: 2 Mbit/s are offered to 1."""
    link = {"capacity_bit_rate": 1_000_000, "buffer_seconds": 0.05, "delay_seconds": delay_seconds}
    report, discards = await report_over({}, link, {}, rate=250, octets=1000, seconds=2)
    assert 0.35 < report.received / report.sent < 0.65
    assert discards == 0  # the first link is not the narrow one
    assert report.delay_maximum_seconds > 0.04


async def test_discards_are_counted_at_the_port_before_the_narrow_link() -> None:
    for delay_seconds in (0.0, 0.002):
        link = {"capacity_bit_rate": 1_000_000, "delay_seconds": delay_seconds}
        report, discards = await report_over(link, rate=250, octets=1000, seconds=2)
        assert discards == pytest.approx(report.lost, rel=0.05, abs=3)  # the routers' own packets are dropped as well


@pytest.mark.parametrize("delay_seconds", [0.0, 0.002])
async def test_a_silent_cut_loses_everything_until_it_is_mended(delay_seconds: float) -> None:
    routers = netns_network.chain({"delay_seconds": delay_seconds})
    plane = NetnsPlane(routers.topology, routers, now=time.time)
    await plane.start()
    try:
        plane.set_link("wire0", up=False, silent=True)
        report = await flow_over(plane, "r1", 0.3)
        assert report.received == 0
        assert plane.interfaces("r0")["core0"].up
        plane.set_link("wire0", up=True)
        report = await flow_over(plane, "r1", 0.3)
        assert report.lost == 0
        plane.set_link("wire0", up=False)
        assert not plane.interfaces("r0")["core0"].up
    finally:
        await plane.stop()
