"""The STAMP sessions of services on the lab's routers: they come with a service, follow it, and leave with it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from controller.mapping.fragment import service_id
from controller.mapping.measurement import Measurement
from controller.mapping.service_change import L3smEdit
from controller.model.identifiers import DeviceName
from controller.runtime.collection import Pace
from controller.runtime.service_probes import INTERVALS_SECONDS
from controller.runtime.tunnels import TunnelWish
from controller.telemetry.sample import SeriesKey
from lab.topology_file import load_topology
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, Provider, open_provider
from tests.patience import PATIENCE_SECONDS

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
LONDON, PARIS, FRANKFURT = DeviceName("pe-london"), DeviceName("pe-paris"), DeviceName("pe-frankfurt")
ACME = service_id("acme")
VPN = edit(service(), site("l", "London", "GB", access(1)), site("f", "Frankfurt", "DE", access(2)))
OTHER = edit(
    service("other"),
    site("x", "Paris", "FR", access(1, vpn_id="other")),
    site("y", "Madrid", "ES", access(2, vpn_id="other")),
)
DIRECT = {"type": "ietf-l3vpn-svc:direct"}
"""The customer's subnets are announced in the VPN."""
ANNOUNCED = edit(
    service(),
    site("l", "London", "GB", access(1, routing_protocols={"routing-protocol": [DIRECT]})),
    site("f", "Frankfurt", "DE", access(2, routing_protocols={"routing-protocol": [DIRECT]})),
)


@asynccontextmanager
async def demo(directory: Path) -> AsyncIterator[Provider]:
    """The demonstration's network, where services are to be measured."""
    async with open_provider(directory, load_topology(DEMO)) as provider:
        await provider.controller.topology.refresh()
        provider.controller.collection.take_over(Pace(0.2, jitter=0.0))
        provider.controller.service_probes.is_wanted = True
        yield provider


def sessions(provider: Provider) -> set[tuple[str, str]]:
    return {(one.device, one.target) for one in provider.controller.service_probes.measurements_of(ACME)}


def on_routers(provider: Provider) -> Mapping[str, int]:
    """How many sessions each router is configured with, asked behind the controller's back."""
    found = {name: text.count(b"<stamp-session") for name, text in provider.running().items()}
    return {name: count for name, count in found.items() if count}


def came_back(provider: Provider, device: DeviceName) -> set[int]:
    """Sessions of a router of which test packets have come back."""
    return {found.number for found in provider.lab.plane.stamp(device) if found.forward_seconds is not None}


async def measured(provider: Provider) -> list[Measurement]:
    await provider.controller.service_probes.reconcile()
    return list(provider.controller.service_probes.measurements_of(ACME))


