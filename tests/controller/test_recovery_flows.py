"""Who goes where is worked out again when it has to be, and asked for without reading everything."""

from types import SimpleNamespace

from controller.model.identifiers import DeviceName
from controller.recovery.situation import Flow
from controller.runtime.recovery_flows import Flows, FlowView
from controller.twin.configuration import DeviceForwarding, Instance
from tests.controller.test_tunnel_paths import database


class Read(list):
    """Flows that count how often they are gone through."""

    times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()


class Counting(FlowView):
    """Works nothing out but how often it had to."""

    __slots__ = ("times",)

    def _worked_out(self, base):
        self.times += 1
        return Flows(base.network)


def counting():
    services = SimpleNamespace(services={}, sites={}, placements={})
    base = database()

    async def warm():
        """Everything is read."""

    view = Counting(
        SimpleNamespace(services=services, tunnels=SimpleNamespace(version=1)),
        SimpleNamespace(warm=warm, devices=(), topology=SimpleNamespace(database=base)),
    )
    view.times = 0
    return view, services


def test_the_flows_of_a_service_are_found_without_going_through_those_of_all():
    found = Read(Flow(f"vpn-{n}", DeviceName("a"), DeviceName("z"), ()) for n in range(100))
    flows = Flows(database().network, found)
    assert [flow.service for flow in flows.of("vpn-7")] == ["vpn-7"]
    before = found.times
    assert {len(flows.of(f"vpn-{n}")) for n in range(100)} == {1}
    assert flows.of("vpn-100") == ()
    assert found.times == before


async def test_a_document_that_lies_where_another_one_lay_in_memory_is_not_taken_for_it():
    view, services = counting()
    for number in range(100):
        services.services["acme"] = {"vpn": [number]}
        services.services["acme"] = {"vpn": [number, number]}
        await view.current()
        assert view.times == number + 1


async def test_flows_are_worked_out_again_when_a_site_changes_and_not_otherwise():
    view, services = counting()
    services.sites["london"] = {"bandwidth": 1}
    first = await view.current()
    assert await view.current() is first
    services.sites["london"] = {"bandwidth": 2}
    assert await view.current() is not first
    assert view.times == 2


async def test_flows_are_worked_out_again_when_a_device_does_something_else_though_its_services_are_the_same():
    view, services = counting()
    services.services["acme"] = {"vpn": []}
    await view.current()
    for _ in range(2):
        view.proof.devices = (DeviceForwarding(DeviceName("a"), instances={"acme": Instance("acme")}),)
        await view.current()
    assert view.times == 2, "as the service is told before its routers are known to carry it"
