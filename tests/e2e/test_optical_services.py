"""A service carved over access, IP and optical segments: shown, provisioned on live devices, or given back."""

import asyncio
from pathlib import Path

import pytest

from controller.mapping.optical_carving import CarvingError, SegmentKind
from controller.model.errors import ConflictError, DeviceRejectedError, InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.runtime.optical_services import CarvingWish
from controller.runtime.tunnels import TunnelWish
from lab.router.faults_point import Fault
from lab.topology_file import load_topology
from tests.controller.actn_yang import te_findings, topology_findings
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.doors import client_of
from tests.e2e.provider import ACTOR, open_provider

OTN = DeviceName("otn-domain")
LIGHT, BACK = "pe-london:core2>pe-paris:core2", "pe-paris:core2>pe-london:core2"
TOPOLOGY = Path(__file__).parents[2] / "config" / "lab" / "optical.yaml"
ACCESS, IP, OPTICAL = SegmentKind
STEADY = CarvingWish("acme", "l", "p", BitRate(40_000_000), 0.004, is_deterministic=True)


@pytest.fixture
async def provider(tmp_path):
    async with open_provider(tmp_path, load_topology(TOPOLOGY)) as provider:
        await provider.controller.topology.refresh()
        sites = site("l", "London", "GB", access(1)), site("p", "Paris", "FR", access(2))
        await provider.commit(edit(service(), *sites))
        yield provider


def kinds(carved):
    return [segment.portion.offer.kind for segment in carved.segments]


async def test_a_service_is_carved_from_its_accesses_and_the_networks_between(provider):
    services = provider.controller.optical_services
    carved = await services.carve(CarvingWish("acme"))
    assert kinds(carved) == [ACCESS, IP, ACCESS]
    assert carved.requirement.bandwidth == BitRate(50_000_000)
    assert [segment.resource.interface.partition(":")[0] for segment in carved.segments] == [
        "pe-london",
        "",
        "pe-paris",
    ]
    steady = await services.carve(STEADY)
    assert kinds(steady) == [ACCESS, OPTICAL, ACCESS]
    assert (steady.links, steady.segments[1].resource.slots) == ((LIGHT,), 4)
    assert (await provider.controller.optical.read(OTN)).tunnels == ()


async def test_what_is_carved_is_provisioned_and_the_service_runs_over_it(provider):
    controller = provider.controller
    _, done = await controller.optical_services.provision(STEADY, "gold", ACTOR)
    assert [summary.phase for summary in done] == ["committed", "committed"]
    (tunnel,) = (await controller.optical.read(OTN)).tunnels
    assert (tunnel.name, tunnel.status, tunnel.slots) == ("gold", "up", 4)
    there, back = (controller.world.tunnels.get(name) for name in ("gold", "gold-back"))
    assert (there.ranked[0].hops, back.ranked[0].hops) == ((LIGHT,), (BACK,))
    assert (there.services, there.bandwidth) == (("acme",), BitRate(40_000_000))
    assert controller.topology.network.link(LIGHT).delay_seconds == pytest.approx(0.0019)
    await provider.assert_read_back_equal(["otn-domain", "pe-london", "pe-paris"])
    with pytest.raises(CarvingError, match=r"\(gold\)' has 0 bit/s left, not 40 Mbit/s"):
        await controller.optical_services.carve(STEADY)


async def test_light_that_is_up_carries_the_next_service_as_far_as_it_has_room(provider):
    controller = provider.controller
    await provider.commit_plan(
        await controller.plan_optical(OTN, "spare", LIGHT, ACTOR, bandwidth=BitRate(100_000_000))
    )
    await controller.optical.settled(OTN, "spare", 20.0)
    await controller.topology.refresh()
    carved, done = await controller.optical_services.provision(STEADY, "gold", ACTOR)
    assert carved.segments[1].resource.tunnel == "spare"
    assert len(done) == 1
    assert [tunnel.name for tunnel in (await controller.optical.read(OTN)).tunnels] == ["spare"]


async def test_light_is_given_back_when_the_tunnel_over_it_cannot_be_had(provider):
    controller = provider.controller
    provider.lab.faults.add("pe-paris", "commit", Fault.REJECT)
    with pytest.raises((ConflictError, DeviceRejectedError)):
        await controller.optical_services.provision(STEADY, "gold", ACTOR)
    assert [entry.router for entry in provider.lab.faults.history] == ["pe-paris"]
    assert (await controller.optical.read(OTN)).tunnels == ()
    assert len(controller.world.tunnels) == 0
    await provider.assert_read_back_equal(["otn-domain", "pe-london", "pe-paris"])