async def test_sessions_come_with_a_service_tell_its_delay_and_leave_no_trace(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        controller, before = provider.controller, provider.running()
        await provider.commit(VPN)
        await measured(provider)
        assert sessions(provider) == {(LONDON, FRANKFURT), (FRANKFURT, LONDON)}
        assert on_routers(provider) == {LONDON: 1, FRANKFURT: 1}
        assert controller.campaigns.budget.granted == {ACME: 2.0}
        key = next(key for key in controller.service_probes.sessions_of(ACME) if key.kind == "last-forward-delay")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while key not in controller.collection.series.latest:
                await controller.collection.read(key.device)
                await asyncio.sleep(0.05)
        assert 0.0 < controller.collection.series.latest[key].value < 0.1
        plan = await controller.plan_services(L3smEdit(deleted_services=("acme",), deleted_sites=("l", "f")), "", ACTOR)
        await provider.commit_plan(plan)
        assert provider.running() == before
        await controller.service_probes.reconcile()
        assert controller.service_probes.sessions_of(ACME) == ()
        assert not controller.campaigns.budget.granted
        assert key not in controller.collection.series.latest


async def test_a_site_that_joins_is_measured_with_all_others(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await provider.commit(VPN)
        first = {*await measured(provider)}
        await provider.commit(edit(service(), site("p", "Paris", "FR", access(3))))
        await measured(provider)
        assert len(sessions(provider)) == 6
        assert first < {*provider.controller.service_probes.measurements_of(ACME)}
        await provider.commit(L3smEdit(deleted_sites=("p",)))
        assert "pe-paris" not in on_routers(provider)
        await measured(provider)
        assert sessions(provider) == {(LONDON, FRANKFURT), (FRANKFURT, LONDON)}


async def test_a_second_look_changes_nothing(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await provider.commit(VPN)
        assert await provider.controller.service_probes.reconcile()
        position = provider.controller.world.position
        assert not await provider.controller.service_probes.reconcile()
        provider.controller.service_probes.hear([])
        assert provider.controller.world.position == position


async def test_test_packets_go_through_the_vpn_where_its_addresses_are_announced(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await provider.commit(ANNOUNCED)
        found = await measured(provider)
        assert {one.instance for one in found} == {"acme"}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not all(one.number in came_back(provider, one.device) for one in found):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        plan = await provider.controller.plan_services(
            L3smEdit(deleted_services=("acme",), deleted_sites=("l", "f")), "", ACTOR
        )
        await provider.commit_plan(plan)
        assert on_routers(provider) == {}


async def test_a_plan_that_ends_a_vpn_and_is_older_than_its_sessions_is_committed_all_the_same(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        created = await provider.commit(ANNOUNCED)
        gone = L3smEdit(deleted_services=("acme",), deleted_sites=("l", "f"))
        plan = await provider.controller.plan_services(gone, "", ACTOR)
        assert len(await measured(provider)) == 2
        await provider.commit_plan(plan)
        assert on_routers(provider) == {}
        assert created.id in {summary.plan for summary in provider.controller.world.transactions}


async def test_a_service_that_is_rolled_back_leaves_no_session(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        before = provider.running()
        await provider.commit(VPN)
        await measured(provider)
        created = next(iter(provider.controller.world.transactions)).id
        await provider.commit_plan(await provider.controller.plan_rollback(created, ACTOR))
        assert provider.running() == before


async def test_sessions_take_the_tunnel_that_carries_the_service_and_leave_it_with_it(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await provider.commit(VPN)
        await measured(provider)
        wish = TunnelWish(services=("acme",))
        make = await provider.controller.plan_tunnels(
            lambda tunnels: tunnels.create("gold", LONDON, FRANKFURT, wish), ACTOR
        )
        await provider.commit_plan(make)
        found = {one.device: one.segments for one in await measured(provider)}
        path = provider.controller.world.tunnels.get("gold").paths[0]
        assert found == {LONDON: path.segments, FRANKFURT: ()}
        await provider.commit_plan(
            await provider.controller.plan_tunnels(lambda tunnels: tunnels.delete(["gold"]), ACTOR)
        )
        assert {one.segments for one in await measured(provider)} == {()}


async def test_measuring_can_be_turned_off_and_on(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await provider.commit(VPN)
        probes, before = provider.controller.service_probes, provider.running()
        probes.is_wanted = False
        assert not await probes.reconcile()
        assert provider.running() == before
        probes.is_wanted = True
        assert await probes.reconcile()
        probes.is_wanted = False
        assert await probes.reconcile()
        assert provider.running() == before


async def test_a_restarted_daemon_knows_its_sessions_and_what_they_take_of_the_budget(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await provider.commit(VPN)
        found = await measured(provider)
        await provider.daemon.stop(10.0)
        await provider.restart()
        probes = provider.controller.service_probes
        probes.is_wanted = True
        position = provider.controller.world.position
        assert not await probes.reconcile()
        assert list(probes.measurements_of(ACME)) == found
        assert provider.controller.campaigns.budget.granted == {ACME: 2.0}
        assert provider.controller.world.position == position


async def test_a_small_budget_slows_everybody_down_and_then_leaves_some_out(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        probes, budget = provider.controller.service_probes, provider.controller.campaigns.budget
        budget.packets_per_second = 1.0
        await provider.commit(VPN)
        assert {one.interval_milliseconds for one in await measured(provider)} == {4000}
        assert budget.granted == {ACME: 0.5}
        await provider.commit(OTHER)
        await probes.reconcile()
        assert budget.granted == {ACME: 0.25, service_id("other"): 0.25}
        budget.packets_per_second = 0.1
        probes.hear([])
        await provider.commit(L3smEdit(deleted_sites=("x",)))
        await probes.reconcile()
        assert probes.interval_seconds == INTERVALS_SECONDS[-1]
        assert budget.granted == {ACME: 2 / 64}


async def test_links_that_are_measured_count_against_the_budget(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        plan = await provider.controller.plan_tunnels(lambda tunnels: tunnels.measure(is_on=True), ACTOR)
        await provider.commit_plan(plan)
        provider.controller.service_probes.account()
        assert provider.controller.campaigns.budget.granted == {"links": 18.0}


async def test_a_router_that_cannot_be_told_keeps_no_other_service_from_being_measured(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await provider.commit(VPN)
        await provider.commit(OTHER)
        await provider.lab["pe-madrid"].stop()
        await provider.controller.service_probes.reconcile()
        assert sessions(provider) == {(LONDON, FRANKFURT), (FRANKFURT, LONDON)}
        assert set(provider.controller.service_probes.unmeasured) == {service_id("other")}


def test_series_are_named_by_router_session_and_kind() -> None:
    key = SeriesKey(LONDON, "forward-delay", "20001")
    assert str(key) == "pe-london/20001/forward-delay"
