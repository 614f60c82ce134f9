"""Owns listening for SSH (RFC 4253), for every server of a router that speaks over it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import asyncssh

from lab.router.ssh_login import Account, LoginServer


class SshHost(Account, Protocol):
    """The router as its SSH servers see it."""

    host: str
    host_private_key: asyncssh.SSHKey


class SshServer(ABC):
    """Listens for one router. `port` is 0 before the first start and kept over restarts.

    Who inherits says in `session` what a channel is, and in `options` what asyncssh shall do beyond the common.
    """

    options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, host: SshHost, port: int = 0) -> None:
        self.port = port
        self._host = host
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[LoginServer] = set()

    @abstractmethod
    def session(self, login: LoginServer) -> asyncssh.SSHServerSession[bytes]:
        """What serves one channel of a connection."""

    async def start(self) -> None:
        """Listen on the router's host; on the same port again after a stop."""
        self._acceptor = await asyncssh.listen(
            self._host.host,
            self.port,
            server_factory=self._connection,
            server_host_keys=[self._host.host_private_key],
            encoding=None,
            line_editor=False,
            compression_algs=None,
            agent_forwarding=False,
            reuse_address=True,
            backlog=256,
            **self.options,
        )
        self.port = self._acceptor.get_port()

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._acceptor is None:
            return
        self._acceptor.close()
        for connection in tuple(self._connections):
            connection.drop()
        await self._acceptor.wait_closed()
        self._acceptor = None

    def _connection(self) -> LoginServer:
        login = LoginServer(self._host, self.session, gone=self._connections.discard)
        self._connections.add(login)
        return login
