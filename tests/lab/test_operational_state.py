"""Operational state follows configuration, links and time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from lab.addressing import address_plan, route_reflectors
from lab.day0 import day0_configuration
from lab.planes.memory import MemoryPlane
from lab.router.forwarding import read_forwarding
from lab.router.operational import OperationalState
from lab.router.schema import ModuleSet, Schema, default_module_set, load_schema
from lab.router.validation import check_tree
from lab.topologies_topohub import topohub_topology
from lab.topology_file import load_topology

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
NS = {
    "if": "urn:ietf:params:xml:ns:yang:ietf-interfaces",
    "ip": "urn:ietf:params:xml:ns:yang:ietf-ip",
    "ni": "urn:ietf:params:xml:ns:yang:ietf-network-instance",
    "a": "urn:accord:router",
}
VPN = """
<data xmlns:if="urn:ietf:params:xml:ns:yang:ietf-interfaces" xmlns:ip="urn:ietf:params:xml:ns:yang:ietf-ip"
      xmlns:ni="urn:ietf:params:xml:ns:yang:ietf-network-instance" xmlns:a="urn:accord:router"
      xmlns="urn:accord:router">
  <if:interfaces><if:interface><if:name>access0.{vlan}</if:name><if:type>ianaift:l2vlan</if:type>
    <vlan-subinterface><parent>access0</parent><vlan-id>{vlan}</vlan-id></vlan-subinterface>
    <ni:bind-ni-name>{name}</ni:bind-ni-name>
    <attachment><announce-subnet>true</announce-subnet><local-preference>{preference}</local-preference></attachment>
    <ip:ipv4><ip:address><ip:ip>{address}</ip:ip><ip:prefix-length>24</ip:prefix-length></ip:address></ip:ipv4>
    <bfd-session><remote-address>{ce}</remote-address><detection-time>50</detection-time></bfd-session>
  </if:interface></if:interfaces>
  <ni:network-instances><ni:network-instance><ni:name>{name}</ni:name>
    <l3vpn><route-distinguisher>0:65000:1</route-distinguisher>
      <vpn-targets><import>{imports}</import><export>{exports}</export></vpn-targets>
      <srv6><locator>main</locator><function>291</function></srv6>
      <static-route><prefix>{lan}</prefix><next-hop>{ce}</next-hop><tag>lan</tag></static-route>
      <bgp><neighbor><remote-address>{ce}</remote-address><remote-as>64512</remote-as>
        <address-family>ipv4</address-family></neighbor></bgp>
    </l3vpn></ni:network-instance></ni:network-instances>
