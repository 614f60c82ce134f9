"""A world restored from a snapshot and the rest of the log is the one that replay makes; also from a bad snapshot."""

import gc
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.synthetic import Fleet, edit, infrastructure, service, site, small_service
from controller.adapters.clock import SystemClock
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.events import types
from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smEdit
from controller.mapping.service_snapshot import Fragments, services_from_json, services_to_json
from controller.model.errors import NotFoundError
from controller.model.identifiers import DeviceName, Owner, PlanId
from controller.ports import NewEvent, ParticipantClass
from controller.runtime.world import World
from controller.transaction.plan import Plan
from controller.transaction.plan_json import plan_to_json

ROUTERS = 4
CITIES = 2
PE = DeviceName("pe0000")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    opened = SqliteEventLog(tmp_path / "events.sqlite", clock=SystemClock())
    yield opened
    opened.close()


@pytest.fixture
async def fleet(log: SqliteEventLog) -> Fleet:
    """Three services, a snapshot, one more service, and one gone."""
    fleet = await Fleet(ROUTERS, log).open()
    for number in range(3):
        await commit(fleet, small_service(number, CITIES))
    assert fleet.world.save(log)
    await commit(fleet, small_service(3, CITIES))
    gone = L3smEdit(deleted_services=("vpn-1",), deleted_sites=("vpn-1-0", "vpn-1-1"))
    await commit(fleet, gone)
    return fleet


async def commit(fleet: Fleet, wanted: L3smEdit) -> Plan:
    plan = fleet.planner.services(wanted, "a change")
    await fleet.commit(plan)
    return plan


def restored(log: SqliteEventLog) -> tuple[World, int]:
    world = World()
    return world, world.load(log)


def replayed(log: SqliteEventLog) -> World:
    world = World()
    world.apply_all(list(log.read()))
    return world


def state_of(world: World) -> dict[str, object]:
    services = world.services
    return {
        "documents": services.document(),
        "fragments": dict(services.fragments),
        "placements": services.placements,
        "nodes": services.occupancy.nodes,
        "load": {port: load for port, load in services.occupancy.load.items() if load},
        "pools": services.identifiers,
        "sites": (services.site_vpns, services.vpn_sites),
        "transactions": list(world.transactions),
        "network": {key: orjson.loads(part) for key, part in world.network.to_parts().items()},
        "plans": [plan_to_json(world.plan(PlanId(f"plan-{number}"))) for number in range(1, 6)],
        "authors": [world.author_of(PlanId(f"plan-{number}")) for number in range(1, 6)],
        "position": world.position,
        "next": [world.next_id(kind) for kind in ("transaction", "plan", "intent")],
    }


def damage(log: SqliteEventLog, statement: str) -> None:
    with sqlite3.connect(f"{log._path}.snapshots") as connection:
        assert connection.execute(statement).rowcount


async def test_a_restored_world_is_the_replayed_one(fleet: Fleet, log: SqliteEventLog) -> None:
    world, folded = restored(log)
    assert 0 < folded < log.last_position()
    assert state_of(world) == state_of(replayed(log))


async def test_a_snapshot_of_a_restored_world_nobody_has_looked_at_tells_the_same(
    fleet: Fleet, log: SqliteEventLog
) -> None:
    first, _ = restored(log)
    assert first.save(log)
    second, folded = restored(log)
    assert folded == 0
    assert state_of(second) == state_of(replayed(log))


