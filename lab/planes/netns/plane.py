"""A network of namespaces behind the data-plane port of the lab.

Owns the order of things: build, program, follow configurations, cut, converge, report. What packets do is the kernels'
and agents' business; what routers tell each other (BGP, IGP) is resolved by `fib`, after the delays a network has.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping

from lab.planes import (
    Adjacency,
    Attachment,
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
from lab.planes.fib import Fib, Tables, View
from lab.planes.netns.agent import Applied, Apply, Carrier, FindHost, Plug, Repaired, Report
from lab.planes.netns.channel import Channel, ProcessError
from lab.planes.netns.interfaces import Interfaces
from lab.planes.netns.processes import Processes, mode
from lab.planes.netns.program import Program, make_program, segment_block
from lab.planes.netns.wires import Drops, SetWire, WireState
from lab.planes.netns.wiring import plan_ports, plan_wires
from lab.topology import Link, Topology
from lab.traffic.flows import Flows
from lab.traffic.hosts import Host, TrafficError

CONVERGENCE_SECONDS = 0.4
"""How long after a failure the routers' shortest paths avoid it."""
FLOODING_SECONDS = 0.005
"""How long after a failure every head of a policy knows of it, seen from the lab; agents know when they are told."""
_PATIENCE_SECONDS = 1.0