</data>
"""


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Store:
    """Only what OperationalState asks of a datastore."""

    def __init__(self, read: Callable[[], etree._Element]) -> None:
        self._read = read

    def get(self, datastore: str) -> etree._Element:
        assert datastore == "running"
        return self._read()


class Network:
    """The demo topology with day-0 configurations that a test may change."""

    def __init__(self) -> None:
        self.schema = load_schema(default_module_set())
        self.topology = load_topology(DEMO)
        plan = address_plan(self.topology)
        self.running = {n.name: day0_configuration(self.topology, n, plan, self.schema) for n in self.topology.nodes}
        self.clock = Clock()
        self.plane = MemoryPlane(self.topology, lambda name: read_forwarding(self.running[name]), now=self.clock)

    def state(self, router: str) -> etree._Element:
        store = Store(lambda: self.running[router])
        return OperationalState(router, self.schema, store, self.plane).state_tree()  # type: ignore[arg-type]  # enough of a store

    def text(self, router: str, path: str) -> str | None:
        return self.state(router).findtext(path, namespaces=NS)

    def set(self, router: str, path: str, text: str) -> None:
        found = self.running[router].find(path, NS)
        assert found is not None, path
        found.text = text
        self.plane.configuration_changed(router)

    def add_vpn(
        self, router: str, *, site: int, imports: str = "0:65000:7", exports: str = "0:65000:7", **more: str
    ) -> None:
        values = {
            "preference": "100",
            "address": f"10.1.{site}.1",
            "ce": f"10.1.{site}.2",
            "lan": f"192.168.{site}.0/24",
            "vlan": "100",
        } | more
        extra = etree.fromstring(VPN.format(name="acme", imports=imports, exports=exports, **values))
        interfaces = self.running[router].find("if:interfaces", NS)
        assert interfaces is not None
        interfaces.extend(extra.findall("if:interfaces/if:interface", NS))
        self.running[router].extend(extra.findall("ni:network-instances", NS))
        self.plane.configuration_changed(router)


@pytest.fixture
def network() -> Network:
    return Network()


def oper_status(port: str) -> str:
    return f"if:interfaces/if:interface[if:name='{port}']/if:oper-status"


def session(address: str) -> str:
    return f"a:router/a:bgp/a:neighbor[a:remote-address='{address}']/a:session-state"


def routes(network: Network, router: str) -> set[tuple[str | None, ...]]:
    found = network.state(router).iterfind("ni:network-instances/ni:network-instance/a:l3vpn/a:route", NS)
    return {
        tuple(route.findtext(f"a:{leaf}", namespaces=NS) for leaf in ("prefix", "source", "next-hop"))
        for route in found
    }


def test_day_zero_brings_every_port_up_and_every_session_established(network: Network) -> None:
    for node in network.topology.nodes:
        state = network.state(node.name)
        assert {e.text for e in state.iterfind("if:interfaces/if:interface/if:oper-status", NS)} == {"up"}
        assert {e.text for e in state.iterfind(".//a:session-state", NS)} <= {"established"}
    assert len(network.state("pe-london").findall(".//a:session-state", NS)) == 3


def test_a_port_is_down_when_its_far_end_is_disabled(network: Network) -> None:
    network.set("p-brussels", "if:interfaces/if:interface[if:name='core0']/if:enabled", "false")
    assert network.text("pe-london", oper_status("core0")) == "down"
    assert network.text("pe-london", oper_status("core1")) == "up"
    assert network.text("p-brussels", "if:interfaces/if:interface[if:name='core0']/if:admin-status") in {None, "down"}


def test_a_cut_link_takes_both_ends_and_the_adjacency_down(network: Network) -> None:
    link = network.topology.links[0].name
    neighbour = "if:interfaces/if:interface[if:name='core0']/a:lldp-neighbor/a:remote-system"
    assert network.text("pe-london", neighbour) == "p-brussels"
    network.plane.set_link(link, up=False)
    assert network.text("pe-london", oper_status("core0")) == "down"
    assert network.text("p-brussels", oper_status("core0")) == "down"
    assert network.text("pe-london", neighbour) is None
    network.plane.set_link(link, up=True)
    assert network.text("pe-london", neighbour) == "p-brussels"


def test_a_link_that_does_not_exist_cannot_be_cut(network: Network) -> None:
    with pytest.raises(KeyError, match="no link 'nowhere'"):
        network.plane.set_link("nowhere", up=False)


def test_an_isolated_router_loses_its_sessions(network: Network) -> None:
    for link in network.topology.links_of("pe-madrid"):
        network.plane.set_link(link.name, up=False)
    assert network.text("pe-london", session("10.255.0.4")) == "active"
    assert network.text("pe-london", session("10.255.0.2")) == "established"


@pytest.mark.parametrize("leaf", ["a:router/a:asn", "a:router/a:bgp/a:neighbor/a:remote-as"])
def test_a_session_needs_both_sides_to_agree_on_the_autonomous_systems(network: Network, leaf: str) -> None:
    network.set("pe-paris", leaf, "65111")
    assert network.text("pe-london", session("10.255.0.2")) == "active"
    assert network.text("pe-paris", session("10.255.0.1")) == "active"
    assert network.text("pe-london", session("10.255.0.3")) == "established"


def test_a_session_that_one_side_does_not_configure_is_not_established(network: Network) -> None:
    bgp = network.running["pe-paris"].find("a:router/a:bgp", NS)
    assert bgp is not None
    bgp.remove(bgp[0])
    network.plane.configuration_changed("pe-paris")
    assert network.text("pe-london", session("10.255.0.2")) == "active"
    assert network.plane.peers("pe-london")[0].reason == "pe-paris has no session towards this router"


def test_a_vpn_imports_what_is_exported_with_its_target(network: Network) -> None:
    network.add_vpn("pe-london", site=1)
    network.add_vpn("pe-paris", site=2)
    segment = "fc00:0:2:123::"
    assert routes(network, "pe-london") == {
        ("10.1.1.0/24", "direct", "access0.100"),
        ("192.168.1.0/24", "static", "10.1.1.2"),
        ("10.1.2.0/24", "vpn", segment),
        ("192.168.2.0/24", "vpn", segment),
    }


def test_a_vpn_does_not_import_other_targets(network: Network) -> None:
    network.add_vpn("pe-london", site=1, imports="0:65000:8")
    network.add_vpn("pe-paris", site=2)
    assert all(source != "vpn" for _, source, _ in routes(network, "pe-london"))


def test_a_prefix_exported_alone_arrives_alone(network: Network) -> None:
    network.add_vpn("pe-london", site=1)
    network.add_vpn("pe-paris", site=2, exports="0:65000:9")
    targets = network.running["pe-paris"].find(".//a:vpn-targets", NS)
    assert targets is not None
    targets.append(
        etree.fromstring(
            '<prefix-export xmlns="urn:accord:router"><name>lan</name><route-target>0:65000:7</route-target>'
            "<tag>lan</tag></prefix-export>"
        )
    )
    network.plane.configuration_changed("pe-paris")
    assert {prefix for prefix, source, _ in routes(network, "pe-london") if source == "vpn"} == {"192.168.2.0/24"}


@pytest.mark.parametrize("imported", ["0:65000:7", "0:65000:8"])
def test_a_prefix_is_exported_with_every_route_target_of_its_entry(network: Network, imported: str) -> None:
    network.add_vpn("pe-london", site=1, imports=imported)
    network.add_vpn("pe-paris", site=2, exports="0:65000:9")
    targets = network.running["pe-paris"].find(".//a:vpn-targets", NS)
    assert targets is not None
    targets.append(
        etree.fromstring(
            '<prefix-export xmlns="urn:accord:router"><name>lan</name><route-target>0:65000:7</route-target>'
            "<route-target>0:65000:8</route-target><prefix>192.168.2.0/24</prefix></prefix-export>"
        )
    )
    network.plane.configuration_changed("pe-paris")
    assert {prefix for prefix, source, _ in routes(network, "pe-london") if source == "vpn"} == {"192.168.2.0/24"}


def test_a_subnet_that_is_not_announced_stays_on_its_router(network: Network) -> None:
    network.add_vpn("pe-london", site=1)
    network.add_vpn("pe-paris", site=2)
    network.set("pe-paris", "if:interfaces/if:interface/a:attachment/a:announce-subnet", "false")
    assert {prefix for prefix, source, _ in routes(network, "pe-london") if source == "vpn"} == {"192.168.2.0/24"}
    assert ("10.1.2.0/24", "direct", "access0.100") in routes(network, "pe-paris")


def test_the_attachment_with_the_higher_preference_is_used(network: Network) -> None:
    network.add_vpn("pe-london", site=1)
    for router, preference in (("pe-paris", "100"), ("pe-frankfurt", "200")):
        network.add_vpn(router, site=2, preference=preference)
    assert ("192.168.2.0/24", "vpn", "fc00:0:3:123::") in routes(network, "pe-london")


def test_routes_leave_with_the_interface_they_need(network: Network) -> None:
    network.add_vpn("pe-london", site=1)
    network.add_vpn("pe-paris", site=2)
    network.set("pe-paris", "if:interfaces/if:interface[if:name='access0']/if:enabled", "false")
    assert {source for _, source, _ in routes(network, "pe-london")} == {"direct", "static"}
    assert routes(network, "pe-paris") == {
        ("10.1.1.0/24", "vpn", "fc00:0:1:123::"),
        ("192.168.1.0/24", "vpn", "fc00:0:1:123::"),
    }


def test_customer_sessions_and_liveness_follow_the_access(network: Network) -> None:
    network.add_vpn("pe-london", site=1)
    customer = "ni:network-instances/ni:network-instance/a:l3vpn/a:bgp/a:neighbor/a:session-state"
    liveness = "if:interfaces/if:interface/a:bfd-session/a:session-up"
    assert (network.text("pe-london", customer), network.text("pe-london", liveness)) == ("established", "true")
    network.set("pe-london", "if:interfaces/if:interface[if:name='access0']/if:enabled", "false")
    assert (network.text("pe-london", customer), network.text("pe-london", liveness)) == ("active", "false")


def test_counters_move_with_time_and_stand_still_while_down(network: Network) -> None:
    path = "if:interfaces/if:interface[if:name='core0']/if:statistics/if:out-octets"

    def octets() -> int:
        return int(network.text("pe-london", path) or 0)

    first = octets()
    network.clock.seconds += 10
    moved = octets()
    assert moved > first
    assert octets() == moved
    network.plane.set_link(network.topology.links[0].name, up=False)
    network.clock.seconds += 10
    assert octets() == moved
    network.plane.set_link(network.topology.links[0].name, up=True)
    network.clock.seconds += 10
    assert octets() > moved


def test_an_access_port_carries_customer_traffic_once_it_is_in_a_vpn(network: Network) -> None:
    before = network.plane.interfaces("pe-london")["access0"].counters.in_octets
    network.clock.seconds += 1
    idle = network.plane.interfaces("pe-london")["access0"].counters.in_octets - before
    network.add_vpn("pe-london", site=1)
    before = network.plane.interfaces("pe-london")["access0"].counters.in_octets
    network.clock.seconds += 1
    assert network.plane.interfaces("pe-london")["access0"].counters.in_octets - before > 100 * idle


def test_a_measurement_takes_the_round_trip_of_the_shortest_path(network: Network) -> None:
    oam = network.running["pe-london"].find("a:router/a:oam", NS)
    assert oam is not None
    oam.append(
        etree.fromstring(
            '<stamp-session xmlns="urn:accord:router"><id>1</id>'
            "<remote-address>10.255.0.2</remote-address></stamp-session>"
        )
    )
    assert network.text("pe-london", "a:router/a:oam/a:stamp-session/a:sent-packets") == "0"
    network.clock.seconds += 10
    delays = {(link.a.node, link.b.node): link.delay_seconds for link in network.topology.links}
    one_way = delays["pe-london", "p-brussels"] + delays["pe-paris", "p-brussels"]
    shown = network.text("pe-london", "a:router/a:oam/a:stamp-session/a:round-trip-delay")
    assert shown == str(round(2 * one_way * 1e6))


def test_a_policy_shows_which_of_its_paths_are_valid_and_which_carries(network: Network) -> None:
    srv6 = network.running["pe-london"].find("a:router/a:srv6", NS)
    assert srv6 is not None
    paths = "".join(
        f"<candidate-path><discriminator>{number}</discriminator><preference>{preference}</preference><segment-list>"
        f"<id>1</id><segment><index>1</index><sid>{sid}</sid></segment></segment-list></candidate-path>"
        for number, preference, sid in ((1, 200, "fc00:0:1:a000::"), (2, 100, "fc00:0:6:e000::"))
    )
    srv6.append(
        etree.fromstring(
            '<policy xmlns="urn:accord:router"><color>7</color><endpoint>fc00:0:2::1</endpoint><name>east</name>'
            f"{paths}</policy>"
        )
    )
    network.plane.configuration_changed("pe-london")

    def shown() -> tuple[str | None, list[str | None]]:
        (policy,) = network.state("pe-london").findall("a:router/a:srv6/a:policy", NS)
        valid = [path.findtext("a:valid", namespaces=NS) for path in policy.findall("a:candidate-path", NS)]
        return policy.findtext("a:active-path", namespaces=NS), valid

    assert shown() == ("1", ["true", "true"])
    network.plane.set_link(network.topology.links[0].name, up=False)
    assert shown() == ("2", ["false", "true"])
    for link in network.topology.links_of("pe-london"):
        network.plane.set_link(link.name, up=False)
    assert shown() == (None, ["false", "false"])


def test_packets_that_find_the_queue_full_are_counted_where_they_wanted_out(network: Network) -> None:
    demand = replace(network.topology.demands[0], bit_rate=150_000_000_000)
    network.topology = replace(network.topology, demands=(demand,))
    network.plane = MemoryPlane(
        network.topology, lambda name: read_forwarding(network.running[name]), now=network.clock
    )
    discards = "if:interfaces/if:interface[if:name='core0']/if:statistics/if:out-discards"
    assert network.text("pe-london", discards) == "0"
    network.clock.seconds += 1
    assert int(network.text("pe-london", discards) or 0) == pytest.approx((50e9 - 100e9 * 0.05) / 8 / 512, rel=1e-3)
    assert network.text("p-brussels", discards) == "0"


def test_without_our_module_only_the_interfaces_have_state() -> None:
    schema: Schema = load_schema(ModuleSet("plain", ("ietf-interfaces", "iana-if-type", "ietf-ip")))
    topology = load_topology(DEMO)
    tree = day0_configuration(topology, topology.nodes[0], address_plan(topology), schema)
    plane = MemoryPlane(topology, lambda _: read_forwarding(tree), now=Clock())
    state = OperationalState("pe-london", schema, Store(lambda: tree), plane).state_tree()  # type: ignore[arg-type]  # enough of a store
    assert {etree.QName(child).localname for child in state} == {"interfaces", "interfaces-state"}
    assert not state.findall(".//a:*", NS)


def test_a_large_network_reflects_vpn_routes() -> None:
    topology = topohub_topology("sndlib/germany50")
    schema = load_schema(default_module_set())
    plan = address_plan(topology)
    forwardings = {n.name: read_forwarding(day0_configuration(topology, n, plan, schema)) for n in topology.nodes}
    plane = MemoryPlane(topology, forwardings.__getitem__, now=Clock())
    reflectors = route_reflectors(topology)
    assert len(reflectors) == 2
    assert [peer.neighbour for peer in plane.peers("aachen")] == sorted(
        reflectors, key=[n.name for n in topology.nodes].index
    )
    assert all(peer.established for name in forwardings for peer in plane.peers(name))


def test_day_zero_is_valid_against_its_modules(network: Network) -> None:
    for tree in network.running.values():
        check_tree(network.schema, tree)
