"""Wires do to packets what the topology says: nothing, delay, jitter, loss, capacity, silence."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.planes import Attachment, FlowReport, FlowSpec
from lab.planes.choose import namespaces_refused
from lab.planes.netns import namespaces
from lab.planes.netns.kernel_links import LINK_GROUP, link_notices, links, set_link
from lab.planes.netns.netlink import Netlink
from lab.planes.netns.plane import NetnsPlane
from lab.planes.netns.wires import SetWire, Wires, WireState
from lab.planes.netns.wiring import plan_ports, plan_wires

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
        await asyncio.sleep(2.0)  # counters are told once a second, and a busy machine is late
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


ROUTER = """
import sys
from lab.planes.netns.namespaces import new_network
new_network()
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def router_namespace() -> Iterator[int]:
    """A process in a network namespace of its own."""
    with subprocess.Popen([sys.executable, "-c", ROUTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def listen(process: int) -> Netlink:
    """What the kernel tells of the ports in a router's namespace, all of which are brought up."""
    descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
    with namespaces.inside(descriptor):
        notices, netlink = Netlink(groups=LINK_GROUP), Netlink()
    os.close(descriptor)
    netlink.ask(*(set_link(found.index, up=True) for found in links(netlink).values()))
    return notices


def carriers(notices: Netlink) -> list[bool]:
    """Of the core port, as far as it has been told."""
    told = []
    while datagram := notices.notices():
        told += [found.carrier for found in link_notices(datagram) if found.name == "core0"]
    return told


def cut_and_mended() -> list[list[bool]]:
    """What both routers have been told by the time that the wire is cut, and mended again."""
    namespaces.new_network()
    with router_namespace() as first, router_namespace() as second:
        topology = netns_network.chain({}).topology
        processes = dict(zip((node.name for node in topology.nodes), (first, second), strict=True))
        (wire,) = plan_wires(topology, plan_ports(topology), processes)
        wires = Wires((wire,))
        routers = [listen(first), listen(second)]
        told = []
        for state in (WireState.CUT, WireState.UP, WireState.CUT):
            wires.handle(SetWire(wire.name, state))
            told.append([carriers(router)[-1] for router in routers])
        return told


@pytest.mark.skipif(os.geteuid() != 0, reason="a thread cannot become root of a new user namespace")
def test_both_routers_have_been_told_of_a_carrier_when_a_wire_has_been_set() -> None:
    with ThreadPoolExecutor(1) as thread:  # it goes to a namespace of its own, and ends there
        assert thread.submit(cut_and_mended).result(30) == [[False] * 2, [True] * 2, [False] * 2]
