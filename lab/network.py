"""Many routers in one process: a topology becomes running routers that know of each other.

Owns assembly (day 0, servers, operational state, faults, one data plane) and life (start, stop). Routers are made one
after another while they start, so a network of a thousand reports progress and stays responsive.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from lxml import etree

from lab.addressing import address_plan
from lab.day0 import day0_configuration
from lab.faults import FaultScript
from lab.inventory import RunningDomain, RunningRouter
from lab.optical.controller import Access, OpticalController
from lab.optical.domain import ClientPort
from lab.personalities import OPENCONFIG, openconfig_day0
from lab.planes import DataPlane, Plane, RouterForwarding
from lab.planes.memory import MemoryPlane
from lab.router.cli_server import CliServer
from lab.router.datastore import ConfigChange
from lab.router.forwarding import read_forwarding
from lab.router.operational import OperationalState
from lab.router.profiles import PROFILES, Profile
from lab.router.restconf_server import RestconfServer
from lab.router.restconf_tls import lab_authority
from lab.router.router import Router
from lab.router.schema import ModuleSet, default_module_set, load_schema
from lab.router.xml import add, element
from lab.topology import Topology

_T = TypeVar("_T")
_START_SECONDS = 600.0
_FILES_PER_ROUTER = 6  # a listener and a session for each protocol
_FILES_BESIDE = 200


class NetworkError(ValueError):
    """A network that cannot be made as asked; names the router or profile."""


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How the routers are made. `profiles` and `modules_for` differ from the common ones by router name.

    `plane` carries the traffic: `memory` calculates it, `netns` forwards packets in namespaces, `auto` takes namespaces
    where this machine and user can have them.
    `first_port` numbers the ports upwards from there in the order of the topology; 0 leaves them to the system. The
    password is random when empty.
    """

    profile: str | Profile = "full"
    profiles: Mapping[str, str | Profile] = field(default_factory=dict)
    modules: ModuleSet | None = None
    modules_for: Mapping[str, ModuleSet] = field(default_factory=dict)
    host: str = "127.0.0.1"
    username: str = "accord"
    password: str = ""
    authorized_keys: Sequence[str] = ()
    first_port: int = 0
    plane: Plane = "memory"


