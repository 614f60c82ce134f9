"""Owns what paths are measured and tested against: the textbook's program over links, and flows in networkx."""

from collections import defaultdict
from collections.abc import Sequence

import highspy
import networkx as nx

from controller.topology.demand import TunnelDemand
from controller.topology.network import Network
from controller.topology.te_database import TeDatabase


def arc_program_optimum(database: TeDatabase, demands: Sequence[TunnelDemand]) -> float:
    """The least maximum utilisation: one flow for all demands of a source, by link, conserved at every node.

    It shares nothing with the program over paths but the solver. Constraints of requests are not looked at.
    """
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    network = database.network
    links = [link for link in network.links.values() if database.is_up(link.id)]
    largest = max(link.capacity.bits_per_second for link in links)
    wanted: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for demand in demands:
        request = demand.request
        wanted[request.source][request.target] += request.bandwidth.bits_per_second / largest
    utilisation = highs.addVariable(lb=0, obj=1)
    flows = {(source, link.id): highs.addVariable(lb=0) for source in wanted for link in links}
    for source, targets in wanted.items():
        for node in network.nodes:
            arriving = sum(flows[source, link.id] for link in links if link.target.node == node)
            leaving = sum(flows[source, link.id] for link in links if link.source.node == node)
            if node != source:
                highs.addConstr(arriving - leaving == targets.get(node, 0.0))
    for link in links:
        load = sum(flows[source, link.id] for source in wanted)
        reserved = database.reserved(link.id).bits_per_second / largest
        highs.addConstr(load + reserved <= utilisation * (link.capacity.bits_per_second / largest))
    highs.minimize(utilisation)
    return float(highs.getObjectiveValue())


def has_disjoint_pair(network: Network, source: str, target: str, *, by_node: bool) -> bool:
    """Whether two units of flow get through, each link (and, `by_node`, each node) carrying one at most."""
    graph = nx.DiGraph()
    for node in network.nodes:
        graph.add_edge((node, "in"), (node, "out"), capacity=1 if by_node and node not in {source, target} else 2)
    for link in network.links.values():
        ends = (link.source.node, "out"), (link.target.node, "in")
        parallel = graph.get_edge_data(*ends, {"capacity": 0})["capacity"]
        graph.add_edge(*ends, capacity=parallel + 1)
    return bool(nx.maximum_flow_value(graph, (source, "out"), (target, "in")) >= 2)
