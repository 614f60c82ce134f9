"""Owns the lab on which moves and failures are measured: two provider edges, two disjoint ways between them, a VPN.

    pe1 - p1 - p2 - pe2   the short way, which the IGP takes too
    pe1 - p3 - p4 - pe2   the long way

Changes go into the routers' running configuration at once, as an operator's would; `accord_mover` has accord make them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

from bench.traffic_edits import (
    COLOR,
    HEAD,
    TAIL,
    config,
    host_address,
    imports,
    interface_name,
    no_policy_edit,
    policy_edit,
    vpn_edit,
)
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
FAILING_LINK = "p1--p2"
"""Of the short way, and of neither provider edge."""
SHORT_HOP_SECONDS = 0.0005
LONG_HOP_SECONDS = 0.0025
PACKET_RATE = 2000.0
_CAPACITY = 10**9
_READY_SECONDS = 180.0
_LOOK_SECONDS = 0.05

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
            Site(f"City {number}", "DE", 50.0, float(number), name),
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


class TrafficLab:
    """The running network with its VPN; traffic of the VPN towards the tail follows the policy of `COLOR`."""

    def __init__(self, network: LabNetwork, services: int = 1) -> None:
        self.network = network
        self.services = services
        self.plane = network.plane
        self._addresses = address_plan(network.topology)
        self._color = COLOR
        self._taken: dict[str, frozenset[str]] = {}
        """What each VRF imports when its routes are there."""

    async def start_flow(self, service: int = 0, *, packet_rate: float = PACKET_RATE) -> str:
        """Send from the head to the tail in the n-th VPN."""
        ends = self.customer(HEAD, service), self.customer(TAIL, service)
        return await self.plane.start_flow(FlowSpec(*ends, packet_rate))

    def customer(self, router: str, service: int = 0) -> Attachment:
        """A host of the n-th VPN at this router."""
        return Attachment(router, interface_name(service), host_address(router))

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
        forwarding = self.network.forwarding(HEAD)
        self._taken = {instance.name: instance.imports for instance in forwarding.instances}
        (policy,) = forwarding.policies
        self._color = policy.color
        self.edit(HEAD, config(imports(self._taken, away=True), no_policy_edit(policy.endpoint, policy.color)))
        await self.settled()

    async def put_back(self, way: Sequence[str]) -> None:
        """Add them again."""
        self.edit(HEAD, config(imports(self._taken, away=False), self.policy([way])))
        await self.settled()

    def policy(self, ways: Sequence[Sequence[str]]) -> str:
        """An edit that gives the policy these paths and no others, the first preferred."""
        return policy_edit(self._addresses[TAIL].loopback6, [self.segments(way) for way in ways], self._color)

    def segments(self, way: Sequence[str]) -> tuple[str, ...]:
        """A way in adjacency segments."""
        return tuple(self._adjacency(a, b) for a, b in pairwise(way))

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
    async with network_of(plane, igp_seconds=igp_seconds, long_hop_seconds=long_hop_seconds) as network:
        lab = TrafficLab(network, services)
        lab.add_vpns()
        await lab.carrying()
        yield lab


def network_of(plane: str, *, igp_seconds: float, long_hop_seconds: float = LONG_HOP_SECONDS) -> LabNetwork:
    """The routers on that plane, not started, with nothing but their day 0."""
    return _Network(plane, igp_seconds, topology(long_hop_seconds))


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
