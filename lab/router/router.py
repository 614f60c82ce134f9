"""Owns one router: assembles its datastores, operational state, protocol servers, sessions and events."""

from collections.abc import Callable
from typing import Protocol

from lxml import etree

from lab.router.datastore import ConfigStore
from lab.router.faults_point import FaultPoint
from lab.router.profiles import Profile
from lab.router.schema import Schema


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
        """Stop listening and drop every session."""


class Sessions:
    """The router's management sessions over every protocol; numbers are never reused."""

    def open(self, username: str, transport: str, drop: Callable[[], None]) -> int:
        """Register a session (`drop` cuts its connection) and return its session-id."""
        raise NotImplementedError

    def close(self, session_id: int) -> None:
        """Unregister: the datastore forgets it (locks, unpersisted confirmed commit). Harmless when gone."""
        raise NotImplementedError

    def kill(self, session_id: int) -> bool:
        """Cut a session's connection; False when there is none of that number."""
        raise NotImplementedError


class Router:
    """A router of the lab. Ports are 0 until started, and for protocols its profile lacks."""

    name: str
    host: str
    schema: Schema
    profile: Profile
    store: ConfigStore
    operational: Operational
    faults: FaultPoint | None
    sessions: Sessions
    username: str
    password: str
    authorized_keys: tuple[str, ...]
    host_key: str
    """OpenSSH public host key line."""
    netconf_port: int
    restconf_port: int
    cli_port: int

    def publish(self, event: etree._Element) -> None:
        """Send an event (content of a <notification>) to every subscriber of the NETCONF stream."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start the servers the profile has."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop them."""
        raise NotImplementedError

    async def reboot(self) -> None:
        """Drop all sessions, boot the datastores, listen again on the same ports."""
        raise NotImplementedError
