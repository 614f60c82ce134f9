"""A live service is moved while its packets flow: none is lost, whatever happens to the path or to the controller."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from controller.events import types
from controller.mapping.tunnel import Tunnel
from controller.model.identifiers import DeviceName
from controller.ports import Event
from controller.runtime.topology_names import avoidance
from controller.runtime.tunnels import TunnelWish
from controller.transaction.stage_history import StagedChange
from controller.transaction.stages import Cue, Stage, advance
from lab.network import NetworkOptions
from lab.planes import CandidatePath, FlowReport, FlowSpec, RouterForwarding, SegmentList, SrPolicy, VpnInstance
from lab.planes.choose import namespaces_refused
from lab.router.datastore import ConfigStore
from lab.router.forwarding import read_forwarding
from lab.topology_file import load_topology
from lab.traffic.attachments import find_attachment
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, Provider, open_provider
from tests.e2e.recorded_lab import OverheardConnector
from tests.e2e.world import until
from tests.patience import PATIENCE_SECONDS

LONDON, FRANKFURT, PARIS = DeviceName("pe-london"), DeviceName("pe-frankfurt"), DeviceName("pe-paris")
DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
NORTH, SOUTH_WIRE = "pe-london-p-brussels", "pe-london--p-lyon"
RATE = 500.0
PLANES = [
    "memory",
    pytest.param(
        "netns",
        marks=[
            pytest.mark.netns,
            pytest.mark.skipif(bool(namespaces_refused()), reason=namespaces_refused() or "namespaces forward here"),
        ],
    ),
]


@dataclass
class Recorded:
    """A provider, what was sent to the head end since `start`, and the configuration it began from."""

    provider: Provider
    wire: dict[DeviceName, list[bytes]] = field(default_factory=dict)
    base: Any = None

    async def start(self) -> None:
        """Listen to every edit from now on."""
        sessions = self.provider.daemon.sessions
        sessions._connectors = {
            transport: OverheardConnector(connector, self.wire) for transport, connector in sessions._connectors.items()
        }
        await sessions.drop(LONDON)
        self.wire.clear()
        self.base = self.provider.lab[LONDON].store.get("running")

    def states(self) -> list[RouterForwarding]:
        """What the head end is asked to forward by at the start and after each edit, replayed one by one."""
        router = self.provider.lab[LONDON].store
        replayed = ConfigStore(
            router.schema,
            router.profile,
            scheduler=asyncio.get_running_loop(),
            now=lambda: datetime.now(UTC),
            initial=self.base,
        )
        found = [read_forwarding(replayed.get("running"))]
        for sent in self.wire[LONDON]:
            replayed.edit("running", etree.fromstring(sent), session_id=0)
            found.append(read_forwarding(replayed.get("running")))
        return found


def way_of(forwarding: RouterForwarding, vrf: str, endpoint: str) -> tuple[str, ...]:
    """The segments that a VRF's packets to a tail end take; empty where no policy of its colour has a path."""
    (instance,) = (each for each in forwarding.instances if each.name == vrf)
    policies = (each for each in forwarding.policies if (each.color, each.endpoint) == (instance.color, endpoint))
    paths = [path for policy in policies for path in policy.paths if any(each.segments for each in path.segment_lists)]
    if not paths:
        return ()
    best = max(paths, key=lambda path: (path.preference, path.discriminator))
    return best.segment_lists[0].segments


@asynccontextmanager
async def demo(directory: Path, plane: str = "memory") -> AsyncIterator[Recorded]:
    """The demonstration's network with a VPN from London to Frankfurt, and the tunnel `gold` for it."""
    async with open_provider(directory, load_topology(DEMO), NetworkOptions(plane=plane)) as provider:
        await provider.commit(
            edit(service(), site("l", "London", "GB", access(1)), site("f", "Frankfurt", "DE", access(2)))
        )
        await provider.controller.topology.refresh()
        await tunnel(provider, "gold", FRANKFURT, ("acme",))
        yield Recorded(provider)


async def tunnel(provider: Provider, name: str, target: DeviceName, services: tuple[str, ...]) -> Tunnel:
    wish = TunnelWish(services=services)
    plan = await provider.controller.plan_tunnels(lambda t: t.create(name, LONDON, target, wish), ACTOR)
    await provider.commit_plan(plan)
    return provider.controller.world.tunnels.get(name)


