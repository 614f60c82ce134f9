"""Owns the way of notifications (RFC 5277) from a session to its one reader: bounded, without polling."""

import asyncio
from collections import deque

from controller.model.errors import AccordError, BusyError
from controller.model.identifiers import DeviceName
from drivers.netconf.framing import Message
from drivers.netconf.xml import parse

MOST_WAITING = 10_000
"""Notifications kept for a slow reader; then the stream ends with `BusyError`, since a gap must not go unseen."""


class NotificationStream:
    """An async iterator over notifications as XML; ends when the session does."""

    def __init__(self, device: DeviceName) -> None:
        self._device = device
        self._waiting: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._failure: AccordError | None = None

    def put(self, message: Message) -> None:
        """Take a notification from the session."""
        if self._ended:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._failure = BusyError(
                f"{MOST_WAITING} notifications are waiting to be read",
                remedy="read the device's state, then subscribe again",
                device=self._device,
            )
            self._ended = True
        else:
            self._waiting.append(message)
        self._wake.set()

    def end(self) -> None:
        """Say that no more will come."""
        self._ended = True
        self._wake.set()

    def __aiter__(self) -> "NotificationStream":
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._ended:
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        message = self._waiting.popleft()
        parse(message)  # what isn't XML must not get further than this
        return bytes(message)
