"""Two hundred random service histories. Whatever happened before: the devices hold what their owners want, the dry run is
the wire, a refusal changes nothing, the log tells the same story again, and the end of all services leaves no trace.
"""

import random
from collections.abc import Mapping

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
    historian = Historian(rng, CITIES, vpns=rng.randint(2, 4))
    snapshot_at = rng.randrange(8)
    for number in range(rng.randint(4, 8)):
        name, wish = historian.step(stage.world)
        plan = None if wish is None else await stage.plan(name, wish)
        if plan is not None:
            await commit_and_check(stage, plan, devices)
        if number == snapshot_at:
            assert stage.world.save(controller.log)
    assert_told_alike(stage)
    await stage.delete_everything()
    assert {name: device.running for name, device in devices.items()} == found(), "\n".join(stage.log)
    assert services_of(stage.world) == services_of(World()), "\n".join(stage.log)
    assert_told_alike(stage)


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
    try:
        assert_consistent(stage.world)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{story}") from error


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