async def begin(provider: Provider, make: Any, **changed: Any) -> StagedChange:
    controller = provider.controller
    plan = await controller.plan_tunnels(make, ACTOR)
    return await controller.changes.begin(replace(controller.tunnels.staged(plan), **changed), ACTOR)


def away_from_the_north(provider: Provider) -> Any:
    avoid = avoidance(provider.controller.topology.network, (NORTH,))
    return lambda tunnels: tunnels.move("gold", avoid)


async def finished(provider: Provider, change: StagedChange) -> StagedChange:
    return await provider.controller.changes.finish(change.id)


@dataclass
class Traffic:
    """A flow of a VPN, and what became of it when the block is over."""

    report: FlowReport | None = None

    @property
    def lost(self) -> int:
        assert self.report is not None
        assert self.report.received > RATE / 10, f"packets flowed: {self.report}"
        return self.report.lost


@asynccontextmanager
async def traffic(provider: Provider, target: DeviceName, vpn: str = "acme") -> AsyncIterator[Traffic]:
    """Packets from London to that router while the block runs; they arrive before it begins."""
    ends = [
        find_attachment(router, forwarding(provider, router), vpn=vrf(provider, vpn)) for router in (LONDON, target)
    ]
    plane = provider.lab.plane
    first = await plane.start_flow(FlowSpec(*ends, packet_rate=50.0))

    async def arriving() -> bool:
        return any(report.received for report in await plane.flows())

    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not await arriving():
        assert asyncio.get_running_loop().time() < deadline, "no packet arrives"
        await asyncio.sleep(0.05)
    await plane.stop_flow(first)
    flow, found = await plane.start_flow(FlowSpec(*ends, packet_rate=RATE)), Traffic()
    try:
        yield found
    finally:
        found.report = await plane.stop_flow(flow)


def forwarding(provider: Provider, router: str) -> RouterForwarding:
    return provider.lab.forwarding(router)


def vrf(provider: Provider, vpn: str) -> str:
    """The VRF of a VPN on the head end."""
    (found,) = (each.name for each in forwarding(provider, LONDON).instances if each.name.startswith(vpn))
    return found


def segments(provider: Provider, name: str = "gold") -> tuple[str, ...]:
    return provider.controller.world.tunnels.get(name).ranked[0].segments


@pytest.mark.parametrize("plane", PLANES)
async def test_a_move_loses_no_packet(tmp_path: Path, plane: str) -> None:
    async with demo(tmp_path, plane) as recorded:
        provider, before = recorded.provider, segments(recorded.provider)
        async with traffic(provider, FRANKFURT) as flow:
            done = await finished(provider, await begin(provider, away_from_the_north(provider)))
        assert done.stage is Stage.DONE, done.steps
        assert segments(provider) != before
        assert flow.lost == 0, flow.report


async def two_services(provider: Provider) -> Tunnel:
    """A second VPN to Paris with a tunnel of another colour."""
    sites = site("bl", "London", "GB", access(3, vpn_id="beta")), site("bp", "Paris", "FR", access(4, vpn_id="beta"))
    await provider.commit(edit(service("beta", customer="Beta"), *sites))
    return await tunnel(provider, "silver", PARIS, ("beta",))


async def test_a_replacement_by_another_colour_loses_no_packet(tmp_path: Path) -> None:
    async with demo(tmp_path) as recorded:
        provider = recorded.provider
        before = await two_services(provider)
        wish = TunnelWish(services=("acme", "beta"))
        async with traffic(provider, PARIS, "beta") as flow:
            change = await begin(provider, lambda tunnels: tunnels.change("silver", wish))
            done = await finished(provider, change)
        after = provider.controller.world.tunnels.get("silver")
        assert done.stage is Stage.DONE, done.steps
        assert after.color != before.color
        assert after.color == provider.controller.world.tunnels.get("gold").color
        assert flow.lost == 0, flow.report


@pytest.mark.parametrize("plane", PLANES)
async def test_a_new_path_that_is_silently_broken_is_found_and_the_old_one_goes_on_carrying(
    tmp_path: Path, plane: str
) -> None:
    async with demo(tmp_path, plane) as recorded:
        provider, before = recorded.provider, segments(recorded.provider)
        running = provider.running()[LONDON]
        provider.lab.set_link(SOUTH_WIRE, up=False, silent=True)
        async with traffic(provider, FRANKFURT) as flow:
            change = await begin(provider, away_from_the_north(provider), deadline_seconds=4.0)
            done = await finished(provider, change)
        assert done.stage is Stage.ABORTED
        assert Stage.MOVING not in stages_of(provider, done)
        assert (segments(provider), provider.running()[LONDON]) == (before, running)
        assert flow.lost == 0, flow.report


