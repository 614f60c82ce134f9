"""Owns: what the RESTCONF and CLI servers need of the router they manage."""

from typing import Protocol

import asyncssh
from lxml import etree

from lab.router.datastore import ConfigStore
from lab.router.faults_point import FaultPoint
from lab.router.profiles import Profile
from lab.router.schema import Schema
from lab.router.sessions import Sessions


class StateSource(Protocol):
    """The router's state beside its configuration."""

    def state_tree(self) -> etree._Element:
        """Return a <data> tree of `config false` nodes, with the keys of the lists they hang in."""
        ...


class ManagedRouter(Protocol):
    """A router as its management servers see it; properties, so that an implementation may hold more special types."""

    name: str
    host: str
    username: str
    password: str
    authorized_keys: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """Its modules."""
        ...

    @property
    def profile(self) -> Profile:
        """Its capabilities and quirks."""
        ...

    @property
    def store(self) -> ConfigStore:
        """Its datastores."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Its management sessions."""
        ...

    @property
    def operational(self) -> StateSource:
        """Its state."""
        ...

    @property
    def faults(self) -> FaultPoint | None:
        """Its scripted faults."""
        ...

    @property
    def host_private_key(self) -> asyncssh.SSHKey:
        """Its SSH identity."""
        ...

    async def reboot(self) -> None:
        """Drop everything and come back."""
