"""A lab with a router of every participant class, each in a city of its own, and a controller that is overheard."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from controller.adapters.clock import SystemClock
from controller.adapters.event_log_memory import MemoryEventLog
from controller.adapters.settings_loader import load_settings
from controller.bootstrap import build_controller, connectors, load_catalogue
from controller.model.identifiers import DeviceName
from controller.ports import DeviceConnector, DeviceSession, DeviceTarget, Transport, Warnings
from controller.runtime.controller import Controller
from controller.runtime.sessions import SessionPool
from controller.runtime.transactions import CommitOptions
from controller.runtime.world import World
from drivers.threads import DriverThreads
from lab.network import LabNetwork, NetworkOptions
from lab.topology import Node, Role, Site, Topology
from tests.e2e.world import write_configuration
from tests.patience import PATIENCE_SECONDS

PLACES = {
    "full": Site("London", "GB", 51.51, -0.13, "LON1"),
    "confirmed10": Site("Paris", "FR", 48.86, 2.35, "PAR1"),
    "candidate": Site("Madrid", "ES", 40.42, -3.70, "MAD1"),
    "running": Site("Dublin", "IE", 53.35, -6.26, "DUB1"),
    "restconf": Site("Amsterdam", "NL", 52.37, 4.90, "AMS1"),
    "cli": Site("Brussels", "BE", 50.85, 4.35, "BRU1"),
}
CITIES = tuple((place.city, place.country) for place in PLACES.values())
OPTIONS = CommitOptions(confirm_timeout_seconds=2 * PATIENCE_SECONDS, lease_wait_seconds=PATIENCE_SECONDS)
BROWNFIELD = """
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface>
    <name>access0.2</name><description>left here by somebody</description>
    <type xmlns:i="urn:ietf:params:xml:ns:yang:iana-if-type">i:l2vlan</type>
    <ipv4 xmlns="urn:ietf:params:xml:ns:yang:ietf-ip"><mtu>1300</mtu></ipv4>
  </interface></interfaces>
</config>
"""
"""An interface that services will want too."""


class Overheard:
    """A session that notes the edits it is given to send."""

    def __init__(self, session: DeviceSession, wire: list[bytes]) -> None:
        self._session, self._wire = session, wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def prepare(self, edit: bytes) -> Warnings:
        self._wire.append(edit)
        return await self._session.prepare(edit)

    async def apply(self, edit: bytes, entity_tag: str = "") -> Warnings:
        self._wire.append(edit)
        return await self._session.apply(edit, entity_tag)


class OverheardConnector:
    """Connects as the real one does."""

    def __init__(self, connector: DeviceConnector, wire: dict[DeviceName, list[bytes]]) -> None:
        self._connector, self._wire = connector, wire

    async def connect(self, target: DeviceTarget) -> Any:
        session = await self._connector.connect(target)
        return Overheard(session, self._wire.setdefault(target.name, []))


@dataclass(slots=True)
class RecordedLab:
    """The routers, the way to them, and what went over it."""

    network: LabNetwork
    directory: Path
    threads: DriverThreads
    wire: dict[DeviceName, list[bytes]] = field(default_factory=dict)

    def running(self) -> Mapping[str, bytes]:
        """Each router's running configuration, byte for byte."""
        return {router.name: router.store.serialised("running") for router in self.network}

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Controller]:
        """A controller that knows nothing yet but what it has just read of every router."""
        settings = load_settings(self.directory / "accord.yaml").settings
        catalogue = load_catalogue(settings)
        clock, world = SystemClock(), World()
        log = MemoryEventLog(clock=clock)
        log.subscribe(world.apply_all)
        ways: dict[Transport, DeviceConnector] = {
            transport: OverheardConnector(connector, self.wire)
            for transport, connector in connectors(self.threads).items()
        }
        sessions = SessionPool(ways, catalogue.target, clock)
        controller = build_controller(
            world=world, log=log, clock=clock, sessions=sessions, catalogue=catalogue, settings=settings
        )
        try:
            for name in controller.records():
                await controller.sync_from(name, "tester")
            yield controller
        finally:
            await sessions.close()


@asynccontextmanager
async def recorded_lab(directory: Path) -> AsyncIterator[RecordedLab]:
    """Start the routers; two of them hold configuration of nobody's."""
    nodes = tuple(
        Node(f"pe-{profile}", Role.PE, place, access_ports=("access0", "access1")) for profile, place in PLACES.items()
    )
    options = NetworkOptions(profiles={f"pe-{profile}": profile for profile in PLACES})
    threads = DriverThreads()
    async with LabNetwork(Topology("histories", nodes, ()), options) as network:
        for profile in ("full", "cli"):
            network[f"pe-{profile}"].store.edit("running", etree.fromstring(BROWNFIELD), session_id=0)
        write_configuration(directory, network, rpc_seconds=30.0)
        try:
            yield RecordedLab(network, directory, threads)
        finally:
            threads.close()
