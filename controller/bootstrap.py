"""Owns the wiring: the only module that names concrete adapters and drivers.

`open_daemon` builds everything from settings, restores the world from the log, and hands out a `Daemon` whose
`controller` the doors are built on.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from controller.adapters.clock import SystemClock
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.inventory import Inventory, InventoryDevice, load_inventory
from controller.adapters.knowledge import load_knowledge
from controller.adapters.resources import shared_directory
from controller.adapters.secrets import Secrets
from controller.adapters.settings_loader import LoadedSettings, ReloadableSettings, load_settings
from controller.adapters.topology_file import load_topology
from controller.adapters.validation import l3sm_validator
from controller.adapters.yang_schema import PROFILE_MODULES, default_search_path, load_schema
from controller.bootstrap_negotiation import NegotiationPlane, open_plane
from controller.datastore.cli_frr import frr_syntax
from controller.datastore.cli_set_style import SetStyleSyntax
from controller.datastore.cli_template import TemplateSyntax
from controller.datastore.codec import Codec
from controller.datastore.codec_cli import CliCodec
from controller.datastore.codec_restconf import RestconfCodec
from controller.datastore.codec_xml import XmlCodec
from controller.events import types
from controller.intent.knowledge import City, KnowledgeBase, normalised
from controller.mapping.infrastructure import Infrastructure, PeInfo, PortInfo
from controller.model.errors import AccordError, InvalidInputError
from controller.model.identifiers import DeviceName
from controller.model.inventory import DeviceRecord
from controller.model.units import BitRate
from controller.ports import Clock, DeviceConnector, DeviceSession, DeviceTarget, EventLog, NewEvent, Transport
from controller.recovery.fallback import FallbackPolicies
from controller.recovery.states import Mode
from controller.runtime.assurance import Pace as AssurancePace
from controller.runtime.collection import Pace
from controller.runtime.collection_series import SeriesBook
from controller.runtime.controller import Controller
from controller.runtime.device_care import DeviceCare
from controller.runtime.intents import Intents
from controller.runtime.leases import Leases
from controller.runtime.link_events import LinkEvents
from controller.runtime.planner import Planner
from controller.runtime.post_checks import InterfacesStayUp
from controller.runtime.recovery import Pace as RecoveryPace
from controller.runtime.sessions import SessionPool
from controller.runtime.topology_reading import GivenTopology
from controller.runtime.transactions import Transactions
from controller.runtime.tunnel_repair import TunnelRepair
from controller.runtime.world import World
from controller.settings import Settings
from controller.transaction.out_of_band import DEFAULT_RULES, Policy, PolicyRule
from drivers.threads import DriverThreads

_log = structlog.get_logger(__name__)
_DEFAULT_PORT_RATE = BitRate(10**9)


@dataclass(slots=True)
class Catalogue:
    """What the files say: devices, secrets, knowledge. Replaced as a whole by a reload that succeeds."""

    inventory: Inventory = field(default_factory=Inventory)
    knowledge: KnowledgeBase = field(default_factory=KnowledgeBase)
    infrastructure: Infrastructure = field(default_factory=lambda: Infrastructure(routers=()))
    topology: GivenTopology = field(default_factory=GivenTopology)

    def target(self, name: DeviceName) -> DeviceTarget:
        """The way to a device, as the inventory in force has it."""
        return self.inventory.target(name)

    def rules(self, name: DeviceName) -> Sequence[PolicyRule]:
        """The out-of-band policies of a device."""
        record = self.inventory.device(name).record
        return [PolicyRule(rule.prefix, Policy(rule.policy)) for rule in record.out_of_band] or DEFAULT_RULES


@dataclass(slots=True)
class Daemon:
    """Everything that runs. `folded` is how many events the start had to fold."""

    settings: ReloadableSettings
    catalogue: Catalogue
    controller: Controller
    log: SqliteEventLog
    sessions: SessionPool
    threads: DriverThreads
    folded: int = 0
    plane: NegotiationPlane | None = None
    repair: TunnelRepair = field(init=False)
    link_events: LinkEvents = field(init=False)

    def __post_init__(self) -> None:
        """Carrier events lead to repairs; listening begins with `link_events.follow`."""
        controller = self.controller
        self.repair = TunnelRepair(
            world=controller.world,
            log=self.log,
            topology=controller.topology,
            tunnels=controller.tunnels,
            commit=controller.commit_tunnels,
            is_wanted=lambda: self.settings.current.topology.repair == "auto",
        )
        told = controller.collection.note_state
        self.link_events = LinkEvents(controller.topology, self.sessions, self.log, self.repair.repair, told)

    def reload(self) -> Sequence[str]:
        """Read settings and files anew; the keys that changed. Keeps everything as it was when anything is wrong."""
        fresh = load_catalogue(load_settings(self.settings.loaded.file).settings)
        changed = self.settings.reload()
        for gone in set(self.catalogue.inventory.devices) - set(fresh.inventory.devices):
            self.sessions.forget(gone)
        self.catalogue.inventory = fresh.inventory
        self.catalogue.knowledge = fresh.knowledge
        self.catalogue.infrastructure = fresh.infrastructure
        self.catalogue.topology = fresh.topology
        self.controller.planner.infrastructure = fresh.infrastructure
        self._take_over(self.settings.current)
        take_over_telemetry(self.controller, self.settings.current)
        take_over_assurance(self.controller, self.settings.current)
        take_over_recovery(self.controller, self.settings.current)
        return changed

    def _take_over(self, settings: Settings) -> None:
        """Defaults of transactions hold for those that begin from now on."""
        self.controller.approval = settings.transactions.approval
        transactions = self.controller.transactions
        transactions.lock_wait_seconds = settings.transactions.lock_wait_seconds
        transactions.confirm_timeout_seconds = settings.transactions.confirm_timeout_seconds
        transactions.concurrency = settings.transactions.concurrency

    async def stop(self, drain_seconds: float) -> bool:
        """Let transactions reach their verdict, store a snapshot, close; False when some had to be left for later.

        A disk without room keeps nobody from stopping: sessions and locks go, and the next start replays what is there.
        """
        await self.link_events.stop()
        await self.controller.assurance.stop()
        await self.controller.recoveries.stop()
        await self.controller.changes.stop()
        await self.controller.campaigns.stop()
        await self.controller.enhanced.stop()
        await self.controller.pushes.stop()
        await self.controller.collection.stop()
        is_drained = await self.controller.transactions.drain(drain_seconds)
        if self.plane is not None:
            await self.plane.stop()
        try:
            await self.log.append([NewEvent("daemon", types.DAEMON_STOPPED, {})], actor="accord")
            self.controller.world.save(self.log)
        except AccordError as error:
            _log.warning("end_not_recorded", error=str(error))
        await self.sessions.close()
        self.threads.close()
        try:
            self.log.close()
        except AccordError as error:
            _log.warning("event_log_head_not_kept", error=str(error))
        return is_drained


async def open_daemon(loaded: LoadedSettings, clock: Clock | None = None) -> Daemon:
    """Build everything, restore the world, take up unfinished transactions. The errors name what is wrong.

    Without a clock it goes by the machine's.
    """
    settings = loaded.settings
    catalogue = load_catalogue(settings)
    clock = clock or SystemClock()
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = SqliteEventLog(settings.state_dir / "events.sqlite", clock=clock)
    world = World()
    folded = world.load(log)
    log.subscribe(world.apply_all)
    threads = DriverThreads()
    sessions = SessionPool(connectors(threads), catalogue.target, clock)
    controller = build_controller(
        world=world, log=log, clock=clock, sessions=sessions, catalogue=catalogue, settings=settings
    )
    log.subscribe(controller.service_probes.hear)
    await log.append([NewEvent("daemon", types.DAEMON_STARTED, {"folded": folded})], actor="accord")
    await controller.transactions.resume_open()
    controller.changes.resume()
    controller.campaigns.resume()
    controller.enhanced.resume()
    await controller.assurance.resume()
    daemon = Daemon(ReloadableSettings(loaded), catalogue, controller, log, sessions, threads, folded)
    daemon.plane = open_plane(settings, log, clock, controller)
    return daemon


def build_controller(
    *, world: World, log: EventLog, clock: Clock, sessions: SessionPool, catalogue: Catalogue, settings: Settings
) -> Controller:
    """The use cases over these parts."""
    codecs = Codecs(catalogue, world, settings)
    planner = Planner(world, l3sm_validator(codecs.search_path), catalogue.infrastructure, log)
    leases = Leases(clock)
    transactions = Transactions(
        world=world,
        log=log,
        clock=clock,
        sessions=sessions,
        leases=leases,
        codecs=codecs,
        rules=catalogue.rules,
        checks=(InterfacesStayUp(sessions),),
        lock_wait_seconds=settings.transactions.lock_wait_seconds,
        confirm_timeout_seconds=settings.transactions.confirm_timeout_seconds,
        concurrency=settings.transactions.concurrency,
    )
    controller = Controller(
        world=world,
        log=log,
        clock=clock,
        leases=leases,
        sessions=sessions,
        planner=planner,
        transactions=transactions,
        intents=Intents(world, log, clock, planner, lambda: catalogue.knowledge),
        care=DeviceCare(world, log, sessions, codecs, catalogue.rules),
        codecs=codecs,
        records=lambda: catalogue.inventory.records,
        approval=settings.transactions.approval,
    )
    controller.topology.given = lambda: catalogue.topology
    telemetry = settings.telemetry
    controller.collection.series = SeriesBook(telemetry.interval_seconds or 10.0, telemetry.history_seconds)
    controller.witnesses.series = controller.collection.series
    controller.collection.series.subscribe(controller.topology.measurements.take)
    take_over_telemetry(controller, settings)
    take_over_assurance(controller, settings)
    take_over_recovery(controller, settings)
    return controller


def take_over_telemetry(controller: Controller, settings: Settings) -> None:
    """Pace and budget as set; the length of the history holds from a restart on."""
    telemetry = settings.telemetry
    controller.pushes.is_wanted = telemetry.push == "auto"
    controller.service_probes.is_wanted = controller.enhanced.is_wanted = telemetry.service_probes == "auto"
    controller.campaigns.budget.packets_per_second = telemetry.probe_packets_per_second
    controller.collection.take_over(
        Pace(
            telemetry.interval_seconds,
            {"p": telemetry.core_interval_seconds},
            telemetry.jitter,
            telemetry.concurrency,
            telemetry.longest_back_off_seconds,
        )
    )


def take_over_assurance(controller: Controller, settings: Settings) -> None:
    """Pace and horizon as set; another pace begins to learn anew."""
    wanted = settings.assurance
    pace = AssurancePace(wanted.tick_seconds, wanted.horizon_seconds, wanted.report_seconds, wanted.jitter_seconds)
    controller.assurance.take_over(pace)


def take_over_recovery(controller: Controller, settings: Settings) -> None:
    """What is allowed, and how long things may take."""
    wanted = settings.recovery
    mode = Mode(wanted.mode)
    controller.recoveries.mode = lambda: mode
    controller.recoveries.work.situations.policies = FallbackPolicies.of(wanted.fallback_policies)
    controller.recoveries.pace = RecoveryPace(
        settle=wanted.settle_seconds, verify=wanted.verify_seconds, watch=wanted.watch_seconds
    )


def connectors(threads: DriverThreads) -> dict[Transport, DeviceConnector]:
    """The three ways in."""
    return {
        Transport.NETCONF: LazyConnector(_netconf),
        Transport.RESTCONF: LazyConnector(lambda: _restconf(threads)),
        Transport.CLI: LazyConnector(lambda: _cli(threads)),
    }


class LazyConnector:
    """A connector whose libraries are loaded, beside the event loop, when the first device needs it."""

    def __init__(self, make: Callable[[], DeviceConnector]) -> None:
        self._make = make
        self._made: DeviceConnector | None = None
        self._making = asyncio.Lock()

    async def connect(self, target: DeviceTarget) -> DeviceSession:
        """Open a session; see `DeviceConnector`."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            made = self._made
        return await made.connect(target)


