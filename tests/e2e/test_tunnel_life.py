"""A tunnel's life over the lab's routers: made, carrying a VPN, moved, repaired, undone, gone without a trace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.events import types
from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_paths import Avoidance
from controller.model.errors import ConflictError, InvalidInputError, NotFoundError, StalePlanError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.runtime.topology_names import avoidance, links_named
from controller.runtime.tunnels import TunnelWish
from controller.topology.network import LinkId
from controller.topology.paths import NoPathError
from controller.transaction.plan import Plan
from controller.transaction.stages import Stage
from lab.planes.fib import Steering
from lab.topology_file import load_topology
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, QUICK, Provider, open_provider
from tests.e2e.world import until
from tests.patience import PATIENCE_SECONDS

LONDON, FRANKFURT, PARIS = DeviceName("pe-london"), DeviceName("pe-frankfurt"), DeviceName("pe-paris")
DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
NORTH, SOUTH = "pe-london-p-brussels", "pe-london-p-lyon"
"""Wires as people name them."""
NORTH_WIRE = "pe-london--p-brussels"


@asynccontextmanager
async def demo(directory: Path) -> AsyncIterator[Provider]:
    """The demonstration's network, its topology learnt, a VPN between London and Frankfurt."""
    async with open_provider(directory, load_topology(DEMO)) as provider:
        await provider.commit(
            edit(service(), site("l", "London", "GB", access(1)), site("f", "Frankfurt", "DE", access(2)))
        )
        await provider.controller.topology.refresh()
        yield provider


async def tunnel(provider: Provider, name: str = "gold", target: DeviceName = FRANKFURT, **wish: Any) -> Tunnel:
    """Make a tunnel from London, committed."""
    wanted = TunnelWish(**{"services": ("acme",)} | wish)
    await planned(provider, lambda tunnels: tunnels.create(name, LONDON, target, wanted))
    return provider.controller.world.tunnels.get(name)


async def planned(provider: Provider, make: Any) -> Plan:
    plan: Plan = await provider.controller.plan_tunnels(make, ACTOR)
    await provider.commit_plan(plan)
    return plan


async def in_stages(provider: Provider, make: Any) -> None:
    plan = await provider.controller.plan_tunnels(make, ACTOR)
    begun = await provider.controller.begin_staged(plan.id, ACTOR, checksum=plan.checksum)
    done = await provider.controller.changes.finish(begun.id)
    assert done.stage is Stage.DONE, done.steps


def active(provider: Provider, router: str = LONDON) -> dict[int, int | None]:
    """The candidate path that carries, by colour of the policy, as the router tells."""
    return {policy.color: policy.active for policy in provider.lab.plane.policies(router)}


def steered(provider: Provider, router: str = LONDON) -> set[tuple[str, ...]]:
    """The segments before the VPN's own that traffic of VRFs takes."""
    fib = provider.lab.plane.tables.fib(router)
    ways = [entry for routes in fib.vpn.values() for entry in routes.values() if isinstance(entry, Steering)]
    return {encapsulation.segments[:-1] for way in ways for encapsulation in way.encapsulations}


def first_links(found: Tunnel) -> list[str]:
    return [path.hops[0] for path in found.ranked]


