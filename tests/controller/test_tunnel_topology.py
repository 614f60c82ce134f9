"""The network as devices tell it: configurations of several kinds, state, what is written down, names people use."""

from pathlib import Path

import pytest

from controller.adapters.settings_loader import load_settings
from controller.adapters.topology_file import load_topology
from controller.datastore.config_tree import ConfigTree
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord, Loopback, Place
from controller.model.units import BitRate
from controller.model.yang_path import parse_path
from controller.runtime.topology_names import avoidance, links_named
from controller.runtime.topology_reading import (
    DeviceState,
    GivenTopology,
    PortState,
    assemble,
    measured_delays,
    read_router,
    read_state,
)
from controller.topology.network import LinkId, Network, TopologyError

A, B, C = DeviceName("pe-a"), DeviceName("p-b"), DeviceName("oc-c")
INTERFACE = "/ietf-interfaces:interfaces/interface[name='{}']"
OPENCONFIG = "/openconfig-interfaces:interfaces/interface[name='{}']"


def tree(lines):
    return ConfigTree({parse_path(path): value for path, value in lines.items()})


def core(port, subnet, host, **more):
    """A core port with one address, and te lines."""
    at = INTERFACE.format(port)
    igp = f"{at}/accord-router:igp"
    lines = {
        at: "",
        f"{at}/type": "iana-if-type:ethernetCsmacd",
        f"{at}/ietf-ip:ipv4": "",
        f"{at}/ietf-ip:ipv4/address[ip='{subnet}{host}']": "",
        f"{at}/ietf-ip:ipv4/address[ip='{subnet}{host}']/prefix-length": "31",
        igp: "",
        f"{igp}/adjacency-function": more.get("function", "40960"),
        f"{igp}/metric": more.get("metric", "25"),
    }
    for group in more.get("srlgs", ()):
        lines[f"{igp}/te/srlg[.='{group}']"] = ""
    if "reservable" in more:
        lines[f"{igp}/te/maximum-reservable-bandwidth"] = more["reservable"]
    if "admin_group" in more:
        lines[f"{igp}/te/admin-group"] = more["admin_group"]
    return lines


def router_lines(number):
    at = INTERFACE.format("lo0")
    return {
        at: "",
        f"{at}/type": "iana-if-type:softwareLoopback",
        f"{at}/ietf-ip:ipv6": "",
        f"{at}/ietf-ip:ipv6/address[ip='fc00:0:{number}::1']": "",
        f"{at}/ietf-ip:ipv6/address[ip='fc00:0:{number}::1']/prefix-length": "128",
        "/accord-router:router/router-id": f"10.0.0.{number}",
        "/accord-router:router/srv6/locator[name='main']": "",
        "/accord-router:router/srv6/locator[name='main']/prefix": f"fc00:0:{number}::/48",
        "/accord-router:router/srv6/locator[name='main']/node-function": "57344",
    }


def openconfig(port, subnet, host):
    at = OPENCONFIG.format(port)
    address = f"{at}/subinterfaces/subinterface[index='0']/openconfig-if-ip:ipv4/addresses/address[ip='{subnet}{host}']"
    return {
        at: "",
        f"{at}/config/type": "iana-if-type:ethernetCsmacd",
        address: "",
        f"{address}/config/prefix-length": "31",
    }


CONFIGURATIONS = {
    A: router_lines(1)
    | core("core0", "10.1.0.", 0, srlgs=("7",), reservable="5000000000", admin_group="5")
    | core("core1", "10.1.0.", 2, function="40961"),
    B: router_lines(2) | core("core0", "10.1.0.", 1, metric="30"),
    C: openconfig("ge0", "10.1.0.", 3),
}


def routers(**more):
    return {
        name: read_router(name, tree(lines | more.get(name, {})), DeviceRecord(name, role=name.partition("-")[0]))
        for name, lines in CONFIGURATIONS.items()
    }


def found(states=None, given=GivenTopology(), remembered=()):  # noqa: B008 - frozen
    return assemble(routers(), states or {}, given, remembered)


