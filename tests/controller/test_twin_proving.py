"""The proof: what it takes, what it forgives, what a single failure would break, and what bad questions get."""

import pytest

from controller.datastore.config_tree import ConfigTree
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, Network, Node, TerminationPoint, TopologyError
from controller.twin.entry import State
from controller.twin.forecast import Demand, Traffic, forecast, load
from controller.twin.intended import Attachment, Intended, Member, TunnelIntent, VpnIntent
from controller.twin.model import Model
from controller.twin.provider_core import link_failure, node_failure, single_failures, srlg_failure
from controller.twin.proving import audit, prove
from controller.twin.reading import read_device
from controller.twin.verdict import CounterExample, Fault, Verdict
from controller.twin.what_if import Question, answer
from tests.controller.twin_samples import (
    Twinned,
    along,
    any_to_any,
    hops,
    hub_and_spokes,
    lines,
    policy_lines,
    topology,
)

VPN = "/ietf-network-instance:network-instances/network-instance[name='acme']/accord-router:l3vpn"
ROUTE = f"{VPN}/static-route[prefix='10.2.0.0/16'][next-hop='192.0.2.2']"
IMPORT = f"{VPN}/vpn-targets/import[.='0:65000:2']"


@pytest.fixture(scope="module")
def network() -> Twinned:
    return Twinned(any_to_any(), hub_and_spokes(), on=topology())


def faults(verdict: Verdict) -> set[tuple[str, str]]:
    return {(each.fault, each.subject) for each in verdict.refusals}


def test_a_standing_fault_is_told_and_not_held_against_a_change_that_leaves_it(network: Twinned) -> None:
    nothing_taken = {f"{VPN}/vpn-targets/import[.='0:65000:1']": None}
    broken = network.after(network.standing(), "par1", nothing_taken)
    colored = network.after(broken, "par1", {**nothing_taken, f"{VPN}/color": "55"})
    verdict = prove(broken, colored, failures=False)
    assert verdict.is_proved, str(verdict)
    assert {(each.fault, each.subject) for each in verdict.standing} == {(Fault.BLACKHOLE, "VPN acme")}
    assert "broken before" in str(verdict)


def test_the_same_fault_is_held_against_the_change_that_brings_it(network: Twinned) -> None:
    now = network.standing()
    verdict = prove(now, network.after(now, "par1", {ROUTE: None}), failures=False)
    assert faults(verdict) == {(Fault.BLACKHOLE, "VPN acme")}
    shown = str(verdict.refusals[0])
    assert "to 10.2.0.1 (10.2.0.0/16)" in shown
    assert "has no route" in shown


def test_a_member_that_others_are_about_to_put_in_place_is_not_missed(network: Twinned) -> None:
    coming = Member(Attachment(DeviceName("mad1"), "ge9", 9), "acme", "coming", prefixes={"10.77.0.0/16": "192.0.77.2"})
    before = network.intended.copy(["acme"])
    before.put("coming/a1", coming)
    now = State(network.standing().model, before)
    relabelled = network.after(now, "par1", {f"{VPN}/static-route[prefix='10.66.0.0/16'][next-hop='192.0.2.2']": ""})
    after = before.copy(["acme"])
    member = after.members["acme"]["p/a1"]
    after.remove("acme", "p/a1")
    wider = Member(member.attachment, "acme", "p", prefixes={**member.prefixes, "10.66.0.0/16": "192.0.2.2"})
    after.put("p/a1", wider)
    verdict = prove(now, State(relabelled.model, after), failures=False)
    assert verdict.is_proved, str(verdict)


def test_a_stranger_who_was_in_the_vpn_before_is_let_be_and_a_new_one_is_not(network: Twinned) -> None:
    stranger = "/ietf-interfaces:interfaces/interface[name='ge9.5']"
    its = {
        stranger: "",
        f"{stranger}/accord-router:vlan-subinterface/parent": "ge9",
        f"{stranger}/accord-router:vlan-subinterface/vlan-id": "5",
        f"{stranger}/ietf-network-instance:bind-ni-name": "acme",
        f"{stranger}/ietf-ip:ipv4/address[ip='192.168.5.1']/prefix-length": "30",
    }
    now = network.standing()
    come = network.after(now, "mad1", its)
    assert (Fault.LEAK, "VPN acme") in faults(prove(now, come, failures=False))
    other = network.after(come, "par1", {f"{VPN}/route-distinguisher": "0:65000:99"})
    assert prove(come, other, failures=False).is_proved


