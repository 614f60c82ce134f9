"""Owns the TCP connection under SSH: what is written in one turn of the event loop leaves in one system call.

asyncssh puts an SSH_MSG_IGNORE before every packet (RFC 4253 section 6.2) and writes both on their own. Sending is the
dearest part of a small RPC, so the two are joined. Enters through asyncssh's `tunnel` argument, its seam for that.
"""

import asyncio
from collections.abc import Callable
from typing import Any


class JoiningTransport(asyncio.Transport):
    """A transport whose writes are joined until the loop's next turn."""

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._inner = inner
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` with whatever else is written in this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(bytes(data))

    def _flush(self) -> None:
        if self._waiting:
            data, self._waiting = b"".join(self._waiting), []
            self._inner.write(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self._flush()
        self._inner.close()

    def abort(self) -> None:
        """Drop what waits, then close."""
        self._waiting.clear()
        self._inner.abort()

    def is_closing(self) -> bool:
        """Tell whether it is closing or closed."""
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the socket's transport knows."""
        return self._inner.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return the bytes not sent yet."""
        return self._inner.get_write_buffer_size() + sum(map(len, self._waiting))

    def pause_reading(self) -> None:
        """Stop taking from the socket."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking from the socket."""
        self._inner.resume_reading()


class _Introduction(asyncio.Protocol):
    """Stands in for the SSH protocol only until the transport is there; then the two talk directly."""

    def __init__(self, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop) -> None:
        self._protocol = protocol
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce them."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("SSH needs a stream transport")
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(JoiningTransport(transport, self._loop))


class Wire:
    """What asyncssh calls to open the connection, in place of opening it itself."""

    async def create_connection(
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect; raises OSError."""
        loop = asyncio.get_running_loop()
        protocol = protocol_factory()
        transport, _ = await loop.create_connection(lambda: _Introduction(protocol, loop), host, port)
        return transport, protocol
