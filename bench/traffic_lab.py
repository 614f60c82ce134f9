"""Owns the lab on which moves and failures are measured: two provider edges, two disjoint ways between them, a VPN.

    pe1 - p1 - p2 - pe2   the short way, which the IGP takes too
    pe1 - p3 - p4 - pe2   the long way

Changes go into the routers' running configuration at once, as an operator's would; who measures the controller passes
its own `Move` instead.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

from lab.addressing import address_plan
from lab.drift import drift, parse_edit
from lab.network import LabNetwork, NetworkOptions
from lab.planes import Attachment, DataPlane, FlowReport, FlowSpec
from lab.planes.choose import namespaces_refused
from lab.planes.fluid import Timing
from lab.planes.memory import MemoryPlane
from lab.planes.netns.plane import NetnsPlane
from lab.router.profiles import Profile
from lab.topology import Link, Node, PortRef, Role, Site, Topology

SHORT = ("pe1", "p1", "p2", "pe2")
LONG = ("pe1", "p3", "p4", "pe2")
HEAD, TAIL = "pe1", "pe2"
FAILING_LINK = "p1--p2"
"""Of the short way, and of neither provider edge."""
SHORT_HOP_SECONDS = 0.0005
LONG_HOP_SECONDS = 0.0025
PACKET_RATE = 2000.0
COLOR = 100
VPN = "red"
"""The first; the others have a number behind it."""
_NOBODYS_TARGET = "0:65000:8"
_FIRST_VLAN = 100
_FIRST_TARGET = 1000
_CAPACITY = 10**9
_READY_SECONDS = 180.0
_LOOK_SECONDS = 0.05
_NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
_IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
_IP = "urn:ietf:params:xml:ns:yang:ietf-ip"
_NI = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
_IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"
_ACCORD = "urn:accord:router"

Move = Callable[[Sequence[str]], Awaitable[None]]
"""Carries the service over these routers from now on."""


def topology(long_hop_seconds: float = LONG_HOP_SECONDS) -> Topology:
    """The two ways; every link has a gigabit a second."""
    names = sorted({*SHORT, *LONG})
    hops = {SHORT: SHORT_HOP_SECONDS, LONG: long_hop_seconds}
    links = [(a, b, delay) for way, delay in hops.items() for a, b in pairwise(way)]
    nodes = tuple(
        Node(
            name,
            Role.PE if name.startswith("pe") else Role.P,
            Site(name, "", 50.0, float(number), name),
            core_ports=tuple(f"to-{b if a == name else a}" for a, b, _ in links if name in {a, b}),
            access_ports=("access0",) if name.startswith("pe") else (),
        )
        for number, name in enumerate(names)
    )
    return Topology(
        "two-ways",
        nodes,
        tuple(Link(f"{a}--{b}", PortRef(a, f"to-{b}"), PortRef(b, f"to-{a}"), _CAPACITY, s) for a, b, s in links),
    )


def customer(router: str, service: int = 0) -> Attachment:
    """A host of the n-th VPN at this router."""
    return Attachment(router, f"access0.{_FIRST_VLAN + service}", f"10.{_site(router)}.0.2")


class TrafficLab:
    """The running network with its VPN; traffic of the VPN towards the tail follows the policy of `COLOR`."""

    def __init__(self, network: LabNetwork, services: int = 1) -> None:
        self.network = network
        self.services = services
        self.plane = network.plane
        self._addresses = address_plan(network.topology)

    async def start_flow(self, service: int = 0, *, packet_rate: float = PACKET_RATE) -> str:
        """Send from the head to the tail in the n-th VPN."""
        return await self.plane.start_flow(FlowSpec(customer(HEAD, service), customer(TAIL, service), packet_rate))

    async def stop_flow(self, flow: str) -> FlowReport:
        """Stop sending and tell what became of it."""
        return await self.plane.stop_flow(flow)

    def edit(self, router: str, text: str) -> None:
        """Change a router's running configuration at once."""
        found = self.network[router]
        drift(found, parse_edit(found, text))

    async def move_in_place(self, way: Sequence[str]) -> None:
        """Give the policy another path: one edit of one leaf list."""
        self.edit(HEAD, self.policy([way]))
        await self.settled()

    async def settled(self) -> None:
        """Return when routers forward by what they are configured with; in memory they do at once."""
        if isinstance(self.plane, NetnsPlane):
            await self.plane.settled()

    def delete_then_add(self, gap_seconds: float = 0.0) -> Move:
        """Take the routes and the path away at the head, wait, add both again: two changes."""

        async def move(way: Sequence[str]) -> None:
            await self.take_away()
            await asyncio.sleep(gap_seconds)
            await self.put_back(way)

        return move

    async def take_away(self) -> None:
        """Remove the routes and the path at the head."""
        self.edit(HEAD, _config(_imports(self.services, away=True), self._no_policy()))
        await self.settled()

    async def put_back(self, way: Sequence[str]) -> None:
        """Add them again."""
        self.edit(HEAD, _config(_imports(self.services, away=False), self.policy([way])))
        await self.settled()

    def policy(self, ways: Sequence[Sequence[str]]) -> str:
        """An edit that gives the policy these paths and no others, the first preferred."""
        paths = "".join(self._candidate(number, way) for number, way in enumerate(ways, start=1))
        return _router(
            f'<policy nc:operation="replace"><color>{COLOR}</color>'
            f"<endpoint>{self._addresses[TAIL].loopback6}</endpoint><name>{VPN}-to-{TAIL}</name>{paths}</policy>"
        )

    def _no_policy(self) -> str:
        return _router(
            f'<policy nc:operation="remove"><color>{COLOR}</color>'
            f"<endpoint>{self._addresses[TAIL].loopback6}</endpoint></policy>"
        )

    def _candidate(self, number: int, way: Sequence[str]) -> str:
        segments = "".join(
            f"<segment><index>{index}</index><sid>{self._adjacency(a, b)}</sid></segment>"
            for index, (a, b) in enumerate(pairwise(way), start=1)
        )
        return (
            f"<candidate-path><discriminator>{number}</discriminator><preference>{200 - number}</preference>"
            f"<segment-list><id>1</id>{segments}</segment-list></candidate-path>"
        )

    def _adjacency(self, router: str, neighbour: str) -> str:
        known = self.network.forwarding(router).adjacency_segments
        return next(sid for sid, port in known.items() if port == f"to-{neighbour}")

    def add_vpns(self) -> None:
        """Every VPN at both ends."""
        for router in (HEAD, TAIL):
            self.edit(router, vpn_edit(router, self.services))
        self.edit(HEAD, self.policy([SHORT]))

    async def carrying(self) -> None:
        """Return when packets arrive; raises TimeoutError."""
        flow = await self.start_flow(packet_rate=100.0)
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not any(found.received for found in await self.plane.flows()):  # noqa: ASYNC110 - it tells when asked
                    await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await self.stop_flow(flow)