def test_every_single_failure_is_tried_and_what_it_breaks_is_a_risk(network: Twinned) -> None:
    verdict = prove(network.blank, network.right())
    assert verdict.is_proved
    assert verdict.failures >= 8
    risks = {(each.failure, each.fault) for each in verdict.risks}
    assert ("node p1", Fault.BLACKHOLE) in risks
    assert not any(failure.startswith("link p1:core2-p2") for failure, _ in risks), "there is another way"


def test_a_tunnel_that_does_not_fit_or_is_too_slow_is_refused() -> None:
    path = ("lon1", "p1", "p2", "mad1")
    policy = {"lon1": policy_lines(100, "mad1", (200, along(*path)))}

    def tunnel(**more: object) -> TunnelIntent:
        return TunnelIntent("t", "lon1", "mad1", 100, "fc00:0:4::1", paths={1: hops(*path)}, **more)

    def judged(wanted: TunnelIntent) -> set[tuple[str, str]]:
        network = Twinned(any_to_any(), on=topology(), tunnels=(wanted,), extra=policy)
        return faults(prove(network.blank, network.right(), failures=False))

    assert judged(tunnel(bit_rate=10**9, delay_bound_seconds=0.011)) == set()
    assert {fault for fault, _ in judged(tunnel(bit_rate=2 * 10**10))} == {Fault.CAPACITY}
    assert judged(tunnel(delay_bound_seconds=0.009)) == {(Fault.DELAY, "tunnel t")}
    assert judged(tunnel(delay_bound_seconds=0.01 - 1e-12)) == set(), "a path is searched in whole nanoseconds"


def test_what_was_agreed_to_be_late_is_told_and_forbids_nothing_and_nothing_else_is_excused() -> None:
    late, other, lost = (
        CounterExample(fault, f"VPN {vpn}", "lon1", "10.0.0.0/8", "so")
        for fault, vpn in ((Fault.DELAY, "acme"), (Fault.DELAY, "globex"), (Fault.BLACKHOLE, "acme"))
    )
    verdict = Verdict(refusals=(late, other, lost)).excusing(frozenset({"VPN acme"}))
    assert (verdict.refusals, verdict.standing) == ((other, lost), (late,))
    assert Verdict(refusals=(late,)).excusing(frozenset({"VPN acme"})).is_proved
    assert not Verdict(refusals=(late,)).excusing(frozenset()).is_proved


def test_without_a_topology_the_core_is_taken_to_be_connected_and_that_is_said() -> None:
    network = Twinned(any_to_any())
    verdict = prove(network.blank, network.right())
    assert verdict.is_proved
    assert "no topology is known" in str(verdict)


def test_two_vpns_that_share_a_target_are_found_by_an_audit(network: Twinned) -> None:
    leaking = network.wrong("par1", {IMPORT: ""})
    assert audit(network.standing()).is_proved
    found = audit(State(Model(leaking.model.devices, network.network), network.intended))
    assert Fault.LEAK in {each.fault for each in found.refusals}


def test_an_openconfig_router_is_read_as_well() -> None:
    root = "/openconfig-network-instance:network-instances/network-instance[name='acme']"
    policy = f"{root}/inter-instance-policies/import-export-policy/config"
    static = f"{root}/protocols/protocol[identifier='openconfig-policy-types:STATIC'][name='static']/static-routes"
    route = f"{static}/static[prefix='10.5.0.0/16']/next-hops/next-hop[index='192.0.5.2']"
    port = "/openconfig-interfaces:interfaces/interface[name='ge0']/subinterfaces/subinterface[index='7']"
    texts = {
        f"{root}/config/type": "openconfig-network-instance-types:L3VRF",
        f"{policy}/import-route-target[.='65000:1']": "",
        f"{policy}/export-route-target[.='65000:1']": "",
        f"{root}/interfaces/interface[id='ge0.7']": "",
        f"{route}/config/next-hop": "192.0.5.2",
        f"{port}/config/enabled": "true",
        f"{port}/openconfig-vlan:vlan/match/single-tagged/config/vlan-id": "7",
        f"{port}/openconfig-if-ip:ipv4/addresses/address[ip='192.0.5.1']/config/prefix-length": "30",
    }
    device = read_device(DeviceName("oc"), ConfigTree(lines(texts)))
    network = Twinned(any_to_any())
    members = [
        *network.intended.members["acme"].values(),
        Member(Attachment(device.device, "ge0", 7), "acme", "o", prefixes={"10.5.0.0/16": "192.0.5.2"}),
    ]
    state = State(Model({**network.devices, device.device: device}), Intended.of([VpnIntent("acme")], members))
    verdict = audit(state)
    assert {each.subject for each in verdict.refusals} <= {"VPN zeta"}, str(verdict)
    assert state.model.follow((DeviceName("lon1"), "acme"), "10.5.9.9/32").route.device == "oc"


