"""A transaction that is left without a verdict keeps its devices and what it is about to take."""

import asyncio

import pytest

from controller.model.errors import UndecidedError
from controller.ports import Warnings
from controller.runtime.transactions import CommitOptions
from tests.controller.mapping_samples import access, edit, network, site, two_sites
from tests.e2e.memory_network import MemoryDevice, memory_controller
from tests.e2e.test_service_histories import found
from tests.e2e.world import until


async def test_what_an_undecided_transaction_reserves_stays_taken_with_its_devices() -> None:
    controller, devices = memory_controller(network(), found())
    for name in devices:
        await controller.sync_from(name, "tester")
    plan = await controller.plan_services(two_sites(), "two sites", "tester")
    taken = [device.device for device in plan.devices]
    reached = asyncio.Event()
    devices[taken[0]].__class__ = _silent(reached)
    commit = asyncio.ensure_future(controller.commit(plan.id, CommitOptions(), "tester"))
    await asyncio.wait_for(reached.wait(), 60)
    later = await controller.plan_services(edit(site("m", "Madrid", "ES", access(3))), "a third site", "tester")
    await controller.transactions.drain(0.0)
    await until(lambda: not controller.transactions.running(), 60.0)
    commit.cancel()
    transaction = next(iter(controller.world.transactions.open()))
    assert all(controller.leases.holder(name) for name in taken)
    assert "acme" in controller.world.services.services
    with pytest.raises(UndecidedError) as refused:
        controller.transactions.refuse_moved(later)
    assert refused.value.path == transaction


def _silent(reached: asyncio.Event) -> type[MemoryDevice]:
    """A device that answers no edit any more."""

    class Silent(MemoryDevice):
        __slots__ = ()

        async def prepare(self, edit: bytes) -> Warnings:
            return await self.apply(edit)

        async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
            reached.set()
            return await asyncio.Future[Warnings]()

    return Silent
