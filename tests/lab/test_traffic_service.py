"""Traffic as a user asks for it: attachments by their words, flows by name, over a plane of real processes."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from lab.control_socket import ControlError
from lab.planes import (
    Attachment,
    DataPlane,
    FlowReport,
    FlowSpec,
    Interface,
    RouterForwarding,
    StaticRoute,
    VpnInstance,
)
from lab.topology import Node, Role, Site, Topology
from lab.traffic.attachments import find_attachment
from lab.traffic.flows import Flows
from lab.traffic.hosts import Host, TrafficError
from lab.traffic.service import ReportRequest, StartRequest, StopRequest, TcpRequest, TrafficService

SITE = Site("Oslo", "NO", 59.9, 10.7, "OSL1")
TOPOLOGY = Topology("pair", tuple(Node(name, Role.PE, SITE, (), ("access0",)) for name in ("r1", "r2")), ())


def forwarding(address: str = "127.0.1.1/24", **changes: Any) -> RouterForwarding:
    """A router with an access interface in VPN red, and one in no VPN."""
    customer = Interface("access0.100", enabled=True, parent="access0", addresses=(address,), **changes)
    return RouterForwarding(
        interfaces={"access0.100": customer, "access0": Interface("access0", enabled=True)},
        instances=(VpnInstance("red", interfaces=frozenset({"access0.100"})), VpnInstance("blue")),
    )


class LoopbackPlane:
    """Carries every flow over this machine's loopback."""

    name = "loopback"

    def __init__(self) -> None:
        self.running = Flows(self.name)

    async def start_flow(self, flow: FlowSpec) -> str:
        source, target = (Host(os.getpid(), end.address) for end in (flow.source, flow.target))
        return await self.running.start(flow, source, target)

    async def stop_flow(self, flow: str) -> FlowReport:
        return await self.running.stop(flow)

    async def flows(self) -> tuple[FlowReport, ...]:
        return await self.running.reports()


@pytest.fixture
async def service() -> AsyncIterator[TrafficService]:
    plane = LoopbackPlane()
    by_name = {"r1": forwarding("127.0.1.1/24"), "r2": forwarding("127.0.2.1/24", neighbours=("127.0.2.77",))}
    yield TrafficService(TOPOLOGY, cast("DataPlane", plane), by_name.__getitem__)
    await plane.running.close()


def test_the_host_has_the_first_address_of_the_subnet_that_is_not_the_routers() -> None:
    found = find_attachment("r1:access0.100", forwarding("10.0.0.1/30"))
    assert found == Attachment("r1", "access0.100", "10.0.0.2")
    assert find_attachment("r1:access0.100", forwarding("10.0.0.2/30")).address == "10.0.0.1"
    assert find_attachment("r1:access0.100", forwarding("10.0.0.254/24")).address == "10.0.0.1"
    assert find_attachment("r1:access0.100", forwarding("10.0.0.0/31")).address == "10.0.0.1"
    assert find_attachment("r1:access0.100", forwarding("2001:db8::1/64")).address == "2001:db8::2"


def test_the_host_is_behind_the_customers_router_where_only_networks_there_are_announced() -> None:
    ours = forwarding("10.0.0.1/30", neighbours=("10.0.0.2",))
    vpn, other = ours.instances
    routes = (StaticRoute("10.9.0.0/24", "10.0.0.2"), StaticRoute("10.8.0.0/24", "192.0.2.1"))
    routed = replace(ours, instances=(replace(vpn, static_routes=routes), other))
    assert find_attachment("r1:access0.100", routed).address == "10.9.0.1"
    announced = replace(ours.interfaces["access0.100"], announce_subnet=True)
    shared = replace(routed, interfaces={**routed.interfaces, "access0.100": announced})
    assert find_attachment("r1:access0.100", shared).address == "10.0.0.2"


def test_the_host_has_the_customer_routers_address_where_the_configuration_names_it() -> None:
    ours = forwarding("10.0.0.1/24", neighbours=("2001:db8::9", "10.0.0.9"))
    assert find_attachment("r1:access0.100", ours).address == "10.0.0.9"
    assert find_attachment("r1:access0.100", ours, version=6).address == "2001:db8::9"


def test_a_router_and_a_vpn_are_enough() -> None:
    assert find_attachment("r1", forwarding(), vpn="red") == Attachment("r1", "access0.100", "127.0.1.2")


@pytest.mark.parametrize(
    "words, vpn, version, message",
    [
        ("r1:access7", "", None, "r1: interface access7 is not configured \\(in a VPN: access0.100\\)"),
        ("r1:access0", "", None, "r1: interface access0 is in no VPN \\(in a VPN: access0.100\\)"),
        ("r1", "", None, "r1: say which interface, or which VPN with --vpn \\(interfaces: r1:access0.100\\)"),
        ("r1", "green", None, "r1: there is no VPN green \\(its VPNs: blue, red\\)"),
        ("r1", "blue", None, "r1: VPN blue has no interface there"),
        ("r1:access0.100", "", 6, "r1: interface access0.100 has no IPv6 address"),
    ],
)
def test_an_attachment_that_is_none_is_named(words: str, vpn: str, version: int | None, message: str) -> None:
    with pytest.raises(TrafficError, match=message):
        find_attachment(words, forwarding(), vpn=vpn, version=version)


async def test_a_flow_is_started_reported_and_stopped_by_name(service: TrafficService) -> None:
    started = await service.start(StartRequest(source="r1", target="r2:access0.100", vpn="red", packet_rate=500))
    ends = {"source": "r1:access0.100 127.0.1.2", "target": "r2:access0.100 127.0.2.77"}
    assert started == {"flow": "flow-1", "plane": "loopback", **ends, "packet_rate": 500.0, "packet_octets": 200}
    (row,) = await service.report(ReportRequest())
    assert {"flow": "flow-1", "plane": "loopback", **ends}.items() <= row.items()
    assert [found["flow"] for found in await service.report(ReportRequest(flow="flow-1"))] == ["flow-1"]
    done = await service.stop(StopRequest(flow="flow-1"))
    assert (done["flow"], done["plane"], done["lost"], done["received"]) == ("flow-1", "loopback", 0, done["sent"])
    assert await service.report(ReportRequest()) == []


async def test_a_flow_that_is_not_running_is_named(service: TrafficService) -> None:
    for call in (service.stop(StopRequest(flow="flow-7")), service.report(ReportRequest(flow="flow-7"))):
        with pytest.raises(ControlError, match=r"there is no flow 'flow-7' \(running: none\)"):
            await call


@pytest.mark.parametrize(
    "members, message",
    [
        ({"source": "r9", "target": "r2"}, "has no router 'r9'.*accord lab status"),
        ({"source": "r1", "target": "r2:access0.100"}, "r1: say which interface"),
        ({"source": "r1:access0.100", "target": "r2:access0.100", "packet_rate": 0}, "0 packets/s: give more than 0"),
        ({"source": "r1:access0.100", "target": "r2:access0.100", "packet_octets": 9}, "packets of 9 octets"),
    ],
)
async def test_traffic_that_cannot_be_sent_is_refused_in_one_sentence(
    service: TrafficService, members: dict[str, Any], message: str
) -> None:
    with pytest.raises(ControlError, match=message):
        await service.start(StartRequest.model_validate(members))


async def test_a_plane_without_hosts_says_that_it_carries_no_tcp(service: TrafficService) -> None:
    with pytest.raises(ControlError, match=r"the plane of this lab \(loopback\) carries no TCP"):
        await service.tcp(TcpRequest(source="r1:access0.100", target="r2:access0.100"))
