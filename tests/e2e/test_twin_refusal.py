"""A plan that was rendered wrongly is refused before anything is sent, with the packet that shows it."""

from collections.abc import Callable, Mapping

import pytest

from controller.mapping.fragment import Fragment
from controller.mapping.fragment import render as render_rightly
from controller.model.errors import TwinRefusedError
from controller.model.identifiers import DeviceName
from controller.model.yang_path import Path, parse_path
from controller.runtime import planner as planning
from controller.runtime.controller import Controller
from controller.runtime.transactions import CommitOptions
from controller.transaction.plan import Plan
from controller.transaction.states import Phase
from tests.controller.mapping_samples import access, day0, edit, network, service, site
from tests.e2e.memory_network import MemoryDevice, memory_controller

Lines = dict[Path, str]
QUICK = CommitOptions()


async def stage() -> tuple[Controller, Mapping[DeviceName, MemoryDevice]]:
    controller, devices = memory_controller(network(), {router.device: day0() for router in network().routers})
    for name in devices:
        await controller.sync_from(name, "tester")
    return controller, devices


async def planned(controller: Controller, *numbers: int, vpn: str = "acme") -> Plan:
    places = [("London", "GB"), ("Paris", "FR"), ("Madrid", "ES")]
    sites = [site(f"{vpn}-{n}", *places[n % 3], access(n, vpn_id=vpn)) for n in numbers]
    return await controller.plan_services(edit(service(vpn), *sites), "a VPN", "tester")


def rendered_by(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Fragment, Lines], Lines]) -> None:
    monkeypatch.setattr(planning, "render", lambda fragment: spoil(fragment, dict(render_rightly(fragment))))


def without_routes(_: Fragment, lines: Lines) -> Lines:
    return {path: value for path, value in lines.items() if path[-1].name != "static-route"}


async def test_a_plan_without_its_routes_is_refused_with_the_packet_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    controller, devices = await stage()
    rendered_by(monkeypatch, without_routes)
    plan = await planned(controller, 0, 1)
    with pytest.raises(TwinRefusedError) as refused:
        await controller.commit(plan.id, QUICK, "tester")
    assert "packet from" in str(refused.value)
    assert "10.1.0.1 (10.1.0.0/16)" in str(refused.value)
    assert not any(device.wire for device in devices.values())
    assert not list(controller.world.transactions)
    monkeypatch.undo()
    done = await controller.commit((await planned(controller, 0, 1)).id, QUICK, "tester")
    assert done.phase is Phase.COMMITTED


async def test_a_plan_that_opens_one_customer_to_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, _ = await stage()
    await controller.commit((await planned(controller, 0, 1)).id, QUICK, "tester")
    foreign = next(
        path
        for path in controller.world.network.device(DeviceName("par1")).config
        if path[-1].name == "import" and path[-2].name == "vpn-targets"
    )[-1]

    def with_a_foreign_target(fragment: Fragment, lines: Lines) -> Lines:
        extra = {(*path[:-1], foreign): "" for path in lines if path[-1].name == "import"}
        return lines | extra if fragment.node else lines

    rendered_by(monkeypatch, with_a_foreign_target)
    plan = await planned(controller, 4, 5, vpn="zeta")
    verdict = await controller.proof.verdict(plan)
    assert {each.fault for each in verdict.refusals} == {"leak"}
    with pytest.raises(TwinRefusedError, match="which was not promised"):
        await controller.commit(plan.id, QUICK, "tester")


async def test_what_was_broken_before_is_told_and_not_held_against_another_change() -> None:
    controller, devices = await stage()
    await controller.commit((await planned(controller, 0, 1)).id, QUICK, "tester")
    vrf = "/ietf-network-instance:network-instances/network-instance[name='acme']/enabled"
    devices[DeviceName("par1")].running[parse_path(vrf)] = "false"
    await controller.sync_from(DeviceName("par1"), "tester")
    plan = await planned(controller, 2)
    verdict = await controller.proof.verdict(plan)
    assert verdict.is_proved, str(verdict)
    done = await controller.commit(plan.id, QUICK, "tester")
    assert done.phase is Phase.COMMITTED


async def test_the_model_follows_what_is_committed() -> None:
    controller, _ = await stage()
    for number in range(3):
        done = await controller.commit(
            (await planned(controller, 3 * number, 3 * number + 1, vpn=f"v{number}")).id, QUICK, "tester"
        )
        assert done.phase is Phase.COMMITTED
    state = controller.proof.now()
    assert set(state.intended.members) == {"v0", "v1", "v2"}
    assert set(state.model.devices[DeviceName("par1")].instances) == {"v0", "v1", "v2"}
    await controller.commit((await controller.plan_service_deletion("v1", "tester")).id, QUICK, "tester")
    state = controller.proof.now()
    assert set(state.intended.members) == {"v0", "v2"}
    assert set(state.model.devices[DeviceName("par1")].instances) == {"v0", "v2"}
