"""ACTN payloads: what each abstraction tells and hides, tunnels, virtual networks; valid by the published modules."""

import json
import math
from dataclasses import replace
from itertools import permutations
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.mapping.actn import Abstraction, DomainView, te_bandwidth, te_node_ids, uri
from controller.mapping.actn_te import optical_lsps, optical_nodes, optical_tunnel, packet_tunnel, te_document
from controller.mapping.actn_topology import domain_network, networks_document
from controller.mapping.actn_vn import virtual_networks, vn_document, vn_network
from controller.mapping.optical_domain import as_te_database
from controller.mapping.tunnel import Tunnel, TunnelPath
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.te_database import TeDatabase
from tests.controller.actn_yang import te_findings, topology_findings
from tests.controller.optical_samples import A, B, C, P, database, domain, network, tunnel

MBIT = 10**6
TE = "ietf-te-topology:te"
LINK = "ietf-network-topology:link"
POINT = "ietf-network-topology:termination-point"
PORTS = dict.fromkeys((A, B, C), ("access0", "access1"))
OVER_P = ("pe-a:core0>p-1:core0", "p-1:core1>pe-b:core0")


def view(te=None) -> DomainView:
    return DomainView("ip", te or database(), PORTS)


def reserved() -> TeDatabase:
    te = database()
    return te.with_reservation("t", te.network.path(OVER_P), BitRate(3 * 10**9))


def optical_view() -> DomainView:
    found = domain(tunnel("gold", "a:client1", "c:client0", 30, "a--c"))
    ports = {DeviceName(n): tuple(p.name for p in found.client_ports if p.node == n) for n in found.nodes}
    return DomainView("otn-domain", as_te_database(found), ports)


def shown(abstraction, te=None):
    return domain_network(view(te), abstraction)


URN = "urn:accord:"


def plain(identifier):
    assert identifier.startswith(URN)
    return unquote(identifier.removeprefix(URN))


def names(content):
    return [plain(node["node-id"]) for node in content["node"]]


def link_names(content):
    return {plain(link["link-id"]) for link in content[LINK]}


def attributes(content, link_id):
    (link,) = (link for link in content[LINK] if link["link-id"] == uri(link_id))
    return link[TE]["te-link-attributes"]


def gold(**changes) -> Tunnel:
    paths = (
        TunnelPath(1, 200, OVER_P, ("fd00::a", "fd00::b")),
        TunnelPath(2, 100, ("pe-a:core2>pe-b:core2",), ("fd00::1",)),
    )
    settings = {"bandwidth": BitRate(100 * MBIT), "delay_bound_seconds": 0.02, "paths": paths, "services": ("acme",)}
    return Tunnel("gold", A, B, 100, "2001:db8::2", **(settings | changes))


# Topologies


def test_white_shows_every_node_link_and_port():
    content = shown(Abstraction.WHITE)
    assert set(names(content)) == set(network().nodes)
    assert link_names(content) == set(network().links)
    (edge,) = (node for node in content["node"] if node["node-id"] == uri(A))
    assert {"core0", "core2", "core3", "access0", "access1"} == {plain(point["tp-id"]) for point in edge[POINT]}


def test_white_tells_what_a_link_has_left_its_delay_cost_risk_and_colour():
    content = shown(Abstraction.WHITE, reserved())
    found = attributes(content, "pe-b:core0>p-1:core1")
    assert found["te-srlgs"] == {"value": [5]}
    assert (found["te-delay-metric"], found["te-igp-metric"]) == (4000, 400)
    assert attributes(content, "pe-a:core2>pe-b:core2")["administrative-group"] == "00:00:00:01"
    used = attributes(content, OVER_P[0])
    assert used["max-link-bandwidth"] == {"te-bandwidth": te_bandwidth(BitRate(10**10))}
    assert used["unreserved-bandwidth"] == [{"priority": 7, "te-bandwidth": te_bandwidth(BitRate(7 * 10**9))}]


def test_white_tells_which_links_are_down():
    states = {plain(link["link-id"]): link[TE]["oper-status"] for link in shown(Abstraction.WHITE)[LINK]}
    assert states["pe-a:core2>pe-b:core2"] == "down"
    assert states[OVER_P[0]] == "up"


def test_grey_shows_borders_and_what_the_way_between_them_has():
    content = shown(Abstraction.GREY, reserved())
    assert names(content) == [A, B, C]
    assert link_names(content) == {f"{a}>{b}" for a, b in permutations([A, B, C], 2)}
    found = attributes(content, f"{A}>{B}")
    assert found["te-delay-metric"] == 8000
    assert found["unreserved-bandwidth"][0]["te-bandwidth"] == te_bandwidth(BitRate(7 * 10**9))
    assert attributes(content, f"{A}>{C}")["unreserved-bandwidth"][0]["te-bandwidth"] == te_bandwidth(BitRate(10**9))


