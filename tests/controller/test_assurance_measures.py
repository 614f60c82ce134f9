"""What objectives are measured by: sessions there and back, what is free on links, sites that reach others."""

from dataclasses import replace
from math import isnan
from types import SimpleNamespace

import pytest

from controller.assurance.objectives import Objective, ObjectiveName
from controller.assurance.objectives_l3sm import Access
from controller.mapping.fragment import service_id
from controller.mapping.tunnel import PRIMARY, Tunnel, TunnelPath
from controller.mapping.tunnel_book import TunnelChange
from controller.model.identifiers import DeviceName
from controller.runtime.assurance_measures import Session
from controller.runtime.collection_reading import Told
from controller.telemetry.sample import Reading, SeriesKey
from controller.topology.te_database import TeDatabase
from tests.controller.assurance_world import LONDON, PARIS, TICK, AssuredWorld
from tests.controller.topology_samples import drawn

MADRID = DeviceName("mad1")
LOSS = Objective(service_id("acme"), ObjectiveName.LOSS, 0.01, subject="lon1>par1")
ACCESSES = (Access("l", "a1", LONDON, "ge0", bit_rate=10**8), Access("p", "a1", PARIS, "ge0", bit_rate=10**8))
SESSIONS = (Session(LONDON, PARIS, 1), Session(PARIS, LONDON, 1))


@pytest.fixture
def world() -> AssuredWorld:
    return AssuredWorld()


def told(world: AssuredWorld, ticks: int = 4, *, sent: float = 10.0, lost: float = 0.0, paris: bool = True) -> None:
    for _ in range(ticks):
        world.clock.time += TICK
        world.tell(LONDON, 1, 0.01, sent, lost)
        if paris:
            world.tell(PARIS, 1, 0.01, sent, lost)


def reachable(world: AssuredWorld, accesses: tuple[Access, ...] = ACCESSES) -> str:
    return world.assurance.measures.reachable(accesses, SESSIONS, world.clock.time)[0]


def test_loss_is_counted_over_several_readings(world: AssuredWorld) -> None:
    told(world, 5)
    told(world, 1, lost=3.0)
    measured = world.assurance.measures.look(LOSS, ACCESSES, SESSIONS, world.clock.time)
    assert measured.value == pytest.approx(3.0 / 50.0)
    assert [key.kind for key in measured.series] == ["sent-packets", "lost-packets"]


def test_a_service_is_available_where_test_packets_come_back_and_not_where_none_does(world: AssuredWorld) -> None:
    assert reachable(world) == "unknown"
    told(world)
    assert reachable(world) == "good"
    told(world, 1, lost=4.0)
    assert reachable(world) == "good", "losing some is no outage"
    told(world, 1, lost=10.0)
    assert reachable(world) == "bad"


def test_one_way_between_two_sites_is_enough_where_there_are_several(world: AssuredWorld) -> None:
    told(world, lost=10.0)
    world.clock.time += 0.001
    spare = replace(ACCESSES[1], name="a2", device=MADRID)
    sessions = (*SESSIONS, Session(LONDON, MADRID, 2))
    for _ in range(4):
        world.clock.time += TICK
        world.tell(LONDON, 1, 0.01, 10.0, 10.0)
        world.tell(PARIS, 1, 0.01, 10.0, 10.0)
        world.tell(LONDON, 2, 0.01, 10.0, 0.0)
    measures = world.assurance.measures
    assert measures.reachable((*ACCESSES, spare), sessions, world.clock.time)[0] == "good"


def test_what_is_not_told_any_more_is_unknown(world: AssuredWorld) -> None:
    told(world)
    world.clock.time += 20 * TICK
    assert reachable(world) == "unknown"
    measured = world.assurance.measures.look(LOSS, ACCESSES, SESSIONS, world.clock.time)
    assert measured.quality == 0.0
    assert "stale" in measured.why


def test_there_and_back_is_measured_from_either_end_and_one_way_is_not(world: AssuredWorld) -> None:
    told(world)
    measures, now = world.assurance.measures, world.clock.time
    round_trip = replace(LOSS, name=ObjectiveName.ROUND_TRIP_DELAY, target=0.1, subject="par1>lon1")
    assert measures.look(round_trip, ACCESSES, SESSIONS[:1], now).value == 0.02
    one_way = replace(round_trip, name=ObjectiveName.ONE_WAY_DELAY)
    assert "telemetry.service_probes: auto" in measures.look(one_way, ACCESSES, SESSIONS[:1], now).why