async def planes(wanted: Sequence[str] = ()) -> list[str]:
    """The planes that this machine can run, of those that are wanted; tells why another cannot."""
    known = {"memory": "", "netns": await asyncio.to_thread(namespaces_refused)}
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise SystemExit(f"there is no plane {unknown[0]}: it is one of {', '.join(known)}")
    for name in (name for name in wanted or known if known[name]):
        print(f"{name}: left out: {known[name]}")
    return [name for name in wanted or known if not known[name]]


@asynccontextmanager
async def traffic_lab(
    plane: str, *, services: int = 1, igp_seconds: float = 0.4, long_hop_seconds: float = LONG_HOP_SECONDS
) -> AsyncIterator[TrafficLab]:
    """The lab on that plane, carrying packets over the short way; its IGP takes so long to find another."""
    async with _Network(plane, igp_seconds, topology(long_hop_seconds)) as network:
        lab = TrafficLab(network, services)
        lab.add_vpns()
        await lab.carrying()
        yield lab


class _Network(LabNetwork):
    """The lab with an IGP as quick or slow as is wanted."""

    def __init__(self, plane: str, igp_seconds: float, network: Topology) -> None:
        self._plane = plane
        self._igp_seconds = igp_seconds
        super().__init__(network, NetworkOptions(profile=Profile("netconf", restconf=False, cli=False)))

    def _data_plane(self) -> DataPlane:
        if self._plane == "netns":
            return NetnsPlane(self.topology, self.forwarding, now=time.time, convergence_seconds=self._igp_seconds)
        timing = Timing(convergence_seconds=self._igp_seconds)
        return MemoryPlane(self.topology, self.forwarding, now=time.time, timing=timing)


