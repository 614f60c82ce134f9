"""Owns the way from a lab topology to the controller's network, for benches and tests."""

from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.topology.constraints import PathRequest
from controller.topology.demand import TunnelDemand
from controller.topology.network import Link, Network, Node, TerminationPoint
from lab.topologies_topohub import topohub_topology
from lab.topology import Link as LabLink
from lab.topology import Topology


def network_of(topology: Topology) -> Network:
    """Both directions of every link; the metric is the delay in 10 microseconds, as backbones set it."""
    nodes = (Node(DeviceName(node.name), termination_points=node.core_ports) for node in topology.nodes)
    return Network.of(nodes, (link for wire in topology.links for link in _directions(wire)))


def published(name: str, *, routers: int | None = None) -> tuple[Network, tuple[TunnelDemand, ...]]:
    """A topology that topohub has, and each of its demands as a tunnel."""
    topology = topohub_topology(name, routers=routers)
    demands = tuple(
        TunnelDemand(
            f"{demand.source}>{demand.target}",
            PathRequest(DeviceName(demand.source), DeviceName(demand.target), BitRate(demand.bit_rate)),
        )
        for demand in topology.demands
    )
    return network_of(topology), demands


def _directions(wire: LabLink) -> tuple[Link, Link]:
    a, b = (TerminationPoint(DeviceName(end.node), end.port) for end in (wire.a, wire.b))
    metric = max(1, round(wire.delay_seconds * 100_000))
    there, back = (
        Link(*ends, BitRate(wire.capacity_bit_rate), wire.delay_seconds, metric, frozenset(wire.srlgs))
        for ends in ((a, b), (b, a))
    )
    return there, back