def stages_of(provider: Provider, change: StagedChange) -> list[Stage]:
    """Every stage that a change was in."""
    events = provider.daemon.log.read(stream=f"change/{change.id}")
    cues = [event.data["cue"] for event in events if event.type == types.CHANGE_ADVANCED]
    found = [Stage.BUILDING]
    for cue in cues:
        found.append(advance(found[-1], Cue(cue)))
    return found


async def test_no_edit_on_the_wire_leaves_the_service_without_a_path(tmp_path: Path) -> None:
    async with demo(tmp_path) as recorded:
        provider, before = recorded.provider, segments(recorded.provider)
        await recorded.start()
        await finished(provider, await begin(provider, away_from_the_north(provider)))
        endpoint, after = provider.controller.world.tunnels.get("gold").endpoint, segments(provider)
        ways = [way_of(state, vrf(provider, "acme"), endpoint) for state in recorded.states()]
        assert [*dict.fromkeys(ways)] == [before, after], "the old one, then the new one, and nothing in between"
        assert len(recorded.wire[LONDON]) == 3


async def test_no_edit_of_a_replacement_leaves_the_service_without_a_path(tmp_path: Path) -> None:
    async with demo(tmp_path) as recorded:
        provider = recorded.provider
        before = await two_services(provider)
        await recorded.start()
        wish = TunnelWish(services=("acme", "beta"))
        await finished(provider, await begin(provider, lambda tunnels: tunnels.change("silver", wish)))
        states = recorded.states()
        assert all(way_of(state, vrf(provider, "beta"), before.endpoint) for state in states)
        colors = [each.color for state in states for each in state.instances if each.name == vrf(provider, "beta")]
        after = provider.controller.world.tunnels.get("silver").color
        assert [*dict.fromkeys(colors)] == [before.color, after]


def test_the_oracle_knows_a_policy_without_paths() -> None:
    red = VpnInstance("red", color=100)
    path = CandidatePath(1, 100, (SegmentList(("a", "b")),))
    whole = RouterForwarding(instances=(red,), policies=(SrPolicy(100, "x", paths=(path,)),))
    assert way_of(whole, "red", "x") == ("a", "b")
    for policies in ((), (SrPolicy(100, "x"),), (SrPolicy(101, "x", paths=(path,)),)):
        assert way_of(replace(whole, policies=policies), "red", "x") == ()


OPEN = [Stage.BUILDING, Stage.VERIFYING, Stage.MOVING, Stage.DRAINING, Stage.REMOVING]


@pytest.mark.parametrize("stage", OPEN)
async def test_a_controller_that_is_stopped_between_two_stages_goes_on(tmp_path: Path, stage: Stage) -> None:
    async with demo(tmp_path) as recorded:
        provider, before = recorded.provider, segments(recorded.provider)
        async with traffic(provider, FRANKFURT) as flow:
            change = await stopped_at(provider, stage)
            await provider.restart()
            assert provider.controller.world.changes.get(change.id).stage is stage
            done = await finished(provider, change)
        assert done.stage is Stage.DONE, done.steps
        assert segments(provider) != before
        assert b"stamp-session" not in provider.running()[LONDON]
        assert len(forwarding(provider, LONDON).policies[0].paths) == 1
        assert flow.lost == 0, flow.report


async def stopped_at(provider: Provider, stage: Stage) -> StagedChange:
    """Begin the move and stop the daemon as soon as the log says that it is in that stage."""
    daemon = provider.daemon
    change = await begin(provider, away_from_the_north(provider))
    (task,) = (each for each in asyncio.all_tasks() if each.get_name() == f"staged change {change.id}")

    def hear(_events: Iterable[Event]) -> None:
        if provider.controller.world.changes.get(change.id).stage is stage:
            task.cancel()

    daemon.log.subscribe(hear)
    hear(())
    await until(task.done, PATIENCE_SECONDS)
    await daemon.stop(5.0)
    return change
