"""What telemetry measures is in the TE database: paths keep to it, the API shows it, and what is stale is gone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controller.model.identifiers import DeviceName
from controller.northbound.tunnel_views import topology_view
from controller.runtime.collection import Pace
from controller.runtime.tunnels import TunnelWish
from controller.topology.network import LinkId
from lab.topology_file import load_topology
from tests.e2e.provider import ACTOR, open_provider
from tests.e2e.test_collection_lab import tick, until

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
LONDON, FRANKFURT = DeviceName("pe-london"), DeviceName("pe-frankfurt")
LOSSY, SOUND = LinkId("pe-london:core0>p-brussels:core0"), LinkId("pe-london:core1>p-lyon:core0")


def with_a_lossy_link():
    demo = load_topology(DEMO)
    links = tuple(
        replace(link, loss_ratio=0.5) if link.name == "pe-london--p-brussels" else link for link in demo.links
    )
    return replace(demo, links=links)


@pytest.fixture
async def provider(tmp_path):
    """Every link measured, every router read a few times a second once the clockwork goes; none asked again."""
    async with open_provider(tmp_path, with_a_lossy_link()) as provider:
        controller = provider.controller
        await controller.topology.refresh()
        await provider.commit_plan(await controller.plan_tunnels(lambda t: t.measure(is_on=True), ACTOR))
        controller.collection.take_over(Pace(0.2, jitter=0.0))
        controller.collection.start()
        yield provider


def shown(provider, link_id):
    return next(link for link in topology_view(provider.controller.topology)["links"] if link["id"] == link_id)


def is_known(provider, link_id):
    link = shown(provider, link_id)
    return link["is_load_measured"] and link["is_delay_measured"] and link["is_loss_measured"]


def is_known_at_all(provider, link_id):
    link = shown(provider, link_id)
    return link["is_load_measured"] or link["is_delay_measured"] or link["is_loss_measured"]


async def test_measured_load_delay_and_loss_are_in_the_database_until_they_are_stale(provider):
    controller = provider.controller
    clockwork = asyncio.create_task(tick(provider))
    try:
        await until(lambda: is_known(provider, LOSSY) and is_known(provider, SOUND))
        await until(lambda: shown(provider, LOSSY)["loss_ratio"] > 0.1)
        await until(lambda: 0 < shown(provider, SOUND)["utilisation"] < 1)
        assert shown(provider, SOUND)["loss_ratio"] == 0.0
        wish = TunnelWish(link_loss_limit=0.01)
        plan = await controller.plan_tunnels(lambda t: t.create("clean", LONDON, FRANKFURT, wish), ACTOR)
        await provider.commit_plan(plan)
        assert controller.world.tunnels.get("clean").ranked[0].hops[0] == SOUND
    finally:
        clockwork.cancel()
    await until(lambda: not is_known_at_all(provider, LOSSY))
    assert shown(provider, LOSSY)["loss_ratio"] == 0.0