def _netconf() -> DeviceConnector:
    from drivers.netconf.connector import NetconfConnector

    return NetconfConnector()


def _restconf(threads: DriverThreads) -> DeviceConnector:
    from drivers.restconf.connector import RestconfConnector

    return RestconfConnector(threads)


def _cli(threads: DriverThreads) -> DeviceConnector:
    from drivers.cli.session import CliConnector

    return CliConnector(threads)


class Codecs:
    """The codec of each device, from its transport and the modules of its profile; kept until the catalogue changes."""

    def __init__(self, catalogue: Catalogue, world: World, settings: Settings) -> None:
        """The operator's YANG directories come before the published modules and ours."""
        self.search_path = (*map(str, settings.yang_path), *default_search_path())
        self._cache = settings.state_dir / "cache"
        self._catalogue = catalogue
        self._world = world
        self._made: dict[DeviceName, tuple[InventoryDevice, Codec]] = {}

    def __call__(self, name: DeviceName) -> Codec:
        """`NotFoundError` when the device is not in the inventory."""
        device = self._catalogue.inventory.device(name)
        made = self._made.get(name)
        if made is None or made[0] is not device:
            made = self._made[name] = (device, self._make(device))
        codec = made[1]
        if isinstance(codec, CliCodec) and name in self._world.network:
            return codec.on(self._world.network.device(name).config)
        return codec

    def _make(self, device: InventoryDevice) -> Codec:
        record = device.record
        modules = PROFILE_MODULES[record.schema_set or record.profile]
        schema = load_schema(modules, self.search_path, cache=self._cache)
        match device.target.transport:
            case Transport.RESTCONF:
                return RestconfCodec(schema)
            case Transport.CLI:
                return CliCodec(_frr_syntax(record) if record.platform == "frr" else SetStyleSyntax(schema))
            case Transport.NETCONF:
                return XmlCodec(schema)


