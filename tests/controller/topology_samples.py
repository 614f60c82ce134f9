"""Published networks with seeded attributes, for tests of paths against oracles."""

import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path as FilePath

import networkx as nx
import topohub

from bench.published_networks import network_of
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.network import Link, Network, Node, TerminationPoint
from controller.topology.te_database import TeDatabase
from lab.topologies_topohub import topohub_topology

GIGABIT = 10**9


def published_names(most_routers: int) -> list[str]:
    """Every topology in topohub of 5 to that many routers, except the trees, where all answers are the same."""
    data = FilePath(topohub.__file__).parent / "data"
    files = [file for file in data.rglob("*.json") if file.stat().st_size < 60_000 and "caida" not in file.parts]
    names = sorted(str(file.relative_to(data).with_suffix("")) for file in files)
    return [name for name in names if _is_worth_it(data / f"{name}.json", most_routers)]


def a_hundred() -> list[str]:
    """The smallest published topologies, at least a hundred of them: what is claimed of all networks holds on these."""
    names = published_names(20)
    assert len(names) >= 100
    return names


@cache
def plain(name: str) -> Network:
    return network_of(topohub_topology(name))


@cache
def _is_worth_it(file: FilePath, most_routers: int) -> bool:
    """Judged by the published graph alone: tests are collected by names, before a network is wanted."""
    graph = json.loads(file.read_text())
    wires = {frozenset((edge["source"], edge["target"])) for edge in graph["edges"]}
    return 5 <= len(graph["nodes"]) <= most_routers and sum(len(ends) == 2 for ends in wires) >= len(graph["nodes"])


def varied(network: Network, seed: str) -> Network:
    """The same wires with other metrics, capacities, colours and conduits, drawn from the seed, each way its own."""
    draw = random.Random(seed)
    links = [
        replace(
            link,
            capacity=BitRate(draw.randint(1, 10) * GIGABIT),
            metric=draw.randint(1, 30),
            delay_seconds=draw.randint(1, 5) / 1000,
            admin_group=draw.getrandbits(3),
            srlgs=frozenset(draw.sample(range(12), draw.randint(0, 2))),
        )
        for link in network.links.values()
    ]
    return Network.of(network.nodes.values(), links)


def loaded(network: Network, seed: str) -> TeDatabase:
    """The network with three tunnels on it and one wire cut."""
    draw = random.Random(seed)
    database = TeDatabase(network)
    names = sorted(network.links)
    for number in range(3):
        taken = network.path([draw.choice(names)])
        database = database.with_reservation(f"tunnel-{number}", taken, BitRate(draw.randint(1, 4) * GIGABIT))
    return database.with_link_state(network.both_directions([draw.choice(names)]), is_up=False)


def graph_of(network: Network) -> nx.MultiDiGraph:
    """The oracle's view: edges keyed by link name, with the link."""
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(network.nodes)
    for link_id, link in network.links.items():
        graph.add_edge(link.source.node, link.target.node, key=link_id, link=link)
    return graph


def drawn(*wires: tuple[str, str, int], gigabits: int = 10) -> Network:
    """A small network from (one end, other end, metric); a millisecond of delay for each unit of the metric."""
    names = dict.fromkeys(end for wire in wires for end in wire[:2])
    ports = dict.fromkeys(names, 0)
    links = []
    for one, other, metric in wires:
        ends = [TerminationPoint(DeviceName(name), f"core{ports[name]}") for name in (one, other)]
        ports[one] += 1
        ports[other] += 1
        for source, target in (ends, ends[::-1]):
            links.append(Link(source, target, BitRate(gigabits * GIGABIT), metric / 1000, metric))
    return Network.of([Node(DeviceName(name)) for name in names], links)