async def test_the_next_snapshot_writes_only_the_devices_that_have_changed_since(
    fleet: Fleet, log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = restored(log)
    assert world.save(log)
    written: list[set[str]] = []
    original = SqliteEventLog.save_snapshot

    def save(self: SqliteEventLog, name: str, position: int, parts: dict[str, bytes], kept: Any = ()) -> None:
        written.append({key for key in parts if key.startswith("device/")})
        original(self, name, position, parts, kept)

    monkeypatch.setattr(SqliteEventLog, "save_snapshot", save)
    log.subscribe(world.apply_all)
    plan = await commit(fleet, small_service(7, CITIES))
    assert world.save(log)
    assert written == [{f"device/{device.device}" for device in plan.devices}]
    assert len(plan.devices) < len(list(world.network))
    assert state_of(restored(log)[0]) == state_of(replayed(log))


async def test_a_snapshot_that_has_lost_its_devices_is_written_whole_again(fleet: Fleet, log: SqliteEventLog) -> None:
    world, _ = restored(log)
    for name in world.network:
        world.network.device(name)
    damage(log, "DELETE FROM parts WHERE key LIKE 'device/%'")
    assert world.save(log)
    assert state_of(restored(log)[0]) == state_of(replayed(log))


@pytest.mark.parametrize(
    "part", ["services", "transactions", "plans", "numbers", "intents", "authors", "approvals", "lines"]
)
async def test_a_snapshot_with_a_damaged_part_is_replaced_by_replay(
    fleet: Fleet, log: SqliteEventLog, part: str
) -> None:
    damage(log, f"UPDATE parts SET body = x'7b207d' WHERE key = '{part}'")
    world, folded = restored(log)
    assert folded == log.last_position()
    assert state_of(world) == state_of(replayed(log))


async def test_a_snapshot_of_another_version_is_replaced_by_replay(fleet: Fleet, log: SqliteEventLog) -> None:
    damage(log, "UPDATE snapshots SET name = 'world@1'")
    damage(log, "UPDATE parts SET name = 'world@1'")
    world, folded = restored(log)
    assert folded == log.last_position()
    assert state_of(world) == state_of(replayed(log))
    assert world.save(log)
    assert restored(log)[1] == 0


async def test_a_device_whose_part_turns_out_damaged_is_read_from_the_log(fleet: Fleet, log: SqliteEventLog) -> None:
    damage(log, f"UPDATE parts SET body = x'7b207d' WHERE key = 'device/{PE}'")
    world, folded = restored(log)
    assert folded < log.last_position(), "the snapshot counts; only this part of it does not"
    assert state_of(world) == state_of(replayed(log))


async def test_what_happens_to_a_device_before_anybody_asks_for_it_is_not_lost(
    fleet: Fleet, log: SqliteEventLog
) -> None:
    ge0 = "/ietf-interfaces:interfaces/interface[name='ge0']"
    corrected = {"device": PE, "roots": [f"{ge0}/mtu"], "config": {f"{ge0}/mtu": "1400"}}
    wanted = [[f"{ge0}/mtu", "device:pe0000", "1400"]]
    adopted = {"device": PE, "delta": {"wanted": wanted, "withdrawn": []}}
    await log.append([NewEvent(f"device/{PE}", types.DEVICE_CORRECTED, corrected)], actor="test")
    await log.append([NewEvent(f"device/{PE}", types.DEVICE_ADOPTED, adopted)], actor="test")
    world, _ = restored(log)
    assert state_of(world) == state_of(replayed(log))
    synced = {"device": PE, "participant": ParticipantClass.IMMEDIATE.value, "config": {}}
    await log.append([NewEvent(f"device/{PE}", types.DEVICE_SYNCED, synced)], actor="test")
    world, _ = restored(log)
    assert not world.network.device(PE).config
    assert state_of(world) == state_of(replayed(log))


async def test_a_device_that_is_new_since_the_snapshot_is_known(fleet: Fleet, log: SqliteEventLog) -> None:
    new = {"device": "pe9", "participant": ParticipantClass.IMMEDIATE.value, "config": {}}
    await log.append([NewEvent("device/pe9", types.DEVICE_SYNCED, new)], actor="test")
    world, _ = restored(log)
    assert DeviceName("pe9") in world.network
    assert len(list(world.network)) == ROUTERS + 1


async def test_lines_of_a_device_are_counted_without_reading_it_unless_something_happened_to_it(
    fleet: Fleet, log: SqliteEventLog
) -> None:
    world, _ = restored(log)
    counted = {name: world.network.lines(name) for name in world.network}
    assert counted == {name: len(world.network.device(name).config) for name in world.network}
    assert world.save(log)
    damage(log, "UPDATE parts SET body = x'7b207d' WHERE key LIKE 'device/%'")
    again, _ = restored(log)
    assert {name: again.network.lines(name) for name in again.network} == counted
    with pytest.raises(NotFoundError, match="nothing is known of device 'nobody'"):
        again.network.lines(DeviceName("nobody"))


async def test_plans_made_before_the_snapshot_are_read_from_the_log_and_old_ones_are_gone(
    fleet: Fleet, log: SqliteEventLog
) -> None:
    world, _ = restored(log)
    assert plan_to_json(world.plan(PlanId("plan-1"))) == plan_to_json(fleet.world.plan(PlanId("plan-1")))
    with pytest.raises(NotFoundError, match="no plan 'plan-6'"):
        world.plan(PlanId("plan-6"))
    for _ in range(200):
        template = plan_to_json(world.plan(PlanId("plan-5")))
        id_ = world.next_id("plan")
        await log.append([NewEvent(f"plan/{id_}", types.PLAN_CREATED, {"plan": template | {"id": id_}})], actor="ann")
    again, _ = restored(log)
    with pytest.raises(NotFoundError):
        again.plan(PlanId("plan-5"))
    assert again.author_of(PlanId("plan-205")) == "ann"


async def test_loading_leaves_the_collector_of_the_process_as_it_was(fleet: Fleet, log: SqliteEventLog) -> None:
    frozen = gc.get_freeze_count()
    restored(log)
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    gc.disable()
    try:
        restored(log)
        assert not gc.isenabled()
    finally:
        gc.enable()


# -- the stored form of services -----------------------------------------------------------------------------------


def some_services() -> L3smState:
    state = L3smState()
    first = edit(service("a"), site("a-0", 0, "a", [1]), site("a-1", 1, "a", [2]))
    state.apply(state.change(first, infrastructure(ROUTERS)))
    state.apply(state.change(edit(service("b"), site("b-0", 0, "b", [3])), infrastructure(ROUTERS)))
    return state


def through_json(state: L3smState) -> L3smState:
    again = L3smState()
    services_from_json(again, orjson.loads(orjson.dumps(services_to_json(state))))
    return again


def test_services_come_back_as_they_were_and_go_on_alike() -> None:
    state = some_services()
    again = through_json(state)
    assert again == state
    more = edit(service("c"), site("c-0", 1, "c", [4]))
    assert again.change(more, infrastructure(ROUTERS)) == state.change(more, infrastructure(ROUTERS))


def test_services_nobody_has_looked_at_are_stored_again_as_they_are() -> None:
    state = some_services()
    assert services_to_json(through_json(state)) == orjson.loads(orjson.dumps(services_to_json(state)))


def test_fragments_are_made_when_asked_for_and_once() -> None:
    stored = Fragments()
    stored.load_json(some_services().fragments.to_json())
    made = dict(some_services().fragments)
    assert len(stored) == len(made)
    assert set(stored) == set(made)
    owner = next(iter(made))
    assert stored[owner] == made[owner]
    assert stored[owner] is stored[owner]
    assert len(stored) == len(made)
    assert dict(stored) == made


def test_fragments_can_be_replaced_and_removed_whether_made_or_not() -> None:
    stored = Fragments()
    stored.load_json(some_services().fragments.to_json())
    first, second, third, *_ = list(stored)
    stored[first] = stored[third]
    assert stored[first] is stored[third]
    del stored[first]
    del stored[second]
    for gone in (first, second, Owner("nobody")):
        assert gone not in stored
        with pytest.raises(KeyError):
            stored[gone]
        with pytest.raises(KeyError):
            del stored[gone]
    assert {each["owner"] for each in stored.to_json()} == set(stored)
