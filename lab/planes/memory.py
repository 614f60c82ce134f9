"""A network in memory: states follow from the configurations, the links that are up, and the time.

Owns the `DataPlane` that the lab runs on by default. Forwarding tables (`fib`) say where packets go, the simulator
(`fluid`) what they meet; with a virtual clock the same calls give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.planes import (
    Adjacency,
    FlowReport,
    FlowSpec,
    Forwarding,
    InterfaceState,
    LinkListener,
    PeerState,
    PolicyState,
    StampResult,
    VpnRoute,
)
from lab.planes.fib import Tables
from lab.planes.fluid import Simulator, Timing
from lab.planes.fluid_flows import PLANE, Flows
from lab.planes.fluid_probes import Probes
from lab.planes.memory_ports import Ports
from lab.topology import Link, Topology


class MemoryPlane:
    """A `DataPlane` by calculation. `now` is a clock in seconds; `forwarding` tells what a configuration asks for.

    Nothing is simulated before something is asked: a network that starts has no history of its starting.
    """

    def __init__(
        self,
        topology: Topology,
        forwarding: Forwarding,
        *,
        now: Callable[[], float],
        timing: Timing | None = None,
        seed: int = 0,
    ) -> None:
        self._topology = topology
        self._now = now
        self._epoch = now()
        """The simulation's time begins at 0: a clock that counts since 1970 has no fractions of microseconds."""
        self.tables = Tables(topology, forwarding)
        """Where packets go, for who wants to follow them."""
        self._simulator = Simulator(topology, self.tables, start=0.0, timing=timing or Timing())
        self._test_flows = Flows(self.tables, self._simulator.directions, seed=seed)
        self._probes = Probes(self.tables, self._simulator.directions, seed=seed)
        self._ports = Ports(topology, self.tables, self._simulator.directions, self._test_flows, self._epoch)
        self._listeners: list[LinkListener] = []
        self._begun = False
        self._expected: set[str] = set()
        """Routers that are going to start; nothing has been measured or carried before."""

    @property
    def name(self) -> str:
        """What carries the traffic."""
        return PLANE

    async def start(self) -> None:
        """There is nothing to build; the routers' first configurations are no changes."""
        self._expected = {node.name for node in self._topology.nodes}

    async def stop(self) -> None:
        """There is nothing to leave behind."""

    # What changes

    def configuration_changed(self, router: str) -> None:
        """Take notice that a router's running configuration is another one now."""
        if router in self._expected:
            self._expected.discard(router)
            self.tables.configuration_changed(router)
            return
        if self._begun:
            self._change(router)
            return
        self.tables.configuration_changed(router)
        if self.tables.forwarding(router).stamp_sessions:
            self._advanced()  # measurements begin when they are configured, not when somebody asks

    def set_link(self, link: str, *, up: bool, silent: bool = False) -> None:
        """Cut or restore a link; KeyError when the topology has none of that name."""
        time = self._advanced()
        found = self.tables.links.link(link)
        before = self.tables.links.has_carrier(found)
        self.tables.links.set_link(link, up=up, silent=silent)
        self.tables.links_changed()
        self._settle((found,) if self.tables.links.has_carrier(found) != before else (), time)

    def slow_link(self, link: str, delay_seconds: float) -> None:
        """Have packets take this long over a link from now on; KeyError when the topology has none of that name."""
        self.tables.links.link(link)
        self._advanced()
        self._simulator.slow(link, delay_seconds)

    def lose_on_link(self, link: str, ratio: float) -> None:
        """Lose that share of the packets on a link from now on; KeyError when the topology has none of that name."""
        self.tables.links.link(link)
        self._advanced()
        self._simulator.lose(link, ratio)

    def cut_links(self) -> frozenset[str]:
        """The links that are cut, silently or not."""
        return self.tables.links.cut()

    def subscribe(self, listener: LinkListener) -> None:
        """Tell the listener of every carrier that goes or comes from now on."""
        self._listeners.append(listener)

    def _change(self, router: str) -> None:
        time, links = self._advanced(), self.tables.links
        own = self._topology.links_of(router)
        before = {link.name: links.has_carrier(link) for link in own}
        self.tables.configuration_changed(router)
        self._probes.configuration_changed(router, time)
        self._settle(tuple(link for link in own if links.has_carrier(link) != before[link.name]), time)
        self._ports.settle(router, time)

    def _settle(self, changed: tuple[Link, ...], time: float) -> None:
        """Let the network go on from here; `changed` are the links whose carrier has come or gone."""
        if changed:
            self._simulator.carriers_changed()
        self._simulator.refresh()
        for link in changed:
            for end in (link.a, link.b):
                self._ports.settle(end.node, time)
        for link in changed:
            up = self.tables.links.has_carrier(link)
            for end in (link.a, link.b):
                for listener in self._listeners:
                    listener(end.node, end.port, up)

    # What there is to see

    def interfaces(self, router: str) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured, by name."""
        return self._ports.interfaces(router, self._advanced())

    def adjacencies(self, router: str) -> tuple[Adjacency, ...]:
        """Neighbours over the core ports that are up."""
        return self.tables.links.adjacencies(router)

    def peers(self, router: str) -> tuple[PeerState, ...]:
        """The state of each configured BGP session, in the order of the configuration."""
        return self.tables.routing.peers(router)

    def vpn_routes(self, router: str) -> tuple[VpnRoute, ...]:
        """The best route of each VRF to each prefix."""
        return self.tables.routing.vpn_routes(router)

    def policies(self, router: str) -> tuple[PolicyState, ...]:
        """The state of each configured segment routing policy, in the order of the configuration."""
        self._advanced()
        return self.tables.fib(router).policies

    def stamp(self, router: str) -> tuple[StampResult, ...]:
        """What each configured measurement has found so far."""
        self._topology.node(router)
        return self._probes.results(router, self._advanced())

    # Traffic

    async def start_flow(self, flow: FlowSpec) -> str:
        """Send test traffic until `stop_flow`; returns the flow's name. ValueError for an attachment that is none."""
        time = self._advanced()
        try:
            name = self._test_flows.start(time, flow)
        except KeyError as error:
            raise ValueError(str(error.args[0])) from error
        self._flows_changed(flow, time)
        return name

    async def stop_flow(self, flow: str) -> FlowReport:
        """Stop sending and tell; KeyError for an unknown flow."""
        time = self._advanced()
        spec = self._test_flows.spec(flow)
        report = self._test_flows.stop(time, flow)
        self._flows_changed(spec, time)
        return report

    async def flows(self) -> tuple[FlowReport, ...]:
        """What has become of each running flow so far."""
        return self._test_flows.reports(self._advanced())

    def _flows_changed(self, flow: FlowSpec, time: float) -> None:
        self._simulator.refresh()
        for attachment in (flow.source, flow.target):
            self._ports.settle(attachment.router, time)

    def _advanced(self) -> float:
        """The time, once everything has happened that happens until now."""
        if not self._begun:
            self._begun = True
            self._simulator.add(self._test_flows)
            self._simulator.add(self._probes)
            self._simulator.begin()
            self._simulator.advance(self._now() - self._epoch)
            for node in self._topology.nodes:
                self._probes.configuration_changed(node.name, self._now() - self._epoch)
            self._simulator.refresh()
        time = self._now() - self._epoch
        self._simulator.advance(time)
        return time