@pytest.mark.parametrize("abstraction", [Abstraction.GREY, Abstraction.BLACK])
def test_what_is_inside_is_hidden_from_grey_and_black(abstraction):
    text = json.dumps(shown(abstraction, reserved()))
    for secret in (P, "core", "srlg", "administrative-group", "te-igp-metric", "fd00", "2001:db8"):
        assert secret not in text


def test_grey_has_no_link_where_there_is_no_way():
    te = database().with_link_state(["pe-c:core0>p-1:core2", "p-1:core2>pe-c:core0"], is_up=False)
    content = shown(Abstraction.GREY, te)
    assert C in names(content)
    assert not any(C in name for name in link_names(content))


def test_black_shows_one_node_with_the_ports_of_customers():
    content = shown(Abstraction.BLACK)
    (node,) = content["node"]
    assert LINK not in content
    assert [plain(point["tp-id"]) for point in node[POINT]] == [f"{n}:access{i}" for n in (A, B, C) for i in (0, 1)]
    assert not any(number in json.dumps(content) for number in ("delay", "bandwidth"))


def test_each_abstraction_tells_less_than_the_one_before():
    sizes = [len(json.dumps(shown(abstraction))) for abstraction in Abstraction]
    assert sizes == sorted(sizes, reverse=True)


def test_an_abstract_node_says_that_it_is_abstract():
    for abstraction, is_abstract in ((Abstraction.WHITE, False), (Abstraction.GREY, True), (Abstraction.BLACK, True)):
        for node in shown(abstraction)["node"]:
            assert ("is-abstract" in node[TE]["te-node-attributes"]) is is_abstract


def test_an_optical_domain_is_shown_in_the_same_words():
    content = domain_network(optical_view(), Abstraction.GREY)
    found = attributes(content, "a>c")
    assert found["te-delay-metric"] == 1000
    assert found["unreserved-bandwidth"][0]["te-bandwidth"] == te_bandwidth(BitRate(100 * MBIT))


@pytest.mark.parametrize("made", [view, lambda: view(reserved()), optical_view])
def test_networks_are_valid_by_ietf_te_topology(made):
    document = networks_document([domain_network(made(), abstraction) for abstraction in Abstraction])
    assert topology_findings(document) == []


def test_the_validation_sees_what_is_wrong():
    content = shown(Abstraction.WHITE)
    content[LINK][0]["source"]["source-node"] = uri("nobody")
    content["node"][0][TE]["te-node-attributes"]["colour"] = 1
    assert topology_findings(networks_document([content]))


def test_nodes_without_a_router_identifier_have_a_number_of_their_own():
    ids = te_node_ids(optical_view())
    assert set(ids.values()) == {"0.0.0.1", "0.0.0.2", "0.0.0.3"}


# Rates


@pytest.mark.parametrize(
    "bits_per_second, text",
    [(0, "0x0p0"), (8, "0x1p+0"), (8192, "0x1p+10"), (12, "0x1.8p+0"), (10**9, "0x1.dcd65p+26")],
)
def test_a_rate_is_octets_per_second_in_hexadecimal(bits_per_second, text):
    assert te_bandwidth(BitRate(bits_per_second)) == {"generic": text}


@given(st.integers(8, 10**16))
def test_a_rate_is_as_exact_as_a_float32_and_never_longer_than_its_pattern(bits_per_second):
    text = te_bandwidth(BitRate(bits_per_second))["generic"]
    assert math.isclose(float.fromhex(text), bits_per_second / 8, rel_tol=2**-23)
    digits = text.partition(".")[2].partition("p")[0]
    assert len(digits) <= 6
    assert len(digits) < 6 or int(digits[-1], 16) % 2 == 0


# Tunnels


def test_a_packet_tunnel_has_its_carrying_path_first_and_the_others_as_secondary():
    content = packet_tunnel(gold(), is_up=True)
    (primary,) = content["primary-paths"]["primary-path"]
    (secondary,) = content["secondary-paths"]["secondary-path"]
    hops = primary["explicit-route-objects"]["route-object-include-exclude"]
    assert [hop["numbered-node-hop"]["node-id-uri"] for hop in hops] == [uri(P), uri(B)]
    assert (primary["name"], secondary["name"]) == ("candidate-1", "candidate-2")
    assert (primary["preference"], secondary["preference"]) == (1, 2)
    assert primary["path-metric-bounds"]["path-metric-bound"][0]["upper-bound"] == "20000"
    assert content["te-bandwidth"] == te_bandwidth(BitRate(100 * MBIT))


