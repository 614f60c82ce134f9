"""The domain controller: a RESTCONF server that admits tunnels, sets them up, and says which router ports they join.

Owns the assembly: it is a `Router` of the lab with the module set accord-otn, so locks, faults, entity tags and YANG
Patch are those of every router here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from lab.optical.allocation import AllocationError, allocate, free_slots
from lab.optical.domain import ClientPort, OpticalDomain
from lab.optical.tunnels import Status, Tunnel, Tunnels
from lab.optical.words import read_wishes, state_tree, status_event, tunnel_path
from lab.router.confirmed import Scheduler
from lab.router.datastore import ConfigChange, ConfigStore
from lab.router.faults_point import FaultPoint
from lab.router.profiles import PROFILES
from lab.router.restconf_server import RestconfServer
from lab.router.router import Router
from lab.router.rpc_errors import RpcError
from lab.router.schema import ModuleSet

MODULES = ModuleSet("otn", ("accord-otn",))
Carrier = Callable[[ClientPort, ClientPort, bool], None]
"""Told the two client ports that a tunnel joins, and whether light passes between them now."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the controller is reached."""

    host: str = "127.0.0.1"
    username: str = "accord"
    password: str = "accord"  # noqa: S105  # an emulated device's factory setting
    authorized_keys: Sequence[str] = ()


class DomainState:
    """Tunnels of a domain beside the configuration that asks for them: admission, life, state."""

    def __init__(
        self, domain: OpticalDomain, store: ConfigStore, *, scheduler: Scheduler, now: Callable[[], datetime]
    ) -> None:
        self.domain = domain
        self._store = store
        self._listeners: list[Callable[[Tunnel, Status], None]] = []
        self.tunnels = Tunnels(domain.setup_seconds, scheduler=scheduler, now=now, told=self._told)
        store.require(self._admit)
        store.subscribe(self._changed)

    def subscribe(self, listener: Callable[[Tunnel, Status], None]) -> None:
        """Tell the listener of each change of a tunnel's status, with the status before."""
        self._listeners.append(listener)

    def state_tree(self) -> etree._Element:
        """The state of nodes, links and tunnels, in a <data> tree."""
        wishes = read_wishes(self._store.get("running"))
        free = free_slots(self.domain, wishes, self.tunnels.routes)
        return state_tree(self.domain, free, self.tunnels.cut, self.tunnels)

    def set_link(self, name: str, *, up: bool) -> None:
        """Cut a fibre or mend it; KeyError when the domain has none of that name."""
        self.tunnels.set_link(self.domain.link(name).name, up=up)

    def _admit(self, tree: etree._Element) -> None:
        """Refuse a configuration whose tunnels cannot be had; the error names the tunnel and the link."""
        try:
            allocate(self.domain, read_wishes(tree), self.tunnels.routes, self.tunnels.cut)
        except AllocationError as error:
            tag = "resource-denied" if error.reason in {"slots-exhausted", "client-port-taken"} else "invalid-value"
            raise RpcError(tag, error.message, path=tunnel_path(error.tunnel), app_tag=error.reason) from error

    def _changed(self, change: ConfigChange) -> None:
        if change.datastore == "running":
            wishes = read_wishes(self._store.get("running"))
            self.tunnels.configure(wishes, allocate(self.domain, wishes, self.tunnels.routes, self.tunnels.cut))

    def _told(self, tunnel: Tunnel, before: Status) -> None:
        for listener in self._listeners:
            listener(tunnel, before)


class OpticalController:
    """A running domain controller. Make it inside an event loop; `router` has its name, port and datastores."""

    def __init__(
        self,
        domain: OpticalDomain,
        *,
        access: Access,
        scheduler: Scheduler,
        carrier: Carrier,
        faults: FaultPoint | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.domain = domain
        self._carrier = carrier
        self.router = Router(
            domain.name,
            modules=MODULES,
            profile=PROFILES["restconf"],
            host=access.host,
            username=access.username,
            password=access.password,
            authorized_keys=access.authorized_keys,
            faults=faults,
            now=now,
        )
        self.router.add_server("restconf", RestconfServer(self.router))
        self.state = DomainState(domain, self.router.store, scheduler=scheduler, now=now)
        self.state.subscribe(self._tunnel_changed)
        self.router.operational = self.state

    async def start(self) -> None:
        """Listen."""
        await self.router.start()

    async def stop(self) -> None:
        """Stop listening; tunnels that are being set up stay where they are."""
        self.state.tunnels.stop()
        await self.router.stop()

    def set_link(self, name: str, *, up: bool) -> None:
        """Cut a fibre or mend it; KeyError when the domain has none of that name."""
        self.state.set_link(name, up=up)

    def _tunnel_changed(self, tunnel: Tunnel, before: Status) -> None:
        if Status.UP in {before, tunnel.status}:
            clients = self.domain.clients
            self._carrier(clients[tunnel.route.source], clients[tunnel.route.target], tunnel.status is Status.UP)
        self.router.publish(status_event(tunnel))
