"""Owns live sessions to devices: opened on demand, kept while they are good, one per device.

A session is handed to one task at a time; the pool neither locks nor edits. What may be done with it is the
executor's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

from controller.model.errors import (
    AccordError,
    ConnectionFailedError,
    OutcomeUnknownError,
    ProtocolViolationError,
    TransientError,
)
from controller.model.identifiers import DeviceName
from controller.ports import Clock, DeviceConnector, DeviceSession, DeviceTarget, Transport

T = TypeVar("T")

_BROKEN = (ConnectionFailedError, OutcomeUnknownError, ProtocolViolationError)
"""After these a session is of no further use."""


@dataclass(slots=True)
class Connection:
    """One device's connection: its session while there is one, and how the last attempt went."""

    device: DeviceName
    session: DeviceSession | None = None
    error: str = ""
    connected_at: float = 0.0
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def state(self) -> str:
        """`connected`, `failed` or `idle`: the label of the devices metric."""
        if self.session is not None:
            return "connected"
        return "failed" if self.error else "idle"


class SessionPool:
    """All sessions of this daemon. `targets` resolves a device's way and credentials when a session is opened."""

    def __init__(
        self,
        connectors: Mapping[Transport, DeviceConnector],
        targets: Callable[[DeviceName], DeviceTarget],
        clock: Clock,
        *,
        concurrent_connects: int = 32,
    ) -> None:
        self._connectors = connectors
        self._targets = targets
        self._clock = clock
        self._connections: dict[DeviceName, Connection] = {}
        self._connecting = asyncio.Semaphore(concurrent_connects)

    def connections(self) -> Mapping[DeviceName, Connection]:
        """Every device that was ever talked to since the start."""
        return self._connections

    async def session(self, device: DeviceName) -> DeviceSession:
        """The live session, connecting if need be; the errors are the connector's."""
        connection = self._connections.setdefault(device, Connection(device))
        if connection.session is None:
            async with self._connecting:
                if connection.session is None:
                    await self._connect(connection)
        if connection.session is None:
            raise TransientError(f"the session to '{device}' was closed while it was being opened", device=device)
        return connection.session

    async def _connect(self, connection: Connection) -> None:
        target = self._targets(connection.device)
        try:
            connection.session = await self._connectors[target.transport].connect(target)
        except AccordError as error:
            connection.error = str(error)
            raise
        connection.error = ""
        connection.connected_at = self._clock.now()

    async def open_another(self, device: DeviceName) -> DeviceSession:
        """A session beside the kept one, for a stream of notifications; whoever opened it closes it."""
        target = self._targets(device)
        async with self._connecting:
            return await self._connectors[target.transport].connect(target)

    def use(self, device: DeviceName) -> AbstractAsyncContextManager[DeviceSession]:
        """The session, exclusively; a session that failed in transit is dropped."""
        connection = self._connections.get(device)
        if connection is None:
            connection = self._connections[device] = Connection(device)
        return _Use(self, connection)

    async def ask(self, device: DeviceName, question: Callable[[DeviceSession], Awaitable[T]]) -> T:
        """Put a question that may be asked twice (a read, a lock): again when a kept session turns out to be dead."""
        kept = self._connections.get(device)
        was_open = kept is not None and kept.session is not None
        try:
            async with self.use(device) as session:
                return await question(session)
        except ConnectionFailedError:
            if not was_open:
                raise
        async with self.use(device) as session:
            return await question(session)

    async def drop(self, device: DeviceName, reason: str = "") -> None:
        """Close a device's session, if any; the next use opens another."""
        connection = self._connections.get(device)
        if connection is not None and connection.session is not None:
            session, connection.session = connection.session, None
            connection.error = reason
            await session.close()

    def forget(self, device: DeviceName) -> None:
        """Leave no trace of a deleted device, so that its metric series go."""
        self._connections.pop(device, None)

    async def close(self) -> None:
        """Close every session."""
        await asyncio.gather(*(self.drop(device) for device in list(self._connections)))


@dataclass(slots=True)
class _Use(AbstractAsyncContextManager[DeviceSession]):
    """One task's turn with a session. A class, as it is taken for every step on every device."""

    pool: SessionPool
    connection: Connection

    async def __aenter__(self) -> DeviceSession:
        connection = self.connection
        await connection.busy.acquire()
        if connection.session is not None:
            return connection.session
        try:
            return await self.pool.session(connection.device)
        except BaseException:
            connection.busy.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, asyncio.CancelledError):
                await self.pool.drop(self.connection.device, "the call was cancelled")
            elif isinstance(error, _BROKEN):
                await self.pool.drop(self.connection.device, str(error))
        finally:
            self.connection.busy.release()
