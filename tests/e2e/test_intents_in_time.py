"""Intents that begin later and end by themselves: "from Monday until Friday", on emulated routers and a set clock."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.intent.lifecycle import IntentState
from controller.model.errors import ScheduledError
from controller.runtime.due import Due
from controller.runtime.transactions import CommitOptions
from lab.faults import FaultScript
from lab.network import LabNetwork, NetworkOptions
from lab.topology_file import load_topology
from tests.e2e.world import _controller

DEMO = Path(__file__).resolve().parents[2] / "config" / "lab" / "demo.yaml"
SENTENCE = "Connect London and Paris with 200 Mbit/s for acme from {start} until {end}"
DAY = 86_400.0


@asynccontextmanager
async def demo_world(directory):
    async with (
        LabNetwork(load_topology(DEMO), NetworkOptions()) as lab,
        _controller(directory, lab, FaultScript(), 30.0) as world,
    ):
        for name in world.controller.records():
            await world.controller.sync_from(name, "tester")
        yield world


def day(world, offset):
    return datetime.fromtimestamp(world.clock.now() + offset * DAY, UTC).strftime("%Y-%m-%d")


async def test_an_approved_intent_begins_at_its_time_and_ends_at_its_end(tmp_path):
    async with demo_world(tmp_path) as world:
        controller, due = world.controller, Due(world.controller)
        before = world.running(["pe-london", "pe-paris"])
        said = SENTENCE.format(start=day(world, 2), end=day(world, 4))
        outcome = await controller.submit_intent(said, "alice")
        assert outcome.plan is not None, outcome.result
        with pytest.raises(ScheduledError, match="begins later"):
            await controller.commit(outcome.plan.id, CommitOptions(), "bob")
        assert await due.run() == 0
        assert world.running(before) == before

        world.clock.offset_seconds = 3 * DAY
        assert await due.run() == 1
        record = controller.world.intents.get(outcome.record.id)
        assert record.state is IntentState.ACTIVE
        assert all(config != before[name] for name, config in world.running(before).items())
        assert {summary.actor for summary in controller.world.transactions} == {"bob"}
        assert await due.run() == 0

        world.clock.offset_seconds = 6 * DAY
        assert await due.run() == 1
        assert controller.world.intents.get(outcome.record.id).state is IntentState.WITHDRAWN
        assert world.running(before) == before


async def test_an_intent_that_nobody_approved_never_begins(tmp_path):
    async with demo_world(tmp_path) as world:
        outcome = await world.controller.submit_intent(SENTENCE.format(start=day(world, 2), end=day(world, 4)), "alice")
        world.clock.offset_seconds = 3 * DAY
        assert await Due(world.controller).run() == 0
        assert world.controller.world.intents.get(outcome.record.id).state is IntentState.PLANNED
