"""An optical tunnel through the whole controller: planned, committed over RESTCONF, up, a link, shown, taken away."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controller.model.errors import DeviceRejectedError, NotFoundError
from controller.model.identifiers import DeviceName, PlanId
from controller.model.units import BitRate
from controller.runtime.tunnels import TunnelWish
from controller.topology.constraints import Objective, PathRequest
from controller.topology.network import LinkId
from controller.topology.paths import NoPathError, shortest_path
from controller.transaction.stages import Stage
from controller.transaction.states import Phase
from lab.day0 import OPTICAL_ADMIN_GROUP
from lab.planes import Attachment, FlowSpec
from lab.topology_file import load_topology
from lab.traffic.attachments import find_attachment
from tests.controller.actn_yang import te_findings, topology_findings
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.doors import client_of
from tests.e2e.provider import ACTOR, QUICK, Provider, open_provider

OTN = DeviceName("otn-domain")
LONDON, PARIS = DeviceName("pe-london"), DeviceName("pe-paris")
LIGHT = LinkId("pe-london:core2>pe-paris:core2")
TOPOLOGY = Path(__file__).parents[2] / "config" / "lab" / "optical.yaml"
RATE = BitRate(300_000_000)


@pytest.fixture
async def provider(tmp_path):
    async with open_provider(tmp_path, load_topology(TOPOLOGY)) as provider:
        await provider.controller.topology.refresh()
        yield provider


async def lit(provider: Provider, name: str = "gold", rate: BitRate = RATE, bound: float | None = 0.003):
    plan = await provider.controller.plan_optical(OTN, name, LIGHT, ACTOR, bandwidth=rate, delay_bound_seconds=bound)
    await provider.commit_plan(plan)
    return await provider.controller.optical.settled(OTN, name, 20.0)


async def test_an_optical_tunnel_is_provisioned_over_restconf_and_becomes_an_ip_link(provider):
    database = provider.controller.topology.database
    assert not database.is_up(LIGHT)
    tunnel = await lit(provider)
    assert (tunnel.status, tunnel.slots, tunnel.delay_seconds) == ("up", 30, 0.0019)
    await provider.controller.topology.refresh()
    database = provider.controller.topology.database
    assert database.is_up(LIGHT)
    fast = shortest_path(
        database, PathRequest(DeviceName("pe-london"), DeviceName("pe-paris"), objective=Objective.DELAY)
    )
    assert fast.link_ids == (LIGHT,)
    assert all(fast.segments)
    usual = shortest_path(database, PathRequest(DeviceName("pe-london"), DeviceName("pe-paris")))
    assert LIGHT not in usual.link_ids


async def test_the_domain_is_no_router_of_the_packet_network(provider):
    assert OTN not in provider.controller.topology.network.nodes
    assert OTN not in provider.controller.topology.unread


async def test_a_tunnel_is_resized_in_place_and_keeps_carrying(provider):
    before = await lit(provider)
    after = await lit(provider, rate=BitRate(800_000_000))
    assert (after.slots, after.route, after.status) == (80, before.route, "up")
    assert provider.lab.optical.state.tunnels.get("gold").status.value == "up"


async def test_a_tunnel_that_is_removed_frees_its_slots_and_the_link_goes(provider):
    await lit(provider)
    await provider.commit_plan(await provider.controller.plan_optical_removal(OTN, "gold", ACTOR))
    domain = await provider.controller.optical.read(OTN)
    assert domain.tunnels == ()
    assert [link.free_slots for link in domain.links] == [link.slots for link in domain.links]
    await provider.controller.topology.refresh()
    assert not provider.controller.topology.database.is_up(LIGHT)
    await provider.assert_read_back_equal(["otn-domain"])


async def test_what_the_domain_has_not_is_refused_at_planning_naming_why(provider):
    with pytest.raises(NoPathError, match="delay bound"):
        await provider.controller.plan_optical(OTN, "gold", LIGHT, ACTOR, bandwidth=RATE, delay_bound_seconds=0.001)
    link = LinkId("pe-london:core0>p-brussels:core0")
    with pytest.raises(NotFoundError, match="port 'pe-london:core0' is not attached"):
        await provider.controller.plan_optical(OTN, "gold", link, ACTOR, bandwidth=RATE)
    with pytest.raises(NotFoundError, match="there is no optical domain 'pe-paris'"):
        await provider.controller.optical.read(DeviceName("pe-paris"))


async def test_slots_taken_after_planning_abort_the_transaction_and_nothing_stays(provider):
    """Two plans for the same slots: the domain itself refuses the second, naming the link."""
    first = await provider.controller.plan_optical(OTN, "gold", LIGHT, ACTOR, bandwidth=RATE, delay_bound_seconds=0.002)
    provider.lab.optical.set_link("otn-london--otn-paris", up=False)
    try:
        done = await provider.controller.commit(first.id, QUICK, ACTOR)
        reason, phase = done.reason, done.phase
    except DeviceRejectedError as error:
        reason, phase = str(error), Phase.ABORTED
    assert phase is Phase.ABORTED
    assert "otn-london--otn-brussels" in reason
    assert provider.lab.optical.state.tunnels.get("gold") is None


def attached(provider: Provider, router: str, address: str) -> Attachment:
    """A host behind the one customer of a router."""
    (vpn,) = provider.lab.forwarding(router).instances
    return replace(find_attachment(router, provider.lab.forwarding(router), vpn=vpn.name), address=address)


async def in_stages(provider: Provider, wish: TunnelWish) -> None:
    """The tunnel `premium` as wished, make-before-break."""
    await provider.controller.topology.refresh()
    plan = await provider.controller.plan_tunnels(lambda tunnels: tunnels.change("premium", wish), ACTOR)
    begun = await provider.controller.begin_staged(plan.id, ACTOR, checksum=plan.checksum)
    done = await provider.controller.changes.finish(begun.id)
    assert done.stage is Stage.DONE, done.steps


async def test_a_live_service_is_switched_from_ip_to_optical_and_back_without_a_lost_packet(provider):
    """The use case "Service Switching Across IP and Optical Networks": both carry for a while, the service is one."""
    await provider.commit(edit(service(), site("l", "London", "GB", access(1)), site("p", "Paris", "FR", access(2))))
    wish = TunnelWish(exclude_any=OPTICAL_ADMIN_GROUP, services=("acme",))
    made = await provider.controller.plan_tunnels(lambda t: t.create("premium", LONDON, PARIS, wish), ACTOR)
    await provider.commit_plan(made)
    before = provider.controller.world.tunnels.get("premium")
    plane = provider.lab.plane
    ends = [attached(provider, LONDON, "10.1.0.1"), attached(provider, PARIS, "10.2.0.1")]
    flow = await plane.start_flow(FlowSpec(*ends, packet_rate=500))
    await lit(provider)
    await in_stages(provider, TunnelWish(exclude_any=0, include_all=OPTICAL_ADMIN_GROUP))
    on_light = provider.controller.world.tunnels.get("premium")
    await in_stages(provider, TunnelWish(exclude_any=OPTICAL_ADMIN_GROUP, include_all=0))
    after = provider.controller.world.tunnels.get("premium")
    await provider.commit_plan(await provider.controller.plan_optical_removal(OTN, "gold", ACTOR))
    report = await plane.stop_flow(flow)
    assert on_light.ranked[0].hops == (LIGHT,)
    assert LIGHT not in {*before.links, *after.links}
    assert before.color == on_light.color == after.color
    assert (report.lost, report.sent > 1000) == (0, True), report


async def test_both_domains_are_shown_as_actn_data_that_is_valid(provider, tmp_path):
    await lit(provider)
    async with await client_of(provider, tmp_path) as client:
        paths = [
            f"/restconf/data/{name}" for name in ("ietf-network:networks", "ietf-te:te", "ietf-vn:virtual-network")
        ]
        networks, te, vns = [reply.json() for reply in await asyncio.gather(*map(client.get, paths))]
        ids = {
            network["network-id"].removeprefix("urn:accord:")
            for network in networks["ietf-network:networks"]["network"]
        }
        assert ids == {f"{name}{level}" for name in ("ip", "otn-domain") for level in ("", "-grey", "-black")}
        (tunnel,) = te["ietf-te:te"]["tunnels"]["tunnel"]
        assert (tunnel["name"], tunnel["operational-state"]) == ("otn-domain/gold", "ietf-te-types:tunnel-state-up")
        assert te_findings(te) == []
        assert topology_findings(networks | vns) == []
        library = (await client.get("/restconf/data/ietf-yang-library:modules-state")).json()
        told = {module["name"] for module in library["ietf-yang-library:modules-state"]["module"]}
        assert {"ietf-network", "ietf-te-topology", "ietf-te", "ietf-vn", "ietf-l3vpn-svc"} <= told


async def test_an_abstraction_is_asked_for_by_name_and_not_by_who_sees_only_some_services(provider, tmp_path):
    async with await client_of(provider, tmp_path) as client:
        shown = (await client.get("/api/v1/topology/abstract?abstraction=black")).json()
        assert [domain["controller"] for domain in shown["domains"]] == ["accord", "otn-domain"]
        assert [len(network["node"]) for network in shown["ietf-network:networks"]["network"]] == [1, 1]
        wrong = await client.get("/api/v1/topology/abstract?abstraction=pink")
        assert (wrong.status_code, "white, grey, black" in wrong.text) == (400, True)
        assert (await client.get("/api/v1/topology/abstract", headers=client.scoped)).status_code == 403
        seen = await client.get("/restconf/data/ietf-network:networks", headers=client.scoped)
        assert seen.json() == {"ietf-network:networks": {"network": []}}
        assert (await client.get("/restconf/data/ietf-te:te", headers=client.scoped)).status_code == 403


async def test_tunnels_are_planned_and_shown_at_the_api(provider, tmp_path):
    async with await client_of(provider, tmp_path) as client:
        body = {"name": "gold", "link": LIGHT, "bandwidth": "300 Mbit/s", "delay_bound": "3 ms"}
        where = "/api/v1/optical/otn-domain/tunnels"
        assert (await client.post(where, json=body)).status_code == 403
        planned = await client.post(where, json=body, headers=client.operator)
        assert planned.status_code == 201, planned.text
        await provider.commit_plan(provider.controller.plan(PlanId(planned.json()["id"])))
        (shown,) = (await client.get("/api/v1/optical")).json()["domains"]
        (tunnel,) = shown["tunnels"]
        assert (tunnel["name"], tunnel["slots"], tunnel["route"]) == ("gold", 30, ["otn-london--otn-paris"])
        late = await client.post(where, json=body | {"name": "late", "delay_bound": "1 ms"}, headers=client.operator)
        assert "client port 'otn-london:client0' of 'otn-domain' has the tunnel 'gold'" in late.text
        steep = {"name": "b", "source": LONDON, "target": PARIS, "delay_bound": "1 us"}
        pathless = await client.post("/api/v1/tunnels", json=steep, headers=client.operator)
        assert (pathless.status_code, "delay bound" in pathless.text) == (409, True)
        ended = await client.post(f"{where}/gold/delete", json={}, headers=client.operator)
        assert ended.status_code == 201
        unknown = await client.post(f"{where}/nothing/delete", json={}, headers=client.operator)
        assert (unknown.status_code, "'otn-domain' has no tunnel 'nothing'" in unknown.text) == (404, True)
