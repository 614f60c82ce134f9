"""Owns: the TLS listener of a router's RESTCONF server, on uvicorn's HTTP/1.1 protocol (RFC 8040 section 2).

uvicorn's `Server` is left out: it wakes ten times a second, which a thousand idle routers cannot afford. Its protocol
class needs only a configuration, shared by all routers of the process, and a set to keep its connections in.
"""

import asyncio
import contextlib
import socket
from functools import cache, partial

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from lab.router.managed import ManagedRouter
from lab.router.restconf_app import Message, Receive, RestconfApp, Send
from lab.router.restconf_tls import LabAuthority, lab_authority

_KEEP_ALIVE_SECONDS = 60


async def _no_app(_scope: Message, _receive: Receive, _send: Send) -> None:
    """Stand in for the application in the shared configuration: each connection has its own."""


@cache
def _shared_config() -> Config:
    config = Config(
        _no_app,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    config.load()
    return config


class RestconfServer:
    """Serves one router's RESTCONF API; `port` is 0 until the first start and kept from then on."""

    def __init__(self, router: ManagedRouter, authority: LabAuthority | None = None) -> None:
        self.port = 0
        self._router = router
        self._authority = authority or lab_authority()
        self._app = RestconfApp(router)
        self._state = ServerState()
        self._listener: asyncio.Server | None = None

    @property
    def ca_pem(self) -> bytes:
        """The certificate that clients verify the server with."""
        return self._authority.ca_pem

    async def start(self) -> None:
        """Listen on the router's host, on the same port again after a stop."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._protocol, self._router.host, self.port, ssl=self._authority.context, reuse_address=True
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._listener is None:
            return
        self._listener.close()
        self._app.stream.close()
        connections = [item for item in self._state.connections if isinstance(item, _Connection)]
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.lost.wait()
        await self._end_requests()
        await self._listener.wait_closed()
        self._listener = None

    async def _end_requests(self) -> None:
        """Cancel what still waits, once its connection is gone: before that, uvicorn would log it as a failure."""
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _protocol(self) -> "_Connection":
        return _Connection(self._router, self._app, self._state)


class _Connection(H11Protocol):
    """One TLS connection, which is one management session once its user is known."""

    def __init__(self, router: ManagedRouter, app: RestconfApp, state: ServerState) -> None:
        super().__init__(_shared_config(), state, {})
        self._router = router
        self._session_id: int | None = None
        self.lost = asyncio.Event()
        self.app = partial(app, self)

    def session_id(self) -> int:
        """The session of this connection, opened when first asked for."""
        if self._session_id is None:
            self._session_id = self._router.sessions.open(self._router.username, "restconf", self.abort)
        return self._session_id

    def abort(self) -> None:
        """Cut the connection, also one that is being closed, which early releases of Python 3.11 fail to abort."""
        if not self.transport.is_closing():
            self.transport.abort()
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the library
        """Keep the socket: a transport that is being closed may not know it any more."""
        self._socket: socket.socket = transport.get_extra_info("socket")
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session with its connection."""
        super().connection_lost(exc)
        if self._session_id is not None:
            self._router.sessions.close(self._session_id)
            self._session_id = None
        self.lost.set()
