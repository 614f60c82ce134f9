"""A router that speaks OpenConfig beside others: one VPN across both, through the controller as bootstrap builds it."""

import os
from pathlib import Path

import pytest

from controller.model.identifiers import DeviceName
from lab.network import NetworkOptions
from lab.personalities import personality
from tests.controller.mapping_samples import access, edit, service, site
from tests.e2e.provider import ACTOR, edge, edges, open_provider

TOPOLOGY = edges(
    edge("lon1", "London", "GB", "lon"), edge("par1", "Paris", "FR", "par"), edge("mad1", "Madrid", "ES", "mad")
)
OPENCONFIG = b"http://openconfig.net/yang/network-instance"


def yang_path() -> list[Path]:
    given = [Path(item) for item in os.environ.get("ACCORD_TEST_YANG_PATH", "").split(":") if item]
    if not any(True for root in given for _ in root.rglob("openconfig-network-instance*.yang")):
        pytest.skip("ACCORD_TEST_YANG_PATH names no folder with OpenConfig's modules")
    return given


async def test_a_vpn_across_an_openconfig_router_and_others_comes_and_goes(tmp_path: Path) -> None:
    modules = personality("openconfig", yang_path())
    options = NetworkOptions(profiles={"mad1": "restconf"}, modules_for={"par1": modules})
    async with open_provider(tmp_path, TOPOLOGY, options, yang_path=modules.search_path) as provider:
        before = provider.running()
        assert provider.controller.records()[DeviceName("par1")].profile == "openconfig"
        bgp = {"type": "ietf-l3vpn-svc:bgp", "bgp": {"autonomous-system": 64600, "address-family": ["ipv4"]}}
        sites = (
            site("l", "London", "GB", access(1)),
            site("p", "Paris", "FR", access(2), access(4, "a2", routing_protocols={"routing-protocol": [bgp]})),
            site("m", "Madrid", "ES", access(3)),
        )
        await provider.commit(edit(service(), *sites))
        after = provider.running()
        assert OPENCONFIG in after["par1"]
        assert OPENCONFIG not in after["lon1"] + after["mad1"]
        await provider.assert_read_back_equal(before)
        await provider.commit(edit(site("p", "Paris", "FR", access(2))))
        await provider.assert_read_back_equal(before)
        await provider.commit_plan(await provider.controller.plan_service_deletion("acme", ACTOR))
        assert provider.running() == before


async def test_an_intent_reaches_an_openconfig_router(tmp_path: Path) -> None:
    modules = personality("openconfig", yang_path())
    options = NetworkOptions(modules_for={"par1": modules})
    async with open_provider(tmp_path, TOPOLOGY, options, yang_path=modules.search_path) as provider:
        before = provider.running()
        outcome = await provider.controller.submit_intent("Connect London and Paris with 20 Mbit/s for acme", ACTOR)
        assert outcome.plan is not None, outcome.result
        await provider.commit_plan(outcome.plan)
        await provider.assert_read_back_equal(before)
        await provider.commit_plan(await provider.controller.withdraw_intent(outcome.record.id, ACTOR))
        assert provider.running() == before