async def test_light_that_cannot_be_taken_down_is_named_beside_what_went_wrong_and_the_other_is_given_back(provider):
    controller, faults = provider.controller, provider.lab.faults
    await provider.commit(edit(site("f", "Frankfurt", "DE", access(3))))
    wish = CarvingWish("acme", "p", "f", BitRate(40_000_000), is_deterministic=True)
    faults.add("pe-frankfurt", "commit", Fault.REJECT)
    faults.add("otn-domain", "restconf-patch", Fault.REJECT, nth=3)  # two are lit before
    with pytest.raises((ConflictError, DeviceRejectedError)) as refused:
        await controller.optical_services.provision(wish, "gold", ACTOR)
    assert [entry.router for entry in faults.history] == ["pe-frankfurt", "otn-domain"]
    assert "create tunnel gold" in refused.value.message
    (left,) = (await controller.optical.read(OTN)).tunnels
    assert f"still lit: '{left.name}' of 'otn-domain'" in str(refused.value)
    assert len(controller.world.tunnels) == 0


async def test_a_name_that_is_taken_is_refused_before_anything_is_lit(provider):
    controller = provider.controller
    await provider.commit_plan(
        await controller.plan_tunnels(
            lambda tunnels: tunnels.create("gold-back", DeviceName("pe-paris"), DeviceName("pe-london"), TunnelWish()),
            ACTOR,
        )
    )
    with pytest.raises(ConflictError, match="there is a tunnel 'gold-back' already"):
        await controller.optical_services.provision(STEADY, "gold", ACTOR)
    assert not list(provider.lab.optical.state.tunnels)


async def test_what_cannot_be_carved_is_refused_by_name(provider):
    services = provider.controller.optical_services
    with pytest.raises(CarvingError, match="segment 'access p/a1' has 100 Mbit/s left, not 200 Mbit/s"):
        await services.carve(CarvingWish("acme", bandwidth=BitRate(200_000_000)))
    with pytest.raises(CarvingError, match=r"takes 1\.9 ms"):
        await services.carve(CarvingWish("acme", delay_bound_seconds=0.001))
    with pytest.raises(NotFoundError, match="there is no VPN 'nobody'"):
        await services.carve(CarvingWish("nobody"))
    with pytest.raises(NotFoundError, match="there is no site 'moon'"):
        await services.carve(CarvingWish("acme", "l", "moon"))
    with pytest.raises(InvalidInputError, match="between two of its sites, and these are l"):
        await services.carve(CarvingWish("acme", "l"))


async def test_the_api_shows_and_provisions_and_what_it_made_is_valid_actn_data(provider, tmp_path):
    asked = {"service": "acme", "source": "l", "target": "p", "bandwidth": "40 Mbit/s", "constant_delay": True}
    async with await client_of(provider, tmp_path) as client:
        shown = await client.post("/api/v1/optical/carve", json=asked, headers=client.operator)
        assert shown.status_code == 200, shown.text
        assert [segment["kind"] for segment in shown.json()["segments"]] == ["access", "optical", "access"]
        assert shown.json()["segments"][1]["is_to_be_lit"]
        assert (await client.post("/api/v1/optical/carve", json=asked, headers=client.scoped)).status_code == 403
        assert (await client.post("/api/v1/optical/carve/gold", json=asked)).status_code == 403
        made = await client.post("/api/v1/optical/carve/gold", json=asked, headers=client.operator)
        assert made.status_code == 201, made.text
        assert [done["phase"] for done in made.json()["transactions"]] == ["committed", "committed"]
        names = ("ietf-network:networks", "ietf-te:te", "ietf-vn:virtual-network", "ietf-vn:access-point")
        replies = await asyncio.gather(*(client.get(f"/restconf/data/{name}") for name in names))
        networks, te, vns, points = [reply.json() for reply in replies]
        assert te_findings(te) == []
        assert topology_findings(networks | vns | points) == []
        names = {tunnel["name"] for tunnel in te["ietf-te:te"]["tunnels"]["tunnel"]}
        assert names == {"otn-domain/gold", "gold", "gold-back"}
        thick = asked | {"bandwidth": "1 Gbit/s"}
        refused = await client.post("/api/v1/optical/carve", json=thick, headers=client.operator)
        assert (refused.status_code, "segment 'access l/a1' has 50 Mbit/s left" in refused.text) == (409, True)