def test_subnets_of_two_core_ports_are_links_also_towards_another_kind_of_router():
    assert sorted(found().links) == [
        "oc-c:ge0>pe-a:core1",
        "p-b:core0>pe-a:core0",
        "pe-a:core0>p-b:core0",
        "pe-a:core1>oc-c:ge0",
    ]


def test_a_link_has_what_its_port_is_configured_with():
    link = found().link(LinkId("pe-a:core0>p-b:core0"))
    assert (link.metric, link.admin_group, link.srlgs) == (25, 5, frozenset([7]))
    assert (link.segment, link.capacity) == ("fc00:0:1:a000::", BitRate(5_000_000_000))
    back = found().link(link.reverse_id)
    assert (back.metric, back.segment, back.srlgs) == (30, "fc00:0:2:a000::", frozenset([7]))


def test_a_router_that_tells_no_segment_has_none():
    assert found().link(LinkId("oc-c:ge0>pe-a:core1")).segment == ""


def test_a_node_is_named_by_its_loopback_and_its_segment():
    node = found().nodes[A]
    assert (node.endpoint, node.segment, node.router_id, node.role) == (
        "fc00:0:1::1",
        "fc00:0:1:e000::",
        "10.0.0.1",
        "pe",
    )


def test_the_inventory_goes_before_the_loopback_that_is_configured():
    record = DeviceRecord(A, loopback=Loopback(ipv6="fc00:0:9::1"))
    assert read_router(A, tree(CONFIGURATIONS[A]), record).node.endpoint == "fc00:0:9::1"


def test_a_link_is_down_when_either_of_its_ports_is():
    states = {B: DeviceState({"core0": PortState(is_up=False)})}
    links = found(states).links
    assert {link.id for link in links.values() if not link.is_up} == {"pe-a:core0>p-b:core0", "p-b:core0>pe-a:core0"}


def test_what_lldp_tells_goes_before_subnets():
    states = {A: DeviceState({"core0": PortState(neighbours=(("oc-c", "ge0"),))})}
    assert "pe-a:core0>oc-c:ge0" in found(states).links
    assert "pe-a:core0>p-b:core0" not in found(states).links


def test_a_neighbour_that_is_not_in_the_inventory_is_left_out():
    states = {A: DeviceState({"core0": PortState(neighbours=(("stranger", "x"),))})}
    assert sorted(found(states).links) == sorted(found().links)


def test_state_is_read_from_what_a_router_answers():
    body = b"""<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
      <interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces">
        <interface><name>core0</name><oper-status>up</oper-status><speed>1000</speed>
          <lldp-neighbor xmlns="urn:accord:router"><remote-system>p-b</remote-system>
            <remote-port>core0</remote-port></lldp-neighbor></interface>
        <interface><name>core1</name><oper-status>down</oper-status></interface></interfaces>
      <router xmlns="urn:accord:router"><oam>
        <stamp-session><id>1</id><forward-delay>2500</forward-delay></stamp-session>
        <stamp-session><id>2</id></stamp-session></oam></router></data>"""
    state = read_state(body)
    assert state.ports == {
        "core0": PortState(is_up=True, speed=BitRate(1000), neighbours=(("p-b", "core0"),)),
        "core1": PortState(is_up=False),
    }
    assert state.delays == {1: 0.0025}
    assert read_state(b"") == DeviceState()


def test_a_session_over_one_link_measures_that_link():
    session = "/accord-router:router/oam/stamp-session[id='{}']"
    segment = session + "/segment[index='{}']"
    probes = {
        segment.format(1, 1) + "/sid": "fc00:0:1:a000::",
        segment.format(2, 1) + "/sid": "fc00:0:1:a000::",
        segment.format(2, 2) + "/sid": "fc00:0:2:a000::",
    }
    read = routers(**{A: probes})
    states = {A: DeviceState(delays={1: 0.003, 2: 0.009})}
    assert measured_delays(found(), read, states) == {"pe-a:core0>p-b:core0": 0.003}


