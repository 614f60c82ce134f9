"""Fifty seeded mistakes in what is rendered: each is refused with the packet that shows it, its correction accepted."""

import random
from collections.abc import Callable, Mapping
from functools import cache

import pytest

from controller.twin.entry import State
from controller.twin.intended import TunnelIntent
from controller.twin.proving import prove
from controller.twin.verdict import Fault
from tests.controller.mapping_samples import access, edit, service, site
from tests.controller.twin_samples import (
    Twinned,
    along,
    any_to_any,
    hops,
    hub_and_spokes,
    policy_lines,
    sid,
    topology,
)

Mistake = tuple[str, Mapping[str, str | None]]
VRF = "/ietf-network-instance:network-instances/network-instance[name='{}']"
VPN = f"{VRF}/accord-router:l3vpn"
PORT = "/ietf-interfaces:interfaces/interface[name='{}']"
POLICY = "/accord-router:router/srv6/policy[color='100'][endpoint='fc00:0:4::1']"
FIRST = f"{POLICY}/candidate-path[discriminator='1']/segment-list[id='1']"


@cache
def rendered() -> Twinned:
    tunnel = TunnelIntent(
        "gold", "lon1", "mad1", 100, "fc00:0:4::1", 10**9, 0.012, {1: hops("lon1", "p1", "p2", "mad1")}
    )
    best, backup = along("lon1", "p1", "p2", "mad1"), along("lon1", "p1", "par1", "mad1")
    policy = policy_lines(100, "mad1", (200, best), (100, backup))
    extra = {"lon1": policy | {f"{VPN.format('acme')}/color": "100"}}
    bounded = {"qos": {"qos-profile": {"classes": {"class": [bounded_class(11)]}}}}
    quick = edit(
        service("quick"),
        site("ql", "London", "GB", access(31, vpn_id="quick", service={**access(31)["service"], **bounded})),
        site("qm", "Madrid", "ES", access(32, vpn_id="quick")),
    )
    return Twinned(any_to_any(), hub_and_spokes(), quick, on=topology(), tunnels=(tunnel,), extra=extra)


def bounded_class(milliseconds: int) -> Mapping[str, object]:
    return {
        "class-id": "all",
        "direction": "ietf-l3vpn-svc:both",
        "latency": {"latency-boundary": milliseconds},
        "bandwidth": {"guaranteed-bw-percent": "100", "end-to-end": [None]},
    }


@cache
def members() -> dict[str, tuple[str, ...]]:
    """The VRFs on each router that somebody is attached to, without the one that a delay is promised for."""
    devices = rendered().devices.values()
    return {each.device: tuple(sorted(each.bound.keys() - {"quick"})) for each in devices if len(each.bound) > 1}


def vrf_of(rng: random.Random) -> tuple[str, str]:
    device = rng.choice(sorted(members()))
    return device, rng.choice(members()[device])


def access_of(device: str, vrf: str) -> str:
    return next(each.name for each in rendered().devices[device].bound[vrf])


def instance(device: str, vrf: str):
    return rendered().devices[device].instances[vrf]


def target(text: str) -> str:
    return f"0:{text}"


