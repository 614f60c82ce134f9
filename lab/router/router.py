"""Owns one router: assembles its datastores, operational state, protocol servers, sessions and events."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Protocol

import asyncssh
from lxml import etree

from lab.ports import held_port
from lab.router import notifications
from lab.router.datastore import CommitEvent, ConfigChange, ConfigStore
from lab.router.faults_point import FaultPoint
from lab.router.netconf_server import NetconfServer
from lab.router.profiles import PROFILES, Profile
from lab.router.schema import ModuleSet, Schema, default_module_set, load_schema
from lab.router.sessions import Sessions
from lab.router.xml import data


class Operational(Protocol):
    """The router's state beside its configuration."""

    def state_tree(self) -> etree._Element:
        """Return a <data> tree of `config false` nodes (with the keys of the lists they hang in)."""
        ...


class Server(Protocol):
    """A protocol server of a router."""

    port: int

    async def start(self) -> None:
        """Listen on the router's host; on the same port again after a stop."""

    async def stop(self) -> None:
        """Stop listening and cut every connection."""


class NoState:
    """The operational state of a router whose data plane says nothing."""

    def state_tree(self) -> etree._Element:
        """Return an empty <data> tree."""
        return data()


def _now() -> datetime:
    return datetime.now(UTC)


class Router:
    """A router of the lab. Make it inside a running event loop; ports are 0 until started, or when not offered.

    `operational` and `faults` may be set at any time; further protocol servers come by `add_server` before `start`.
    """

    def __init__(
        self,
        name: str,
        *,
        modules: ModuleSet | None = None,
        profile: Profile = PROFILES["full"],
        initial: etree._Element | None = None,
        host: str = "127.0.0.1",
        username: str = "admin",
        password: str = "admin",  # noqa: S107  # an emulated router's factory setting
        authorized_keys: Sequence[str] = (),
        faults: FaultPoint | None = None,
        netconf_port: int = 0,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self.name = name
        self.host = host
        self.schema: Schema = load_schema(modules or default_module_set())
        self.modules = self.schema.module_set
        self.profile = profile
        self.username = username
        self.password = password
        self.authorized_keys = tuple(authorized_keys)
        self.faults = faults
        self.now = now
        self.operational: Operational = NoState()
        self.host_private_key = asyncssh.generate_private_key("ssh-ed25519")
        loop = asyncio.get_running_loop()
        self.store = ConfigStore(self.schema, profile, scheduler=loop, now=now, initial=initial)
        self.sessions = Sessions(self.store, now)
        self.stream = notifications.Stream(now)
        self._reboots: set[asyncio.Task[None]] = set()
        self.is_up = False
        self.servers: dict[str, Server] = {"netconf": NetconfServer(self, netconf_port)} if profile.netconf else {}
        self.store.subscribe(self._config_changed)
        self.store.subscribe_commits(self._commit_stepped)

    @property
    def host_key(self) -> str:
        """OpenSSH public host key, `ssh-ed25519 AAAA...`."""
        return self.host_private_key.export_public_key("openssh").decode().strip()

    @property
    def netconf_port(self) -> int:
        """TCP port of NETCONF over SSH, 0 when there is none."""
        return self._port("netconf")

    @property
    def restconf_port(self) -> int:
        """TCP port of RESTCONF over TLS, 0 when there is none."""
        return self._port("restconf")

    @property
    def cli_port(self) -> int:
        """TCP port of the CLI over SSH, 0 when there is none."""
        return self._port("cli")

    def add_server(self, protocol: str, server: Server) -> None:
        """Add a protocol server (`restconf`, `cli`) before `start`; ignored when the profile lacks the protocol."""
        if getattr(self.profile, protocol):
            self.servers[protocol] = server

    def state_tree(self) -> etree._Element:
        """Return the operational state as a <data> tree."""
        return self.operational.state_tree()

    def publish(self, event: etree._Element) -> None:
        """Send an event (content of a <notification>) to every subscriber of the NETCONF stream."""
        if self.stream.has_subscribers():
            self.stream.publish(event)

    async def start(self) -> None:
        """Start every server. Raises OSError when a wanted port is taken."""
        for server in self.servers.values():
            await server.start()
        self.is_up = True

    async def stop(self) -> None:
        """Stop every server and drop every session."""
        self.is_up = False
        for server in self.servers.values():
            await server.stop()
        self.sessions.drop_all()

    async def reboot(self, *, down_seconds: float = 0.0) -> None:
        """Drop all sessions, boot the datastores, listen again on the same ports."""
        self.is_up = False
        self.sessions.drop_all()
        with ExitStack() as held:
            for server in self.servers.values():
                await server.stop()
                held.enter_context(held_port(self.host, server.port))
            self.store.reboot()
            await asyncio.sleep(down_seconds)
            await self.start()

    def reboot_soon(self) -> None:
        """Reboot in a task of its own: the session that asks for it will be cut."""
        task = asyncio.get_running_loop().create_task(self.reboot())
        self._reboots.add(task)
        task.add_done_callback(self._reboots.discard)

    def _port(self, protocol: str) -> int:
        server = self.servers.get(protocol)
        return server.port if server is not None else 0

    def _config_changed(self, change: ConfigChange) -> None:
        if change.datastore != "candidate" and self.stream.has_subscribers():
            self.stream.publish(notifications.config_change(change, self.schema.namespaces))

    def _commit_stepped(self, event: CommitEvent) -> None:
        if self.stream.has_subscribers():
            self.stream.publish(notifications.confirmed_commit(event))
