"""Two hundred random service histories. Whatever happened before: the devices hold what their owners want, the dry run
is the wire, a refusal changes nothing, the log tells the same story again, and the end of all services leaves no trace.

All of them on perfect devices in memory; some also on routers of the lab, over their own protocols.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path as FilePath

import pytest

from controller.datastore.contributions import resolve
from controller.model.identifiers import DeviceName
from controller.model.yang_path import Path, parse_path
from controller.runtime.world import World
from controller.transaction.plan import Plan
from controller.transaction.render import payload
from tests.controller.mapping_samples import day0, network
from tests.e2e.histories import Historian, Stage, assert_consistent, services_of, state_of
from tests.e2e.memory_network import MemoryDevice, memory_controller
from tests.e2e.recorded_lab import CITIES as LAB_CITIES
from tests.e2e.recorded_lab import OPTIONS, RecordedLab, recorded_lab

BATCH, BATCHES = 20, 10
CITIES = (("London", "GB"), ("Paris", "FR"), ("Madrid", "ES"))


def found() -> Mapping[DeviceName, dict[Path, str]]:
    """What stands on the devices before the controller comes: also things that services will want otherwise."""
    brownfield = "/ietf-interfaces:interfaces/interface[name='ge0.2']"
    left = {
        brownfield: "",
        f"{brownfield}/type": "iana-if-type:l2vlan",
        f"{brownfield}/description": "left here by somebody",
        f"{brownfield}/ietf-ip:ipv4": "",
        f"{brownfield}/ietf-ip:ipv4/mtu": "1300",
    }
    brown = {parse_path(path): value for path, value in left.items()}
    return {
        router.device: day0() | (brown if router.device in {"lon1", "par1"} else {}) for router in network().routers
    }


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_a_history_keeps_every_promise_and_leaves_no_trace(batch: int) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        await live_one(seed)


async def live_one(seed: int) -> None:
    rng = random.Random(seed)
    controller, devices = memory_controller(network(), found())
    stage = Stage(controller, log=[f"history {seed}"])
    for name in devices:
        await controller.sync_from(name, "tester")

    async def commit(plan: Plan) -> None:
        await commit_and_check(stage, plan, devices)

    await live(stage, Historian(rng, CITIES, vpns=rng.randint(2, 4)), commit)
    assert {name: device.running for name, device in devices.items()} == found(), "\n".join(stage.log)


async def live(stage: Stage, historian: Historian, commit: Callable[[Plan], Awaitable[None]]) -> None:
    """A few steps, after which the log tells the same story again; then the end of everything."""
    snapshot_at = historian.rng.randrange(8)
    for number in range(historian.rng.randint(4, 8)):
        name, wish = historian.step(stage.world)
        plan = await stage.plan(name, wish)
        if plan is not None:
            await commit(plan)
        if number == snapshot_at:
            assert stage.world.save(stage.controller.log)
    assert_told_alike(stage)
    await stage.delete_everything()
    assert services_of(stage.world) == services_of(World()), "\n".join(stage.log)


async def commit_and_check(stage: Stage, plan: Plan, devices: Mapping[DeviceName, MemoryDevice]) -> None:
    for device in devices.values():
        device.wire.clear()
    shown = {share.device: payload(share, stage.controller.codecs(share.device)) for share in plan.changed}
    await stage.commit(plan)
    story = "\n".join(stage.log)
    assert {name: device.wire for name, device in devices.items() if device.wire} == {
        name: [body] for name, body in shown.items()
    }, story
    for name, device in devices.items():
        known = stage.world.network.device(name)
        assert device.running == dict(known.config), story
        wanted = {path: resolve(wishes) for path, wishes in known.contributions.by_path.items()}
        assert {path: device.running.get(path) for path in wanted} == wanted, story
    assert_consistent(stage)


def assert_told_alike(stage: Stage) -> None:
    """The log from the start, and the snapshot with the rest of the log, tell what the controller knows."""
    live = state_of(stage.world)
    replayed, restored = World(), World()
    for event in stage.controller.log.read():
        replayed.apply(event)
    restored.load(stage.controller.log)
    for told in (replayed, restored):
        again = state_of(told)
        for part, expected in live.items():
            assert again[part] == expected, f"{part}\n" + "\n".join(stage.log)


WIRE_BATCH, WIRE_BATCHES = 6, 4


@pytest.mark.parametrize("batch", range(WIRE_BATCHES))
async def test_a_history_on_real_sessions_is_the_dry_run_byte_for_byte_and_leaves_no_trace(
    batch: int, tmp_path: FilePath
) -> None:
    async with recorded_lab(tmp_path) as lab:
        found_there = lab.running()
        for seed in range(batch * WIRE_BATCH, (batch + 1) * WIRE_BATCH):
            async with lab.controller() as controller:
                await live_on_routers(seed, Stage(controller, OPTIONS, [f"history {seed}"]), lab)
            assert lab.running() == found_there


async def live_on_routers(seed: int, stage: Stage, lab: RecordedLab) -> None:
    rng = random.Random(1000 + seed)

    async def commit(plan: Plan) -> None:
        await commit_on_routers(stage, plan, lab)

    await live(stage, Historian(rng, LAB_CITIES, vpns=rng.randint(2, 4)), commit)


async def commit_on_routers(stage: Stage, plan: Plan, lab: RecordedLab) -> None:
    for sent in lab.wire.values():
        sent.clear()
    codecs, before = stage.controller.codecs, lab.running()
    forward = {share.device: payload(share, codecs(share.device)) for share in plan.changed}
    reverse = {share.device: payload(share, codecs(share.device), reverse=True) for share in plan.changed}
    await stage.commit(plan)
    story, after = "\n".join(stage.log), lab.running()
    assert {name: sent for name, sent in lab.wire.items() if sent} == {k: [v] for k, v in forward.items()}, story
    assert {name for name in after if after[name] != before[name]} == set(forward), story
    assert_consistent(stage)
    for name, body in forward.items():
        async with stage.controller.sessions.use(name) as session:
            await session.apply(reverse[name])
            assert lab.running()[name] == before[name], f"the reverse on {name}\n{story}"
            await session.apply(body)
            assert lab.running()[name] == after[name], story
        report = await stage.controller.check_sync(name)
        assert report.is_in_sync, f"{[each.explain() for each in report.differences]}\n{story}"
        assert (await stage.controller.compare(name)).is_in_sync, story
