"""Plans that need somebody else's approval: nobody approves his own, and nothing is sent before."""

import pytest

from controller.model.errors import ConflictError, NotAuthorizedError
from controller.runtime.transactions import CommitOptions
from controller.runtime.world import World, plan_created
from controller.transaction.states import Phase
from tests.e2e.world import description, open_world

DEVICES = ["a-full", "a-restconf"]


async def stored_plan(world, text, actor):
    plan = world.plan(DEVICES, description(text))
    await world.log.append([plan_created(plan)], actor=actor)
    return plan.id


async def test_a_plan_is_committed_only_after_somebody_else_approved_it(tmp_path):
    async with open_world(tmp_path, kinds=("full", "restconf")) as world:
        controller = world.controller
        controller.approval = "always"
        before = world.running(DEVICES)
        plan = await stored_plan(world, "x", "alice")
        with pytest.raises(ConflictError, match="needs somebody's approval"):
            await controller.commit(plan, CommitOptions(), "alice")
        with pytest.raises(NotAuthorizedError, match="somebody else"):
            await controller.approve(plan, "alice")
        assert world.running(DEVICES) == before
        await controller.approve(plan, "carol")
        assert (await controller.commit(plan, CommitOptions(), "alice")).phase is Phase.COMMITTED

        replayed = World()
        replayed.load(world.log)
        assert replayed.approver_of(plan) == "carol"
        assert replayed.author_of(plan) == "alice"


async def test_only_traffic_affecting_plans_need_approval_where_that_is_the_rule(tmp_path):
    async with open_world(tmp_path, kinds=("full", "restconf")) as world:
        controller = world.controller
        controller.approval = "traffic-affecting"
        hitless = await stored_plan(world, "x", "alice")
        assert (await controller.commit(hitless, CommitOptions(), "alice")).phase is Phase.COMMITTED
        off = {"/ietf-interfaces:interfaces/interface[name='access0']/enabled": "false"}
        plan = world.plan(DEVICES, off)
        await world.log.append([plan_created(plan)], actor="alice")
        with pytest.raises(ConflictError, match="switches an interface"):
            await controller.commit(plan.id, CommitOptions(), "alice")