def _frr_syntax(record: DeviceRecord) -> TemplateSyntax:
    """FRR writes the autonomous system into the lines of every VRF's BGP: without it there is nothing to send."""
    if record.autonomous_system is None:
        raise InvalidInputError(
            "FRR is configured in lines that hold the router's autonomous system, and the inventory does not say it",
            path=f"hosts.{record.name}.data.asn",
            remedy=f"give {record.name} an autonomous system in the inventory (data.asn), then reload",
            device=record.name,
        )
    return frr_syntax(record.autonomous_system)


def load_catalogue(settings: Settings) -> Catalogue:
    """Inventory, credentials and knowledge as the files say now; the errors name file and key.

    Cities of the inventory are known as well: where a router stands, a site can be.
    """
    credentials = settings.credentials if settings.credentials.exists() else None
    inventory = load_inventory(settings.inventory, Secrets.from_environment(credentials))
    written = load_knowledge(settings.knowledge or shared_directory("config") / "knowledge")
    knowledge = written.merged(cities=_cities(inventory, written))
    given = load_topology(settings.topology.file)
    return Catalogue(inventory, knowledge, infrastructure_of(inventory, knowledge), given)


def infrastructure_of(inventory: Inventory, knowledge: KnowledgeBase) -> Infrastructure:
    """What mapping may use: the inventory's provider edges with their ports, and where cities lie."""
    routers = tuple(_provider_edge(record) for record in inventory.records.values() if record.access_ports)
    _refuse_shared_bearers(routers)
    return Infrastructure(
        routers=routers,
        places={
            (city.name.casefold(), city.country.casefold()): (city.latitude, city.longitude)
            for city in knowledge.cities
            if city.latitude is not None and city.longitude is not None
        },
    )


