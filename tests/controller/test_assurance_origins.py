"""What began a change of a service: carriers and changes of the controller's own, where the time fits; nothing else."""

import json
from itertools import pairwise
from types import SimpleNamespace

import pytest

from controller.assurance.book import AssuranceBook
from controller.events import types
from controller.mapping.tunnel import PRIMARY, Tunnel, TunnelPath
from controller.mapping.tunnel_book import TunnelChange
from controller.model.identifiers import DeviceName
from controller.northbound.assurance import assurance_view
from controller.ports import NewEvent
from controller.recovery.situation import Fault
from controller.runtime.assurance_explaining import Explaining
from controller.runtime.collection_reading import Told
from controller.runtime.world import World
from controller.telemetry.sample import Provenance, Reading, SeriesKey
from controller.topology.network import LinkId
from controller.topology.te_database import Measurement, TeDatabase
from tests.controller.assurance_world import DELAY, LONDON, PARIS, TICK, AssuredWorld
from tests.controller.mapping_samples import two_sites
from tests.controller.topology_samples import drawn

MIDDLE = DeviceName("mid1")
NETWORK = drawn((LONDON, PARIS, 1), (LONDON, MIDDLE, 2), (MIDDLE, PARIS, 2))
NEAR, FAR = (
    tuple(
        link.id
        for one, other in pairwise(way)
        for link in NETWORK.links.values()
        if (link.source.node, link.target.node) == (one, other)
    )
    for way in ((LONDON, PARIS), (LONDON, MIDDLE, PARIS))
)


def gold(hops: tuple[LinkId, ...], *services: str) -> Tunnel:
    return Tunnel("gold", LONDON, PARIS, 100, "fc00::3", paths=(TunnelPath(1, PRIMARY, hops, ()),), services=services)


async def changed(world: AssuredWorld, tunnel: Tunnel, transaction: str, actor: str = "ada") -> None:
    event = world.world.tunnels.changed(TunnelChange((tunnel,)))
    await world.log.append([event], actor=actor, cause=transaction)


@pytest.fixture
async def world() -> AssuredWorld:
    """A service that a tunnel carries, measured for a while."""
    world = AssuredWorld()
    view = SimpleNamespace(database=TeDatabase(NETWORK), network=NETWORK)
    world.assurance.measures.topology = view  # type: ignore[assignment]
    await world.serve(two_sites())
    await world.promise(DELAY)
    await changed(world, gold(NEAR, "acme"), "tx-1")
    for _ in range(20):
        await world.tick(0.010)
    return world


async def told(world: AssuredWorld) -> str:
    for _ in range(6):
        await world.tick(0.012)
    explained = Explaining(world.assurance, dict).explain("acme")
    return " ".join(one["text"] for one in explained["sentences"])


async def test_a_renegotiation_is_named_as_what_moved_the_traffic(world: AssuredWorld) -> None:
    await changed(world, gold(FAR, "acme"), "tx-9", actor="oss-planning")
    assert "delay lon1 to par1 rose 20 % (10 to 12 ms) because tx-9 of a renegotiation moved gold." in await told(world)


async def test_what_was_changed_long_before_began_nothing(world: AssuredWorld) -> None:
    text = await told(world)
    assert "rose 20 % (10 to 12 ms)" in text
    assert "tx-1" not in text


async def test_a_change_after_which_the_same_links_carry_moved_nothing(world: AssuredWorld) -> None:
    await changed(world, gold(NEAR, "acme", "beta"), "tx-2")
    assert "tx-2" not in await told(world)


async def test_a_change_of_the_service_itself_is_told_before_one_of_anothers_tunnel(world: AssuredWorld) -> None:
    await changed(world, gold(FAR, "acme"), "tx-3")
    other = Tunnel("tin", LONDON, PARIS, 101, "fc00::3", paths=(TunnelPath(1, PRIMARY, NEAR, ()),))
    await changed(world, other, "tx-4")
    assert "because tx-3 moved gold." in await told(world)


async def test_own_changes_are_the_same_after_a_restart_from_events_or_from_a_snapshot(world: AssuredWorld) -> None:
    await changed(world, gold(FAR, "acme"), "tx-9")
    known = world.world.assurance.changes
    assert [(one.transaction, one.left, one.taken) for one in known if one.tunnels] == [
        ("tx-1", (), tuple(sorted(NEAR))),
        ("tx-9", tuple(sorted(NEAR)), tuple(sorted(FAR))),
    ]
    again, loaded = World(), AssuranceBook()
    again.apply_all(list(world.log.read()))
    loaded.load_json(world.world.assurance.to_json())
    assert again.assurance.changes == loaded.changes == known