def missing_import(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    gone = {f"{VPN.format(vrf)}/vpn-targets/import[.='{target(each)}']": None for each in instance(device, vrf).imports}
    return device, gone


def foreign_import(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    foreign = sorted(set().union(*(instance("par1", each).exports for each in members()["par1"] if each != vrf)))
    return device, {f"{VPN.format(vrf)}/vpn-targets/import[.='{target(rng.choice(foreign))}']": ""}


def missing_export(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{VPN.format(vrf)}/vpn-targets/export[.='{target(min(instance(device, vrf).exports))}']": None}


def foreign_export(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    other = rng.choice([each for each in members()["par1"] if each != vrf])
    wanted = min(instance("par1", other).imports)
    return device, {f"{VPN.format(vrf)}/vpn-targets/export[.='{target(wanted)}']": ""}


def wrong_vlan(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{PORT.format(access_of(device, vrf))}/accord-router:vlan-subinterface/vlan-id": "777"}


def wrong_port(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{PORT.format(access_of(device, vrf))}/accord-router:vlan-subinterface/parent": "ge9"}


def bound_to_another_vrf(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    other = rng.choice([each for each in members()[device] if each != vrf])
    return device, {f"{PORT.format(access_of(device, vrf))}/ietf-network-instance:bind-ni-name": other}


def bound_to_none(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{PORT.format(access_of(device, vrf))}/ietf-network-instance:bind-ni-name": None}


def missing_route(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    route = instance(device, vrf).static_routes[0]
    return device, {f"{VPN.format(vrf)}/static-route[prefix='{route.prefix}'][next-hop='{route.next_hop}']": None}


def wrong_next_hop(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    route = instance(device, vrf).static_routes[0]
    other = route.next_hop.rpartition(".")[0] + rng.choice([".1", ".3"])
    root = f"{VPN.format(vrf)}/static-route[prefix='{route.prefix}']"
    return device, {f"{root}[next-hop='{route.next_hop}']": None, f"{root}[next-hop='{other}']": ""}


def wrong_prefix(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    route = instance(device, vrf).static_routes[0]
    root = f"{VPN.format(vrf)}/static-route"
    return device, {
        f"{root}[prefix='{route.prefix}'][next-hop='{route.next_hop}']": None,
        f"{root}[prefix='10.99.0.0/16'][next-hop='{route.next_hop}']": "",
    }


def missing_address(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{PORT.format(access_of(device, vrf))}/ietf-ip:ipv4": None}


def wrong_address(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    name = access_of(device, vrf)
    ipv4 = f"{PORT.format(name)}/ietf-ip:ipv4"
    held = rendered().devices[device].interfaces[name].addresses[0].partition("/")[0]
    other = held.rpartition(".")[0] + ".129"
    return device, {f"{ipv4}/address[ip='{held}']": None, f"{ipv4}/address[ip='{other}']/prefix-length": "30"}


def wrong_mask(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    name = access_of(device, vrf)
    held = rendered().devices[device].interfaces[name].addresses[0].partition("/")[0]
    return device, {f"{PORT.format(name)}/ietf-ip:ipv4/address[ip='{held}']/prefix-length": rng.choice(["29", "31"])}


def shut_access(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{PORT.format(access_of(device, vrf))}/enabled": "false"}


def shut_port(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{PORT.format(access_of(device, vrf).partition('.')[0])}/enabled": "false"}


def disabled_vrf(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{VRF.format(vrf)}/enabled": "false"}


def missing_vrf(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {VRF.format(vrf): None}


def no_segment(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{VPN.format(vrf)}/srv6": None}


def unknown_locator(rng: random.Random) -> Mistake:
    device, vrf = vrf_of(rng)
    return device, {f"{VPN.format(vrf)}/srv6/locator": "spare"}


def shared_segment(rng: random.Random) -> Mistake:
    first, second = rng.sample(members()["par1"], 2)
    return "par1", {f"{VPN.format(first)}/srv6/function": str(instance("par1", second).function)}


def stolen_subnet(rng: random.Random) -> Mistake:
    """A more specific route of one site inside another site's network."""
    device, vrf = vrf_of(rng)
    far = rng.choice([each for each in members() if each != device and vrf in members()[each]])
    route, own = instance(far, vrf).static_routes[0], instance(device, vrf).static_routes[0]
    inside = route.prefix.replace(".0.0/16", ".7.0/24")
    return device, {f"{VPN.format(vrf)}/static-route[prefix='{inside}'][next-hop='{own.next_hop}']": ""}


def no_core_session(rng: random.Random) -> Mistake:
    return rng.choice(["lon1", "par1"]), {"/accord-router:router/bgp": None}


def unknown_segment(rng: random.Random) -> Mistake:
    return "lon1", {f"{FIRST}/segment[index='{rng.choice('123')}']/sid": "fc00:0:6:beef::"}


def other_links_segment(_: random.Random) -> Mistake:
    return "lon1", {f"{FIRST}/segment[index='2']/sid": sid("p1", "par1"), f"{FIRST}/segment[index='3']": None}


def loop_in_a_policy(_: random.Random) -> Mistake:
    there_and_back = along("lon1", "p1", "p2", "p1", "p2", "mad1")
    return "lon1", {f"{FIRST}/segment[index='{i}']/sid": each for i, each in enumerate(there_and_back, start=1)}


def deleted_policy(_: random.Random) -> Mistake:
    return "lon1", {POLICY: None}


def policy_to_nobody(_: random.Random) -> Mistake:
    return "lon1", {POLICY: None, POLICY.replace("::1", "::9"): ""}


def missing_adjacency(_: random.Random) -> Mistake:
    return "p2", {f"{PORT.format('core2')}/accord-router:igp/adjacency-function": None}


def dear_link(_: random.Random) -> Mistake:
    """A metric that sends everybody the long way round."""
    return "p2", {f"{PORT.format('core2')}/accord-router:igp/metric": "60000"}


MISTAKES: tuple[Callable[[random.Random], Mistake], ...] = (
    missing_import,
    foreign_import,
    missing_export,
    foreign_export,
    wrong_vlan,
    wrong_port,
    bound_to_another_vrf,
    bound_to_none,
    missing_route,
    wrong_next_hop,
    wrong_prefix,
    missing_address,
    wrong_address,
    wrong_mask,
    shut_access,
    shut_port,
    disabled_vrf,
    missing_vrf,
    no_segment,
    unknown_locator,
    shared_segment,
    stolen_subnet,
    no_core_session,
    unknown_segment,
    other_links_segment,
    loop_in_a_policy,
    deleted_policy,
    policy_to_nobody,
    missing_adjacency,
    dear_link,
)
LEAKS = {foreign_import, foreign_export, bound_to_another_vrf, stolen_subnet}


@pytest.mark.parametrize("seed", range(50))
def test_a_wrong_rendering_is_refused_with_the_packet_and_its_correction_is_accepted(seed: int) -> None:
    network, rng = rendered(), random.Random(seed)
    mistake = MISTAKES[seed % len(MISTAKES)]
    device, change = mistake(rng)
    assert network.edit(device, change), "the mistake changes nothing"
    wrong = network.wrong(device, change)
    verdict = prove(network.blank, wrong, failures=False)
    assert not verdict.is_proved
    for shown in verdict.refusals:
        assert shown.source, "the packet says where it comes from"
        assert shown.destination, "and where it goes"
        assert shown.path, "and which way it takes"
    if mistake in LEAKS:
        assert Fault.LEAK in {shown.fault for shown in verdict.refusals}
    correction = prove(wrong, _corrected(network, wrong, device), failures=False)
    assert correction.is_proved, str(correction)


def _corrected(network: Twinned, wrong, device: str):
    return State(wrong.model.changed([network.devices[device]]), network.intended)


def test_what_the_mapping_renders_is_accepted() -> None:
    network = rendered()
    verdict = prove(network.blank, network.right(), failures=False)
    assert verdict.is_proved, str(verdict)
    assert verdict.classes > 50
