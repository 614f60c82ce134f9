"""Routers in namespaces carry customers' packets: VPNs, policies, cuts, measurements, limits."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lab.planes import Attachment, FlowSpec, StampSession
from lab.planes.choose import namespaces_refused
from lab.planes.netns.plane import NetnsPlane
from lab.traffic.hosts import Host, TrafficError
from tests.patience import PATIENCE_SECONDS

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(bool(namespaces_refused()), reason=namespaces_refused() or "namespaces forward here"),
]

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("netns_network", HERE / "netns_network.py")
netns_network = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(netns_network)

RED = Attachment("pe-london", "access0", "10.1.0.7"), Attachment("pe-paris", "access0", "10.2.0.7")
VIA_BRUSSELS = ("pe-london", "p-brussels", "pe-paris")
VIA_LYON = ("pe-london", "p-lyon", "pe-paris")
VIA_BOTH = ("pe-london", "p-brussels", "p-lyon", "pe-paris")
DEADLINE_SECONDS = PATIENCE_SECONDS


def two_vpns(**options):
    routers = netns_network.demo()
    for vpn, number, port in (("red", 1, "access0"), ("blue", 2, "access1")):
        for router, site in (("pe-london", 1), ("pe-paris", 2)):
            addresses = f"192.168.{site}.1/24", f"2001:db8:{site}::1/64"
            lans = f"10.{site}.0.0/24 2001:db8:{site}0::/64"
            routers.add_site(router, vpn, number, port, *addresses, lan=lans, **options)
    return routers


@asynccontextmanager
async def running(routers, **options) -> AsyncIterator[NetnsPlane]:
    plane = NetnsPlane(routers.topology, routers, now=time.time, **options)
    await plane.start()
    try:
        assert not any(plane.problems.values()), plane.problems
        yield plane
        await plane.settled()
        assert not any(plane.problems.values()), plane.problems
    finally:
        await plane.stop()


async def in_host(host: Host, *words: str) -> asyncio.subprocess.Process:
    command = [
        sys.executable,
        "-m",
        "lab.traffic.namespace",
        str(host.process),
        sys.executable,
        str(HERE / "netns_peer.py"),
    ]
    return await asyncio.create_subprocess_exec(*command, *words, stdout=subprocess.PIPE)


@asynccontextmanager
async def serving(host: Host, label: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await in_host(host, "serve", host.address, label)
    try:
        assert (await process.stdout.readline()) == b"ready\n"
        yield process
    finally:
        process.kill()
        await process.wait()


async def ask(host: Host, address: str, octets: int = 8) -> str:
    process = await in_host(host, "ask", address, host.address, str(octets))
    return (await process.communicate())[0].decode().strip()


async def eventually(holds: Callable[[], bool], found: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"it has not come to pass {found()}"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", [4, 6])
async def test_two_vpns_with_the_same_addresses_reach_their_own_sites_only(version: int) -> None:
    lan = {4: ("10.1.0.7", "10.2.0.7"), 6: ("2001:db8:10::7", "2001:db8:20::7")}[version]
    async with running(two_vpns()) as plane:
        red, blue = [
            [
                await plane.host(Attachment(router, port, address))
                for router, address in zip(("pe-london", "pe-paris"), lan, strict=True)
            ]
            for port in ("access0", "access1")
        ]
        async with serving(red[1], "red"):
            assert await ask(red[0], lan[1]) == "red"
            assert await ask(blue[0], lan[1]) == "nobody"
            async with serving(blue[1], "blue"):
                assert await ask(red[0], lan[1]) == "red"
                assert await ask(blue[0], lan[1]) == "blue"


async def test_a_customer_who_writes_another_vpns_segment_is_not_heard_there() -> None:
    routers = two_vpns()
    async with running(routers) as plane:
        red = await plane.host(RED[0])
        blue = [await plane.host(replace(end, interface="access1")) for end in RED]
        segment = routers.of["pe-paris"].instances[1].segment + "4"
        async with serving(blue[1], "blue") as listener:
            injected = await in_host(red, "inject", segment, "10.1.0.7", "10.2.0.7")
            assert (await injected.communicate())[0] == b"sent\n"
            assert await ask(blue[0], "10.2.0.7", 99) == "blue"
            assert (await listener.stdout.readline()) == b"heard 99\n"


async def test_moving_a_policy_loses_no_packet() -> None:
    routers = two_vpns(color=7)
    routers.set_policy(7, VIA_BRUSSELS)
    async with running(routers) as plane:
        flow = await plane.start_flow(FlowSpec(*RED, packet_rate=1000))
        for path in 10 * [VIA_LYON, VIA_BRUSSELS]:
            routers.set_policy(7, path)
            plane.configuration_changed("pe-london")
            await plane.settled()
            await asyncio.sleep(0.05)
        report = await plane.stop_flow(flow)
    assert report.plane == plane.name
    assert report.received > 500
    assert report.lost == 0


async def test_packets_take_the_path_of_the_policy() -> None:
    routers = two_vpns(color=7)
    routers.set_policy(7, VIA_BOTH)
    async with running(routers) as plane:
        flow = await plane.start_flow(FlowSpec(*RED, packet_rate=200))
        link = next(link for link in routers.topology.links if link.name == "p-brussels--p-lyon")
        await eventually(lambda: plane.interfaces("p-lyon")[link.b.port].counters.in_octets > 20_000)
        before = plane.interfaces("p-lyon")[link.b.port].counters.out_octets
        report = await plane.stop_flow(flow)
    assert report.lost == 0
    assert before < 20_000  # nothing of it comes back
    legs = [next(x for x in routers.topology.links_of(a) if x.other_end(a).node == b) for a, b in pairwise(VIA_BOTH)]
    assert report.delay_minimum_seconds >= sum(leg.delay_seconds for leg in legs)


async def test_a_policy_without_a_way_leaves_the_shortest_path() -> None:
    routers = two_vpns(color=7)
    routers.set_policy(7, VIA_LYON)
    async with running(routers, convergence_seconds=0.1) as plane:
        plane.set_link("pe-london--p-lyon", up=False)
        await eventually(lambda: plane.policies("pe-london")[0].active is None)
        hosts = [await plane.host(end) for end in RED]
        async with serving(hosts[1], "red"):
            assert await ask(hosts[0], "10.2.0.7") == "red"
        plane.set_link("pe-london--p-lyon", up=True)
        await eventually(lambda: plane.policies("pe-london")[0].active == 1)


async def test_a_head_end_switches_to_its_backup_before_the_network_converges() -> None:
    routers = two_vpns(color=7)
    routers.set_policy(7, VIA_BRUSSELS, VIA_LYON)
    async with running(routers, convergence_seconds=30.0) as plane:
        assert plane.policies("pe-london")[0].active == 1
        flow = await plane.start_flow(FlowSpec(*RED, packet_rate=1000))
        await asyncio.sleep(0.2)
        plane.set_link("pe-paris--p-brussels", up=False)
        await eventually(lambda: plane.policies("pe-london")[0].active == 2)
        await asyncio.sleep(0.3)
        report = await plane.stop_flow(flow)
    assert report.received > 300
    assert report.lost < 10_000  # of a thousand a second: not the 30 seconds of convergence, on a busy machine either


async def test_a_cut_is_told_by_both_routers_and_a_silent_one_by_none() -> None:
    routers = two_vpns()
    told: list[tuple[str, str, bool]] = []
    async with running(routers, convergence_seconds=0.05) as plane:
        plane.subscribe(lambda router, port, up: told.append((router, port, up)))
        plane.set_link("p-brussels--p-lyon", up=False, silent=True)
        plane.set_link("pe-london--p-brussels", up=False)
        await eventually(lambda: len(told) == 2)
        assert sorted(told) == [("p-brussels", "core0", False), ("pe-london", "core0", False)]
        assert not plane.interfaces("pe-london")["core0"].up
        assert plane.cut_links() == {"p-brussels--p-lyon", "pe-london--p-brussels"}
        plane.set_link("pe-london--p-brussels", up=True)
        await eventually(lambda: len(told) == 4)
        assert sorted(told[2:]) == [("p-brussels", "core0", True), ("pe-london", "core0", True)]
        with pytest.raises(KeyError, match="no-such-link"):
            plane.set_link("no-such-link", up=False)


async def test_a_port_that_is_disabled_takes_the_carrier_from_its_neighbour() -> None:
    routers = two_vpns()
    told: list[tuple[str, str, bool]] = []
    async with running(routers) as plane:
        plane.subscribe(lambda router, port, up: told.append((router, port, up)))
        own = routers.of["pe-london"]
        off = {**own.interfaces, "core0": replace(own.interfaces["core0"], enabled=False)}
        routers.of["pe-london"] = replace(own, interfaces=off)
        plane.configuration_changed("pe-london")
        await eventually(lambda: ("p-brussels", "core0", False) in told)


async def test_the_network_finds_another_way_after_a_cut() -> None:
    async with running(two_vpns(), convergence_seconds=0.1) as plane:
        hosts = [await plane.host(end) for end in RED]
        async with serving(hosts[1], "red"):
            for link in ("pe-london--p-brussels", "pe-paris--p-lyon"):
                plane.set_link(link, up=False)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await ask(hosts[0], "10.2.0.7") != "red":  # it converges in its own time
                    pass
            plane.set_link("pe-london--p-lyon", up=False)
            assert await ask(hosts[0], "10.2.0.7") == "nobody"


async def test_stamp_measures_what_the_wires_delay_also_along_segments() -> None:
    routers = two_vpns()
    remote, own = routers.plan["pe-paris"].loopback6, routers.of["pe-london"]
    sessions = (
        StampSession(1, remote, interval_seconds=0.05),
        StampSession(2, remote, interval_seconds=0.05, segments=routers.along(*VIA_BOTH)),
        StampSession(3, routers.plan["pe-paris"].loopback, interval_seconds=0.05),
        StampSession(4, "192.168.2.1", interval_seconds=0.05, instance="red"),
    )
    routers.of["pe-london"] = replace(own, stamp_sessions=sessions)
    delays = {(x.a.node, x.b.node): x.delay_seconds for x in routers.topology.links}
    delays |= {(b, a): delay for (a, b), delay in delays.items()}
    shortest = min(sum(delays[leg] for leg in pairwise(path)) for path in (VIA_BRUSSELS, VIA_LYON))
    detour = sum(delays[leg] for leg in pairwise(VIA_BOTH))

    def measured() -> list[tuple[float | None, float | None]]:
        return [(found.forward_seconds, found.backward_seconds) for found in plane.stamp("pe-london")]

    def near(found: list[tuple[float | None, float | None]]) -> bool:
        return found == [
            (pytest.approx(forward, abs=0.002), pytest.approx(shortest, abs=0.002))
            for forward in (shortest, detour, shortest, shortest)
        ]

    async with running(routers) as plane:
        await eventually(lambda: near(measured()), lambda: str(measured()))  # a busy machine measures itself first
        found = plane.stamp("pe-london")
    assert [result.number for result in found] == [1, 2, 3, 4]
    assert [result.lost for result in found] == [0, 0, 0, 0]


async def test_full_size_packets_fit_with_a_long_segment_list() -> None:
    routers = two_vpns(color=7)
    routers.set_policy(7, ("pe-london", "p-brussels", "p-lyon", "p-brussels", "p-lyon", "pe-paris"))
    async with running(routers) as plane:
        hosts = [await plane.host(end) for end in RED]
        async with serving(hosts[1], "red"):
            assert await ask(hosts[0], "10.2.0.7", 1472) == "red"


async def test_a_customer_gets_no_more_than_the_rate_of_the_interface() -> None:
    routers = two_vpns(output_bit_rate=1_000_000)
    async with running(routers) as plane:
        flow = await plane.start_flow(FlowSpec(*RED, packet_rate=500, packet_octets=1000))
        await asyncio.sleep(2)
        report = await plane.stop_flow(flow)
        await eventually(lambda: plane.interfaces("pe-paris")["access0"].counters.out_discards > 0)
    assert 0.15 < report.received / report.sent < 0.45  # 4 Mbit/s offered, 1 accepted, and the bucket


async def test_a_vpn_that_is_taken_away_leaves_nothing_and_can_come_back() -> None:
    routers = two_vpns()
    with_vpns = routers.of["pe-paris"]
    async with running(routers) as plane:
        london = await plane.host(RED[0])
        routers.of["pe-paris"] = replace(with_vpns, instances=with_vpns.instances[1:])
        plane.configuration_changed("pe-paris")
        with pytest.raises(TrafficError, match="pe-paris:access0: the interface is in no VPN"):
            await plane.host(RED[1])
        routers.of["pe-paris"] = with_vpns
        plane.configuration_changed("pe-paris")
        async with serving(await plane.host(RED[1]), "red"):
            assert await ask(london, "10.2.0.7") == "red"


async def test_a_host_keeps_its_place_while_its_interface_is_gone() -> None:
    routers = two_vpns()
    own = routers.of["pe-paris"]
    async with running(routers) as plane:
        hosts = [await plane.host(end) for end in RED]
        async with serving(hosts[1], "red"):
            for enabled in (False, True):
                port = replace(own.interfaces["access0"], enabled=enabled)
                routers.of["pe-paris"] = replace(own, interfaces={**own.interfaces, "access0": port})
                plane.configuration_changed("pe-paris")
                await plane.settled()
                assert await ask(hosts[0], "10.2.0.7") == ("red" if enabled else "nobody")


async def test_traffic_to_a_place_that_is_none_is_refused_by_name() -> None:
    async with running(two_vpns()) as plane:
        with pytest.raises(TrafficError, match="pe-rome:access0: the lab has no router pe-rome"):
            await plane.start_flow(FlowSpec(RED[0], Attachment("pe-rome", "access0", ""), 10))
        with pytest.raises(KeyError, match="flow-9"):
            await plane.stop_flow("flow-9")
