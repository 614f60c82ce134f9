"""Somebody undoes the same repair again and again: it is seen to be a fight, told, and not repaired for ever."""

from pathlib import Path

import pytest

from controller.model.errors import ConflictError
from controller.model.identifiers import DeviceName
from controller.transaction.states import Phase
from lab.drift import drift, interface_edit
from tests.e2e.world import QUICK, World, description, open_world
from tests.lab.conftest import eventually

ROUTER = DeviceName("a-full")
ACTOR = "tester"


async def undo(world: World, text: str = "theirs") -> None:
    """Somebody else's description, written behind the controller's back once its lock is off."""
    router = world.lab[ROUTER]
    await eventually(lambda: router.store.lock_holder("running") is None)
    drift(router, interface_edit(router, interface="access0", description=text))


async def repair(world: World) -> None:
    plan = await world.controller.plan_repair([ROUTER], ACTOR)
    done = await world.controller.commit(plan.id, QUICK, ACTOR)
    assert done.phase is Phase.COMMITTED, done.reason
    assert described(world) == "ours"


def described(world: World) -> str | None:
    return world.descriptions([ROUTER])[ROUTER]


async def test_a_repair_that_is_undone_again_and_again_is_a_fight_and_ends_when_the_device_is_read_anew(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, "a", ("full",)) as world:
        await world.commit(world.plan([ROUTER], description("ours")))
        for _ in range(3):
            await undo(world)
            assert not (await world.controller.check_sync(ROUTER)).is_fight
            await repair(world)
        await undo(world)
        for _ in range(3):
            with pytest.raises(ConflictError, match="came back after 3 repairs: somebody undoes them") as refused:
                await world.controller.plan_repair([ROUTER], ACTOR)
            assert refused.value.device == ROUTER
            told = await world.controller.check_sync(ROUTER)
            assert told.is_fight
            assert [(each.expected, each.found) for each in told.differences] == [("ours", "theirs")]
        assert described(world) == "theirs"
        await world.controller.sync_from(ROUTER, ACTOR)
        await repair(world)


async def test_drift_that_is_another_each_time_is_no_fight(tmp_path: Path) -> None:
    async with open_world(tmp_path, "a", ("full",)) as world:
        await world.commit(world.plan([ROUTER], description("ours")))
        for number in range(5):
            await undo(world, f"theirs {number}")
            await repair(world)