class NetnsPlane:
    """A `DataPlane` that forwards packets. `now` is a clock in seconds for the states it tells of."""

    def __init__(
        self,
        topology: Topology,
        forwarding: Forwarding,
        *,
        now: Callable[[], float],
        convergence_seconds: float = CONVERGENCE_SECONDS,
    ) -> None:
        self._topology = topology
        self._tables = Tables(topology, forwarding)
        self._ports = plan_ports(topology)
        self._interfaces = Interfaces(topology, self._tables, self._ports, now)
        self._convergence_seconds = convergence_seconds
        self._processes: Processes | None = None
        self._agents: dict[str, Channel] = {}
        self._wires: dict[str, Channel] = {}
        self._wire_states: dict[str, WireState] = {}
        self._listeners: list[LinkListener] = []
        self._fibs: dict[str, Fib] = {}
        self._programs: dict[str, Program] = {}
        self._policies: dict[str, tuple[PolicyState, ...]] = {}
        self._results: dict[str, tuple[StampResult, ...]] = {}
        self._first: dict[str, None] = {}
        self._pushing: asyncio.Task[None] | None = None
        self._again = False
        self._tasks: set[asyncio.Task[object]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._flows = Flows(self.name)
        self.problems: dict[str, tuple[str, ...]] = {}
        """What the kernels refused, by router."""

    @property
    def name(self) -> str:
        """What carries the traffic."""
        return f"netns {mode()}"

    # Life

    async def start(self) -> None:
        """Build namespaces and wires and program every router; raises `ProcessError` when that cannot be done."""
        try:
            self._processes = await Processes.start()
            pids = await self._start_agents(self._processes)
            await self._start_wires(self._processes, pids)
            ports = {node.name: tuple(self._ports[node.name].values()) for node in self._topology.nodes}
            await asyncio.gather(*(agent.ask(Plug(ports[name])) for name, agent in self._agents.items()))
        except BaseException:
            await self.stop()
            raise
        for link in self._topology.links:
            self._settle_wire(link)
        if not self._waits_for_routers():
            down = self._tables.links.without_carrier()
            self._tables.see(View(down, down))
        self._push()
        await self.settled()

    async def stop(self) -> None:
        """End every process, and with them namespaces and wires. Idempotent."""
        for timer in self._timers:
            timer.cancel()
        tasks = [*self._tasks, *([self._pushing] if self._pushing else [])]
        self._timers, self._pushing = [], None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._flows.close()
        processes, self._processes = self._processes, None
        self._agents, self._wires = {}, {}
        if processes is not None:
            await processes.stop()

    async def settled(self) -> None:
        """Wait until every router has been programmed with what is known now."""
        while self._pushing is not None or self._tasks:
            await asyncio.wait([*self._tasks, *([self._pushing] if self._pushing else [])])

    async def _start_agents(self, processes: Processes) -> dict[str, int]:
        async def start(router: str) -> int:
            self._agents[router], process = await processes.fork(
                f"the agent of {router}", "agent", None, lambda news: self._hear(router, news)
            )
            return process

        names = [node.name for node in self._topology.nodes]
        return dict(zip(names, await asyncio.gather(*map(start, names)), strict=True))

    async def _start_wires(self, processes: Processes, pids: Mapping[str, int]) -> None:
        wires = plan_wires(self._topology, self._ports, pids)
        workers = min(len(wires), os.cpu_count() or 1)

        async def start(number: int) -> None:
            own = wires[number::workers]
            channel, _ = await processes.fork(f"wires {number + 1}", "wires", own, self._hear_wires)
            self._wires.update((wire.name, channel) for wire in own)

        await asyncio.gather(*map(start, range(workers)))
        self._wire_states = dict.fromkeys(self._wires, WireState.UP)

    # Changes

    def configuration_changed(self, router: str) -> None:
        """Program what follows from a router's running configuration, that router first."""
        self._tables.configuration_changed(router)
        self._first[router] = None
        self._carriers_changed(self._topology.links_of(router))
        self._push()

    def set_link(self, link: str, *, up: bool, silent: bool = False) -> None:
        """Cut or restore a link; KeyError when there is none of that name."""
        self._carriers_changed([self._tables.links.set_link(link, up=up, silent=silent)])

    def slow_link(self, link: str, delay_seconds: float) -> None:
        """Not here: the delay of a wire is built in when it is made."""
        self._tables.links.link(link)
        raise ValueError(
            f"the delay of link {link} cannot be {delay_seconds:g} s: only the memory plane changes delays"
        )

    def lose_on_link(self, link: str, ratio: float) -> None:
        """Not here: the loss of a wire is built in when it is made."""
        self._tables.links.link(link)
        raise ValueError(f"the loss of link {link} cannot be {ratio:g}: only the memory plane changes losses")

    def cut_links(self) -> frozenset[str]:
        """The links that are cut, silently or not."""
        return self._tables.links.cut()

    def subscribe(self, listener: LinkListener) -> None:
        """Tell the listener of every carrier that a router has seen going or coming."""
        self._listeners.append(listener)

    def _carriers_changed(self, links: tuple[Link, ...] | list[Link]) -> None:
        """Bring wires to the state of their links; routers learn of it by the carrier, the network after a while."""
        changed = [self._settle_wire(link) for link in links]
        if not any(changed):
            return
        self._interfaces.settle(links)
        self._tables.links_changed()
        down = self._tables.links.without_carrier()
        self._later(FLOODING_SECONDS, lambda: self._see(View(self._tables.view.converged, down)))
        self._later(self._convergence_seconds, lambda: self._see(View(down, self._tables.view.flooded)))

    def _settle_wire(self, link: Link) -> bool:
        """Whether the wire has to change; a router without configuration is about to get one."""
        if any(not self._tables.forwarding(end.node).interfaces for end in (link.a, link.b)):
            return False
        links = self._tables.links
        state = WireState.UP
        if links.loses(link):
            state = WireState.SILENT if links.has_carrier(link) else WireState.CUT
        if link.name not in self._wires or self._wire_states[link.name] is state:
            return False
        self._wire_states[link.name] = state
        self._spawn(self._wires[link.name].ask(SetWire(link.name, state)))
        return True

    def _see(self, view: View) -> None:
        self._tables.see(view)
        self._push()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if timer.when() > loop.time()]
        self._timers.append(loop.call_later(seconds, act))

    def _spawn(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Programs

    def _push(self) -> None:
        """Program the routers soon, when all have been configured once or after a while."""
        if self._agents and self._waits_for_routers():
            self._later(_PATIENCE_SECONDS, self._push_now)
        elif self._agents:
            self._push_now()

    def _waits_for_routers(self) -> bool:
        return any(not self._tables.forwarding(node.name).interfaces for node in self._topology.nodes)

    def _push_now(self) -> None:
        """Once is enough for all changes of this turn of the loop."""
        self._again = True
        if self._pushing is None:
            self._pushing = asyncio.get_running_loop().create_task(self._push_all())

    async def _push_all(self) -> None:
        try:
            while self._again:
                self._again = False
                first, self._first = self._first, {}
                names = dict.fromkeys((*first, *self._agents))
                block = segment_block(
                    locator for name in self._agents for locator in self._tables.forwarding(name).locators
                )
                await asyncio.gather(*[self._program(name, block) for name in names])
        finally:
            self._pushing = None

    async def _program(self, router: str, block: str) -> None:
        await asyncio.sleep(0)
        fib = self._tables.fib(router)
        if self._fibs.get(router) is fib:
            return
        self._fibs[router] = fib
        program = make_program(self._tables, router, self._ports, block)
        if self._programs.get(router) == program:
            return
        self._programs[router] = program
        try:
            applied: Applied = await self._agents[router].ask(Apply(program))
        except ProcessError as error:
            self.problems[router] = (str(error),)
            return
        self.problems[router] = applied.problems
        self._policies[router] = applied.policies

    def _hear(self, router: str, news: object) -> None:
        if isinstance(news, Carrier):
            for listener in self._listeners:
                listener(router, news.port, news.up)
        elif isinstance(news, Repaired):
            self._policies[router] = news.policies
        elif isinstance(news, Report):
            self._interfaces.count(router, news.counters)
            self._results[router] = news.results

    def _hear_wires(self, news: object) -> None:
        if isinstance(news, Drops):
            self._interfaces.count_drops(news.packets)

    # States

    def interfaces(self, router: str) -> Mapping[str, InterfaceState]:
        """The state of every port the router has and every interface it has configured; counters of a second ago."""
        return self._interfaces.states(router)

    def adjacencies(self, router: str) -> tuple[Adjacency, ...]:
        """Neighbours over the core ports that are up."""
        return self._tables.links.adjacencies(router)

    def peers(self, router: str) -> tuple[PeerState, ...]:
        """The state of each configured BGP session, in the order of the configuration."""
        return self._tables.routing.peers(router)

    def vpn_routes(self, router: str) -> tuple[VpnRoute, ...]:
        """The best route of each VRF to each prefix."""
        return self._tables.routing.vpn_routes(router)

    def policies(self, router: str) -> tuple[PolicyState, ...]:
        """The state of each policy, as its head end has told it."""
        self._topology.node(router)
        return self._policies.get(router, ())

    def stamp(self, router: str) -> tuple[StampResult, ...]:
        """What each measurement had found a second ago."""
        self._topology.node(router)
        known = {result.number: result for result in self._results.get(router, ())}
        sessions = self._tables.forwarding(router).stamp_sessions
        return tuple(known.get(session.number, StampResult(session.number)) for session in sessions)

    # Traffic

    async def host(self, attachment: Attachment) -> Host:
        """The host at an attachment, made when it is not there; `TrafficError` for an attachment that is none."""
        where = f"{attachment.router}:{attachment.interface}"
        if attachment.router not in self._agents:
            raise TrafficError(f"{where}: the lab has no router {attachment.router}")
        await self.settled()
        instances = self._tables.forwarding(attachment.router).instances
        instance = next((found.name for found in instances if attachment.interface in found.interfaces), "")
        if not instance:
            raise TrafficError(f"{where}: the interface is in no VPN: give one that is")
        try:
            process, address = await self._agents[attachment.router].ask(
                FindHost(instance, attachment.interface, attachment.address)
            )
        except ProcessError as error:
            raise TrafficError(f"{where}: no host can be there: {error}") from error
        return Host(process, address)

    async def start_flow(self, flow: FlowSpec) -> str:
        """Send test traffic until `stop_flow`; raises `TrafficError` for an attachment that is none."""
        target = await self.host(flow.target)
        return await self._flows.start(flow, await self.host(flow.source), target)

    async def stop_flow(self, flow: str) -> FlowReport:
        """Stop sending, wait for what is under way, and tell; KeyError for an unknown flow."""
        return await self._flows.stop(flow)

    async def flows(self) -> tuple[FlowReport, ...]:
        """What has become of each running flow so far."""
        return await self._flows.reports()