@pytest.mark.parametrize(
    "status, is_up, lsp", [("up", True, "up"), ("setting-up", False, "setting-up"), ("failed", False, "down")]
)
def test_an_optical_tunnel_tells_delay_route_and_where_it_stands(status, is_up, lsp):
    made = tunnel("gold", "a:client0", "c:client0", 30, "a--b", "b--c", status=status)
    found = domain(made)
    content = optical_tunnel(found, made)
    (path,) = content["primary-paths"]["primary-path"]
    (computed,) = path["computed-paths-properties"]["computed-path-properties"]
    assert computed["path-properties"]["path-metric"][0]["accumulative-value"] == "5000"
    assert optical_nodes(found, made) == ["a", "b", "c"]
    assert content["operational-state"].endswith("up" if is_up else "down")
    assert [entry["operational-state"] for entry in optical_lsps(found, {"a": "0.0.0.1"}.__getitem__)] == [
        f"ietf-te-types:lsp-state-{lsp}"
    ]


def test_tunnels_of_both_layers_are_valid_by_ietf_te():
    made = [
        tunnel("silver", "a:client0", "b:client0", 1, "a--b", status="setting-up"),
        replace(tunnel("bronze", "b:client1", "c:client0", 9, "b--c"), delay_bound_seconds=0.004),
    ]
    found = domain(*made)
    packets = [packet_tunnel(gold(), is_up=True), packet_tunnel(replace(gold(paths=()), name="bare"), is_up=False)]
    lights = [optical_tunnel(found, one) for one in made]
    document = te_document([*packets, *lights], optical_lsps(found, lambda _: "0.0.0.1"))
    assert te_findings(document) == []
    document["ietf-te:te"]["tunnels"]["tunnel"][0]["operational-state"] = "ietf-te-types:no-such-state"
    assert te_findings(document)


def test_nothing_is_valid_as_well():
    assert te_findings(te_document([])) == []
    assert topology_findings(networks_document([]) | vn_document((), {})) == []


# Virtual networks


def tunnels():
    back = replace(gold(), name="gold back", source=B, target=A, endpoint="2001:db8::1", paths=())
    other = replace(gold(), name="blue", target=C, services=("acme", "the other one"), paths=())
    return [gold(), back, other]


def test_a_vpn_with_tunnels_is_a_virtual_network_with_a_member_for_each():
    acme, other = virtual_networks(tunnels(), frozenset({"gold", "gold back"}))
    assert [(m.tunnel, m.source, m.target, m.is_up) for m in acme.members] == [
        ("blue", A, C, False),
        ("gold", A, B, True),
        ("gold back", B, A, True),
    ]
    assert other.routers == (A, C)
    assert other.network_id == "vn-the_20other_20one"
    assert acme.te_node_id != other.te_node_id


def test_a_virtual_network_is_up_when_all_its_members_are():
    carrying = frozenset({"gold", "gold back"})
    states = {
        vn["id"]: vn["oper-status"]
        for vn in vn_document(virtual_networks(tunnels(), carrying), {})["ietf-vn:virtual-network"]["vn"]
    }
    assert states == {"acme": "down", "the other one": "down"}
    all_up = virtual_networks(tunnels(), carrying | {"blue"})
    assert {vn["oper-status"] for vn in vn_document(all_up, {})["ietf-vn:virtual-network"]["vn"]} == {"up"}


def test_members_stand_in_the_connectivity_matrix_of_the_abstract_node():
    acme, _ = virtual_networks(tunnels(), frozenset())
    (node,) = vn_network(acme)["node"]
    matrix = node[TE]["te-node-attributes"]["connectivity-matrices"]
    assert [
        (plain(entry["from"]["tp-ref"]), plain(entry["to"]["tp-ref"])) for entry in matrix["connectivity-matrix"]
    ] == [
        (A, C),
        (A, B),
        (B, A),
    ]
    assert P not in json.dumps(vn_network(acme))


def test_virtual_networks_are_valid_by_ietf_vn_with_the_topologies_they_name():
    vns = virtual_networks(tunnels(), frozenset({"gold"}))
    networks = [domain_network(view(), Abstraction.GREY), *map(vn_network, vns)]
    document = networks_document(networks) | vn_document(vns, te_node_ids(view()))
    assert topology_findings(document) == []
    without = networks_document(networks[:1]) | vn_document(vns, te_node_ids(view()))
    assert topology_findings(without)
