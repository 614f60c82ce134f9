"""Published topologies by name: complete, deterministic, loaded to seven tenths, cut and grown."""

from itertools import pairwise

import networkx as nx
import pytest

from lab.topologies_topohub import topohub_topology
from lab.topology import Role, Site, Topology, TopologyError
from lab.topology_file import topology_document
from lab.topology_traffic import shared_conduits

NAMES = [
    "sndlib/germany50",
    "sndlib/abilene",
    "topozoo/Abilene",
    "topozoo/Geant2012",
    "backbone/africa",
    "gabriel/25/0",
]


def is_connected(topology: Topology) -> bool:
    graph = nx.Graph([(link.a.node, link.b.node) for link in topology.links])
    return len(graph) == len(topology.nodes) and nx.is_connected(graph)


def oracle_utilisation(topology: Topology) -> float:
    """The busiest direction when every demand follows networkx's shortest path by delay."""
    graph = nx.Graph()
    capacity = {}
    for link in topology.links:
        graph.add_edge(link.a.node, link.b.node, delay=link.delay_seconds)
        capacity[link.a.node, link.b.node] = capacity[link.b.node, link.a.node] = link.capacity_bit_rate
    loads = dict.fromkeys(capacity, 0.0)
    paths = dict(nx.all_pairs_dijkstra_path(graph, weight="delay"))
    for demand in topology.demands:
        path = paths[demand.source][demand.target]
        for hop in pairwise(path):
            loads[hop] += demand.bit_rate
    return max(loads[hop] / capacity[hop] for hop in capacity)


@pytest.mark.parametrize("name", NAMES)
def test_every_published_topology_comes_with_demands_capacities_and_sites(name: str) -> None:
    topology = topohub_topology(name)
    assert topology.name == name
    assert topology.demands
    assert is_connected(topology)
    assert all(-90 <= n.site.latitude <= 90 and -180 <= n.site.longitude <= 180 for n in topology.nodes)


def test_germany50_has_fifty_provider_edges_in_german_cities() -> None:
    topology = topohub_topology("sndlib/germany50")
    assert len(topology.nodes) == len(topology.edge_nodes()) == 50
    assert len(topology.links) == 88
    assert {node.site.country for node in topology.nodes} == {"DE"}
    assert topology.node("berlin").site.city == "Berlin"


@pytest.mark.parametrize("name", ["sndlib/germany50", "topozoo/Abilene", "sndlib/polska"])
def test_the_shortest_paths_fill_the_busiest_link_to_seven_tenths(name: str) -> None:
    assert oracle_utilisation(topohub_topology(name)) == pytest.approx(0.7, abs=0.01)


def test_the_same_name_gives_the_same_network() -> None:
    assert topology_document(topohub_topology("topozoo/Geant2012")) == topology_document(
        topohub_topology("topozoo/Geant2012")
    )


def test_links_that_leave_in_one_direction_share_a_conduit() -> None:
    topology = topohub_topology("sndlib/germany50")
    groups: dict[int, set[str]] = {}
    for link in topology.links:
        for srlg in link.srlgs:
            groups.setdefault(srlg, set()).add(link.name)
    assert groups
    assert all(len(links) > 1 for links in groups.values())


def test_a_conduit_joins_neighbouring_directions_only() -> None:
    def at(latitude: float, longitude: float) -> Site:
        return Site("x", "", latitude, longitude, "x")

    sites = {"centre": at(0, 0), "north": at(10, 0), "north-east": at(10, 2), "east": at(0, 10)}
    edges = [("centre", "north"), ("north-east", "centre"), ("centre", "east")]
    assert shared_conduits(edges, sites) == {edges[0]: (1,), edges[1]: (1,), edges[2]: ()}


@pytest.mark.parametrize("routers", [2, 7, 49])
def test_a_smaller_network_is_a_connected_part(routers: int) -> None:
    topology = topohub_topology("sndlib/germany50", routers=routers)
    assert len(topology.nodes) == routers
    assert is_connected(topology)
    assert topology.demands


def test_a_larger_network_gains_provider_edges_on_two_routers_each() -> None:
    topology = topohub_topology("sndlib/germany50", routers=1000)
    assert len(topology.nodes) == 1000
    assert is_connected(topology)
    added = topology.nodes[50:]
    assert all(node.role is Role.PE and len(node.core_ports) == 2 for node in added)


def test_seacable_waypoints_are_core_routers() -> None:
    roles = {node.role for node in topohub_topology("backbone/africa").nodes}
    assert roles == {Role.PE, Role.P}


@pytest.mark.parametrize("name", ["sndlib/atlantis", "../etc/passwd", "germany50", "sndlib/../x", "/abs"])
def test_an_unknown_name_is_refused_with_what_to_try(name: str) -> None:
    with pytest.raises(TopologyError, match=r"topology .* is not usable"):
        topohub_topology(name)


def test_a_network_of_one_router_is_refused() -> None:
    with pytest.raises(TopologyError, match="at least 2 routers"):
        topohub_topology("sndlib/germany50", routers=1)
