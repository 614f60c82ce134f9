"""Owns: what the RESTCONF and CLI servers need of the router they manage."""

from typing import Protocol

import asyncssh
from lxml import etree

from lab.router.datastore import ConfigStore
from lab.router.faults_point import FaultPoint
from lab.router.notifications import Stream
from lab.router.profiles import Profile
from lab.router.schema import Schema
from lab.router.sessions import Sessions


class StateSource(Protocol):
    """The router's state beside its configuration."""

    def state_tree(self) -> etree._Element:
        """Return a <data> tree of `config false` nodes, with the keys of the lists they hang in."""
        ...


class ManagedRouter(Protocol):
    """A router as its management servers see it."""

    name: str
    host: str
    username: str
    password: str
    authorized_keys: tuple[str, ...]
    schema: Schema
    profile: Profile
    store: ConfigStore
    sessions: Sessions
    stream: Stream
    host_private_key: asyncssh.SSHKey

    @property
    def operational(self) -> StateSource:
        """Its state."""
        ...

    @property
    def faults(self) -> FaultPoint | None:
        """Its scripted faults."""
        ...

    async def reboot(self) -> None:
        """Drop everything and come back."""