def test_distance_stands_for_a_delay_that_nobody_has_measured():
    places = {A: Place(latitude=51.5, longitude=-0.1), B: Place(latitude=48.9, longitude=2.3)}
    read = {
        name: read_router(name, tree(CONFIGURATIONS[name]), DeviceRecord(name, place=places[name])) for name in (A, B)
    }
    delay = assemble(read, {}, GivenTopology()).link(LinkId("pe-a:core0>p-b:core0")).delay_seconds
    assert 0.0015 < delay < 0.003, "London and Paris are some 340 km apart"


def written(tmp_path, text):
    file = tmp_path / "topology.yaml"
    file.write_text(text)
    return load_topology(file)


def test_what_is_written_down_goes_before_what_is_found(tmp_path: Path):
    given = written(
        tmp_path,
        """
nodes: [{name: far, endpoint: "fc00::f"}]
links:
  - {source: "pe-a:core0", target: "p-b:core0", capacity: 2 Gbit/s, delay: 4 ms, srlgs: [9]}
  - {source: "p-b:core9", target: "far:x", capacity: 1 Gbit/s, one_way: true, segment: "fc00::9"}
""",
    )
    network = found({B: DeviceState({"core0": PortState(is_up=False), "core9": PortState()})}, given)
    link = network.link(LinkId("pe-a:core0>p-b:core0"))
    assert (link.capacity, link.delay_seconds, link.srlgs) == (BitRate(2 * 10**9), 0.004, frozenset([9]))
    assert (link.segment, link.is_up) == ("fc00:0:1:a000::", False)
    assert network.link(LinkId("p-b:core9>far:x")).segment == "fc00::9"
    assert "far:x>p-b:core9" not in network.links


@pytest.mark.parametrize(
    "text, words",
    [
        ("links: [{source: a, target: 'b:0', capacity: 1 Gbit/s}]", "links.0.source"),
        ("links: [{source: 'a:0', target: 'b:0', capacity: much}]", "'much' is not a bit rate"),
        ("links: [{source: 'a:0', target: 'b:0', capacity: 1 Gbit/s, delay: -4 ms}]", "links.0.delay.*'-4 ms' is not"),
        ("links: [{source: 'a:0', target: 'b:0', capacity: 1 Gbit/s, colour: 4}]", "links.0.colour"),
        ("nodes: [{}]", "nodes.0.name"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_at_the_place(tmp_path: Path, text: str, words: str):
    with pytest.raises(InvalidInputError, match=words):
        written(tmp_path, text)


def test_a_link_between_routers_that_nobody_knows_is_refused_by_name(tmp_path: Path):
    given = written(tmp_path, "links: [{source: 'a:0', target: 'b:0', capacity: 1 Gbit/s}]")
    with pytest.raises(TopologyError, match="'a'"):
        found(given=given)


def test_a_port_that_its_router_does_not_have_is_refused_by_name(tmp_path: Path):
    given = written(tmp_path, "links: [{source: 'pe-a:core8', target: 'p-b:core0', capacity: 1 Gbit/s}]")
    with pytest.raises(TopologyError, match="'pe-a:core8', which is not a port of 'pe-a'"):
        found(given=given)


@pytest.mark.parametrize("words", ["pe-a-p-b", "p-b-pe-a", "pe-a:core0", "p-b:core0>pe-a:core0"])
def test_a_wire_is_named_by_its_routers_a_port_or_its_id(words: str):
    assert links_named(found(), words) == {"pe-a:core0>p-b:core0", "p-b:core0>pe-a:core0"}


def test_what_is_to_be_avoided_is_a_router_or_a_wire():
    avoid = avoidance(found(), ("oc-c", "pe-a-p-b"))
    assert (avoid.nodes, len(avoid.links)) == ({C}, 2)
    with pytest.raises(NotFoundError, match="'pe-a-x'"):
        avoidance(found(), ("pe-a-x",))


def test_a_network_of_nothing_is_one():
    assert assemble({}, {}, GivenTopology()) == Network.of((), ())


def test_repair_off_needs_no_quotes_in_yaml_and_the_file_is_found_beside_the_settings(tmp_path: Path):
    file = tmp_path / "accord.yaml"
    file.write_text("topology: {file: links.yaml, repair: off}")
    topology = load_settings(file).settings.topology
    assert (topology.repair, topology.file) == ("off", tmp_path / "links.yaml")
