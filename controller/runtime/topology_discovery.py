"""Owns the network as the daemon knows it: learnt from devices or given, kept up to date by carrier events.

`TopologyView` belongs to no event: it is read again after a restart. Tunnels' reservations come from the world.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

import structlog

from controller.datastore.config_tree import ConfigTree
from controller.mapping.tunnel_paths import reservations
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.ports import DeviceSession, Transport
from controller.runtime.optical_domains import is_optical
from controller.runtime.sessions import SessionPool
from controller.runtime.topology_measurements import LinkMeasurements
from controller.runtime.topology_reading import (
    STATE_FILTERS,
    STATE_RESOURCES,
    DeviceState,
    GivenTopology,
    PortState,
    Router,
    assemble,
    measured_delays,
    probed,
    read_router,
    read_state,
)
from controller.runtime.world import World
from controller.topology.network import LinkId, Network, TerminationPoint
from controller.topology.te_database import Measurement, Reservation, TeDatabase

_log = structlog.get_logger(__name__)
_AT_ONCE = 16


async def _nothing_told() -> Mapping[LinkId, float]:
    return {}


@dataclass(slots=True)
class TopologyView:
    """The network now. `given` is what somebody wrote down; it is asked at each refresh."""

    world: World
    sessions: SessionPool
    records: Callable[[], Mapping[DeviceName, DeviceRecord]]
    given: Callable[[], GivenTopology] = GivenTopology
    told_delays: Callable[[], Awaitable[Mapping[LinkId, float]]] = _nothing_told
    """Of links that other domains have up; asked at each refresh."""
    measurements: LinkMeasurements = field(default_factory=lambda: LinkMeasurements(lambda: 0.0, lambda _: inf))
    unread: dict[DeviceName, str] = field(default_factory=dict)
    """Devices that did not tell their state at the last refresh, and why."""
    _routers: dict[DeviceName, Router] = field(default_factory=dict)
    _states: dict[DeviceName, DeviceState] = field(default_factory=dict)
    _told: Mapping[LinkId, float] = field(default_factory=dict)
    _probed: dict[DeviceName, tuple[ConfigTree, int, Mapping[int, tuple[str, ...]]]] = field(default_factory=dict)
    _network: Network | None = None
    _database: TeDatabase | None = None
    _folded: int = -1
    _measured_at: int = -1
    _fresh_until: float = inf

    @property
    def network(self) -> Network:
        """Nodes and links; from configurations alone as long as nobody has asked the devices."""
        known = {name for name in self.world.network if self._is_router(name)}
        if self._network is None or not known <= self._routers.keys():
            for name in known - self._routers.keys():
                self._read_router(name)
            self._assemble()
        return self._network or Network.of((), ())

    @property
    def database(self) -> TeDatabase:
        """The network with the state of its links, what tunnels have reserved and what was measured."""
        network = self.network
        if self._database is None or self._database.network is not network:
            self._database = TeDatabase(network, self._reserved(network), self._measured(network))
            self._folded = self.world.tunnels.version
        elif self._folded != self.world.tunnels.version:
            old = self._database
            self._database = TeDatabase(network, self._reserved(network), old.measured, old.link_states)
            self._folded = self.world.tunnels.version
        if self._measured_at != self.measurements.version or self._fresh_until <= self.measurements.now():
            self._database = self._database.with_measurements(self._measured(network))
        return self._database

    async def refresh(self, devices: Iterable[DeviceName] | None = None) -> Network:
        """Read configurations from the mirror and states from the devices, all of them or these."""
        known = [name for name in self.world.network if self._is_router(name)]
        wanted = known if devices is None else [name for name in devices if name in known]
        for name in wanted:
            self._read_router(name)
            await asyncio.sleep(0)  # a large network is read beside everything else
        at_once = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._read(name, at_once) for name in wanted if self._has_links(name)))
        for gone in self._routers.keys() - set(known):
            del self._routers[gone]
        self._told = await self.told_delays()
        self._assemble()
        return self.network

    def _has_links(self, name: DeviceName) -> bool:
        """Whether there is something to ask a device: where it does not tell of links, others may."""
        is_ours = self.records()[name].profile == "ietf"
        return not is_ours or any(port.is_core for port in self._routers[name].ports.values())

    def port_changed(self, device: DeviceName, port: str, *, is_up: bool) -> frozenset[LinkId]:
        """Take notice of a carrier; the links whose state changed with it."""
        state = self._states.get(device, DeviceState())
        before = state.ports.get(port, PortState())
        self._states[device] = replace(state, ports={**state.ports, port: replace(before, is_up=is_up)})
        database = self.database
        point = TerminationPoint(device, port)
        ends = [link for link in database.network.links.values() if point in {link.source, link.target}]
        turned = frozenset(
            link.id for link in ends if self._carries(link.source, link.target) != database.is_up(link.id)
        )
        if turned:
            self._database = database.with_link_state(turned, is_up=not database.is_up(min(turned)))
        return turned

    def _carries(self, *ends: TerminationPoint) -> bool:
        return all(self._states.get(end.node, DeviceState()).ports.get(end.name, PortState()).is_up for end in ends)

    def _is_router(self, name: DeviceName) -> bool:
        record = self.records().get(name)
        return record is not None and not is_optical(record)

    async def _read(self, name: DeviceName, at_once: asyncio.Semaphore) -> None:
        async with at_once:
            try:
                self._states[name] = read_state(await self.sessions.ask(name, _state))
                self.unread.pop(name, None)
            except AccordError as error:
                self.unread[name] = str(error)
                _log.warning("topology_state_unread", device=name, error=str(error))

    def _read_router(self, name: DeviceName) -> None:
        self._routers[name] = read_router(name, self.world.network.device(name).config, self.records()[name])

    def _assemble(self) -> None:
        wires = [(link.source, link.target) for link in self._network.links.values()] if self._network else []
        self._network = assemble(self._routers, self._states, self.given(), wires, self._told)

    def _reserved(self, network: Network) -> dict[str, Reservation]:
        return reservations(self.world.tunnels, network.links.keys())

    def _measured(self, network: Network) -> dict[LinkId, Measurement]:
        answering = {name: state for name, state in self._states.items() if name not in self.unread}
        told = measured_delays(network, self._routers, answering)
        sessions = {name: self._sessions(name) for name in self._routers if name in self.world.network}
        self._measured_at = self.measurements.version
        found, self._fresh_until = self.measurements.of(network, sessions, told)
        return found

    def _sessions(self, name: DeviceName) -> Mapping[int, tuple[str, ...]]:
        """Segment lists of its STAMP sessions, as it is configured now: not as when it was last asked."""
        config = self.world.network.device(name).config
        known = self._probed.get(name)
        if known is None or known[0] is not config or known[1] != config.revision:
            known = self._probed[name] = config, config.revision, probed(config)
        return known[2]


async def _state(session: DeviceSession) -> bytes:
    transport = session.capabilities.transport
    if transport is Transport.CLI:
        return b""
    wanted = STATE_RESOURCES if transport is Transport.RESTCONF else STATE_FILTERS
    return (await session.read_state(wanted)).body
