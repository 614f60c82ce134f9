"""What the controller makes of an optical domain: read over the MPI, planned, asked for in slots."""

from dataclasses import replace

import pytest
from lxml import etree

from controller.adapters.yang_schema import PROFILE_MODULES, load_schema
from controller.datastore.codec_restconf import RestconfCodec
from controller.datastore.diff import diff
from controller.mapping.optical import best_route, candidate_links, segment_lines, segment_over, slots_for
from controller.mapping.optical_domain import as_te_database, read_domain
from controller.model.errors import ConflictError, InvalidInputError, NotFoundError, ProtocolViolationError
from controller.model.units import BitRate
from controller.model.yang_path import format_path
from controller.topology.paths import NoPathError
from tests.controller.optical_samples import OTN, A, B, C, P, domain, network, over_link, point, tunnel

MBIT = 10**6


def route(found, name):
    return list(as_te_database(found).reservations[name].links)


@pytest.mark.parametrize("bits_per_second, slots", [(0, 1), (1, 1), (10 * MBIT, 1), (10 * MBIT + 1, 2), (10**9, 100)])
def test_a_bandwidth_takes_as_many_slots_as_hold_it(bits_per_second, slots):
    assert slots_for(BitRate(bits_per_second), BitRate(10 * MBIT)) == slots


def test_a_bandwidth_below_nothing_is_refused():
    with pytest.raises(InvalidInputError, match="-1 bit/s cannot be carried in slots of 10 Mbit/s"):
        slots_for(BitRate(-1), BitRate(10 * MBIT))


def test_a_segment_joins_the_client_ports_of_its_link():
    segment = segment_over(domain(), "gold", over_link(A, B), BitRate(95 * MBIT), 0.005)
    assert (segment.source, segment.target, segment.slots) == ("a:client0", "b:client0", 10)
    assert segment.owner == "optical/gold"


def test_a_segments_lines_stand_on_the_domains_controller():
    segment = segment_over(domain(), "gold", over_link(A, B), BitRate(95 * MBIT), 0.005)
    lines = segment_lines(segment)
    assert set(lines) == {OTN}
    root = "/accord-otn:domain/tunnel[name='gold']"
    assert {format_path(path): value for path, value in lines[OTN].items()} == {
        root: "",
        f"{root}/slots": "10",
        f"{root}/source/node": "a",
        f"{root}/source/port": "client0",
        f"{root}/target/node": "b",
        f"{root}/target/port": "client0",
        f"{root}/delay-bound": "5000",
    }


def test_a_segment_that_is_only_reserved_says_so():
    segment = replace(segment_over(domain(), "gold", over_link(A, B), BitRate(1)), is_enabled=False)
    values = {path[-1].name: value for path, value in segment_lines(segment)[OTN].items()}
    assert values["enabled"] == "false"
    assert "delay-bound" not in values


def test_a_segment_is_sent_as_one_patch_that_the_schema_knows():
    codec = RestconfCodec(load_schema(PROFILE_MODULES["otn"]))
    lines = segment_lines(segment_over(domain(), "gold", over_link(A, B), BitRate(95 * MBIT)))[OTN]
    body = etree.fromstring(codec.encode_edit(diff({}, lines)))
    assert [node.text for node in body.iter("{urn:accord:otn}slots")] == ["10"]


def test_a_port_that_is_not_attached_is_refused_by_name():
    link = next(link for link in network().out_of(A) if link.target.node == P)
    with pytest.raises(NotFoundError, match="port 'pe-a:core0' is not attached to the optical domain 'otn-domain'"):
        segment_over(domain(), "gold", link, BitRate(1))


def test_a_port_with_another_tunnel_is_refused_with_its_name():
    busy = domain(tunnel("silver", "a:client0", "c:client0", 1, "a--c"))
    with pytest.raises(ConflictError, match="client port 'a:client0' of 'otn-domain' has the tunnel 'silver'"):
        segment_over(busy, "gold", over_link(A, B), BitRate(1))


def test_more_than_a_client_port_takes_is_refused():
    with pytest.raises(InvalidInputError, match="client port 'a:client0' of 'otn-domain' takes 100 slots"):
        segment_over(domain(), "gold", over_link(A, B), BitRate(2 * 10**9))


def test_a_bound_that_no_route_keeps_is_refused_before_anything_is_asked():
    with pytest.raises(NoPathError, match="delay bound"):
        segment_over(domain(), "gold", over_link(A, B), BitRate(1), 0.0019)


