"""On a lab: episodes played on emulated routers, with the consumer's and others' packets on them.

Owns `LabStage`, the surroundings of a scenario on a lab of its own: routers and an optical domain's controller behind
real sessions, the daemon's parts over them, the agreement's order through plan, twin and transaction. What packets do
is asked of the lab.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import Daemon, open_daemon
from controller.model.errors import ConflictError
from controller.model.identifiers import DeviceName
from controller.model.units import BitRate
from controller.negotiation.agreement import Terms
from controller.negotiation.catalogue import Tier
from controller.ports import EventLog
from controller.runtime.controller import Controller
from controller.runtime.negotiation_light import LightProvisioner
from controller.runtime.negotiation_network import Provisioner
from controller.runtime.negotiation_networks import sold_networks, without_links
from controller.runtime.negotiation_tunnels import TunnelProvisioner, commit
from controller.scenarios.surroundings import (
    START,
    TICK_SECONDS,
    Delivery,
    Market,
    Spur,
    Tell,
    Wire,
    Wires,
    measured_on,
    served_from,
)
from controller.topology.network import Link, LinkId
from controller.topology.te_database import TeDatabase
from lab.inventory import write_files
from lab.network import LabNetwork, NetworkOptions
from lab.router.faults_point import Fault
from lab.router.profiles import Profile
from lab.stage.clock import StageClock
from lab.stage.customers import consumer_vpn, everybody, tenant_vpn
from lab.stage.networks import DOMAIN, customer_ends, others_light, topology_of
from lab.stage.plants import LabPlant, read_counters
from lab.stage.traffic import Traffic

ACTOR = "stage"
_DOMAIN = DeviceName(DOMAIN)
_LOOK_SECONDS = 0.001
_STOP_SECONDS = 10.0


@dataclass(slots=True)
class Deliveries:
    """A `Provisioner` that has the consumer send as soon as a service is there. Time runs while it acts."""

    inner: Provisioner
    traffic: Traffic
    clock: StageClock
    route: Callable[[str], Awaitable[tuple[str, ...]]]
    before: tuple[LinkId, ...] = ()
    """What is the consumer's own of every way: its spur."""
    first_packets: dict[str, float] = field(default_factory=dict)
    """By service: when its first packets had come through, by the machine's own monotonic clock."""

    async def provision(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """Provision it, and see a packet through."""
        with self.clock.running():
            done = await self.inner.provision(service, terms, (*self.before, *links))
            await self._send(service, terms)
            await self._see_through(service)
            self.first_packets[service] = time.monotonic()
        return f"{done}; packets take {await self._way(service)}"

    async def change(self, service: str, terms: Terms, links: Sequence[LinkId]) -> str:
        """Change it under its packets, and count those that it costs; another rate is sent when it is there."""
        before = (await self.traffic.delivered())[service].lost
        with self.clock.running():
            done = await self.inner.change(service, terms, (*self.before, *links))
        lost = (await self.traffic.delivered())[service].lost - before
        await self._send(service, terms)
        return f"{done}; packets take {await self._way(service)}, {lost} were lost meanwhile"

    async def remove(self, service: str) -> str:
        """Send no more, then end it."""
        with self.clock.running():
            await self.traffic.end(service)
            return await self.inner.remove(service)

    async def _way(self, service: str) -> str:
        return " > ".join(await self.route(service))

    async def _see_through(self, service: str) -> None:
        """Until the first packet of each way has arrived."""
        while (delay := await self.traffic.on_the_way_seconds(service)) is None:  # noqa: ASYNC110 - it tells when asked
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(delay)

    async def _send(self, service: str, terms: Terms) -> None:
        vpn, ends = consumer_vpn(terms.request.workload_class), (terms.request.a, terms.request.z)
        await self.traffic.send(service, vpn, ends, terms.level.bit_rate)


@dataclass(slots=True, repr=False)
class LabStage:
    """`Surroundings` on a lab."""

    lab: LabNetwork
    daemon: Daemon
    clock: StageClock
    wires: Wires
    market: Market
    spur: Spur | None = None
    patience_seconds: float = 300.0
    traffic: Traffic = field(init=False)
    provisioner: Deliveries = field(init=False)
    plants: dict[Tier, LabPlant] = field(default_factory=dict)
    _last_tick: float = START

    def __post_init__(self) -> None:
        """Orders go the way that the daemon's go."""
        self.traffic = Traffic(self.lab)
        tunnels = TunnelProvisioner(self.controller, lambda terms: (consumer_vpn(terms.request.workload_class),))
        orders = LightProvisioner(self.controller, tunnels, (_DOMAIN,)) if Tier.OPTICAL in self.wires else tunnels
        self.provisioner = Deliveries(orders, self.traffic, self.clock, self.route)

    @property
    def controller(self) -> Controller:
        """The daemon's use cases."""
        return self.daemon.controller

    @property
    def log(self) -> EventLog:
        """The daemon's own."""
        return self.daemon.log

    async def set_up(self) -> None:
        """Read the routers, give everybody a VPN, measure every link (STAMP), and see what is for sale."""
        controller = self.controller
        with self.clock.running():
            await asyncio.gather(*(controller.sync_from(name, ACTOR) for name in controller.records()))
            ends = customer_ends(self.spur)
            customers = everybody(self.market.catalogue.classes, ends, self._wires(Tier.IP))
            await commit(controller, await controller.plan_services(customers, "everybody's VPNs", ACTOR))
            await controller.topology.refresh()
            await commit(controller, await controller.plan_tunnels(lambda tunnels: tunnels.measure(is_on=True), ACTOR))
            await controller.topology.refresh()
        self.provisioner.before = tuple(link.id for link in self._spur_links() if link.source.node == ends[0])
        self.plants = {tier: LabPlant.of(tier, base, self.market) for tier, base in (await self._sold()).items()}
        for plant in self.plants.values():
            plant.mesh.places = served_from(self.spur)

    def _wires(self, tier: Tier) -> tuple[Wire, ...]:
        """Those of the lab; the spur is one, and none of the operator's."""
        return (*self.wires[tier], *((self.spur,) if self.spur is not None and tier is Tier.IP else ()))

    def _spur_links(self) -> list[Link]:
        links = self.controller.topology.network.links.values()
        return [] if self.spur is None else [link for link in links if self.spur[0] in _nodes(link)]

    async def _sold(self) -> Mapping[Tier, TeDatabase]:
        """What is known of the networks that are for sale."""
        sold, _ = await sold_networks(self.controller, {})
        own = [link.id for link in self._spur_links()]
        return {tier: without_links(sold[tier].database, own) for tier in self.wires}

    def measured(self, tier: Tier, wire: tuple[str, str]) -> BitRate:
        """What routers' counters said of a wire, what the domain tells of a fibre."""
        is_own = self.spur is not None and self.spur[0] in wire
        return measured_on(self.controller.topology.database if is_own else self.plants[tier].database, wire)

    async def load(self, tier: Tier, share: float, *wires: tuple[str, str]) -> None:
        """Tenants send over the wires; on fibres of light others have slots."""
        wanted = {frozenset(wire) for wire in wires}
        for wire in self._wires(tier) if wanted else self.wires[tier]:
            if not wanted or frozenset(wire[:2]) in wanted:
                await (self._fill(wire, share) if tier is Tier.IP else self._take_slots(wire, share))

    async def _fill(self, wire: Wire, share: float) -> None:
        vpn = tenant_vpn(*wire[:2])
        await self.traffic.fill(vpn, vpn, wire[:2], share * wire[3] * 1e9)

    async def _take_slots(self, wire: Wire, share: float) -> None:
        """Others order light along a fibre; they are the operator's customers too."""
        controller, name = self.controller, others_light(*wire[:2])
        link = next(link for link in self.lab.topology.links if link.name == name)
        there = LinkId(f"{link.a}>{link.b}")
        with self.clock.running():
            if share > 0:
                rate = BitRate(round(share * wire[3] * 1e9))
                plan = await controller.plan_optical(_DOMAIN, name, there, ACTOR, bandwidth=rate)
            elif (await controller.optical.read(_DOMAIN)).tunnel(name) is not None:
                plan = await controller.plan_optical_removal(_DOMAIN, name, ACTOR)
            else:
                return
            if not plan.is_empty:
                await commit(controller, plan)
                await controller.topology.refresh()

    async def step(self) -> None:
        """Leap to the next tick, read every device, let the market look."""
        due = self._last_tick + TICK_SECONDS
        while due < self.clock.now():
            due += TICK_SECONDS
        self.clock.leap(due)
        self._last_tick = due
        await read_counters(self.controller, [router.name for router in self.lab])
        for tier, base in (await self._sold()).items():
            self.plants[tier].look(base, due)

    def refuse(self, *, is_refusing: bool) -> None:
        """The routers of the consumer's places refuse to commit."""
        self.lab.faults.clear()
        for place in [router.name for router in self.lab] if is_refusing else ():
            self.lab.faults.add(place, "commit", Fault.REJECT, count=None)

    async def route(self, service: str) -> tuple[str, ...]:
        """The places that packets go through, those of light under a link too."""
        places: list[str] = []
        for hop in self.traffic.way(service).hops:
            link = next(link for link in self.lab.topology.links if link.name == hop.link)
            there = [hop.router, link.other_end(hop.router).node]
            places += (await self._under(service, there) if link.over else there)[bool(places) :]
        return tuple(places)

    async def _under(self, service: str, ends: Sequence[str]) -> list[str]:
        """The places of a service's light, from one end to the other."""
        tunnel = (await self.controller.optical.read(_DOMAIN)).tunnel(service)
        if tunnel is None or self.lab.optical is None:
            raise ConflictError(f"'{service}' has no light and its packets take a link of it", path=service)
        places = [ends[0]]
        fibres = {link.name: (link.a, link.b) for link in self.lab.optical.domain.links}
        left = [fibres[name] for name in tunnel.route]
        while left:
            fibre = next(each for each in left if places[-1] in each)
            left.remove(fibre)
            places.append(fibre[fibre[0] == places[-1]])
        return places

    async def deliveries(self) -> Mapping[str, Delivery]:
        """Of services; what becomes of tenants' packets is theirs."""
        found = await self.traffic.delivered()
        return {name: delivery for name, delivery in found.items() if not name.startswith("tenant-")}


def _nodes(link: Link) -> set[str]:
    return {link.source.node, link.target.node}


@asynccontextmanager
async def on_lab(wires: Wires, market: Market, tell: Tell, spur: Spur | None = None) -> AsyncIterator[LabStage]:
    """Start the routers and the daemon's parts over them; everything is gone at the end."""
    clock, topology = StageClock(START), topology_of(wires, spur)
    options = NetworkOptions(profile=Profile("netconf", restconf=False, cli=False))
    tell(0.0, f"{len(topology.nodes)} routers start{', and an optical domain' if topology.optical else ''}")
    with tempfile.TemporaryDirectory(prefix="accord-stage-") as directory:
        async with LabNetwork(topology, options, now=clock.now) as lab:
            daemon = await open_daemon(load_settings(_settings(Path(directory), lab)), clock)
            try:
                stage = LabStage(lab, daemon, clock, wires, market, spur)
                await stage.set_up()
                tell(clock.now() - START, "every customer has a VPN; the stage is set")
                yield stage
            finally:
                await daemon.stop(_STOP_SECONDS)


def _settings(directory: Path, lab: LabNetwork) -> Path:
    files = write_files(
        directory,
        lab.running_routers(),
        username=lab.options.username,
        password=lab.password,
        authority_pem=lab.authority_pem,
    )
    settings = {
        "state_dir": str(directory / "state"),
        "inventory": str(files["inventory"]),
        "credentials": str(files["credentials"]),
        "tokens": str(directory / "tokens.yaml"),
        "telemetry": {"interval_seconds": TICK_SECONDS},
    }
    file = directory / "accord.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file