def test_a_link_of_which_no_rate_is_known_yet_leaves_unknown_what_is_free(world: AssuredWorld) -> None:
    measures = world.assurance.measures
    measures.topology = SimpleNamespace(database=TeDatabase(drawn((LONDON, PARIS, 1))))  # type: ignore[assignment]
    bandwidth = Objective(service_id("acme"), ObjectiveName.BANDWIDTH, 1e8, subject="l/a1")
    (link,) = measures.path(LONDON, PARIS)
    out = SeriesKey(LONDON, "out-octets", link.source.name)
    told(world)
    world.series.take(LONDON, Told((Reading(out, world.clock.time, world.clock.time, 0.0),), {}), TICK)
    assert isnan(measures.look(bandwidth, ACCESSES, SESSIONS, world.clock.time).value)
    told(world, 1)
    world.series.take(LONDON, Told((Reading(out, world.clock.time, world.clock.time, 1e6 * TICK),), {}), TICK)
    free = measures.look(bandwidth, ACCESSES, SESSIONS, world.clock.time).value
    assert free == pytest.approx(link.capacity.bits_per_second - 8e6)


def test_without_links_an_access_has_what_its_port_has(world: AssuredWorld) -> None:
    told(world)
    bandwidth = Objective(service_id("acme"), ObjectiveName.BANDWIDTH, 1e8, subject="l/a1")
    assert world.assurance.measures.look(bandwidth, ACCESSES, SESSIONS, world.clock.time).value == 1e10
    gone = replace(bandwidth, subject="nowhere/a1")
    assert world.assurance.measures.look(gone, ACCESSES, SESSIONS, world.clock.time).quality == 0.0


MIDDLE = DeviceName("mid1")
BANDWIDTH = Objective(service_id("acme"), ObjectiveName.BANDWIDTH, 1e8, subject="l/a1")


async def steered(world: AssuredWorld, *services: str) -> tuple[TeDatabase, Tunnel]:
    """London and Paris are joined directly and, farther, over the middle; a tunnel of these services goes there."""
    network = drawn((LONDON, PARIS, 1), (LONDON, MIDDLE, 2), (MIDDLE, PARIS, 2))
    database = TeDatabase(network)
    world.assurance.measures.topology = SimpleNamespace(database=database)  # type: ignore[assignment]
    hops = tuple(
        link.id
        for ends in ((LONDON, MIDDLE), (MIDDLE, PARIS))
        for link in network.links.values()
        if (link.source.node, link.target.node) == ends
    )
    tunnel = Tunnel("gold", LONDON, PARIS, 100, "fc00::3", paths=(TunnelPath(1, PRIMARY, hops, ()),), services=services)
    await world.log.append([world.world.tunnels.changed(TunnelChange((tunnel,)))], actor="ada")
    return database, tunnel


def loaded(world: AssuredWorld, database: TeDatabase, rates: dict[tuple[DeviceName, DeviceName], float]) -> None:
    """Every link carries so many Mbit/s, for some readings."""
    for tick in range(4):
        world.clock.time += TICK
        for link in database.network.links.values():
            rate = rates.get((link.source.node, link.target.node), 0.0)
            key = SeriesKey(link.source.node, "out-octets", link.source.name)
            reading = Reading(key, world.clock.time, world.clock.time, rate * 1e6 / 8 * TICK * tick)
            world.series.take(link.source.node, Told((reading,), {}), TICK)


async def test_what_an_access_could_have_is_what_is_free_where_the_colour_steers_its_traffic(
    world: AssuredWorld,
) -> None:
    database, tunnel = await steered(world, "acme")
    loaded(world, database, {(LONDON, PARIS): 7000.0, (MIDDLE, PARIS): 4000.0})
    measures, now = world.assurance.measures, world.clock.time
    along = measures.look(BANDWIDTH, ACCESSES, SESSIONS, now)
    assert along.value == pytest.approx(6e9)
    assert {key.device for key in along.series} == {LONDON, MIDDLE}
    measures.topology.database = database.with_link_state(tunnel.paths[0].hops[:1], is_up=False)
    assert measures.look(BANDWIDTH, ACCESSES, SESSIONS, now).value == pytest.approx(3e9), "a dead policy steers nothing"


async def test_a_tunnel_of_others_steers_none_of_a_services_traffic(world: AssuredWorld) -> None:
    database, _ = await steered(world, "beta")
    loaded(world, database, {(LONDON, PARIS): 7000.0, (MIDDLE, PARIS): 4000.0})
    measured = world.assurance.measures.look(BANDWIDTH, ACCESSES, SESSIONS, world.clock.time)
    assert measured.value == pytest.approx(3e9)


async def test_services_conflict_only_where_their_traffic_takes_the_same_links(world: AssuredWorld) -> None:
    """Both want 6 of 10 Gbit/s each way; from London one of them goes over the middle, and back both go directly."""
    database, _ = await steered(world, "acme")
    wide = tuple(replace(one, bit_rate=6 * 10**9) for one in ACCESSES)
    found = world.assurance.reporting._conflicts({"acme": (None, wide), "beta": (None, wide)}, world.clock.time)
    direct = [
        str(link.id)
        for link in database.network.links.values()
        if (link.source.node, link.target.node) == (PARIS, LONDON)
    ]
    assert {conflict.reason.partition(" is ")[0] for conflict in found["acme"]} == set(direct)
