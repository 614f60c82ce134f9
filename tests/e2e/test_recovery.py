"""Faults of a real network of routers, and what is done about them: seen, named, proved, carried out, verified."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.events import types
from controller.model.errors import ConflictError, InvalidInputError
from controller.recovery.states import Mode, RecoveryState
from controller.runtime.localisation import BLIND
from controller.runtime.upkeep import Upkeep
from lab.drift import drift, interface_edit
from lab.planes import FlowSpec
from lab.topology import Topology
from lab.topology_file import load_topology
from lab.traffic.attachments import find_attachment
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, Provider
from tests.e2e.recovering import (
    BRUSSELS,
    DEMO,
    FRANKFURT,
    LONDON,
    LONG,
    LYON,
    NORTH,
    NORTH_WIRE,
    SOUTH_WIRE,
    by,
    eventually,
    lose,
    made,
    recoveries,
    recovering,
    told,
    ways,
)
from tests.e2e.world import until

pytestmark = pytest.mark.timeout(900)
BOTH = ("gold", "gold-back")


@pytest.fixture(autouse=True)
def links_are_measured_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a share of lost packets shows within seconds."""
    monkeypatch.setattr("controller.mapping.tunnel_probes.LINK_MILLISECONDS", 25)


def tunnel_changes(provider: Provider) -> int:
    return sum(event.type == types.TUNNELS_CHANGED for event in provider.daemon.log.read(stream="tunnels"))


def diagnoses(provider: Provider) -> list[str]:
    """The causes that were ever named, in the order of their naming."""
    events = [event.data for event in provider.daemon.log.read(stream="diagnosis")]
    return [cause["cause"] for data in events for cause in data["causes"]]