# -- failures and questions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["p1-p9", "mad1-lon1", "nobody", "p1:core0>p2:core9"])
def test_the_cut_of_a_link_that_is_not_there_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotFoundError, match=f"no link '{text}'"):
        link_failure(topology(), text)


def test_unknown_nodes_and_groups_are_refused_by_name() -> None:
    with pytest.raises(NotFoundError, match="no node 'p9'"):
        node_failure(topology(), "p9")
    with pytest.raises(NotFoundError, match="risk link group 99"):
        srlg_failure(topology(), 99)


def test_a_negative_delay_and_a_negative_demand_are_refused_by_name() -> None:
    ends = TerminationPoint(DeviceName("a"), "x"), TerminationPoint(DeviceName("b"), "y")
    with pytest.raises(TopologyError, match="a:x>b:y"):
        Network.of([Node(DeviceName("a")), Node(DeviceName("b"))], [Link(*ends, BitRate(1), delay_seconds=-1.0)])
    with pytest.raises(InvalidInputError, match="demand 'd'"):
        Demand("d", DeviceName("a"), DeviceName("b"), -1)


@pytest.mark.parametrize("factor", [0, -2, float("inf"), float("nan")])
def test_a_demand_factor_that_makes_no_sense_is_refused(network: Twinned, factor: float) -> None:
    with pytest.raises(InvalidInputError, match="demand cannot be"):
        answer(network.standing(), network.standing(), Question(demand_factor=factor))


def test_every_link_node_and_group_fails_once() -> None:
    names = [each.name for each in single_failures(topology())]
    assert len(names) == len(set(names)) == 8 + 6 + 1


def test_a_failure_moves_the_load_and_tells_who_is_cut_off(network: Twinned) -> None:
    now = network.standing()
    told = answer(now, now, Question(links_down=("p1-p2",), demand_factor=2.0))
    assert not told.broken
    assert not any(link.load_after for link in told.links if not link.is_up)
    assert sum(link.load_after for link in told.links) > 2 * sum(link.load_before for link in told.links)
    cut = answer(now, now, Question(nodes_down=("p1",)))
    assert {each.fault for each in cut.broken} == {Fault.BLACKHOLE}
    assert {each.failure for each in cut.broken} == {"node p1"}


# -- forecasts -----------------------------------------------------------------------------------------------------


def wire(capacity: int, **more: float) -> Network:
    a, b = TerminationPoint(DeviceName("a"), "x"), TerminationPoint(DeviceName("b"), "y")
    return Network.of(
        [Node(DeviceName("a")), Node(DeviceName("b"))],
        [Link(*ends, BitRate(capacity), **more) for ends in ((a, b), (b, a))],
    )


def told(rate: float, network: Network):
    demand = Demand("d", DeviceName("a"), DeviceName("b"), rate)
    return forecast(demand, load(Model({}, network).core(), [demand]), Traffic(packet_octets=1250, load_error=0.1))


def test_a_wait_is_that_of_m_d_1_and_its_interval_holds_it() -> None:
    found = told(5e6, wire(10**7, delay_seconds=0.002))
    service = 0.001
    assert found.delay_seconds.likely == pytest.approx(0.002 + service + 0.5 / (2 * 0.5) * service)
    assert found.delay_seconds.low < found.delay_seconds.likely < found.delay_seconds.high
    assert found.jitter_seconds.low < found.jitter_seconds.likely < found.jitter_seconds.high
    assert found.loss_ratio.likely == 0


def test_above_its_capacity_a_link_loses_the_excess_and_its_buffer_is_full() -> None:
    found = told(2e7, wire(10**7))
    assert found.loss_ratio.likely == pytest.approx(0.5)
    assert found.loss_ratio.low < 0.5 < found.loss_ratio.high
    assert found.delay_seconds.likely > 0.05
    assert found.utilisation == pytest.approx(2.0)


def test_random_loss_of_a_link_is_forecast_whatever_the_load() -> None:
    assert told(1.0, wire(10**7, loss_ratio=0.02)).loss_ratio.likely == pytest.approx(0.02)


def test_without_a_path_everything_is_lost() -> None:
    demand = Demand("d", DeviceName("a"), DeviceName("b"), 1.0)
    lonely = Network.of([Node(DeviceName("a")), Node(DeviceName("b"))], [])
    found = forecast(demand, load(Model({}, lonely).core(), [demand]), Traffic())
    assert found.loss_ratio.likely == 1
    assert found.delay_seconds is None