class LabNetwork:
    """A running network: `async with LabNetwork(topology) as net: net["pe-london"].netconf_port`.

    Raises `NetworkError` for a profile that does not exist or is given to an unknown router, OSError for a port that is
    taken. `progress` is called with (started, all) after each router. Packets and counters go by the clock `now`.
    """

    def __init__(
        self,
        topology: Topology,
        options: NetworkOptions | None = None,
        *,
        faults: FaultScript | None = None,
        progress: Callable[[int, int], None] = lambda _started, _all: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.topology = topology
        self._now = now
        self.options = options or NetworkOptions()
        self.password = self.options.password or secrets.token_urlsafe(12)
        self.faults = faults or FaultScript()
        self.profiles = _profiles(topology, self.options)
        self._progress = progress
        self._plan = address_plan(topology)
        self._routers: dict[str, Router] = {}
        self.optical: OpticalController | None = None
        self._forwarding: dict[str, tuple[etree._Element, RouterForwarding]] = {}
        self._next_port = self.options.first_port
        self._modules = self.options.modules or default_module_set()
        self.plane: DataPlane = self._data_plane()
        self.plane.subscribe(self._carrier_changed)

    def __getitem__(self, name: str) -> Router:
        """The router, or the optical domain's controller, of that name; KeyError when it has not been started."""
        if self.optical is not None and self.optical.router.name == name:
            return self.optical.router
        try:
            return self._routers[name]
        except KeyError:
            raise KeyError(f"the lab has no router {name!r}") from None

    def __iter__(self) -> Iterator[Router]:
        return iter(self._routers.values())

    def __len__(self) -> int:
        return len(self._routers)

    async def __aenter__(self) -> Self:
        """Start every router; on failure those that were started are stopped again."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make and start the routers in the order of the topology."""
        _allow_open_files(_FILES_PER_ROUTER * len(self.topology.nodes))
        await self.plane.start()
        for number, node in enumerate(self.topology.nodes, start=1):
            router = self._make(node.name)
            self._routers[node.name] = router
            self.plane.configuration_changed(node.name)
            await router.start()
            self._progress(number, len(self.topology.nodes))
            await asyncio.sleep(0)
        await self._start_optical()

    async def stop(self) -> None:
        """Stop every router and forget them."""
        optical, self.optical = self.optical, None
        if optical is not None:
            await optical.stop()
        routers, self._routers = list(self._routers.values()), {}
        for router in routers:
            await router.stop()
        await self.plane.stop()

    def forwarding(self, name: str) -> RouterForwarding:
        """What the router's running configuration asks of the network, read once per configuration."""
        router = self._routers.get(name)
        if router is None:
            return RouterForwarding()
        tree = router.store.get("running")
        known = self._forwarding.get(name)
        if known is None or known[0] is not tree:
            known = self._forwarding[name] = (tree, read_forwarding(tree))
        return known[1]

    def set_link(self, link: str, *, up: bool, silent: bool = False) -> None:
        """Cut or restore a link; KeyError for an unknown link. A silent cut keeps the carrier and loses every packet.

        The subscribers of its routers are told of a carrier that goes or comes. A link of the optical domain is one
        too; one that the domain's tunnels carry goes and comes with them.
        """
        if self.optical is not None and any(found.name == link for found in self.optical.domain.links):
            self.optical.set_link(link, up=up)
            return
        for found in self.topology.links:
            if found.name == link and found.over:
                raise KeyError(f"link {link} goes and comes with its tunnel: cut or mend a link of {found.over}")
        self.plane.set_link(link, up=up, silent=silent)

    def slow_link(self, link: str, delay_seconds: float) -> None:
        """Have packets take this long over a link; KeyError for an unknown one, ValueError where that cannot be."""
        if delay_seconds < 0:
            raise ValueError(f"link {link} cannot take {delay_seconds:g} s")
        self.plane.slow_link(link, delay_seconds)

    def lose_on_link(self, link: str, ratio: float) -> None:
        """Lose that share of the packets, by chance, and keep the carrier; errors as of `slow_link`."""
        if not 0 <= ratio <= 1:
            raise ValueError(f"link {link} cannot lose {ratio:g}: a loss is a share from 0 to 1")
        self.plane.lose_on_link(link, ratio)

    def _carrier_changed(self, router: str, port: str, up: bool) -> None:
        if router in self._routers:
            self._routers[router].publish(_link_event(port, up=up))

    def running_routers(self) -> list[RunningRouter | RunningDomain]:
        """What clients have to know, in the order of the topology; the optical domain's controller comes last."""
        optical = [] if self.optical is None else [self.optical.router]
        domains = [RunningDomain(router.name, router.host, router.restconf_port) for router in optical]
        return [*self._running_routers(), *domains]

    def _running_routers(self) -> list[RunningRouter]:
        return [
            RunningRouter(
                node=self.topology.node(router.name),
                addresses=self._plan[router.name],
                profile=router.profile.name,
                openconfig=router.modules.name == OPENCONFIG,
                address=router.host,
                netconf_port=router.netconf_port,
                restconf_port=router.restconf_port,
                cli_port=router.cli_port,
                host_key=router.host_key,
            )
            for router in self
        ]

    @property
    def authority_pem(self) -> bytes:
        """The certificate authority of the RESTCONF servers."""
        return lab_authority().ca_pem

    def _make(self, name: str) -> Router:
        options, profile = self.options, self.profiles[name]
        modules = options.modules_for.get(name, self._modules)
        router = Router(
            name,
            modules=modules,
            profile=profile,
            initial=self._day0(name, modules),
            host=options.host,
            username=options.username,
            password=self.password,
            authorized_keys=options.authorized_keys,
            faults=self.faults,
        )
        router.add_server("restconf", RestconfServer(router))
        router.add_server("cli", CliServer(router))
        router.operational = OperationalState(name, router.schema, router.store, self.plane)
        router.store.subscribe(lambda change: self._changed(name, change))
        self._number_ports(router)
        return router

    async def _start_optical(self) -> None:
        """The domain's controller; until it has set up a tunnel, the links over it have no carrier."""
        domain = self.topology.optical
        if domain is None:
            return
        for link in self.topology.links:
            if link.over:
                self.plane.set_link(link.name, up=False)
        options = self.options
        access = Access(options.host, options.username, self.password, options.authorized_keys)
        loop = asyncio.get_running_loop()
        optical = OpticalController(domain, access=access, scheduler=loop, carrier=self._joined, faults=self.faults)
        self._number_ports(optical.router)
        await optical.start()
        self.optical = optical

    def _joined(self, one: ClientPort, other: ClientPort, is_up: bool) -> None:
        """A tunnel joins two client ports, or no longer: the link between the router ports attached to them follows."""
        ends = {(one.router, one.router_port), (other.router, other.router_port)}
        for link in self.topology.links:
            if link.over and {(link.a.node, link.a.port), (link.b.node, link.b.port)} == ends:
                self.plane.set_link(link.name, up=is_up)

    def _data_plane(self) -> DataPlane:
        if self.options.plane == "memory":
            return MemoryPlane(self.topology, self.forwarding, now=self._now)
        from lab.planes.choose import PlaneError, choose

        try:
            return choose(self.topology, self.forwarding, self.options.plane, self._now)
        except PlaneError as error:
            raise NetworkError(str(error)) from error

    def _day0(self, name: str, modules: ModuleSet) -> etree._Element:
        node = self.topology.node(name)
        if modules.name == OPENCONFIG:
            return openconfig_day0(self.topology, node, self._plan[name])
        return day0_configuration(self.topology, node, self._plan, load_schema(modules))

    def _number_ports(self, router: Router) -> None:
        for server in router.servers.values() if self._next_port else ():
            server.port = self._next_port
            self._next_port += 1

    def _changed(self, name: str, change: ConfigChange) -> None:
        if change.datastore == "running":
            self.plane.configuration_changed(name)


@contextmanager
def running_lab(
    topology: Topology, options: NetworkOptions | None = None, *, faults: FaultScript | None = None
) -> Iterator[LabNetwork]:
    """A network for code without an event loop: it runs in a thread of its own while the block runs.

    Reading ports, keys and faults is safe from any thread; call what touches routers through `in_lab`.
    """
    with _loop_thread() as loop:
        network = _in_loop(loop, _made(topology, options, faults))
        _LOOPS[id(network)] = loop
        try:
            _in_loop(loop, network.__aenter__())
            yield network
        finally:
            _LOOPS.pop(id(network), None)
            _in_loop(loop, network.stop())


def in_lab(network: LabNetwork, call: Callable[[], _T]) -> _T:
    """Run `call` in the thread of a `running_lab` and return what it returns."""

    async def once() -> _T:
        return call()

    return _in_loop(_LOOPS[id(network)], once())


_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}