def test_full_links_are_gone_round():
    busy = domain(tunnel("silver", "b:client1", "a:client0", 95, "a--b"))
    segment = segment_over(busy, "gold", over_link(A, C), BitRate(300 * MBIT))
    assert best_route(busy, segment).nodes == ("a", "c")
    with pytest.raises(NoPathError, match="bandwidth"):
        segment_over(busy, "gold", over_link(A, C), BitRate(500 * MBIT))


def test_cut_links_are_gone_round():
    segment = segment_over(domain(cut=("a--b",)), "gold", over_link(A, B), BitRate(1))
    assert best_route(domain(cut=("a--b",)), segment).nodes == ("a", "c", "b")


def test_a_tunnel_is_resized_within_its_own_slots_and_the_free_ones():
    standing = domain(tunnel("gold", "a:client1", "c:client0", 30, "a--c"))
    assert segment_over(standing, "gold", over_link(A, C), BitRate(400 * MBIT)).slots == 40
    with pytest.raises(ConflictError, match="link 'a--c' of 'otn-domain' has 40 slots for 'gold', not 41"):
        segment_over(standing, "gold", over_link(A, C), BitRate(401 * MBIT))


def test_a_tunnel_whose_route_is_too_long_for_a_new_bound_is_not_resized():
    standing = domain(tunnel("gold", "a:client1", "c:client0", 30, "a--b", "b--c"))
    with pytest.raises(ConflictError, match="takes 5 ms, more than 2 ms, and keeps its route"):
        segment_over(standing, "gold", over_link(A, C), BitRate(1), 0.002)


def test_links_that_the_domain_can_bring_up_are_those_between_free_attached_ports():
    assert [str(link.id) for link in candidate_links(domain(), network(), A, B)] == ["pe-a:core2>pe-b:core2"]
    assert list(candidate_links(domain(), network(), B, C)) == []
    busy = domain(tunnel("silver", "b:client0", "c:client0", 1, "b--c"))
    assert list(candidate_links(busy, network(), A, B)) == []


def test_tunnels_are_reservations_on_both_directions_of_their_route():
    found = domain(tunnel("gold", "a:client1", "c:client0", 30, "a--b", "b--c"))
    links = route(found, "gold")
    assert sorted(links) == ["a:a--b>b:a--b", "b:a--b>a:a--b", "b:b--c>c:b--c", "c:b--c>b:b--c"]
    assert as_te_database(found).residual(links[0]) == BitRate(700 * MBIT)


def test_an_unknown_client_port_is_named_with_those_there_are():
    with pytest.raises(NotFoundError, match="'otn-domain' has no client port 'z:client0'") as caught:
        domain().client_port("z:client0")
    assert "a:client0" in caught.value.remedy
    assert domain().attached_to(point("pe-b", "core3")).name == "client1"


ANSWER = b"""<data><domain xmlns="urn:accord:otn">
 <slot-bandwidth>10000000</slot-bandwidth><setup-time>2000</setup-time>
 <node><name>a</name><client-port><name>client0</name><slots>100</slots><client-node>pe-a</client-node>
  <client-node-port>core2</client-node-port></client-port></node><node><name>b</name></node>
 <link><name>a--b</name><a-node>a</a-node><b-node>b</b-node><slots>100</slots><free-slots>90</free-slots>
  <delay>2000</delay><srlg>7</srlg><oper-status>down</oper-status></link>
 <tunnel><name>t</name><source><node>a</node><port>client0</port></source>
  <target><node>b</node><port>client0</port></target><slots>10</slots><delay-bound>3000</delay-bound>
  <status>failed</status><reason>a--b is cut</reason><delay>2000</delay><route>a--b</route></tunnel>
</domain></data>"""


def test_a_domain_is_read_as_its_controller_shows_it():
    found = read_domain(OTN, ANSWER)
    assert (found.slot, found.setup_seconds, found.nodes) == (BitRate(10 * MBIT), 2.0, ("a", "b"))
    assert found.client_ports[0].attached == point("pe-a", "core2")
    (link,) = found.links
    assert (link.free_slots, link.delay_seconds, link.srlgs, link.is_up) == (90, 0.002, frozenset({7}), False)
    (made,) = found.tunnels
    assert (made.source, made.target, made.slots, made.route) == ("a:client0", "b:client0", 10, ("a--b",))
    assert (made.status, made.reason, made.is_up) == ("failed", "a--b is cut", False)
    assert (made.delay_bound_seconds, made.delay_seconds) == (0.003, 0.002)


def test_what_is_no_domain_is_refused():
    with pytest.raises(ProtocolViolationError, match="holds no optical domain"):
        read_domain(OTN, b"<data/>")
    with pytest.raises(ProtocolViolationError, match="no number"):
        read_domain(OTN, ANSWER.replace(b"<slots>100", b"<slots>many"))
