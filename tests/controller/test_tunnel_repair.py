"""Repairs are made head end by head end, tried again when refused, and told."""

import asyncio
from dataclasses import dataclass, field, replace

from controller.adapters.event_log_memory import MemoryEventLog
from controller.events import types
from controller.mapping.infrastructure import Infrastructure
from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import placed
from controller.model.errors import BusyError
from controller.model.identifiers import DeviceName, TransactionId
from controller.ports import NewEvent
from controller.runtime.planner import Planner
from controller.runtime.tunnel_repair import TunnelRepair
from controller.runtime.tunnels import Tunnels
from controller.runtime.world import World
from controller.topology.network import LinkId
from controller.transaction.history import TransactionSummary
from controller.transaction.states import Phase
from tests.controller.test_tunnel_paths import cut, database, way
from tests.e2e.memory_network import VALIDATOR, StandingClock

A, Z = DeviceName("a"), DeviceName("z")
CUT = frozenset([LinkId("a:m>m:a")])


@dataclass
class Standing:
    """A topology that a test turns."""

    database: object


@dataclass
class Stage:
    """Tunnels there and back between a and z, and a commit that does as it is told."""

    world: World
    log: MemoryEventLog
    topology: Standing
    repair: TunnelRepair
    refusals: dict[str, int] = field(default_factory=dict)
    committed: list[set[str]] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)

    async def commit(self, plan):
        devices = {device.device for device in plan.devices}
        for name in devices:
            if self.refusals.get(name, 0):
                self.refusals[name] -= 1
                raise BusyError(f"'{name}' is busy")
        self.committed.append(devices)
        await self.log.append(plan.effects, actor="accord")
        id_ = TransactionId(f"tx-{len(self.committed)}")
        return TransactionSummary(id_, plan.id, "", "accord", "", Phase.COMMITTED, 0.0)

    def told(self):
        return [event.data for event in self.log.read(stream="tunnels") if event.type == types.TUNNELS_REPAIRED]


async def stage(*tunnels):
    world, log = World(), MemoryEventLog(clock=StandingClock())
    log.subscribe(world.apply_all)
    for name in (A, Z):
        data = {"device": name, "config": {}, "participant": "immediate"}
        await log.append([NewEvent(f"device/{name}", types.DEVICE_SYNCED, data)], actor="t")
    await log.append([world.tunnels.changed(TunnelChange(tunnels))], actor="t")
    topology = Standing(database())
    planner = Planner(world, VALIDATOR, Infrastructure(()), log)
    made = Stage(world, log, topology, None)
    made.repair = TunnelRepair(world, log, topology, Tunnels(world, planner, topology), made.commit)
    made.repair.observe = lambda outcome, _: made.observed.append(outcome)
    return made


def there(name="there", **more):
    return placed(database(), Tunnel(name, A, Z, 100, "fc00::1", **more))


def back(name="back"):
    return placed(database(), Tunnel(name, Z, A, 100, "fc00::2"))


async def test_each_head_end_is_repaired_in_a_transaction_of_its_own():
    found = await stage(there(), there("also"), back())
    found.topology.database = cut(database(), "m")
    await found.repair.repair(CUT, asyncio.get_running_loop().time())
    assert sorted(map(sorted, found.committed)) == [["a"], ["z"]]
    assert {way(tunnel.paths[0]) for tunnel in found.world.tunnels if tunnel.source == A} == {"n"}
    assert found.observed == ["repaired", "repaired"]


async def test_a_head_end_that_refuses_keeps_no_other_from_carrying_and_is_tried_again():
    found = await stage(there(), back())
    found.topology.database = cut(database(), "m")
    found.refusals["a"] = 2
    await found.repair.repair(CUT, asyncio.get_running_loop().time())
    assert found.committed == [{"z"}, {"a"}]
    assert [told["outcome"] for told in found.told()] == ["failed", "repaired", "failed", "repaired"]
    assert found.told()[0]["reason"] == "'a' is busy"


async def test_what_has_no_way_left_is_told_once():
    found = await stage(there(), back())
    found.topology.database = cut(database(), "m", "n", "o")
    await found.repair.repair(CUT, asyncio.get_running_loop().time())
    (told,) = found.told()
    assert (told["outcome"], sorted(told["unroutable"])) == ("unroutable", ["back", "there"])
    assert found.committed == []


async def test_protection_is_put_back_after_what_is_dead():
    protected = there("safe", protection="link")
    found = await stage(protected, there())
    found.topology.database = cut(database(), "m")
    await found.repair.repair(CUT, asyncio.get_running_loop().time())
    assert [told["outcome"] for told in found.told()] == ["repaired", "protected"]
    assert {way(path) for path in found.world.tunnels.get("safe").paths} == {"n", "o"}


async def test_what_is_untouched_by_a_cut_is_left_alone():
    found = await stage(there())
    found.topology.database = cut(database(), "n")
    await found.repair.repair(CUT, asyncio.get_running_loop().time())
    assert (found.told(), found.committed) == ([], [])


async def test_a_tunnel_that_is_being_staged_loses_what_stood_beside_it():
    moving = replace(there(), beside=there().policies)
    found = await stage(moving)
    found.topology.database = cut(database(), "m")
    await found.repair.repair(CUT, asyncio.get_running_loop().time())
    assert found.world.tunnels.get("there").beside == ()
