"""The lab's own topology form: what it accepts, what it refuses, and in which words."""

from pathlib import Path

import pytest

from lab.topology import PortRef, Role, TopologyError
from lab.topology_file import (
    load_topology,
    parse_bit_rate,
    parse_topology,
    topology_document,
    topology_from_document,
)

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"
SMALL = """
name: small
nodes:
  - {name: r1, role: pe, site: {city: Oslo, country: "NO", latitude: 59.9, longitude: 10.7, pop: OSL1},
     core_ports: [core0], access_ports: [access0]}
  - {name: r2, role: p, site: {city: Bergen, latitude: 60.4, longitude: 5.3, pop: BGO1}, core_ports: [core0]}
links:
  - {a: "r1:core0", b: "r2:core0", capacity: 10G, delay_milliseconds: 2}
"""


def problems_of(text: str) -> str:
    with pytest.raises(TopologyError) as caught:
        parse_topology(text, source="small.yaml")
    return str(caught.value)


def test_the_demo_has_provider_edges_in_four_cities_and_two_core_routers() -> None:
    demo = load_topology(DEMO)
    assert {node.site.city for node in demo.edge_nodes()} == {"London", "Paris", "Frankfurt", "Madrid"}
    assert sum(node.role is Role.P for node in demo.nodes) == 2


def test_a_link_without_a_delay_takes_that_of_its_distance() -> None:
    london_brussels = load_topology(DEMO).links[0]
    assert 0.0015 < london_brussels.delay_seconds < 0.003


def test_a_topology_survives_the_way_through_its_file_form() -> None:
    demo = load_topology(DEMO)
    assert topology_from_document(topology_document(demo), source="again") == demo


def test_links_are_found_from_both_ends() -> None:
    small = parse_topology(SMALL)
    (link,) = small.links_of("r2")
    assert link.other_end("r2") == PortRef("r1", "core0")
    assert link.end_at("r2") == PortRef("r2", "core0")
    with pytest.raises(KeyError, match="no router 'r9'"):
        small.node("r9")


@pytest.mark.parametrize(
    "text,bit_rate", [("10G", 10**10), ("2.5 Gbit/s", 25 * 10**8), ("400Mbps", 4 * 10**8), (1000, 1000), ("7", 7)]
)
def test_bit_rates_are_read_with_their_unit(text: object, bit_rate: int) -> None:
    assert parse_bit_rate(text) == bit_rate


@pytest.mark.parametrize("text", ["10 g", "fast", True, 1.5, None, "-1G"])
def test_what_is_not_a_bit_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a bit rate"):
        parse_bit_rate(text)


@pytest.mark.parametrize(
    "old,new,message",
    [
        ("r2:core0", "r2:core7", "link r1--r2: node r2 has no core port core7 (its core ports: core0)"),
        ("r2:core0", "r9:core0", "link r1--r9: there is no node r9 (in r9:core0)"),
        ("r1:core0", "r1:access0", "port r1:access0 is an access port"),
        ("r2:core0", "r1:core0", "link r1--r1: both ends are at r1"),
        ("r2:core0", "r2core0", "'r2core0' is not a port: write node:port"),
        ("delay_milliseconds: 2", "delay_milliseconds: -2", "link r1--r2: delay -0.002 s is negative"),
        ("capacity: 10G", "capacity: 0", "link r1--r2: capacity 0 bit/s is not positive"),
        ("capacity: 10G", "capacity: 10G, loss: 1.5", "link r1--r2: loss 1.5 is not a share from 0 to 1"),
        ("capacity: 10G", "capacity: 10G, jitter_milliseconds: -1", "link r1--r2: jitter -0.001 s is negative"),
        ("capacity: 10G", "capacity: 10G, buffer_milliseconds: 0", "link r1--r2: buffer 0 s is not positive"),
        ("capacity: 10G", "capacity: plenty", "capacity: 'plenty' is not a bit rate"),
        ("capacity: 10G", "capacity: 10G, srlgs: [3, 3]", "link r1--r2: SRLG 3 is listed twice"),
        ("name: r2", "name: r1", "node r1: the name is used twice"),
        ("[access0]", "[access0, core0]", "node r1: port core0 is listed twice"),
        ("role: pe", "role: ce", "node r1: role: "),
        ("latitude: 59.9", "latitude: 95", "node r1: site.latitude: "),
        ('country: "NO"', "country: NO", "node r1: site.country: "),
        ("pop: OSL1", "pop: OSL1, floor: 3", "node r1: site.floor: Extra inputs are not permitted"),
        ("name: small", "name: small\nname: again", "key 'name' is written twice"),
        ("name: small", "name: [", "it is not YAML"),
        ("role: p,", "role: p, access_ports: [access0],", "node r2: a P router has no access ports"),
    ],
)
def test_an_error_names_the_object_and_the_fault(old: str, new: str, message: str) -> None:
    assert old in SMALL
    said = problems_of(SMALL.replace(old, new, 1))
    assert said.startswith("topology small.yaml is not usable:")
    assert message in said


def test_every_fault_is_told_at_once() -> None:
    said = problems_of(SMALL.replace("r1:core0", "r8:core0").replace("r2:core0", "r9:core0"))
    assert "no node r8" in said
    assert "no node r9" in said


def test_two_links_cannot_share_a_port() -> None:
    said = problems_of(SMALL + '  - {name: second, a: "r1:core0", b: "r2:core0", capacity: 1G}\n')
    assert "port r1:core0: carries more than one link end (r1--r2, second)" in said


def test_a_demand_between_unknown_nodes_is_refused() -> None:
    said = problems_of(SMALL + "demands:\n  - {source: r1, target: r7, bit_rate: 1G}\n")
    assert "demand r1 -> r7: there is no node r7" in said


@pytest.mark.parametrize("text", ["", "- 1", "just words"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    assert "top level is not a mapping" in problems_of(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"absent\.yaml.*\n.*cannot read it"):
        load_topology(tmp_path / "absent.yaml")


def test_impairments_of_a_link_come_back_as_they_were_written() -> None:
    text = SMALL.replace(
        "capacity: 10G", "capacity: 10G, loss: 0.01, jitter_milliseconds: 0.5, buffer_milliseconds: 20"
    )
    topology = parse_topology(text)
    (link, *_) = topology.links
    assert (link.loss_ratio, link.jitter_seconds, link.buffer_seconds) == (0.01, 0.0005, 0.02)
    assert topology_from_document(topology_document(topology), source="again") == topology
