"""Undoing one transaction: everything is as before it, or it is refused with what came later."""

import pytest

from controller.mapping.service_change import L3smEdit
from controller.model.errors import ConflictError
from tests.controller.mapping_samples import access, edit, network, service, site, two_sites
from tests.e2e.histories import Stage, assert_consistent, services_of
from tests.e2e.memory_network import memory_controller
from tests.e2e.test_service_histories import found


async def stage_after(*edits: L3smEdit) -> tuple[Stage, dict[str, object]]:
    """A stage on which the edits have been committed, and its devices."""
    controller, devices = memory_controller(network(), found())
    stage = Stage(controller)
    for name in devices:
        await controller.sync_from(name, "tester")
    for each in edits:
        plan = await stage.plan("setup", each)
        assert plan is not None, stage.log
        await stage.commit(plan)
    return stage, dict(devices)


async def undo(stage: Stage, transaction: str) -> None:
    await stage.commit(await stage.controller.plan_rollback(transaction, "tester"))
    assert_consistent(stage)


async def test_undoing_the_first_service_gives_back_what_was_found_also_what_it_had_changed() -> None:
    stage, devices = await stage_after(two_sites())
    assert {name: device.running for name, device in devices.items()} != found()
    await undo(stage, "tx-1")
    assert {name: device.running for name, device in devices.items()} == found()
    assert stage.world.services.services == {}


async def test_undoing_an_undoing_brings_the_service_back_as_it_was() -> None:
    stage, devices = await stage_after(two_sites())
    running = {name: device.running for name, device in devices.items()}
    services = services_of(stage.world)
    await undo(stage, "tx-1")
    await undo(stage, "tx-2")
    assert {name: device.running for name, device in devices.items()} == running
    assert services_of(stage.world) == services


async def test_a_vpn_that_a_site_has_joined_since_is_not_undone_though_no_line_is_shared() -> None:
    stage, _ = await stage_after(two_sites(), edit(site("m", "Madrid", "ES", access(3))))
    with pytest.raises(ConflictError, match="'m'"):
        await stage.controller.plan_rollback("tx-1", "tester")
    await undo(stage, "tx-2")
    await undo(stage, "tx-1")


async def test_a_vrf_that_an_access_has_joined_since_is_not_undone() -> None:
    first, second = site("m", "Madrid", "ES", access(3)), site("n", "Madrid", "ES", access(4))
    stage, _ = await stage_after(two_sites(), edit(first), edit(second))
    with pytest.raises(ConflictError, match="mad1"):
        await stage.controller.plan_rollback("tx-2", "tester")


async def test_what_was_committed_beside_it_does_not_stand_in_the_way() -> None:
    other = edit(service("other"), site("o", "Madrid", "ES", access(7, vpn_id="other")))
    stage, devices = await stage_after(two_sites(), other)
    await undo(stage, "tx-1")
    assert list(stage.world.services.services) == ["other"]
    await undo(stage, "tx-2")
    assert {name: device.running for name, device in devices.items()} == found()