async def test_a_link_that_is_silently_dead_is_found_and_left(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        assert ways(provider, "gold") == ways(provider, "gold-back") == {BRUSSELS}
        provider.lab.set_link(NORTH_WIRE, up=False, silent=True)
        one = await eventually(lambda one: one.cause == NORTH and one.is_over, provider)
        assert one.services == ("acme",)
        assert ways(provider, "gold") == ways(provider, "gold-back") == {LYON}
        assert one.transactions
        assert one.verification.endswith("lose nothing")
        assert "proved" in one.verdict


async def test_a_link_that_loses_two_percent_with_its_carrier_up_is_found_and_left_without_a_break(
    tmp_path: Path,
) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        lose(provider, NORTH_WIRE, 0.02)
        one = await eventually(lambda one: one.cause == NORTH and one.is_over, provider)
        assert ways(provider, "gold") == ways(provider, "gold-back") == {LYON}
        changes = [change.id for change in provider.controller.world.changes]
        assert set(changes) <= set(one.transactions), "it was moved in stages: it carried all the time"
        assert changes


async def test_a_link_that_is_late_and_loses_nothing_is_named_and_left_by_whom_it_makes_too_late(
    tmp_path: Path,
) -> None:
    async with recovering(tmp_path, tunnels=("patient",)) as provider:
        await made(provider, "hasty", services=(), delay_bound_seconds=_BOUND_SECONDS)
        assert ways(provider, "hasty") == ways(provider, "patient") == {BRUSSELS}
        provider.lab.slow_link(NORTH_WIRE, 2 * _BOUND_SECONDS)
        cause = NORTH.replace("link ", "delay of ")
        one = await eventually(lambda one: one.cause == cause and one.is_over, provider)
        assert (one.fault.kind, one.services) == ("delay", ("tunnel/hasty",))
        assert any("delay of" in symptom and symptom.endswith("late") for symptom in one.fault.symptoms)
        assert one.transactions
        assert ways(provider, "hasty") == {LYON}
        assert ways(provider, "patient") == {BRUSSELS}, "nobody promised it anything"


_BOUND_SECONDS = 0.05


async def test_a_fibre_that_is_cut_is_repaired_at_once_and_recovery_finds_nothing_left_to_do(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        provider.lab.set_link(NORTH_WIRE, up=False)
        one = await eventually(lambda one: one.is_over, provider)
        assert (one.cause, one.services, one.transactions) == (NORTH, ("acme",), ())
        assert one.reason == "everybody is carried clear of it by now"
        await until(lambda: ways(provider, "gold") == ways(provider, "gold-back") == {LYON}, LONG)
        assert len(recoveries(provider)) == 1


async def test_after_a_recovery_the_links_of_its_area_are_probed_for_a_while(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        provider.controller.enhanced.is_wanted = True
        provider.controller.campaigns.budget.packets_per_second = 2000.0
        provider.lab.set_link(NORTH_WIRE, up=False)
        await eventually(lambda one: one.is_over, provider)
        await until(lambda: list(provider.controller.enhanced) == ["enhanced-1"], LONG)
        granted = provider.controller.campaigns.budget.granted
        assert granted["enhanced-1"] > 0


async def test_a_tunnel_that_a_cut_fibre_leaves_dead_is_rerouted_where_nobody_repaired_it(tmp_path: Path) -> None:
    async with recovering(tmp_path) as provider:
        await made(provider, "spare", services=())
        provider.daemon.repair.is_wanted = lambda: False
        provider.lab.set_link(NORTH_WIRE, up=False)
        one = await eventually(lambda one: one.is_over and one.transactions, provider)
        assert "tunnel/spare" in one.services
        assert ways(provider, "spare") == {LYON}
        assert not list(provider.controller.world.changes), "nothing can be lost on a dead path"


async def test_a_router_that_dies_is_named_and_everybody_goes_around_it(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        for link in provider.lab.topology.links:
            if BRUSSELS in {link.a.node, link.b.node}:
                provider.lab.set_link(link.name, up=False)
        await provider.lab[BRUSSELS].stop()
        one = await eventually(lambda one: one.cause == f"node {BRUSSELS}" and one.is_over, provider)
        assert one.services == ("acme",)
        await until(lambda: ways(provider, "gold") == ways(provider, "gold-back") == {LYON}, LONG)


async def test_a_conduit_that_is_cut_leaves_nothing_to_do_and_an_operator_is_told_until_it_is_mended(
    tmp_path: Path,
) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        for wire in (NORTH_WIRE, SOUTH_WIRE):
            provider.lab.set_link(wire, up=False)
        one = await eventually(lambda one: one.cause == "srlg 101" and one.is_waiting, provider)
        assert one.reason.startswith("nothing that could be changed helps")
        for wire in (NORTH_WIRE, SOUTH_WIRE):
            provider.lab.set_link(wire, up=True)
        await eventually(lambda each: each.id == one.id and each.is_over, provider)


async def test_a_link_that_flaps_is_left_once_and_not_for_each_flap(tmp_path: Path) -> None:
    async with recovering(tmp_path) as provider:
        before = tunnel_changes(provider)
        for _ in range(4):
            await flap(provider)
        one = await eventually(lambda one: one.cause.startswith("flapping ") and one.is_over, provider)
        after = tunnel_changes(provider)
        assert one.services == ("acme",)
        assert {way for tunnel in provider.controller.world.tunnels for way in ways(provider, tunnel.name)} == {LYON}
        for _ in range(3):
            await flap(provider)
        assert tunnel_changes(provider) == after <= before + 2
        assert [each.cause for each in recoveries(provider) if each.transactions] == [one.cause]


async def flap(provider: Provider) -> None:
    """The northern wire goes and comes; the daemon has heard of both."""
    database = lambda: provider.controller.topology.database  # noqa: E731
    for up in (False, True):
        provider.lab.set_link(NORTH_WIRE, up=up)
        hop = NORTH.removeprefix("link ")
        await until(lambda up=up, hop=hop: database().is_up(hop) is up, LONG)


async def test_of_a_link_that_is_too_full_part_of_the_traffic_goes_elsewhere(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH, topology=narrow()) as provider:
        sites = [site(f"b{n}", city, country, access(5 + n, vpn_id="beta")) for n, (city, country) in enumerate(TWO)]
        await provider.commit(edit(service("beta", customer="Beta"), *sites))
        await made(provider, "tin", services=("beta",))
        assert ways(provider, "gold") == ways(provider, "tin") == {BRUSSELS}
        for vpn in ("acme", "beta"):
            await send(provider, vpn)
        one = await eventually(
            lambda one: one.fault.kind == "congestion" and one.is_over and one.transactions, provider
        )
        assert one.candidates[0].remedy.kind == "shift"
        taken = {frozenset(ways(provider, name)) for name in ("gold", "tin")}
        assert taken == {frozenset({BRUSSELS}), frozenset({LYON})}, told(provider)


TWO = (("London", "GB"), ("Frankfurt", "DE"))
_NARROW, _SENT = 80_000_000, 48_000_000
"""Bit/s: a link out of London carries one VPN's traffic, and not two."""


def narrow() -> Topology:
    """The demonstration's network with nobody else's traffic, and two narrow links out of London."""
    demo = load_topology(DEMO)
    narrowed = {NORTH_WIRE, SOUTH_WIRE}
    links = [replace(link, capacity_bit_rate=_NARROW) if link.name in narrowed else link for link in demo.links]
    return Topology(demo.name, demo.nodes, tuple(links))


async def send(provider: Provider, vpn: str) -> None:
    """Traffic of a VPN from London to Frankfurt."""
    octets = 1000
    forwarding = [provider.lab.forwarding(name) for name in (LONDON, FRANKFURT)]
    (vrf,) = (each.name for each in forwarding[0].instances if each.name.startswith(vpn))
    ends = [find_attachment(n, f, vpn=vrf) for n, f in zip((LONDON, FRANKFURT), forwarding, strict=True)]
    await provider.lab.plane.start_flow(FlowSpec(*ends, packet_rate=_SENT / 8 / octets, packet_octets=octets))


async def test_telemetry_that_is_lost_is_no_reason_to_act_and_is_told(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        before = provider.running()
        for router in provider.lab:
            await router.stop()
        one = await eventually(lambda one: one.cause == BLIND and one.is_waiting, provider)
        assert "telemetry is lost" in one.reason
        assert [each.transactions for each in recoveries(provider)] == [()] * len(recoveries(provider))
        for router in provider.lab:
            await router.start()
        await eventually(lambda each: each.id == one.id and each.is_over, provider)
        assert provider.running() == before


async def test_a_remedy_that_does_not_help_is_undone_and_an_operator_decides(tmp_path: Path) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        was = {name: provider.controller.world.tunnels.get(name) for name in BOTH}
        spoil(provider)
        lose(provider, NORTH_WIRE, 0.05)
        one = await eventually(lambda one: one.is_waiting and one.cause == NORTH, provider)
        assert RecoveryState.ROLLED_BACK in {step.state for step in one.steps}, told(provider)
        assert "lost" in one.verification
        assert {name: provider.controller.world.tunnels.get(name) for name in BOTH} == was
        assert not one.is_touched
        assert one.reason.startswith("no remedy is left")


def spoil(provider: Provider) -> None:
    """The other way becomes bad as soon as a remedy is on it."""

    def hear(events: Any) -> None:
        if any(event.type == types.RECOVERY_ADVANCED and event.data["cue"] == "committed" for event in events):
            lose(provider, SOUTH_WIRE, 0.4)

    provider.daemon.log.subscribe(hear)


async def test_where_an_operator_wants_to_be_asked_nothing_happens_before_the_word(tmp_path: Path) -> None:
    async with recovering(tmp_path, Mode.ASK, tunnels=BOTH) as provider:
        lose(provider, NORTH_WIRE, 0.05)
        one = await eventually(lambda one: one.is_waiting and one.cause == NORTH, provider)
        assert ways(provider, "gold") == {BRUSSELS}
        assert one.candidates[0].score.reasons
        desk = provider.controller.recoveries
        with pytest.raises(InvalidInputError, match=r"has no remedy 99: there (is 1 remedy|are \d+ remedies)"):
            await desk.approve(one.id, ACTOR, 99)
        await desk.approve(one.id, ACTOR)
        over = await eventually(lambda each: each.id == one.id and each.is_over, provider)
        assert ways(provider, "gold") == {LYON}
        assert ACTOR in {step.actor for step in over.steps}


async def test_what_is_dismissed_is_left_alone_until_the_fault_is_gone(tmp_path: Path) -> None:
    async with recovering(tmp_path, Mode.ASK, tunnels=BOTH) as provider:
        lose(provider, NORTH_WIRE, 0.05)
        one = await eventually(lambda one: one.is_waiting and one.cause == NORTH, provider)
        await provider.controller.recoveries.dismiss(one.id, ACTOR, "planned work")
        with pytest.raises(ConflictError, match="not dismissed"):
            await provider.controller.recoveries.approve(one.id, ACTOR)
        lose(provider, NORTH_WIRE, 0.0)
        await eventually(lambda each: each.id == one.id and each.is_over, provider)
        assert ways(provider, "gold") == {BRUSSELS}
        assert [each.cause for each in recoveries(provider)] == [NORTH]


async def test_drift_that_somebody_pushed_waits_for_a_word_and_is_then_restored_beside_a_recovery(
    tmp_path: Path,
) -> None:
    async with recovering(tmp_path, tunnels=BOTH) as provider:
        upkeep = Upkeep(provider.controller)
        provider.controller.recoveries.faults.drift = lambda: upkeep.reports
        clean = provider.running()[FRANKFURT]
        push_drift(provider)
        await upkeep.check_idle()
        one = await eventually(lambda one: one.cause == f"drift on {FRANKFURT}" and one.is_waiting, provider)
        await upkeep.check_idle()
        assert upkeep.drift()[FRANKFURT] == 1, "what waits for a word is told for as long"
        lose(provider, NORTH_WIRE, 0.05)
        other = await eventually(lambda each: each.cause == NORTH and each.is_over, provider)
        assert other.transactions
        assert by(lambda each: each.id == one.id and each.is_waiting, provider), told(provider)
        await provider.controller.recoveries.approve(one.id, ACTOR)
        await eventually(lambda each: each.id == one.id and each.is_over, provider)
        assert provider.running()[FRANKFURT] != clean, "the tunnel back goes another way now"
        await provider.assert_read_back_equal([FRANKFURT, LONDON])
        await upkeep.check_idle()
        assert upkeep.drift()[FRANKFURT] == 0


def push_drift(provider: Provider) -> None:
    """Somebody writes another description on a customer's port."""
    router = provider.lab[FRANKFURT]
    drift(router, interface_edit(router, description="by hand"))