async def test_the_topology_is_that_of_the_lab(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        network = provider.controller.topology.network
        told = {(str(link.a), str(link.b), link.capacity_bit_rate) for link in provider.lab.topology.links}
        found = {(str(link.source), str(link.target), link.capacity.bits_per_second) for link in network.links.values()}
        assert found == told | {(b, a, rate) for a, b, rate in told}
        channel = links_named(network, NORTH) | links_named(network, SOUTH)
        assert {link.id for link in network.links.values() if 101 in link.srlgs} == channel
        assert all(link.segment and link.is_up for link in network.links.values())
        assert provider.controller.topology.unread == {}


async def test_a_vpn_takes_its_tunnel_and_leaves_no_trace_of_it_afterwards(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        before, free = provider.running(), steered(provider)
        made = await tunnel(provider)
        assert active(provider) == {made.color: 1}
        assert steered(provider) == {made.ranked[0].segments}
        await provider.assert_read_back_equal([LONDON])
        await planned(provider, lambda tunnels: tunnels.delete(["gold"]))
        assert (provider.running(), steered(provider)) == (before, free)
        assert not list(provider.controller.world.tunnels)


async def test_a_tunnel_that_is_undone_was_never_there_and_comes_back_when_that_is_undone(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        before = provider.running()
        made = await tunnel(provider)
        with_tunnel = provider.running()
        rollback = await provider.controller.plan_rollback(provider_last(provider), ACTOR)
        await provider.commit_plan(rollback)
        assert provider.running() == before
        await provider.commit_plan(await provider.controller.plan_rollback(provider_last(provider), ACTOR))
        assert provider.running() == with_tunnel
        assert provider.controller.world.tunnels.get("gold") == made


def provider_last(provider: Provider) -> Any:
    return max(provider.controller.world.transactions, key=lambda summary: summary.position).id


async def test_a_service_that_is_undone_takes_the_colours_of_later_tunnels_along(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = provider_last(provider)
        await tunnel(provider)
        await provider.commit_plan(await provider.controller.plan_rollback(made, ACTOR))
        assert not list(provider.controller.world.services.fragments)
        assert steered(provider) == set()
        await provider.assert_read_back_equal([LONDON])
        await provider.commit_plan(await provider.controller.plan_rollback(provider_last(provider), ACTOR))
        assert steered(provider) == {provider.controller.world.tunnels.get("gold").ranked[0].segments}
        await provider.assert_read_back_equal([LONDON])


async def test_a_move_in_stages_keeps_the_colour_and_takes_the_new_path(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = await tunnel(provider)
        network = provider.controller.topology.network
        avoid = avoidance(network, (NORTH,))
        await in_stages(provider, lambda tunnels: tunnels.move("gold", avoid))
        moved = provider.controller.world.tunnels.get("gold")
        assert moved.color == made.color
        assert moved.paths[0].hops != made.paths[0].hops
        assert not links_named(network, NORTH).intersection(moved.links)
        assert steered(provider) == {moved.ranked[0].segments}
        assert (moved.probes, moved.beside) == ((), ())
        assert b"stamp-session" not in provider.running()[LONDON]


async def test_a_second_vpn_of_another_colour_needs_a_replacement_and_gets_one(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        gold = await tunnel(provider)
        await tunnel(provider, "silver", PARIS, services=())
        await in_stages(provider, lambda tunnels: tunnels.change("silver", TunnelWish(services=("acme",))))
        silver = provider.controller.world.tunnels.get("silver")
        assert silver.color == gold.color
        assert set(active(provider)) == {gold.color}
        assert len(provider.lab.plane.policies(LONDON)) == 2


async def test_what_a_tunnel_asks_changes_in_place_and_its_path_stays_where_it_does(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = await tunnel(provider)
        rate = BitRate(10**9)
        await planned(provider, lambda tunnels: tunnels.change("gold", TunnelWish(bandwidth=rate)))
        wider = provider.controller.world.tunnels.get("gold")
        assert (wider.paths, wider.color, wider.bandwidth) == (made.paths, made.color, rate)
        hop = made.paths[0].hops[0]
        assert provider.controller.topology.database.reserved(hop) == rate
        await in_stages(provider, lambda tunnels: tunnels.change("gold", TunnelWish(protection="link")))
        protected = provider.controller.world.tunnels.get("gold")
        assert len(protected.paths) == 2
        assert protected.color == made.color
        assert active(provider) == {made.color: protected.ranked[0].discriminator}


@pytest.mark.parametrize(
    "wish, words",
    [
        ({"bandwidth": BitRate(10**12)}, "bandwidth"),
        ({"delay_bound_seconds": 0.0001}, "delay bound"),
        ({"include_any": 4}, "include-any"),
        ({"protection": "srlg"}, "srlg"),
    ],
)
async def test_a_path_that_there_is_not_is_refused_with_the_constraint(
    tmp_path: Path, wish: dict[str, Any], words: str
) -> None:
    async with demo(tmp_path) as provider:
        with pytest.raises(NoPathError, match=words):
            provider.controller.tunnels.create("gold", LONDON, FRANKFURT, TunnelWish(**wish))


async def test_bad_input_names_what_is_wrong(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        tunnels = provider.controller.tunnels
        await tunnel(provider)
        with pytest.raises(NotFoundError, match="'nowhere'"):
            tunnels.create("t", LONDON, DeviceName("nowhere"), TunnelWish())
        with pytest.raises(NotFoundError, match="'nobody'"):
            tunnels.create("t", LONDON, PARIS, TunnelWish(services=("nobody",)))
        with pytest.raises(ConflictError, match="'gold'"):
            tunnels.create("gold", LONDON, PARIS, TunnelWish())
        with pytest.raises(ConflictError, match="'gold' takes acme"):
            tunnels.create("t", LONDON, FRANKFURT, TunnelWish(services=("acme",)))
        with pytest.raises(InvalidInputError, match="'everything'"):
            tunnels.create("t", LONDON, PARIS, TunnelWish(protection="everything"))
        with pytest.raises(NotFoundError, match="'a-b'"):
            avoidance(provider.controller.topology.network, ("a-b",))
        with pytest.raises(InvalidInputError, match="is there already"):
            tunnels.move("gold")
        with pytest.raises(NotFoundError, match="'x:0>y:0'"):
            tunnels.move("gold", Avoidance(), [LinkId("x:0>y:0")])


async def listening(provider: Provider) -> None:
    """Carrier events reach the daemon from now on."""
    events = provider.daemon.link_events
    events.follow()
    await until(lambda: len(events.listening) == len(provider.lab.topology.nodes), PATIENCE_SECONDS)
    await provider.controller.topology.refresh()


def repairs(provider: Provider) -> list[Any]:
    return [event.data for event in provider.daemon.log.read(stream="tunnels") if event.type == types.TUNNELS_REPAIRED]


async def test_a_tunnel_whose_link_is_cut_is_repaired(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = await tunnel(provider)
        assert made.ranked[0].hops[0] in links_named(provider.controller.topology.network, NORTH)
        await listening(provider)
        provider.lab.set_link(NORTH_WIRE, up=False)
        await until(lambda: bool(repairs(provider)), PATIENCE_SECONDS)
        repaired = provider.controller.world.tunnels.get("gold")
        assert repaired.color == made.color
        assert not links_named(provider.controller.topology.network, NORTH).intersection(repaired.links)
        assert steered(provider) == {repaired.ranked[0].segments}
        assert repairs(provider)[0]["outcome"] == "repaired"
        changed = [e.data for e in provider.daemon.log.read(stream="topology") if e.type == types.LINK_CHANGED]
        assert {(data["device"], data["port"], data["up"]) for data in changed} == {
            ("pe-london", "core0", False),
            ("p-brussels", "core0", False),
        }


async def test_a_protected_tunnel_switches_by_itself(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = await tunnel(provider, target=DeviceName("pe-madrid"), protection="link", services=())
        primary, backup = made.ranked
        await listening(provider)
        cut = next(
            link.name
            for link in provider.lab.topology.links
            if {str(link.a), str(link.b)} == set(primary.hops[-1].split(">"))
        )
        provider.lab.set_link(cut, up=False)
        await until(lambda: active(provider) == {made.color: backup.discriminator}, PATIENCE_SECONDS)
        await until(lambda: bool(repairs(provider)), PATIENCE_SECONDS)
        assert provider.controller.tunnels.states() == {"gold": "switched"}
        assert repairs(provider)[0]["outcome"] == "unroutable", "Madrid has two links only"


async def test_nothing_is_repaired_where_the_operator_does_not_want_it(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = await tunnel(provider)
        provider.daemon.repair.is_wanted = lambda: False
        await listening(provider)
        provider.lab.set_link(NORTH_WIRE, up=False)
        hop = made.ranked[0].hops[0]
        await until(lambda: not provider.controller.topology.database.is_up(hop), PATIENCE_SECONDS)
        await provider.daemon.repair.repair(frozenset([hop]), 0.0)
        assert provider.controller.world.tunnels.get("gold") == made
        assert provider.controller.tunnels.states() == {"gold": "down"}
        provider.lab.set_link(NORTH_WIRE, up=True)
        await until(lambda: provider.controller.tunnels.states() == {"gold": "up"}, PATIENCE_SECONDS)


async def test_a_site_that_joins_later_is_steered_and_a_vpn_that_ends_takes_its_colour_along(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        wish = TunnelWish(services=("acme",))
        back = lambda tunnels: tunnels.create("back", PARIS, LONDON, wish)  # noqa: E731
        await planned(provider, back)
        assert steered(provider, PARIS) == set()
        await provider.commit(edit(site("p", "Paris", "FR", access(3))))
        found = provider.controller.world.tunnels.get("back")
        assert found.ranked[0].segments in steered(provider, PARIS)
        await provider.commit_plan(await provider.controller.plan_service_deletion("acme", ACTOR))
        assert b"l3vpn" not in provider.running()[PARIS]


async def test_two_plans_cannot_both_take_what_only_one_fits_on(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        wish = TunnelWish(bandwidth=BitRate(60 * 10**9))
        plans = [
            await provider.controller.plan_tunnels(lambda t, name=name: t.create(name, LONDON, PARIS, wish), ACTOR)
            for name in ("first", "second")
        ]
        await provider.commit_plan(plans[0])
        with pytest.raises(StalePlanError, match="no room any more"):
            await provider.controller.commit(plans[1].id, QUICK, ACTOR)
        await planned(provider, lambda tunnels: tunnels.create("second", LONDON, PARIS, wish))
        routes = {found.ranked[0].hops[0] for found in provider.controller.world.tunnels}
        assert len(routes) == 2


async def test_two_commits_at_once_on_two_head_ends_cannot_both_take_what_only_one_fits_on(
    tmp_path: Path,
) -> None:
    async with demo(tmp_path) as provider:
        controller = provider.controller
        wish = TunnelWish(bandwidth=BitRate(60 * 10**9))
        shared = LinkId("p-brussels:core2>pe-frankfurt:core0")
        ways = {
            "north": (LONDON, [LinkId("pe-london:core0>p-brussels:core0"), shared]),
            "south": (PARIS, [LinkId("pe-paris:core0>p-brussels:core1"), shared]),
        }
        plans = [
            await controller.plan_tunnels(
                lambda t, name=name, way=way: t.create(name, way[0], FRANKFURT, wish, along_links=way[1]), ACTOR
            )
            for name, way in ways.items()
        ]
        done = await asyncio.gather(*(controller.commit(p.id, QUICK, ACTOR) for p in plans), return_exceptions=True)
        refused = [found for found in done if isinstance(found, ConflictError)]
        assert len(refused) == 1, done
        assert str(shared) in str(refused[0])
        assert controller.topology.database.residual(shared) == BitRate(40 * 10**9)


async def test_a_wish_that_meets_another_at_its_commit_finds_room_elsewhere(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        controller = provider.controller
        wish = TunnelWish(bandwidth=BitRate(60 * 10**9))

        async def wanted(name: str, source: DeviceName) -> object:
            async def make() -> Plan:
                return await controller.plan_tunnels(lambda t: t.create(name, source, FRANKFURT, wish), ACTOR)

            return await controller.commit_fresh(make, QUICK, ACTOR)

        await asyncio.gather(wanted("north", LONDON), wanted("south", PARIS))
        assert {tunnel.name for tunnel in controller.world.tunnels} == {"north", "south"}
        database = controller.topology.database
        assert all(database.residual(link) >= BitRate(0) for link in database.network.links)


async def test_links_are_measured_when_that_is_asked_for(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        topology, before = provider.controller.topology, provider.running()
        await planned(provider, lambda tunnels: tunnels.measure(is_on=True))
        told = {link.name: link.delay_seconds for link in provider.lab.topology.links}

        async def all_measured() -> bool:
            await topology.refresh()
            return len(topology.database.measured) == 2 * len(told)

        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not await all_measured():
            assert asyncio.get_running_loop().time() < deadline, topology.database.measured
        for link in topology.network.links.values():
            name = next(n for n in told if set(n.split("--")) == {link.source.node, link.target.node})
            assert topology.database.delay_seconds(link.id) == pytest.approx(told[name], rel=0.05)
        await planned(provider, lambda tunnels: tunnels.measure(is_on=False))
        assert provider.running() == before


async def test_links_that_fail_together_are_repaired_together(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        create = lambda t: t.create("gold", PARIS, FRANKFURT, TunnelWish())  # noqa: E731
        await planned(provider, create)
        await listening(provider)
        for wire in ("pe-paris--p-brussels", "pe-frankfurt--p-lyon"):
            provider.lab.set_link(wire, up=False)
        await until(lambda: bool(repairs(provider)), PATIENCE_SECONDS)
        assert [found["moved"] for found in repairs(provider)] == [
            {"gold": "pe-paris > p-lyon > p-brussels > pe-frankfurt"}
        ]


async def test_a_change_in_stages_is_approved_once(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await tunnel(provider)
        controller = provider.controller
        controller.approval = "always"
        avoid = avoidance(controller.topology.network, (NORTH,))
        plan = await controller.plan_tunnels(lambda tunnels: tunnels.move("gold", avoid), ACTOR)
        with pytest.raises(ConflictError, match="approval"):
            await controller.begin_staged(plan.id, ACTOR)
        await controller.approve(plan.id, "somebody else")
        begun = await controller.begin_staged(plan.id, ACTOR)
        assert (await controller.changes.finish(begun.id)).stage is Stage.DONE


async def test_an_intended_move_onto_a_path_that_loses_packets_is_taken_back(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = await tunnel(provider)
        controller = provider.controller
        provider.lab.plane.set_link("pe-london--p-lyon", up=False, silent=True)
        avoid = avoidance(controller.topology.network, (NORTH,))
        plan = await controller.plan_tunnels(lambda tunnels: tunnels.move("gold", avoid), ACTOR)
        begun = await controller.changes.begin(replace(controller.tunnels.staged(plan), deadline_seconds=2.0), ACTOR)
        assert (await controller.changes.finish(begun.id)).stage is Stage.ABORTED
        assert controller.world.tunnels.get("gold") == made
        assert steered(provider) == {made.ranked[0].segments}


async def test_a_move_that_somebody_overtakes_ends_where_they_left_the_tunnel(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        await tunnel(provider)
        controller = provider.controller
        provider.lab.plane.set_link("pe-london--p-lyon", up=False, silent=True)  # the new path does not prove good yet
        avoid = avoidance(controller.topology.network, (NORTH,))
        plan = await controller.plan_tunnels(lambda tunnels: tunnels.move("gold", avoid), ACTOR)
        begun = await controller.begin_staged(plan.id, ACTOR, checksum=plan.checksum)
        await until(lambda: controller.world.changes.get(begun.id).stage is Stage.VERIFYING, PATIENCE_SECONDS)
        await planned(provider, lambda tunnels: tunnels.change("gold", TunnelWish(bandwidth=BitRate(10**9))))
        theirs = controller.world.tunnels.get("gold")
        provider.lab.plane.set_link("pe-london--p-lyon", up=True)
        over = await asyncio.wait_for(controller.changes.finish(begun.id), PATIENCE_SECONDS)
        assert (over.stage, controller.world.tunnels.get("gold")) == (Stage.ABORTED, theirs)
        assert "somebody else" in over.steps[-1].reason


async def test_what_failed_while_no_router_could_tell_is_found_when_the_streams_are_back(tmp_path: Path) -> None:
    async with demo(tmp_path) as provider:
        made = await tunnel(provider)
        await listening(provider)
        ends = {"pe-london", "p-brussels"}
        reboots = asyncio.gather(*(provider.lab[name].reboot(down_seconds=2.0) for name in ends))
        await until(lambda: not ends & provider.daemon.link_events.listening, PATIENCE_SECONDS)
        provider.lab.set_link(NORTH_WIRE, up=False)
        await reboots
        await until(lambda: provider.controller.world.tunnels.get("gold").paths != made.paths, PATIENCE_SECONDS)
        assert provider.controller.tunnels.states() == {"gold": "up"}