async def test_a_link_that_was_late_when_the_daemon_began_is_a_slight_symptom_of_whom_it_carries(
    world: AssuredWorld,
) -> None:
    """No baseline of its own tells it: it is late beside its length; and nothing is done for its sake."""
    key = SeriesKey(LONDON, "forward-delay", "30000")
    elsewhere = next(link.id for link in NETWORK.links.values() if MIDDLE in {link.source.node, link.target.node})

    async def seen(link: LinkId, seconds: float) -> tuple[int, list[str], list[str]]:
        database = TeDatabase(NETWORK).with_measurements({link: Measurement(delay_seconds=seconds)})
        measurements = SimpleNamespace(delay_series={link: key})
        view = SimpleNamespace(database=database, network=NETWORK, measurements=measurements)
        world.assurance.measures.topology = view  # type: ignore[assignment]
        now = world.clock.time
        world.series.take(LONDON, Told((Reading(key, now, now, seconds, Provenance.PROBED),), {}), TICK)
        await world.tick(0.010)
        found = assurance_view(world.assurance, "acme")
        told = [one["text"] for one in Explaining(world.assurance, dict).explain("acme")["sentences"]]
        reasons = [one["reason"] for one in found["symptoms"] if one["kind"] == "late-link"]
        return found["health"], reasons, [text.partition("UTC ")[2] for text in told if "expected of" in text]

    late = f"{LONDON}-{PARIS} takes 20.5 ms, 1 ms are expected of its length or the topology file"
    (whole, *nothing) = await seen(elsewhere, 0.0205)
    assert nothing == [[], []], "its packets do not go there"
    assert await seen(NEAR[0], 0.0205) == (round(0.9 * whole), [late], [f"{late} (low confidence)."])
    assert await seen(NEAR[0], 0.0011) == (whole, [], []), "it is over"
    assert world.decisions() == []


async def test_what_localisation_found_is_named_as_what_began_a_change_and_by_itself(world: AssuredWorld) -> None:
    fault = Fault("link lon1:0>par1:0", "link", confidence=0.97, reason="the cause is link lon1:0>par1:0 (late)")
    other = Fault("unknown", "unknown", reason="no cause known")
    for _ in range(3):
        await world.tick(0.012)
    for faults, services in (([fault], ["acme"]), ([other], ["acme"]), ([fault], ["other"])):
        causes = [one.to_json() for one in faults]
        data = {"reason": "", "causes": causes, "services": services, "symptoms": []}
        await world.log.append([NewEvent("diagnosis", types.DIAGNOSIS_CHANGED, data)], actor="accord")
    text = await told(world)
    assert "(10 to 12 ms) because link lon1:0>par1:0 is at fault." in text
    assert "localisation found link lon1:0>par1:0 at fault (the cause is link lon1:0>par1:0 (late))." in text
    (kept,) = [one for one in world.world.assurance.diagnoses if "acme" in one.data["services"]]
    again = AssuranceBook()
    again.load_json(json.loads(json.dumps(world.world.assurance.to_json())))
    assert again.diagnoses == world.world.assurance.diagnoses
    assert kept.data["causes"][0]["confidence"] == 0.97


async def test_where_nothing_changed_a_delay_is_told_too(world: AssuredWorld) -> None:
    for tick in range(4):
        for link in NETWORK.links.values():
            key, now = SeriesKey(link.source.node, "out-octets", link.source.name), world.clock.time + TICK
            world.series.take(link.source.node, Told((Reading(key, now, now, 1e6 * TICK * tick),), {}), TICK)
        await world.tick(0.010)
    sentences = [one["text"] for one in Explaining(world.assurance, dict).explain("acme")["sentences"]]
    for told in (f"one-way delay {LONDON} to {PARIS} stayed at 10 ms", f"load of {LONDON}-{PARIS} stayed at 8 Mbit/s"):
        assert any(told in one for one in sentences), told


async def test_a_delay_is_not_called_at_fault_but_above_what_is_usual(world: AssuredWorld) -> None:
    cause = {"cause": "delay of node lon1", "kind": "delay", "confidence": 0.97, "reason": ""}
    data = {"reason": "", "causes": [cause], "services": ["acme"], "symptoms": []}
    await world.log.append([NewEvent("diagnosis", types.DIAGNOSIS_CHANGED, data)], actor="accord")
    assert "(10 to 12 ms) because delay of node lon1 is far above what is usual." in await told(world)


async def test_a_link_that_flaps_is_what_began_a_change_and_not_that_it_came_back(world: AssuredWorld) -> None:
    for _ in range(3):
        for up in (False, True):
            data = {"links": list(NEAR), "up": up}
            await world.log.append([NewEvent("topology", types.LINK_CHANGED, data)], actor="accord")
    assert f"because {LONDON}-{PARIS} lost carrier (3 times within a minute)" in await told(world)


async def test_what_is_not_told_any_more_is_explained_with_its_reason(world: AssuredWorld) -> None:
    for _ in range(8):
        await world.tick(None)
    sentences = [one["text"] for one in Explaining(world.assurance, dict).explain("acme")["sentences"]]
    (delay, *_) = [one for one in sentences if "the last that counts of delay-one-way" in one]
    assert delay.startswith("At ")
    assert "stale" in delay
