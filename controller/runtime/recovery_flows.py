"""Owns who goes where: what every service sends from router to router and the links that it takes, as the twin has it.

Paths come from the configurations and the links as they are now; rates are those of the twin's forecast.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from controller.assurance.impact import AssuranceGraph, Carriage, assurance_graph
from controller.mapping.tunnel import Tunnel
from controller.mapping.tunnel_book import TunnelChange
from controller.mapping.tunnel_paths import is_alive
from controller.model.identifiers import DeviceName
from controller.recovery.situation import Flow
from controller.runtime.proof import Proof
from controller.runtime.world import World
from controller.topology.network import Link, LinkId, Network, Path
from controller.topology.te_database import TeDatabase
from controller.twin.entry import State
from controller.twin.forecast import Demand
from controller.twin.provider_core import Carriage as Carried
from controller.twin.provider_core import Core
from controller.twin.what_if import estimated

UNSERVED = "tunnel/"
"""What begins the name of a tunnel that serves nobody, where it stands for a service."""


@dataclass(frozen=True, slots=True)
class Flows:
    """The flows of a moment, and the graph of what they rest on."""

    network: Network
    flows: tuple[Flow, ...] = ()
    graph: AssuranceGraph | None = None
    core: Core | None = field(default=None, repr=False, compare=False)
    _of: dict[str, list[Flow]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Every session asks for the flows of its service, at each look."""
        for flow in self.flows:
            self._of.setdefault(flow.service, []).append(flow)

    def of(self, service: str) -> tuple[Flow, ...]:
        """Those of one service."""
        return tuple(self._of.get(service, ()))

    def over(self, elements: Iterable[str]) -> tuple[str, ...]:
        """The services that take any of these links or nodes, by name."""
        found = frozenset(elements)
        hit = (f.service for f in self.flows if not found.isdisjoint(f.links) or not found.isdisjoint(f.nodes))
        return tuple(sorted(set(hit)))

    def links(self, source: DeviceName, target: DeviceName, color: int = 0) -> frozenset[str]:
        """Links and nodes that packets from one router to another depend on; none where they do not get there."""
        return frozenset() if self.core is None else elements_of(self.core.carry(source, target, "", color))

    def along(self, source: DeviceName, target: DeviceName, segments: tuple[str, ...]) -> frozenset[str]:
        """The same along segments, and from their end by the shortest path."""
        if self.core is None:
            return frozenset()
        first = self.core.resolve(source, segments)
        ends = {way.links[-1].target.node for way in first.ways if way.links}
        found = elements_of(first)
        for end in ends - {target}:
            found |= self.links(end, target)
        return found


def elements_of(carried: Carried) -> frozenset[str]:
    """Links and nodes of every way."""
    links = [link for way in carried.ways for link in way.links]
    return frozenset(str(link.id) for link in links) | frozenset(
        str(node) for link in links for node in (link.source.node, link.target.node)
    )


@dataclass(slots=True)
class FlowView:
    """Works flows out, and again when something that they rest on has changed."""

    world: World
    proof: Proof
    _seen: tuple[object, ...] = ()
    """What the flows rest on, kept so that nothing else can be taken for it."""
    _flows: Flows | None = None

    async def current(self) -> Flows:
        """The flows as they are now."""
        await self.proof.warm()
        database = self.proof.topology.database
        services = self.world.services
        seen = (
            tuple(sorted(database.link_states.items())),
            self.world.tunnels.version,
            *services.services.values(),
            *services.sites.values(),
            *services.placements.values(),
            *self.proof.devices,
        )
        # A tuple looks first whether what it holds is the very same, so documents are seldom read.
        if self._flows is None or self._flows.network is not database.network or seen != self._seen:
            self._flows = self._worked_out(database)
        self._seen = seen
        return self._flows

    def _worked_out(self, database: TeDatabase) -> Flows:
        return flows_in(database, self.proof.now(), TunnelChange(tuple(self.world.tunnels)))


def flows_in(database: TeDatabase, state: State, tunnels: TunnelChange) -> Flows:
    """The flows of a state of the network in which there are these tunnels."""
    core = state.model.core()
    held = tunnels.upserted
    by_policy = {(tunnel.source, tunnel.color, str(ip_address(tunnel.endpoint))): tunnel for tunnel in held}
    flows = [_flow(demand, core, by_policy) for demand in estimated(state)] if database.network.links else []
    flows += _unserved(database, held)
    graph = assurance_graph(database.network, dict(_carriages(database.network, flows, held)))
    return Flows(database.network, tuple(flows), graph, core)


def _flow(demand: Demand, core: Core, tunnels: Mapping[tuple[DeviceName, int, str], Tunnel]) -> Flow:
    carried = core.carry(demand.source, demand.target, "", demand.color)
    tunnel = tunnels.get((demand.source, *carried.policy)) if carried.policy else None
    links = _distinct(link for way in carried.ways for link in way.links)
    return Flow(
        service=demand.name.removesuffix(f": {demand.source} to {demand.target}"),
        source=demand.source,
        target=demand.target,
        links=tuple(link.id for link in links),
        nodes=tuple(dict.fromkeys(link.target.node for link in links if link.target.node != demand.target)),
        tunnel=tunnel.name if tunnel else "",
        bit_rate=round(demand.bit_rate),
        is_carried=bool(carried.ways),
    )


def _unserved(database: TeDatabase, tunnels: Iterable[Tunnel]) -> Iterator[Flow]:
    """A tunnel that serves no VPN was asked for as well."""
    known = database.network.links
    for tunnel in tunnels:
        if tunnel.services or not tunnel.paths:
            continue
        path = next((path for path in tunnel.ranked if is_alive(database, path)), tunnel.ranked[0])
        inner = tuple(known[hop].target.node for hop in path.hops[:-1] if hop in known)
        rate = tunnel.bandwidth.bits_per_second
        yield Flow(UNSERVED + tunnel.name, tunnel.source, tunnel.target, path.hops, inner, tunnel.name, rate)


def _carriages(network: Network, flows: Iterable[Flow], tunnels: Iterable[Tunnel]) -> Iterator[tuple[str, Carriage]]:
    """What carries each service, and what waits to: single links stand for paths, since only what is on them counts."""
    active: dict[str, dict[LinkId, Path]] = {}
    standby: dict[str, dict[LinkId, Path]] = {}
    waiting = {tunnel.name: tunnel.links for tunnel in tunnels}
    for flow in flows:
        taken = active.setdefault(flow.service, {})
        taken.update({link: network.path([link]) for link in flow.links if link in network.links})
        spare = standby.setdefault(flow.service, {})
        hops = waiting.get(flow.tunnel, frozenset()) - set(flow.links)
        spare.update({link: network.path([link]) for link in hops if link in network.links})
    for service, paths in active.items():
        yield service, Carriage(tuple(paths.values()), tuple(standby[service].values()))


def _distinct(links: Iterable[Link]) -> list[Link]:
    return list({link.id: link for link in links}.values())