async def _made(topology: Topology, options: NetworkOptions | None, faults: FaultScript | None) -> LabNetwork:
    return LabNetwork(topology, options, faults=faults)


def _in_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, _T]) -> _T:
    return asyncio.run_coroutine_threadsafe(work, loop).result(_START_SECONDS)


@contextmanager
def _loop_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="lab", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _allow_open_files(count: int) -> None:
    """Raise this process's soft limit where the hard one allows; raises `NetworkError` where it does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _FILES_BESIDE
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise NetworkError(f"{count} sockets and files are needed and the limit is {hard}: raise it with `ulimit -n`")
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _profiles(topology: Topology, options: NetworkOptions) -> dict[str, Profile]:
    unknown = sorted({*options.profiles, *options.modules_for} - {node.name for node in topology.nodes})
    if unknown:
        raise NetworkError(f"topology {topology.name} has no router {unknown[0]} to give a profile or modules to")
    return {node.name: _profile(options.profiles.get(node.name, options.profile)) for node in topology.nodes}


def _profile(wanted: str | Profile) -> Profile:
    if isinstance(wanted, Profile):
        return wanted
    if wanted not in PROFILES:
        raise NetworkError(f"there is no profile {wanted}: it is one of {', '.join(PROFILES)}")
    return PROFILES[wanted]


def _link_event(port: str, *, up: bool) -> etree._Element:
    """The event that an interface went up or down."""
    event = element("interface-state-change", "urn:accord:router")
    add(event, "{urn:accord:router}name", port)
    add(event, "{urn:accord:router}oper-status", "up" if up else "down")
    return event
