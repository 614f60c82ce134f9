"""Owns the HTTPS server: one bound socket, one TLS context, one application, started and stopped on command.

Signals are not its business: whoever runs the process decides when to stop. The socket is bound before anything else
happens, so that a port in use is told at once, and listens only when everything behind it is ready.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from controller.model.errors import ConnectionFailedError

_MOST_CONNECTIONS = 2_000
"""Beyond these a caller gets 503, so that idle connections cannot take every file descriptor."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen yet; `ConnectionFailedError` says why it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise _cannot_listen(host, port, error) from error
    return bound


def _cannot_listen(host: str, port: int, error: OSError) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"cannot listen on {host} port {port}: {error.strerror or error}",
        remedy="stop what uses it, or set listen.host and listen.port",
        path="listen",
    )


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers, telling when the port is open."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_open = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the daemon."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port and say so."""
        await super().startup(sockets=sockets)
        self.is_open.set()


class _Connection(H11Protocol):
    """A connection that is closed when a whole request head does not come in time, however slowly it trickles in.

    The library has a limit for idle connections alone, which the first byte of a head lifts.
    """

    head_seconds = 30.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the library
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Stop waiting once there is a request to answer."""
        super().data_received(data)
        if self._has_request:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next head, unless it is there already."""
        super().on_response_complete()
        if not self._has_request:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _has_request(self) -> bool:
        # The library declares the cycle as always there, and sets it with the first request.
        cycle: object = self.cycle
        return cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():  # early releases of Python 3.11 fail at aborting what was closed
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class HttpServer:
    """Serves one application on one socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext) -> None:
        self._listener = listener
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=_Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=30,
                limit_concurrency=_MOST_CONNECTIONS,
                ssl_context_factory=lambda *_: tls,
            )
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is served."""
        return int(self._listener.getsockname()[1])

    async def start(self) -> None:
        """Listen; returns when connections are accepted."""
        self._task = asyncio.create_task(self._uvicorn.serve([self._listener]), name="https server")
        opened = asyncio.create_task(self._uvicorn.is_open.wait())
        await asyncio.wait({self._task, opened}, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            opened.cancel()
            await self._task

    @property
    def is_serving(self) -> bool:
        """Whether the server still runs."""
        return self._task is not None and not self._task.done()

    async def ended(self) -> None:
        """Returns when the server has stopped, for whatever reason."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def stop(self, grace_seconds: float) -> None:
        """Close the port at once, let requests under way finish within the grace, cut off the rest."""
        if self._task is None:
            self._listener.close()
            return
        self._uvicorn.config.timeout_graceful_shutdown = max(1, round(grace_seconds))
        self._uvicorn.should_exit = True
        await self._task