def _cities(inventory: Inventory, knowledge: KnowledgeBase) -> Iterator[City]:
    """Where customers can be attached, less what the knowledge base knows by this or another name."""
    known = {(normalised(name), city.country) for city in knowledge.cities for name in (city.name, *city.aliases)}
    for record in inventory.records.values():
        place = record.place
        if record.access_ports and place.city and (normalised(place.city), place.country) not in known:
            yield City(place.city, place.country, latitude=place.latitude, longitude=place.longitude)


def _refuse_shared_bearers(routers: Iterable[PeInfo]) -> None:
    """A bearer reference names one port (RFC 8299 6.3.2)."""
    seen: dict[str, str] = {}
    for router in routers:
        for port in router.ports:
            here = f"{router.device} {port.name}"
            other = seen.setdefault(port.bearer_reference, here) if port.bearer_reference else here
            if other != here:
                raise InvalidInputError(
                    f"the inventory gives the bearer '{port.bearer_reference}' to both {other} and {here}",
                    path=f"hosts.{router.device}.data.access_ports",
                    remedy="keep one",
                )


def _provider_edge(record: DeviceRecord) -> PeInfo:
    place = record.place
    return PeInfo(
        device=record.name,
        profile=record.profile,
        city=place.city,
        country=place.country,
        asn=record.autonomous_system or 0,
        loopback=record.loopback.ipv4 or record.router_id,
        ports=tuple(
            PortInfo(
                port.name,
                port.bit_rate or _DEFAULT_PORT_RATE,
                bearer_type=port.bearer_type,
                bearer_reference=port.bearer_reference,
                card=port.card,
            )
            for port in record.access_ports
        ),
        pop=place.pop,
        postal_code=place.postal_code,
        lat=place.latitude,
        lon=place.longitude,
        locator=record.srv6_locator.name or "main",
    )