def _site(router: str) -> int:
    return 1 if router == HEAD else 2


def vpn_edit(router: str, services: int = 1) -> str:
    """An edit that adds so many VPNs at this router, all with the same addresses."""
    numbers = range(services)
    return _config(
        _instances(_vrf(router, number) for number in numbers), _interfaces(_interface(router, n) for n in numbers)
    )


def _config(*edits: str) -> str:
    return f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">{"".join(edits)}</config>'


def _interfaces(inside: Iterable[str]) -> str:
    return f'<interfaces xmlns="{_IF}" xmlns:ianaift="{_IANA}">{"".join(inside)}</interfaces>'


def _interface(router: str, service: int) -> str:
    """An interface in the VPN, a VLAN of the access port."""
    vlan = _FIRST_VLAN + service
    address = f"<address><ip>10.{_site(router)}.0.1</ip><prefix-length>24</prefix-length></address>"
    return (
        f"<interface><name>access0.{vlan}</name><type>ianaift:l2vlan</type>"
        f'<bind-ni-name xmlns="{_NI}">{_name(service)}</bind-ni-name>'
        f'<vlan-subinterface xmlns="{_ACCORD}"><parent>access0</parent><vlan-id>{vlan}</vlan-id></vlan-subinterface>'
        f'<attachment xmlns="{_ACCORD}"><announce-subnet>true</announce-subnet></attachment>'
        f'<ipv4 xmlns="{_IP}">{address}</ipv4></interface>'
    )


def _instances(inside: Iterable[str]) -> str:
    return f'<network-instances xmlns="{_NI}" xmlns:nc="{_NC}">{"".join(inside)}</network-instances>'


def _vrf(router: str, service: int) -> str:
    """The VPN, steered into the policy."""
    target = _target(service)
    return _instance(
        service,
        f"<route-distinguisher>0:{65000 + _site(router)}:{service}</route-distinguisher>"
        f"<vpn-targets><import>{target}</import><export>{target}</export></vpn-targets>"
        f"<srv6><locator>main</locator><function>{1 + service}</function></srv6><color>{COLOR}</color>",
    )


def _imports(services: int, *, away: bool) -> str:
    """A VPN has to import something: its routes leave when it imports what nobody exports."""
    changes = []
    for service in range(services):
        before, after = (_target(service), _NOBODYS_TARGET) if away else (_NOBODYS_TARGET, _target(service))
        changes.append(
            _instance(
                service,
                f'<vpn-targets><import nc:operation="remove">{before}</import><import>{after}</import></vpn-targets>',
            )
        )
    return _instances(changes)


def _instance(service: int, inside: str) -> str:
    return (
        f'<network-instance><name>{_name(service)}</name><l3vpn xmlns="{_ACCORD}">{inside}</l3vpn></network-instance>'
    )


def _name(service: int) -> str:
    return f"{VPN}{service or ''}"


def _target(service: int) -> str:
    return f"0:65000:{_FIRST_TARGET + service}"


def _router(inside: str) -> str:
    return f'<router xmlns="{_ACCORD}" xmlns:nc="{_NC}"><srv6>{inside}</srv6></router>'
